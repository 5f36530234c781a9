"""The fast path kernel against the venue machine, on the very same orders.

Every entry that `decide` sent is walked by the kernel too: same limit, stop, quantity and rules,
costs as shares. Fill by fill the two are held side by side. What differs by more than a tick must
have a named cause that is looked for and found; what has none is counted as unexplained. After the
first difference in what happened, or when, the rest of a trade follows from it and is not compared.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from engine.account.commands import PlaceOrder, TradeRecord
from engine.account.settings import UserSettings
from engine.account.signal import Signal
from engine.kernels import paths
from engine.kernels.paths import PathRules
from engine.pipeline.p7_entry import ENTRY_MODES, EntryParams
from engine.pipeline.p8_management import (
    FillKind,
    ManageParams,
    OrderStatus,
    PlanParams,
    path_rules,
)
from engine.venue.costs import BPS, FeeParams
from engine.venue.margin import MarginParams
from research.account import signals_of, walk
from research.history import History
from research.portfolio import PortfolioResult
from research.portfolio_books import TradeBook

CAUSES = {
    "tick": "within one tick: the venue's grid",
    "book": "a market order pays the spread and walks the book; the kernel pays a modelled share",
    "stop_at_trade": "the stop is pulled by the first trade beyond it and fills there; the kernel "
    "fills at the stop",
    "intrabar": "one bar holds both prices: the kernel takes the worse order of events, the venue "
    "plays the bar's path",
    "queue": "the price touched the order without trading through it: the kernel fills, the queue "
    "may not",
    "withdrawn": "the engine took the entry back (setup over, regime, breaker); the kernel waits",
    "gap": "a hole in the data: the kernel leaves at the last price, the venue waits it out",
    "end": "the data ends: the kernel closes, the account is left open",
    "unexplained": "none of these",
}
ONE_TICK = 1.0 + 1e-6
_NOISE = 1e-6  # ticks: the last digit of a double


class Walked(NamedTuple):
    """What the kernel made of an entry."""

    trade: np.void
    fills: np.ndarray
    rules: PathRules
    sweep: float


class Step(NamedTuple):
    """Fills of one kind in one bar, on either side."""

    kind: str
    bar: int
    price: float  # mean; of the kernel: before its modelled slippage
    last: float  # what the market showed (venue only)
    maker: bool


@dataclass(slots=True)
class Comparison:
    """How the two agree.

    Attributes
    ----------
    orders, trades : int
        Entries walked; of them filled on both sides.
    fills : int
        Pairs of fills held side by side.
    causes : Counter
        Fills, or entries, by the cause of their difference; "same" are equal to the digit.
    ticks_max : float
        Largest difference among "same" and "tick", in ticks.
    unexplained : list of str
        Each in words.
    """

    orders: int = 0
    trades: int = 0
    fills: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    ticks_max: float = 0.0
    unexplained: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return plain types for JSON."""
        return {
            "orders": self.orders,
            "trades": self.trades,
            "fills": self.fills,
            "causes": dict(self.causes.most_common()),
            "ticks_max": self.ticks_max,
            "unexplained": self.unexplained,
        }


def compare(result: PortfolioResult) -> Comparison:
    """Hold every entry of a run against the kernel's walk of it."""
    out = Comparison()
    histories = {h.symbol: h for h in result.loaded.histories.values()}
    failed = _failures(result)
    records = _records(result)
    books = {book.key: book for book in result.books}
    for order in result.desk.orders.values():
        record = records.get(order.trade_id)
        signal = result.life.signals.get(record.signal_id) if record is not None else None
        if order.leg != "entry" or signal is None or record is None:
            continue
        out.orders += 1
        history = histories[order.symbol]
        tick = float(result.desk.listings[order.symbol].instrument.tick_size)
        walked = _walk(
            history, order, signal, result.settings, failed.get((signal.symbol, signal.t), 0)
        )
        _Pair(out, history, order, walked, books.get(order.trade_id), record, tick).judge()
    return out


def _records(result: PortfolioResult) -> dict[str, TradeRecord]:
    found = [r for _, r in result.life.records if isinstance(r, TradeRecord)]
    return {record.trade_id: record for record in found}


def _failures(result: PortfolioResult) -> Mapping[tuple[str, int], int]:
    signals = signals_of(result.found, list(result.loaded.histories.values()), result.first_ts)
    return {(s.history.symbol, s.t): s.failed_t for s in signals}


def _walk(
    history: History, order: PlaceOrder, signal: Signal, settings: UserSettings, failed_t: int
) -> Walked:
    sweep = signal.quote.sweep_bps * BPS if signal.quote is not None else 0.0
    row = np.zeros(1, paths.ORDER)
    values = {
        "bar": int(np.searchsorted(history.bars.ts, signal.t - history.interval_ms)),
        "trade_id": 1,
        "failed_t": failed_t,
        "symbol_id": history.symbol_id,
        "mode": ENTRY_MODES[settings.entry_mode],
        "limit": float(order.price or 0),
        "chase": signal.level + float(settings.chase_max_batr) * signal.batr,
        "stop": float(order.stop_loss or 0),
        "batr": signal.batr,
        "qty": float(order.qty),
        "sweep_in": sweep,
        "sweep_out": sweep,
    }
    for name, value in values.items():
        row[name] = value
    rules = kernel_rules(settings)
    trades, fills = walk(history, row, rules)
    return Walked(trades[0], fills[fills["kind"] != paths.FUNDING], rules, sweep)


def kernel_rules(settings: UserSettings) -> PathRules:
    """Return the kernel's rules for a user's settings: a resting limit pays the maker's fee."""
    entry = EntryParams(
        entry_mode=ENTRY_MODES[settings.entry_mode],
        retest_batr=float(settings.retest_batr),
        retest_bars=settings.retest_bars,
        chase_max_batr=float(settings.chase_max_batr),
        stop_floor_batr=float(settings.stop_floor_batr),
        stop_max_batr=float(settings.stop_max_batr),
    )
    manage = ManageParams(
        tp1_r=float(settings.tp1_r),
        tp1_share=float(settings.tp1_share),
        trail_batr=float(settings.trail_batr),
        time_stop_bars=settings.time_stop_bars,
        exit_on_failed=int(settings.exit_on_failed),
    )
    fees = FeeParams(float(settings.taker_fee) / BPS, float(settings.maker_fee) / BPS, 0)
    margin = MarginParams(leverage=float(settings.leverage))
    return path_rules(PlanParams(entry, manage), fees, margin)


# ---------------------------------------------------------------------------- one entry


class _Pair:
    """One entry, on both sides."""

    def __init__(
        self,
        out: Comparison,
        history: History,
        order: PlaceOrder,
        walked: Walked,
        book: TradeBook | None,
        record: TradeRecord,
        tick: float,
    ) -> None:
        self.out = out
        self.history = history
        self.order = order
        self.walked = walked
        self.book = book
        self.record = record
        self.tick = tick
        self.step = history.interval_ms

    def judge(self) -> None:
        opened = int(self.walked.trade["status"]) == paths.OPENED
        if not opened and self.book is None:
            self.out.causes["same"] += 1
        elif self.book is None:
            self._only_kernel()
        elif not opened:
            self._only_venue()
        else:
            self.out.trades += 1
            self._both(self.book)

    def _only_kernel(self) -> None:
        bar = int(self.walked.trade["entry_bar"])
        if self.record.exit_kind not in ("", "expired"):
            self.out.causes["withdrawn"] += 1
        elif abs(self.history.bars.low[bar] - float(self.order.price or 0)) < self.tick:
            self.out.causes["queue"] += 1
        else:
            self._unexplained(f"only the kernel fills it; here {self.record.exit_kind}")

    def _only_venue(self) -> None:
        status = OrderStatus(int(self.walked.trade["status"]))
        if status in (OrderStatus.BELOW_STOP, OrderStatus.CHASED):
            self.out.causes["stop_at_trade"] += 1
        elif self._has_hole(int(self.walked.trade["exit_bar"])) or status is OrderStatus.NO_BAR:
            self.out.causes["gap"] += 1
        else:
            self._unexplained(f"only the venue fills it; the kernel: {status.name.lower()}")

    def _has_hole(self, bar: int) -> bool:
        ts = self.history.bars.ts
        return bar + 1 < len(ts) and int(ts[bar + 1] - ts[bar]) != self.step

    def _both(self, book: TradeBook) -> None:
        theirs, ours = list(self._kernel_steps()), list(_venue_steps(book, self.step))
        for at, mine in enumerate(theirs):
            self.out.fills += 1
            yours = ours[at] if at < len(ours) else None
            if yours is None or (yours.kind, yours.bar) != (mine.kind, mine.bar):
                self._diverged(mine, yours)
                return
            self._priced(mine, yours)
        for yours in ours[len(theirs) :]:
            self.out.fills += 1
            self._diverged(None, yours)
            return

    def _kernel_steps(self) -> Iterable[Step]:
        for fill in self.walked.fills:
            kind = FillKind(int(fill["kind"])).name.lower()
            reference = float(fill["price"]) + float(fill["slippage"]) / float(fill["qty"])
            if fill["side"] == paths.BUY:
                reference = float(fill["price"]) - float(fill["slippage"]) / float(fill["qty"])
            yield Step(kind, int(fill["ts"]) // self.step, reference, reference, maker=False)

    def _priced(self, mine: Step, yours: Step) -> None:
        away = abs(mine.price - yours.price) / self.tick
        near = abs(yours.last - mine.price) <= self.tick * ONE_TICK
        if away <= ONE_TICK:
            self.out.causes["same" if away < _NOISE else "tick"] += 1
            self.out.ticks_max = max(self.out.ticks_max, away)
        elif not yours.maker and (near or yours.kind == "entry"):
            self.out.causes["book"] += 1
        elif yours.kind in ("stop", "breakeven", "trail") and yours.last < mine.price:
            self.out.causes["stop_at_trade"] += 1
        else:
            self._unexplained(
                f"{mine.kind} at {mine.price:g} by the kernel, {yours.price:g} at the venue"
            )

    def _diverged(self, mine: Step | None, yours: Step | None) -> None:
        cause = self._cause(mine, yours)
        if cause == "unexplained":
            told = [f"{s.kind} in bar {s.bar}" if s else "nothing" for s in (mine, yours)]
            self._unexplained(f"{told[0]} by the kernel, {told[1]} at the venue")
        else:
            self.out.causes[cause] += 1

    def _cause(self, mine: Step | None, yours: Step | None) -> str:
        first = min((s.bar for s in (mine, yours) if s is not None), default=0)
        if mine is not None and mine.kind in ("gap", "end"):
            return mine.kind
        bar = int(np.searchsorted(self.history.bars.ts, first * self.step))
        if self._has_hole(bar) or self._has_hole(max(bar - 1, 0)):
            return "gap"
        if self._is_ambiguous(first, bar):
            return "intrabar"
        if self._is_touched(mine, bar):
            return "queue"
        return "unexplained"

    def _is_ambiguous(self, first: int, bar: int) -> bool:
        """Tell whether the bar holds two of entry, stop and target: their order is the model's."""
        bars = self.history.bars
        low, high = float(bars.low[bar]), float(bars.high[bar])
        entry = float(self.walked.trade["entry"])
        target = entry + float(self.walked.rules.tp1_r) * (entry - float(self.order.stop_loss or 0))
        stops = [float(f["price"]) for f in self.walked.fills if int(f["kind"]) in _STOPS]
        below = low <= max([float(self.order.stop_loss or 0), *stops])
        above = high >= target
        in_entry_bar = first == int(self.walked.trade["entry_ts"]) // self.step
        return (below and above) or (in_entry_bar and (below or above))

    def _is_touched(self, mine: Step | None, bar: int) -> bool:
        """Tell whether the kernel's price was the bar's very edge, give or take a tick."""
        if mine is None:
            return False
        edges = (self.history.bars.high[bar], self.history.bars.low[bar])
        return any(abs(float(edge) - mine.price) <= self.tick * ONE_TICK for edge in edges)

    def _unexplained(self, words: str) -> None:
        self.out.causes["unexplained"] += 1
        self.out.unexplained.append(f"{self.record.signal_id}: {words}")


_STOPS = (int(FillKind.STOP), int(FillKind.BREAKEVEN), int(FillKind.TRAIL))


def _venue_steps(book: TradeBook, step: int) -> Iterable[Step]:
    """Join fills of one kind and bar: an order may fill in pieces."""
    groups: dict[tuple[str, int], list[tuple]] = {}
    for row in book.rows:
        if row[8] != "funding":
            groups.setdefault((row[8], row[0] // step), []).append(row)
    for (kind, bar), rows in groups.items():
        qty = sum(row[4] for row in rows)
        price = sum(row[4] * row[5] for row in rows) / qty
        sign = 1.0 if rows[0][3] == "buy" else -1.0
        last = sum(row[4] * row[5] - sign * row[9] for row in rows) / qty
        yield Step(kind, bar, price, last, all(row[7] == "maker" for row in rows))
