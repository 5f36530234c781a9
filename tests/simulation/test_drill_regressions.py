"""Worlds that broke once, with the faults that broke them: what was mended stays mended."""

from app.proofs.drill.plan import Injection
from app.proofs.drill.world import run_seed

# An hour's jump of the machine's clock after two deaths: orders that were never sent stayed unknown
# until the clock was caught up, because their age was told by it and not by the venue's.
WRONG_CLOCK = (
    Injection("clock", 30369, "disorder", "F63", 3, 0),
    Injection("clock", 34168, "gap", "F82", 579, 0),
    Injection("clock", 40263, "stop_gone", "F78", 0, 1),
    Injection("clock", 74030, "open_bar", "F51", 2, 0),
    Injection("clock", 80386, "jump", "F66", 1045456, 0),
    Injection("clock", 83764, "funding", "F75", 5, 0),
    Injection("store.commit", 1, "kill_before", "F1", 6817, 0),
    Injection("u0.connect", 1, "refuse_topics", "F44", 4654, 0),
    Injection("u0.create.entry", 1, "kill_during", "F3", 1924, 0),
    Injection("u0.positions", 5, "unread", "F26", 0, 0),
    Injection("u0.push.execution", 20, "stall", "F38", 9709, 0),
    Injection("u0.push.order", 1, "late", "F41", 10323, 0),
    Injection("u1.cancel", 1, "lost_reply", "F18", 0, 1),
    Injection("u1.cancel", 2, "ban", "F22", 15767, 1),
    Injection("u1.create.close", 1, "code", "F24", 2498, 1),
    Injection("u1.create.entry", 2, "lost_reply", "F18", 0, 1),
    Injection("u1.executions", 3, "code", "F24", 7327, 1),
    Injection("u1.look", 1, "stale", "F27", 10403, 1),
    Injection("u1.push.tp1", 1, "kill_before", "F7", 6748, 1),
)


def test_an_order_is_proven_absent_by_the_venue_s_clock() -> None:
    assert run_seed(20, injections=list(WRONG_CLOCK)).judge.violations == []
