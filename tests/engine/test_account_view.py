"""The account's view: the order of reports does not matter, and nothing is lost or doubled."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.venue.reports import (
    ExecutionReport,
    OrderReport,
    PositionReport,
    WalletReport,
)
from engine.venue.view import AccountView, Report, Snapshot, supersedes

D = Decimal
SYMBOLS = ("AUSDT", "BUSDT")


def order(n: int, status: str, at: int, cum: str = "0", **more: object) -> OrderReport:
    values: dict = {
        "order_id": f"o{n}",
        "order_link_id": f"l{n}",
        "symbol": SYMBOLS[n % 2],
        "side": "Buy",
        "order_type": "Limit",
        "order_status": status,
        "qty": D(4),
        "cum_exec_qty": D(cum),
        "cum_exec_value": D(cum) * 100,
        "updated_time": at,
    } | more
    return OrderReport(**values)


def fill(n: int, k: int, at: int, qty: str = "1", **more: object) -> ExecutionReport:
    values: dict = {
        "exec_id": f"e{n}-{k}",
        "exec_type": "Trade",
        "symbol": SYMBOLS[n % 2],
        "side": "Buy",
        "order_id": f"o{n}",
        "order_link_id": f"l{n}",
        "exec_price": D(100),
        "exec_qty": D(qty),
        "exec_value": D(qty) * 100,
        "exec_time": at,
        "exec_fee": D("0.055"),
        "seq": at,
    } | more
    return ExecutionReport(**values)


def position(symbol: str, size: str, at: int, seq: int = 0) -> PositionReport:
    held = D(size) != 0
    return PositionReport(
        symbol=symbol,
        position_idx=0,
        side="Buy" if held else "",
        size=D(size),
        entry_price=D(100) if held else None,
        stop_loss=D(90) if held else None,
        updated_time=at,
        seq=seq,
    )


def shown(view: AccountView) -> tuple:
    """All that a view says, whatever the order it came in."""
    return (
        sorted(view.orders(), key=lambda o: o.order_id),
        view.executions(),
        view.positions(),
        view.wallet,
    )


class Venue:
    """A small honest venue: it fills and cancels, tells it, and can be read at any time."""

    def __init__(self) -> None:
        self.now = 1000
        self.orders: dict[str, OrderReport] = {}
        self.executions: list[ExecutionReport] = []
        self.sizes = {symbol: D(0) for symbol in SYMBOLS}
        self.positions: dict[str, PositionReport] = {}
        self.wallet = WalletReport(wallet_balance=D(1000), equity=D(1000), updated_time=1)
        self.told: list[Report] = []

    def act(self, what: str, n: int) -> None:
        """One act at the venue, and all that its streams tell of it."""
        key = f"o{n}"
        known = self.orders.get(key)
        if what == "place" and known is None:
            self._order(order(n, "New", self._tick()))
        elif what == "fill" and known is not None and known.is_open:
            at = self._tick()
            cum = known.cum_exec_qty + 1
            self.executions.append(fill(n, int(cum), at))
            self.told.append(self.executions[-1])
            self.told.append(replace(self.executions[-1], exec_fee=None, order_link_id=""))
            status = "Filled" if cum == known.qty else "PartiallyFilled"
            self._order(order(n, status, at, str(cum)))
            self._size(known.symbol, D(1), at)
        elif what == "cancel" and known is not None and known.is_open:
            self._order(order(n, "Cancelled", self._tick(), str(known.cum_exec_qty)))
        elif what == "close":
            symbol = SYMBOLS[n % 2]
            if self.sizes[symbol]:
                at = self._tick()
                self.executions.append(
                    fill(90 + n, at, at, str(self.sizes[symbol]), side="Sell", order_link_id="")
                )
                self.told.append(self.executions[-1])
                self._size(symbol, -self.sizes[symbol], at)

    def _tick(self) -> int:
        self.now += 1
        return self.now

    def _order(self, report: OrderReport) -> None:
        self.orders[report.order_id] = report
        self.told.append(report)

    def _size(self, symbol: str, change: D, at: int) -> None:
        self.sizes[symbol] += change
        report = position(symbol, str(self.sizes[symbol]), at, at)
        self.positions[symbol] = report
        self.told.append(report)
        self.wallet = replace(self.wallet, wallet_balance=D(1000) - at, updated_time=at)
        self.told.append(self.wallet)

    def snapshot(self) -> Snapshot:
        """What the lists of REST would say now."""
        return Snapshot(
            orders=tuple(o for o in self.orders.values() if o.is_open),
            positions=tuple(p for p in self.positions.values() if p.size),
            executions=tuple(self.executions),
            wallet=self.wallet,
        )

    def truth(self) -> tuple:
        return (
            sorted(self.orders.values(), key=lambda o: o.order_id),
            sorted(self.executions, key=lambda e: (e.exec_time, e.seq, e.exec_id)),
            sorted((p for p in self.positions.values() if p.size), key=lambda p: p.symbol),
        )


acts = st.lists(
    st.tuples(st.sampled_from(["place", "fill", "fill", "cancel", "close"]), st.integers(0, 4)),
    max_size=25,
)


def play(script: list[tuple[str, int]]) -> Venue:
    venue = Venue()
    for what, n in script:
        venue.act(what, n)
    return venue


@pytest.mark.laws
@given(script=acts, data=st.data())
def test_any_order_and_any_repetition_of_the_stream_shows_the_same(script, data):
    venue = play(script)
    straight = AccountView()
    for report in venue.told:
        straight.apply(report)
    again = data.draw(st.lists(st.sampled_from(venue.told))) if venue.told else []
    mixed = data.draw(st.permutations([*venue.told, *again]))
    shuffled = AccountView()
    seen = [e for report in mixed for e in shuffled.apply(report).executions]
    assert shown(shuffled) == shown(straight)
    assert shown(straight)[:3] == venue.truth()
    assert sorted(e.exec_id for e in seen) == sorted(e.exec_id for e in venue.executions)


@pytest.mark.laws
@given(before=acts, during=acts, after=acts, data=st.data())
def test_a_snapshot_at_any_point_of_a_torn_stream_gives_the_truth(before, during, after, data):
    """The stream is lost for a while; subscribe, buffer, read, merge: nothing lost or doubled."""
    venue = Venue()
    view = AccountView()
    counted: list[ExecutionReport] = []

    def hear(reports: list[Report]) -> None:
        for report in reports:
            counted.extend(view.apply(report).executions)

    for what, n in before:
        venue.act(what, n)
    heard = len(venue.told)
    hear(data.draw(st.permutations(venue.told)))
    for what, n in during:  # nobody listens
        venue.act(what, n)
    missed = len(venue.told)
    view.begin_resync()
    assert view.stale
    # the lists are read somewhere among what happens next, one list after the other
    cuts = sorted(data.draw(st.lists(st.integers(0, len(after)), min_size=3, max_size=3)))
    readings: list[Snapshot] = []
    for at, (what, n) in enumerate([*after, ("none", 0)]):
        while len(readings) < 3 and cuts[len(readings)] <= at:
            readings.append(venue.snapshot())
        venue.act(what, n)
    taken = Snapshot(
        executions=readings[0].executions,
        wallet=readings[0].wallet,
        positions=readings[1].positions,
        orders=readings[2].orders,
    )
    new = data.draw(st.permutations(venue.told[missed:]))
    again = data.draw(st.lists(st.sampled_from(venue.told[heard:missed]))) if missed > heard else []
    split = data.draw(st.integers(0, len(new)))
    hear([*new[:split], *again])  # late copies from before come too
    news = view.snapshot(taken)
    counted.extend(news.executions)
    ended = view.end_resync()
    counted.extend(ended.executions)
    assert not view.stale
    hear(new[split:])
    for vanished in ended.vanished:
        # the recipe asks the venue for each order that it does not list any more
        counted.extend(view.apply(venue.orders[vanished.order_id]).executions)
    orders, executions, positions, _ = shown(view)
    true_orders, true_executions, true_positions = venue.truth()
    assert executions == true_executions
    assert len(counted) == len({e.exec_id for e in counted}) == len(true_executions)
    assert positions == true_positions
    assert [o for o in orders if o.is_open] == [o for o in true_orders if o.is_open]
    lived = {o.order_id for o in orders}
    assert [o for o in true_orders if o.order_id in lived] == orders


@pytest.mark.laws
@given(st.permutations(["New", "PartiallyFilled", "Filled", "Cancelled"]))
def test_reports_of_one_millisecond_end_at_the_latest_stage(statuses):
    cums = {"New": "0", "PartiallyFilled": "2", "Filled": "4", "Cancelled": "2"}
    view = AccountView()
    for status in statuses:
        view.apply(order(1, status, 5, cums[status]))
    said = view.order("o1")
    assert said is not None
    assert (said.order_status, said.cum_exec_qty) == ("Filled", D(4))


def test_an_ended_order_stays_ended_and_its_fills_never_fall():
    view = AccountView()
    view.apply(order(1, "Filled", 10, "4"))
    view.apply(order(1, "New", 11))
    assert view.open_orders() == []
    view.apply(order(1, "Filled", 12, "3", cancel_type="CancelByUser"))  # the second of a race
    said = view.order("o1")
    assert said is not None
    assert said.order_status == "Filled"
    assert said.cancel_type == "CancelByUser"
    assert said.cum_exec_qty == 4
    assert said.cum_exec_value == 400
    assert view.open_orders() == []


def test_a_fast_execution_is_completed_by_the_full_one_and_counted_once():
    view = AccountView()
    fast = fill(1, 1, 5, exec_fee=None, order_link_id="", seq=5)
    assert view.apply(fast).executions == (fast,)
    assert view.apply(fill(1, 1, 5)).executions == ()
    assert view.apply(fast).executions == ()
    assert view.executions() == [fill(1, 1, 5)]
    assert view.fills("o1") == [fill(1, 1, 5)]


def test_what_a_snapshot_does_not_list_is_flat_unless_newer_words_came():
    view = AccountView()
    view.apply(position("AUSDT", "2", 10))
    view.apply(position("BUSDT", "2", 10))
    view.apply(order(1, "New", 10))
    view.begin_resync()
    view.apply(position("BUSDT", "3", 20))
    view.snapshot(Snapshot())
    assert [o.order_id for o in view.end_resync().vanished] == ["o1"]
    assert view.positions() == [position("BUSDT", "3", 20)]
    view.apply(position("AUSDT", "2", 10))  # a late copy of what is gone
    assert [p.symbol for p in view.positions()] == ["BUSDT"]
    view.apply(position("AUSDT", "5", 30))
    assert [p.symbol for p in view.positions()] == ["AUSDT", "BUSDT"]


def test_late_words_on_what_was_opened_and_closed_unheard_do_not_revive_it():
    view = AccountView()
    view.apply(position("BUSDT", "2", 10))
    view.begin_resync()
    view.apply(position("AUSDT", "5", 20))  # opened and closed while nobody listened
    both = (fill(2, 1, 20), fill(4, 1, 21))
    view.snapshot(Snapshot(executions=both, positions=(position("BUSDT", "2", 10),)))
    view.end_resync()
    assert [p.symbol for p in view.positions()] == ["BUSDT"]
    view.apply(position("AUSDT", "7", 21))  # of the reading's own millisecond: it may be later
    assert [p.symbol for p in view.positions()] == ["AUSDT", "BUSDT"]


def test_a_list_of_positions_that_lags_hides_none_that_the_stream_tells_of():
    view = AccountView()
    view.begin_resync()
    view.apply(position("BUSDT", "5", 20))  # opened just now: its list does not show it yet
    view.snapshot(Snapshot(executions=(fill(1, 1, 20), fill(2, 1, 21))))
    view.end_resync()
    assert {fill(1, 1, 20).symbol, fill(2, 1, 21).symbol} == {"AUSDT", "BUSDT"}
    assert [p.symbol for p in view.positions()] == ["BUSDT"]


def test_a_failed_reading_loses_nothing_and_leaves_the_view_stale():
    view = AccountView()
    view.begin_resync()
    view.apply(fill(1, 1, 5))
    view.begin_resync()  # the stream fell again
    view.apply(fill(1, 2, 6))
    assert view.executions() == []
    assert len(view.end_resync(complete=False).executions) == 2
    assert view.stale
    assert view.complete_ms == 0


def test_unprotected_positions_are_named():
    view = AccountView()
    bare = replace(position("AUSDT", "2", 10), stop_loss=None)
    view.apply(bare)
    assert view.unprotected() == [bare]
    stop = order(2, "Untriggered", 11, side="Sell", reduce_only=True, stop_order_type="Stop")
    view.apply(replace(stop, qty=D(1)))
    assert view.unprotected() == [bare]  # half of it
    view.apply(replace(stop, qty=D(2), updated_time=12, trigger_direction=1))
    assert view.unprotected() == [bare]  # it takes profit and stops nothing
    view.apply(replace(stop, qty=D(2), updated_time=13, trigger_direction=2))
    assert view.unprotected() == []


@pytest.mark.parametrize("kind", ["Stop", "TrailingStop"])
@pytest.mark.parametrize(("side", "against", "profit"), [("Buy", 2, 1), ("Sell", 1, 2)])
def test_what_fires_on_the_profitable_side_protects_nothing(kind, side, against, profit):
    view = AccountView()
    held = replace(position("AUSDT", "2", 10), side=side, stop_loss=None)
    view.apply(held)
    other = "Sell" if side == "Buy" else "Buy"
    stop = order(2, "Untriggered", 11, side=other, reduce_only=True, stop_order_type=kind)
    view.apply(replace(stop, qty=D(2), trigger_direction=profit))
    assert view.unprotected() == [held]
    view.apply(replace(stop, qty=D(2), trigger_direction=against, updated_time=12))
    assert view.unprotected() == []


def test_conflating_is_allowed_only_where_nothing_is_lost():
    assert supersedes(order(1, "Filled", 5, "4"), order(1, "New", 5))
    assert not supersedes(order(1, "New", 6), order(1, "Filled", 5, "4"))
    assert not supersedes(order(1, "Cancelled", 9, "1"), order(1, "Filled", 5, "4"))
    assert supersedes(position("AUSDT", "1", 6), position("AUSDT", "2", 5))
    assert not supersedes(fill(1, 2, 9), fill(1, 1, 5))


def test_the_view_forgets_the_oldest_that_ended_and_nothing_open():
    view = AccountView(orders_max=10, executions_max=10)
    for n in range(40):
        view.apply(order(n, "Filled" if n % 2 else "New", n + 1, "4" if n % 2 else "0"))
        view.apply(fill(n, 1, n + 1))
    assert len(view.open_orders()) == 20
    assert len(view.orders()) <= 31
    assert view.by_link("l1") is None
    assert [e.exec_time for e in view.executions()][-1] == 40
    assert len(view.executions()) <= 11
