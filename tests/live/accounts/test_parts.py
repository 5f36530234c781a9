"""The executor's parts alone: inbox, intents, gate, leases, local file, outbox pump."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.proofs import simloop
from data.records.memory import MemoryStore
from data.records.rows import INTENT_MOVES, Commit, OutboxRow, SettingsRow, Unavailable, UserRow
from engine.account import messages as m
from engine.account.commands import PlaceOrder
from engine.account.signal import Quote, SignalEnd
from engine.venue.reports import ExecutionReport, OrderReport
from live.accounts.gate import EntryGate
from live.accounts.inbox import Inbox, Rank, rank_of
from live.accounts.intents import Intents
from live.accounts.leases import LeaseKeeper, LeaseOptions
from live.accounts.notify import OutboxPump, PumpOptions
from live.accounts.wal import FileWal, FileWals, read_line, write_line
from tests.live.accounts.world import Lines

ONE = Decimal(1)


def executed(number: int) -> m.Executed:
    report = ExecutionReport(
        exec_id=f"e{number}", exec_type="Trade", symbol="S", side="Buy", order_id="o",
        order_link_id="z1", exec_price=ONE, exec_qty=ONE, exec_value=ONE, exec_time=number,
    )  # fmt: skip
    return m.Executed(at_ms=0, execution=report)


def quote(symbol: str, ts: int) -> m.QuoteSeen:
    at = Quote(ts=ts, bid=1.0, ask=1.0, mark=1.0, spread_bps=1.0, sweep_bps=1.0)
    return m.QuoteSeen(at_ms=0, symbol=symbol, quote=at)


def ended(number: int) -> m.SignalEnded:
    end = SignalEnd(symbol=f"S{number}", profile="p", interval_ms=1, t=number, kind="FAILED")
    return m.SignalEnded(at_ms=0, end=end)


_MESSAGES = st.lists(
    st.one_of(
        st.integers(0, 10_000).map(executed),
        st.builds(quote, st.sampled_from("AB"), st.integers(0, 99)),
        st.integers(0, 99).map(ended),
        st.sampled_from(["pause", "kill", "close"]).map(
            lambda a: m.Control(at_ms=0, action=a, actor="u")
        ),
        st.just(m.Tick(at_ms=0)),
    ),
    max_size=60,
)


@pytest.mark.laws
@given(_MESSAGES, st.integers(1, 8))
def test_an_inbox_loses_no_fill_and_no_wish_and_reads_the_urgent_first(messages, most):
    async def main():
        inbox = Inbox(signals_max=3, market_max=4)
        taken_in = [message for message in messages if inbox.put(message)]
        read = []
        while len(inbox):
            batch = await inbox.take(most)
            assert 0 < len(batch) <= most
            assert [rank_of(b) for b in batch] == sorted(rank_of(b) for b in batch)
            read += batch
        for kind in (m.Executed, m.Control, m.SignalEnded):
            told = [message for message in taken_in if isinstance(message, kind)]
            assert [message for message in read if isinstance(message, kind)] == told
        facts = [x for x in messages if rank_of(x) in (Rank.PEOPLE, Rank.ACCOUNT)]
        assert len([x for x in read if rank_of(x) in (Rank.PEOPLE, Rank.ACCOUNT)]) == len(facts)
        for symbol in "AB":
            seen = [x for x in taken_in if isinstance(x, m.QuoteSeen) and x.symbol == symbol]
            got = [x for x in read if isinstance(x, m.QuoteSeen) and x.symbol == symbol]
            assert got == seen[-1:]  # only the newest, and that for certain

    asyncio.run(main())


_WORDS = st.sampled_from(["unknown", "placed", "refused", "stale", "open", "done", "fill"])


@pytest.mark.laws
@given(st.lists(_WORDS, max_size=12))
def test_an_intent_only_makes_listed_moves(words):
    book = Intents("u")
    order = PlaceOrder(
        link_id="z1", trade_id="t", leg="entry", symbol="S", side="Buy", order_type="Limit", qty=ONE
    )
    (row,) = book.wanted([order], [], 1)
    assert not book.wanted([order], [], 2)  # an id is wanted once
    assert book.order(row) == order
    for word in words:
        before = book.get("z1")
        report = OrderReport(
            order_id="o", order_link_id="z1", symbol="S", side="Buy", order_type="Limit",
            order_status="Filled" if word == "done" else "New", qty=ONE,
        )  # fmt: skip
        message = {
            "unknown": m.SentUnknown(at_ms=1, link_id="z1"),
            "placed": m.Placed(at_ms=1, link_id="z1"),
            "refused": m.NotPlaced(at_ms=1, link_id="z1", code=110007),
            "stale": m.NotPlaced(at_ms=1, link_id="z1"),
            "fill": executed(1),
        }.get(word, m.OrderSeen(at_ms=1, order=report))
        moved = book.heard(message)
        after = book.get("z1")
        assert after is not None
        assert moved is None or moved == after
        assert after.state == before.state or after.state in INTENT_MOVES[before.state]


def test_what_waits_at_the_gate_is_recalled_when_it_shuts_and_when_the_lease_ends():
    async def main(clock):
        gate = EntryGate(clock)
        assert "lease" in gate.refusal()
        gate.lease(1, clock.monotonic_s() + 5.0)
        assert gate.refusal() == ""

        async def slow() -> str:
            await clock.sleep(60)
            return "sent"

        sending = asyncio.ensure_future(gate.send(slow()))
        await clock.sleep(1)
        gate.shut("kill", "killed")
        assert await sending is None
        assert clock.monotonic_s() == pytest.approx(1)
        gate.open("kill")
        assert await gate.send(slow()) is None  # the lease ran out
        assert clock.monotonic_s() == pytest.approx(5)
        assert not gate.leased
        gate.lease(1, clock.monotonic_s() + 5.0)
        renewing = asyncio.ensure_future(gate.send(slow()))
        for _ in range(20):
            await clock.sleep(4)
            gate.lease(1, clock.monotonic_s() + 5.0)
        assert await renewing == "sent"
        gate.lease(0, clock.monotonic_s() + 500.0)  # words of an older lease change nothing
        assert gate.epoch == 1

    simloop.run(main, 1)


async def with_user(clock) -> MemoryStore:
    store = MemoryStore(clock)
    row = UserRow(user_id="u", name="u", created_ms=1)
    body = SettingsRow(user_id="u", version=1, body=b"{}", created_ms=1)
    assert await store.add_user(row, body) is None
    return store


def test_a_lease_is_believed_shorter_than_the_store_holds_it():
    async def main(clock):
        store = await with_user(clock)
        told, lost = [], []
        options = LeaseOptions(ttl_s=10.0, renew_s=3.0, margin_s=2.0)
        keeper = LeaseKeeper(
            store, clock, "one", options=options,
            on_lease=lambda u, epoch, until: told.append((u, epoch, until)),
            on_lost=lambda u, why: lost.append((u, why)),
        )  # fmt: skip
        lease = await keeper.acquire("u")
        assert told == [("u", lease.epoch, 8.0)]
        await clock.sleep(4)
        await keeper.renew()
        assert told[-1] == ("u", lease.epoch, 12.0)
        await store.release([keeper.held["u"].lease])
        other = await store.acquire("u", "two", 10_000)
        await keeper.renew()
        assert other.epoch > lease.epoch
        assert lost
        assert not keeper.held

    simloop.run(main, 1)


def test_a_local_file_keeps_whole_lines_and_nothing_torn(tmp_path):
    wals = FileWals(tmp_path / "wal")
    wal = wals.of("00000000-0000-0000-0000-000000000001")
    assert not wal.read()
    commits = [
        Commit(
            user_id="u", epoch=1, at_ms=n, version=n, state=bytes([n, 255]), state_hash=str(n),
            records=(), traces=(),
        )
        for n in range(3)
    ]  # fmt: skip
    for commit in commits:
        wal.append(write_line(commit))
    assert wal.path.stat().st_mode & 0o777 == 0o600
    assert [read_line(line) for line in wal.read()] == commits
    with wal.path.open("ab") as file:
        file.write(write_line(commits[0])[:-20])  # killed in the middle
    assert [read_line(line) for line in wal.read()] == commits
    broken = write_line(commits[0]).replace(b'"u"', b'"v"')
    assert read_line(broken) is None
    name = wal.set_aside()
    assert (wal.path.parent / name).is_file()
    assert not wal.read()
    with pytest.raises(ValueError, match="user id"):
        wals.of("../other")
    assert isinstance(wal, FileWal)


class Reader:
    """A notifier that fails as it is told to."""

    def __init__(self, *, fails: int = 0, hangs: bool = False) -> None:
        self.fails = fails
        self.hangs = hangs
        self.told: list[str] = []

    async def tell(self, row: OutboxRow) -> str:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            self.fails -= 1
            raise OSError("the line is dead")
        self.told.append(row.event_id)
        return ""


class Box:
    """An outbox of a few rows."""

    def __init__(self, *rows: OutboxRow) -> None:
        self.rows = {row.event_id: row for row in rows}
        self.forgets = 0  # deliveries that are not written down

    async def outbox(self, limit: int, now_ms: int, _wait_max_ms: int):
        due = [r for r in self.rows.values() if r.state == "waiting" and r.next_ms <= now_ms]
        return due[:limit]

    async def outbox_done(self, _user, event_id, *, delivered, attempts, next_ms):
        if self.forgets:
            self.forgets -= 1
            return
        state = "delivered" if delivered else "dead" if next_ms < 0 else "waiting"
        self.rows[event_id] = msgspec.structs.replace(
            self.rows[event_id], state=state, attempts=attempts, next_ms=next_ms
        )


def note(event_id: str) -> OutboxRow:
    return OutboxRow(
        user_id="u", event_id=event_id, kind="error", severity="info", body=b"{}", created_ms=0
    )


def test_a_notification_is_told_once_and_again_only_while_it_fails():
    async def main(clock):
        box, reader = Box(note("a"), note("b")), Reader(fails=3)
        pump = OutboxPump(box, reader, clock, Lines())
        task = asyncio.ensure_future(pump.run())
        await clock.sleep(30)
        assert sorted(reader.told) == ["a", "b"]
        box.rows["c"] = note("c")
        box.forgets = 1  # delivered, and the store did not hear of it
        await clock.sleep(5)
        assert reader.told.count("c") == 1
        assert box.rows["c"].state == "delivered"
        task.cancel()

    simloop.run(main, 1)


def test_a_notifier_that_hangs_is_given_up_and_its_letter_put_aside():
    async def main(clock):
        box, log = Box(note("a")), Lines()
        options = PumpOptions(deadline_s=1.0, attempts_max=3, retry_first_s=1.0)
        pump = OutboxPump(box, Reader(hangs=True), clock, log, options)
        task = asyncio.ensure_future(pump.run())
        await clock.sleep(20)
        assert box.rows["a"].state == "dead"
        assert "a notification is dead" in log.events()
        task.cancel()

    simloop.run(main, 1)


def test_a_store_that_is_away_costs_the_pump_nothing():
    class Away(Box):
        async def outbox(self, *_):
            return Unavailable(reason="gone", kind="down")

    async def main(clock):
        pump = OutboxPump(Away(), Reader(), clock, Lines())
        assert await pump.pump() == 0

    simloop.run(main, 1)
