"""Whatever happens, in whatever order it is told: the laws of a user's brain."""

from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.account import messages as m
from engine.account.commands import (
    AlertRecord,
    ExecutionRecord,
    MoveStop,
    PlaceOrder,
    VerdictRecord,
)
from engine.account.decide import decide
from engine.account.exposure import equity, exposures
from engine.account.orders import MOVES
from engine.account.settings import UserSettings
from engine.account.signal import SignalEnd
from engine.account.state import (
    TRADE_MOVES,
    AccountState,
    Trade,
    decode_state,
    encode_state,
    fresh,
)
from engine.venue.exchange import commands as x
from engine.venue.words import OrderType, Side, TpslMode
from tests.engine.account.room import BAR_MS, Room, order_report
from tests.naive import account as naive

D = Decimal
SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")
OFTEN = ("price",) * 10 + ("signal",) * 5 + ("hear",) * 10 + ("bar",) * 3 + ("tick",) * 5
ACTS = (
    *OFTEN, *OFTEN, "resume", "resume", "resume", "unkill", "read", "read", "read", "calm_market",
    "double", "double", "shuffle", "lose", "sell_by_hand", "stop_by_hand", "cancel_by_hand",
    "pause", "kill", "close", "close_all", "end", "regime", "funding", "adl", "lost", "trouble",
    "gate", "settings", "unknown", "restart", "prints",
)  # fmt: skip


class Dice:
    """Draws from a seed."""

    def __init__(self, seed: int) -> None:
        self._draw = np.random.default_rng(seed)

    def choice(self, options: Any) -> Any:
        return options[self.randrange(len(options))]

    def randrange(self, end: int) -> int:
        return int(self._draw.integers(end))

    def random(self) -> float:
        return float(self._draw.random())

    def shuffle(self, items: list[Any]) -> None:
        items[:] = [items[i] for i in self._draw.permutation(len(items))]


class Unruly(Room):
    """A room where everything happens in an order that a seed draws."""

    def __init__(self, seed: int) -> None:
        self.random = Dice(seed)
        super().__init__(seed=seed, symbols=SYMBOLS)
        self.prices = dict.fromkeys(SYMBOLS, 100.0)
        self.signals: list[str] = []
        self.entries: dict[str, set[str]] = {}
        self.stops: dict[str, Decimal] = {}
        self.generation = 0
        self.version = 1

    def say(self, message: m.AnyMessage) -> Any:
        before = self.state
        said = super().say(message)
        check_moves(before, said.state)
        for command in said.commands:
            self.check(command, said.state)
        return said

    def check(self, command: Any, state: AccountState) -> None:
        if isinstance(command, MoveStop):
            before = self.stops.get(command.trade_id, D(0))
            assert command.stop_loss >= before, "a stop was widened"
            self.stops[command.trade_id] = command.stop_loss
            assert command.stop_loss % self.contracts[command.symbol].tick_size == 0
        if isinstance(command, PlaceOrder):
            rules = self.contracts[command.symbol]
            assert command.qty % rules.qty_step == 0
            assert command.qty >= rules.min_order_qty
            assert command.price is None or command.price % rules.tick_size == 0
            assert command.reduce_only == (command.leg != "entry")
            if command.leg == "entry":
                self.check_entry(command, state)

    def check_entry(self, command: PlaceOrder, state: AccountState) -> None:
        assert not state.killed
        assert not state.paused
        assert state.day is not None
        assert not state.day.halted
        assert state.read_ms
        assert command.stop_loss is not None
        limits = self.params.risk
        held = exposures(state)
        worth = equity(state)
        assert worth is not None
        ours = [e for e in held if e.trade_id]
        assert len(ours) <= limits.trades_max
        assert sum(e.risk_usdt for e in held) <= worth * limits.total_risk_max
        assert len({e.symbol for e in ours}) == len(ours)
        trade = state.trades[command.trade_id]
        links = self.entries.setdefault(trade.signal_id, set())
        links.add(command.link_id)
        assert len(links) == 1, "two entries of one signal"

    # ------------------------------------------------------------------ what may happen

    def do(self, act: str) -> None:
        self.now += self.random.choice((1, 50, 400, 1_500, 20_000))
        symbol = self.random.choice(SYMBOLS)
        getattr(self, f"do_{act}")(symbol)

    def do_price(self, symbol: str) -> None:
        factor = self.random.choice((0.97, 0.99, 0.995, 1.0, 1.005, 1.01, 1.04))
        self.prices[symbol] = round(max(50.0, min(200.0, self.prices[symbol] * factor)), 2)
        self.market(str(self.prices[symbol]), symbol=symbol)

    def do_prints(self, symbol: str) -> None:
        price = self.exchange.prices[symbol].last
        qty = D(self.random.choice((1, 5, 20)))
        side = self.random.choice((Side.BUY, Side.SELL))
        self.step(x.Prints(symbol=symbol, price=price, qty=qty, taker_side=side))

    def do_signal(self, symbol: str) -> None:
        again = self.signals and self.random.random() < 0.2
        name = self.random.choice(self.signals) if again else f"s{len(self.signals)}"
        price = self.prices[symbol]
        if not again:
            self.signals.append(name)
        heard = self.signal(
            name,
            symbol,
            close=price,
            level=price * 0.99,
            levels=(price * 0.99,) * 8,
            floor=price * 0.955,
            batr=price * 0.02,
            atr=price * 0.02,
        )
        self.say(heard)

    def do_hear(self, _: str) -> None:
        for _ in range(self.random.choice((1, 3, 100))):
            if self.inbox:
                self.say(self.inbox.pop(0))

    def do_bar(self, symbol: str) -> None:
        price = self.prices[symbol]
        ts = self.now - self.now % BAR_MS
        self.now = ts + BAR_MS
        self.say(
            m.BarClosed(
                at_ms=self.now, symbol=symbol, interval_ms=BAR_MS, ts=ts, open=price * 0.995,
                high=price * 1.01, low=price * 0.99, close=price,
            )
        )  # fmt: skip
        self.say(m.QuoteSeen(at_ms=self.now, symbol=symbol, quote=self.quote(symbol)))

    def do_tick(self, _: str) -> None:
        self.say(m.Tick(at_ms=self.now))

    def do_double(self, _: str) -> None:
        if self.inbox:
            self.inbox.insert(
                self.random.randrange(len(self.inbox) + 1), self.random.choice(self.inbox)
            )
        elif self.said:
            self.say(self.random.choice(self.said[-30:])[0])

    def do_shuffle(self, _: str) -> None:
        self.random.shuffle(self.inbox)

    def do_lose(self, _: str) -> None:
        lost = (m.OrderSeen, m.PositionSeen, m.WalletSeen, m.Placed)
        kept = [x for x in self.inbox if not isinstance(x, lost)]
        if len(kept) < len(self.inbox):
            self.inbox = kept

    def do_sell_by_hand(self, symbol: str) -> None:
        held = self.account().positions.get((symbol, 0))
        if held is None or not held.size:
            return
        qty = max(self.contracts[symbol].floor_qty(held.size / 2), D("0.01"))
        self.step(
            x.CreateOrder(
                uid=1, symbol=symbol, side=Side.SELL, order_type=OrderType.MARKET, qty=qty,
                reduce_only=True,
            )
        )  # fmt: skip

    def do_stop_by_hand(self, symbol: str) -> None:
        held = self.account().positions.get((symbol, 0))
        if held is None or not held.stop_loss:
            return
        stop = (held.stop_loss * D("1.005")).quantize(D("0.01"))
        self.step(x.SetTradingStop(uid=1, symbol=symbol, tpsl_mode=TpslMode.FULL, stop_loss=stop))

    def do_cancel_by_hand(self, symbol: str) -> None:
        for order in list(self.account().open_orders.values()):
            if order.symbol == symbol and order.order_link_id:
                self.step(x.CancelOrder(uid=1, symbol=symbol, order_id=order.order_id))
                return

    def wish(self, action: str, **more: Any) -> None:
        self.say(m.Control(at_ms=self.now, action=action, actor="user:u1", **more))

    def do_pause(self, _: str) -> None:
        self.wish("pause")

    def do_resume(self, _: str) -> None:
        self.wish("resume")

    def do_kill(self, _: str) -> None:
        self.generation += self.random.choice((0, 1))
        self.wish("kill", generation=self.generation)

    def do_unkill(self, _: str) -> None:
        self.generation += self.random.choice((0, 1))
        self.wish("unkill", generation=self.generation)

    def do_close(self, symbol: str) -> None:
        self.wish("close", symbol=symbol)

    def do_close_all(self, _: str) -> None:
        self.wish("close_all")

    def do_end(self, symbol: str) -> None:
        kind = self.random.choice(("FAILED", "INVAL", "COOLED"))
        end = SignalEnd(symbol=symbol, profile="default", interval_ms=BAR_MS, t=self.now, kind=kind)
        self.say(m.SignalEnded(at_ms=self.now, end=end))

    def do_regime(self, _: str) -> None:
        regime = self.random.choice(("NORMAL", "NORMAL", "RISK_OFF"))
        self.say(m.RegimeSeen(at_ms=self.now, regime=regime))

    def do_funding(self, symbol: str) -> None:
        self.step(x.Funding(symbol=symbol, rate=D(self.random.choice(("0.0001", "-0.0003")))))

    def do_adl(self, symbol: str) -> None:
        held = self.account().positions.get((symbol, 0))
        if held is not None and held.size > 1:
            price = self.exchange.prices[symbol].mark
            self.step(x.Deleverage(uid=1, symbol=symbol, qty=D("0.5"), price=price))

    def do_lost(self, _: str) -> None:
        self.say(m.ViewLost(at_ms=self.now, reason="the stream fell"))

    def do_read(self, _: str) -> None:
        self.say(self.read())

    def do_trouble(self, _: str) -> None:
        self.say(m.VenueTrouble(at_ms=self.now, what="timeout"))

    def do_calm_market(self, _: str) -> None:
        self.say(m.RegimeSeen(at_ms=self.now, regime="NORMAL"))
        self.say(m.EntriesAllowed(at_ms=self.now, allowed=True))

    def do_gate(self, _: str) -> None:
        self.say(m.EntriesAllowed(at_ms=self.now, allowed=self.random.random() < 0.7, reason="x"))

    def do_settings(self, _: str) -> None:
        self.version += self.random.choice((0, 1))
        kept = UserSettings(
            symbols_deny=self.random.choice(((), (), ("AAAUSDT",))),
            exit_on_failed=self.random.random() < 0.5,
            entry_mode=self.random.choice(("retest", "retest", "next_open")),
            tp1_share=D(self.random.choice(("0.5", "0.3", "1"))),
        )
        self.say(m.SettingsChanged(at_ms=self.now, version=self.version, settings=kept))

    def do_unknown(self, _: str) -> None:
        links = [o.link_id for t in self.state.trades.values() for o in t.orders]
        if links:
            link = self.random.choice(sorted(links))
            self.say(m.SentUnknown(at_ms=self.now, link_id=link))

    def do_restart(self, _: str) -> None:
        self.restart()

    def calm(self) -> None:
        """Let everything be told, twice, and time pass."""
        for _ in range(12):
            self.hear()
            self.now += 3_000
            self.say(self.read())
            self.look()
            self.hear()
            self.say(m.Tick(at_ms=self.now))
        self.hear()

    def look(self) -> None:
        """Ask for the fate of every order that is not over, as the executor does."""
        orders = {o.order_link_id: o for o in self.account().orders.values()}
        for trade in (*self.state.trades.values(), *self.state.ended.values()):
            for own in trade.orders:
                if own.is_over:
                    continue
                found = orders.get(own.link_id)
                if found is None:
                    self.say(m.NotPlaced(at_ms=self.now, link_id=own.link_id))
                else:
                    self.say(m.OrderSeen(at_ms=self.now, order=order_report(found)))


def check_moves(before: AccountState, after: AccountState) -> None:
    old: dict[str, Trade] = {**before.ended, **before.trades}
    for trade in (*after.trades.values(), *after.ended.values()):
        was = old.get(trade.trade_id)
        if was is None or was is trade:
            continue
        moves = {trade.status} if was.status == trade.status else TRADE_MOVES[was.status]
        assert trade.status in moves, f"{was.status} -> {trade.status}"
        for order in trade.orders:
            prior = was.order(order.link_id)
            if prior is None:
                continue
            assert order.cum_qty >= prior.cum_qty
            assert order.booked_qty >= prior.booked_qty
            path = {prior.state} | MOVES[prior.state]
            path |= {late for state in MOVES[prior.state] for late in MOVES[state]}
            assert order.state in path, f"{prior.state} -> {order.state}"


def live(seed: int, steps: int) -> Unruly:
    room = Unruly(seed)
    for _ in range(steps):
        room.do(room.random.choice(ACTS))
    room.calm()
    return room


@given(st.integers(0, 2**32))
def test_whatever_happens_the_laws_hold(seed: int):
    room = live(seed, 60)
    state, account = room.state, room.account()
    # every signal has exactly one verdict
    verdicts = [v.signal_id for v in room.of(VerdictRecord)]
    assert sorted(verdicts) == sorted(set(room.signals))
    # money: to the last digit
    assert state.cash_usdt == account.wallet.wallet_balance - 10_000
    done = room.of(ExecutionRecord)
    assert len({e.exec_id for e in done}) == len(done) == len(account.executions)
    # nothing is left in between
    for trade in state.trades.values():
        assert trade.status in ("resting", "open"), trade
        assert not [o for o in trade.orders if o.state in ("new", "unknown")]
    # holdings
    for symbol in SYMBOLS:
        held = account.positions.get((symbol, 0))
        size = held.size if held is not None else D(0)
        slot = state.slots.get(symbol)
        assert (slot.size if slot else D(0)) == size
        mine = [t for t in state.trades.values() if t.symbol == symbol]
        assert sum(t.qty for t in mine) == size
        if size:
            assert held.stop_loss, "naked"
    # a person hears of an event once
    told = [a.event_id for a in room.of(AlertRecord)]
    assert len(told) == len(set(told))


@given(st.integers(0, 2**32))
def test_the_same_messages_give_the_same_bytes_over_any_restart(seed: int):
    room = live(seed, 30)
    again, restarted = fresh("u1", 1), fresh("u1", 1)
    for message, params in room.said:
        again = decide(again, message, params).state
        read = decode_state(encode_state(restarted))
        assert isinstance(read, AccountState)
        restarted = decide(read, message, params).state
    assert encode_state(again) == encode_state(room.state)
    assert encode_state(restarted) == encode_state(room.state)


@given(st.integers(0, 2**32))
def test_the_ledger_equals_fractions_where_news_come_in_their_order(seed: int):
    room = Unruly(seed)
    acts = [a for a in ACTS if a not in ("shuffle", "lose", "double", "restart")]
    for _ in range(40):
        room.do(room.random.choice(acts))
    room.calm()
    books = naive.books(room.of(ExecutionRecord))
    assert books.cash == naive.exact(room.state.cash_usdt)
    for trade in (*room.state.trades.values(), *room.state.ended.values()):
        name = trade.trade_id
        assert books.pnl.get(name, 0) == naive.exact(trade.pnl_usdt)
        assert books.fees.get(name, 0) == naive.exact(trade.fees_usdt)
        assert books.funding.get(name, 0) == naive.exact(trade.funding_usdt)
