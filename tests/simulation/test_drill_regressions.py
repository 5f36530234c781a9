"""Worlds that broke once, with the faults that broke them: what was mended stays mended."""

import pytest

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


# Each: what broke, the seed, the fewest faults.
BROKE = {
    # A code that speaks of an ended order was taken for a refusal of the order it answered, and the
    # order rested for ever.
    "a code of ended orders proves nothing of a create": (
        94,
        Injection("clock", 47909, "skew", "F67", 1113, 0),
        Injection("clock", 54938, "all_down", "F46", 9657, 1),
        Injection("u1.create.entry", 1, "code", "F24", 3988, 1),
    ),
    # Signals waited for an engine to start and were sized at the price of when they were heard.
    "a signal that waited is judged at the newest price": (
        1069,
        Injection("clock", 20537, "control:pause", "P1", 14813, 1),
        Injection("clock", 49713, "kill", "F14", 5563, 1),
        Injection("clock", 64217, "new_settings", "F89", 2, 1),
        Injection("store.commit", 8, "unknown_commit", "F55", 0, 0),
        Injection("store.load", 1, "kill_before", "F12", 8832, 0),
    ),
    # The next try of a notification was put off by a clock that was twenty minutes ahead.
    "a notification put off by a clock ahead is due": (
        279,
        Injection("clock", 36148, "deaf_notifier", "F91", 23669, 0),
        Injection("clock", 53668, "jump", "F66", 1279418, 1),
    ),
    # The judge counted a position that a person holds as a trade.
    "a position of a person's is no trade of ours": (
        237,
        Injection("clock", 39720, "crash_loop", "F15", 561, 1),
        Injection("clock", 45706, "human:open", "P3", 0, 1),
    ),
    # The judge asked the age of a signal when its verdict was written, not when it was given.
    "a verdict given while the store is away is written later": (
        1073,
        Injection("clock", 64284, "bus_down", "F60", 7977, 1),
        Injection("clock", 74637, "store_down", "F53", 34955, 0),
    ),
    # The judge replayed a recording under the first settings, which no engine had ever read.
    "a recording begins under the settings of its first engine": (
        1081,
        Injection("clock", 8212, "new_settings", "F89", 3, 1),
        Injection("store.load", 2, "kill_before", "F12", 2907, 0),
    ),
    # The judge forbade a stop on a coin where an entry that nobody knows of may have been filled.
    "where an entry may be in, what is held is protected": (
        1140,
        Injection("clock", 36278, "human:open", "P3", 0, 1),
        Injection("u1.create.entry", 1, "margin", "F33", 73, 1),
        Injection("u1.create.entry", 2, "freeze", "F65", 31312, 1),
    ),
}


@pytest.mark.parametrize("what", sorted(BROKE))
def test_what_broke_once_holds(what: str) -> None:
    seed, *injections = BROKE[what]
    assert run_seed(seed, injections=injections).judge.violations == []
