"""The whole recipe over the simulator: subscribe, keep, read, merge; nothing lost, nothing doubled.

A script acts at the venue before the stream is up, between any two of the recipe's readings, and
after it. What the stream says arrives permuted and doubled, any part of it before the recipe ends.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.proofs import simloop
from app.proofs.contract.faces import SYMBOL, SimControls, Steered
from engine.venue.exchange.commands import CancelOrder, CreateOrder, SetTradingStop
from engine.venue.reports import OrderReport
from engine.venue.view import AccountView, News, Report
from engine.venue.wire.streams import READERS
from engine.venue.words import OrderType, Side, TpslMode
from live.venues.bybit.budgets import RequestBudget
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.gate import Gate
from live.venues.bybit.signer import Signer
from live.venues.bybit.simdesk import Message
from live.venues.bybit.simdoor import HttpRequest
from live.venues.bybit.simvenue import SimVenue
from live.venues.bybit.trading import BybitTrading
from live.venues.bybit.transport import Auth, Params, Reply, payload
from live.venues.resync import Resynced, resync

D = Decimal
Act = tuple[str, int]
TOPICS = ("order", "execution", "execution.fast", "position", "wallet")

acts = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "rest", "stop", "part", "move", "cancel", "close", "fund"]),
        st.integers(0, 5),
    ),
    max_size=8,
)


class World:
    """A venue with one user, acted upon directly; what its streams would say is kept in `told`."""

    def __init__(self, seed: int, now_ms: int) -> None:
        self.venue = SimVenue(Steered(now_ms), "1d", seed=seed, start_ms=now_ms)
        self.desk = self.venue.desk
        self.key = self.desk.open_account(D(100_000))
        self.controls = SimControls(self.venue, self.key.key, self.key.uid)
        self.told: list[Report] = []
        self.listening = False
        self.desk.listen(self.key.uid, self)
        self.price = 100
        self.links = 0

    def deliver(self, messages: list[Message]) -> None:
        for message in messages:
            for row in message.rows if self.listening else ():
                report = READERS[message.topic](row)
                if message.topic == "wallet":
                    report = replace(report, updated_time=message.time)  # type: ignore[type-var]
                self.told.append(report)

    @property
    def account(self) -> Any:
        return self.desk.account(self.key.uid)

    def act(self, act: Act) -> None:
        """Let one thing happen, a millisecond after the last."""
        self.desk.advance(self.desk.now_ms + 1)
        kind, n = act
        mine = {"uid": self.key.uid, "symbol": SYMBOL}
        if kind in ("buy", "sell", "rest"):
            self.links += 1
            side = Side.SELL if kind == "sell" else Side.BUY
            self.desk.order(
                CreateOrder(
                    **mine,
                    side=side,
                    order_type=OrderType.LIMIT if kind == "rest" else OrderType.MARKET,
                    qty=D(1 + n),
                    price=D(self.price - 1 - n) if kind == "rest" else None,
                    order_link_id=f"r{self.links}",
                    stop_loss=D(self.price - 15) if side is Side.BUY else None,
                    tpsl_mode=TpslMode.FULL if side is Side.BUY else None,
                )
            )
        elif kind == "stop":
            stop = D(self.price - 10 - n)
            self.desk.order(SetTradingStop(**mine, tpsl_mode=TpslMode.FULL, stop_loss=stop))
        elif kind == "part":
            self.controls.prints(SYMBOL, D(self.price - 1 - n), D(1), "Sell")
        elif kind == "move":
            self.price += (-9, -4, -1, 1, 4, 9)[n]
            self.controls.price(SYMBOL, D(self.price))
        elif kind == "cancel":
            for order in list(self.account.open_orders.values())[: 1 + n]:
                self.desk.order(CancelOrder(**mine, order_id=order.order_id))
        elif kind == "close":
            self.controls.human("close", SYMBOL)
        else:
            self.controls.fund(SYMBOL, D(n - 2) / 10_000)


class Straight:
    """A transport that asks the venue at once, and lets something happen before each request."""

    def __init__(self, world: World, before: Callable[[], None]) -> None:
        self._world = world
        self._before = before

    async def send(
        self, method: str, path: str, params: Params, *, auth: Auth | None = None
    ) -> Reply:
        self._before()
        text = payload(method, params)
        signed = auth.headers(method, path, text) if auth is not None else {}
        headers = {name.lower(): value for name, value in signed.items()}
        reply = self._world.venue.request(
            HttpRequest(method, path, text, headers), self._world.desk.now_ms
        )
        return Reply(reply.status, reply.body, {})

    async def close(self) -> None:
        pass


def play(  # noqa: C901 - one recipe, told in one place
    before: list[Act],
    between: list[list[Act]],
    after: list[Act],
    mix: Callable[[list[Report]], list[Report]],
    held_back: int,
    make: Callable[[], AccountView] = AccountView,
    *,
    repeat: bool = True,
) -> tuple[World, AccountView, list[str]]:
    """Run the recipe once; returns the world, the view and every execution it announced."""

    async def main(clock: simloop.SimClock) -> tuple[World, AccountView, list[str]]:
        world = World(3, clock.now_ms())
        view = make()
        counted: list[str] = []

        def note(news: News) -> None:
            counted.extend(e.exec_id for e in news.executions)

        def hear(reports: list[Report]) -> None:
            for report in reports:
                note(view.apply(report))

        waiting = iter(between)
        heard = 0
        quiet = False

        def happen() -> None:
            nonlocal heard
            if quiet:
                return
            for act in next(waiting, []):
                world.act(act)
            upto = max(heard, len(world.told) - held_back)
            hear(mix(world.told[heard:upto]))
            heard = upto

        for act in before:  # nobody listens
            world.act(act)
        transport: Any = Straight(world, happen)
        budget = RequestBudget(clock)
        gate = Gate(transport, budget, VenueClock(clock), clock, np.random.default_rng(0))
        trading = BybitTrading(gate, Signer(world.key.key, world.key.secret), user="u")
        world.listening = True  # subscribed
        view.begin_resync()
        outcome = await resync(trading, view, since_ms=clock.now_ms() - 1)
        assert isinstance(outcome, Resynced), outcome
        note(outcome.news)
        for act in after:
            world.act(act)
        hear(mix(world.told[heard:] + world.told * repeat))  # the rest, and all once more
        if ambiguous(world.told):
            quiet = True
            again = await resync(trading, view)
            assert isinstance(again, Resynced), again
            note(again.news)
        await gate.close()
        return world, view, counted

    return simloop.run(main, 0)


def ambiguous(told: list[Report]) -> bool:
    """Tell whether an open order was told twice of one millisecond, with different quantities.

    Nothing in the two says which is the later (a Full stop that grew twice at once): the next
    reading settles it, as the view's own rule says.
    """
    seen: dict[tuple[str, int], set[Decimal]] = {}
    for report in told:
        if isinstance(report, OrderReport) and report.is_open:
            seen.setdefault((report.order_id, report.updated_time), set()).add(report.qty)
    return any(len(quantities) > 1 for quantities in seen.values())


def check(world: World, view: AccountView, counted: list[str]) -> None:
    """Compare the view with the venue's books."""
    account = world.account
    assert world.desk.crashes == []
    assert Counter(counted) == Counter(e.exec_id for e in account.executions)
    seen = {e.exec_id: (e.exec_qty, e.exec_price, e.exec_fee) for e in view.executions()}
    assert seen == {e.exec_id: (e.exec_qty, e.exec_price, e.exec_fee) for e in account.executions}
    held = {k: (p.side.value, p.size) for k, p in account.positions.items() if p.side is not None}
    assert {(p.symbol, p.position_idx): (p.side, p.size) for p in view.positions()} == held
    there = {o.order_id: (o.qty, o.cum_exec_qty) for o in account.open_orders.values()}
    assert {o.order_id: (o.qty, o.cum_exec_qty) for o in view.open_orders()} == there
    assert view.wallet is not None
    assert view.wallet.wallet_balance == account.wallet.wallet_balance


def mixer(seed: int, doubled: float) -> Callable[[list[Report]], list[Report]]:
    """Any order, some of it twice."""
    rng = np.random.default_rng(seed)

    def mix(reports: list[Report]) -> list[Report]:
        again = [r for r in reports if rng.random() < doubled]
        both = [*reports, *again]
        return [both[i] for i in rng.permutation(len(both))]

    return mix


@pytest.mark.laws
@given(
    before=acts,
    between=st.lists(acts, max_size=6),
    after=acts,
    seed=st.integers(0, 2**32 - 1),
    held_back=st.integers(0, 12),
)
def test_the_recipe_loses_and_doubles_nothing(
    before: list[Act], between: list[list[Act]], after: list[Act], seed: int, held_back: int
) -> None:
    check(*play(before, between, after, mixer(seed, 0.4), held_back))


class NoKeeping(AccountView):
    """A planted bug: what arrives during the reading is thrown away."""

    def apply(self, report: Report) -> News:
        if self._buffer is not None:
            return News()
        return super().apply(report)


class CountsTwice(AccountView):
    """A planted bug: an execution that comes again is news again."""

    def apply(self, report: Report) -> News:
        news = super().apply(report)
        if type(report).__name__ == "ExecutionReport" and not news.executions and not self.stale:
            return replace(news, executions=(report,))
        return news


SCRIPT: tuple[list[Act], list[list[Act]], list[Act]] = (
    [("buy", 3), ("rest", 1)],
    [[], [("sell", 1)], [("buy", 2)], [("part", 1)], [("cancel", 0)]],
    [("sell", 0)],
)


def test_a_script_by_hand_is_seen_whole() -> None:
    check(*play(*SCRIPT, mixer(1, 0.5), 3))


def test_a_view_that_counts_twice_is_found_out() -> None:
    with pytest.raises(AssertionError):
        check(*play(*SCRIPT, mixer(1, 0.5), 3, CountsTwice))


def test_a_recipe_that_does_not_keep_is_found_out() -> None:
    between: list[list[Act]] = [[], [], [("buy", 1)], [("buy", 1)], [("buy", 1)]]
    with pytest.raises(AssertionError):
        check(*play([], between, [], mixer(1, 0.0), 0, NoKeeping, repeat=False))
    check(*play([], between, [], mixer(1, 0.0), 0, repeat=False))
