"""One account over a universe: breakouts in order of time become trades or refusals."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.kernels import paths
from engine.kernels.paths import PathRules
from engine.messages import EventKind
from engine.pipeline.p7_entry import (
    EntryPlan,
    Rejected,
    cost_gate,
    expected_notional,
    plan_entry,
    size_position,
    sweep_share,
)
from engine.pipeline.p8_management import OrderStatus, PlanParams, path_rules
from engine.venue.costs import CostEstimate, estimate_costs
from research.history import Facts, History
from research.settings import BacktestSettings

_FILLS_BESIDES_FUNDING = 3


@dataclass(slots=True)
class Signal:
    """A breakout and what became of it. `outcome` is "entered" or a reason of refusal."""

    event: Any
    history: History
    failed_t: int
    outcome: str = ""
    value: float = float("nan")
    limit: float = float("nan")
    cost_r: float = float("nan")
    trade_id: int = 0
    plan: EntryPlan | None = None
    estimate: CostEstimate | None = None
    leverage_bound: bool = False
    turnover_estimated: bool = False

    @property
    def t(self) -> int:
        """Close time of the breakout's bar, ms."""
        return int(self.event["t"])


@dataclass(frozen=True, slots=True)
class AccountRun:
    """What an account did.

    Attributes
    ----------
    trades, fills, orders : structured arrays
        `TRADE` and `ORDER` rows of opened trades in order of their signals, `FILL` rows by time.
    signals : list of Signal
        Every breakout.
    """

    trades: np.ndarray
    fills: np.ndarray
    orders: np.ndarray
    signals: list[Signal]


def signals_of(
    events: Sequence[np.ndarray], histories: Sequence[History], start_ms: int | None
) -> list[Signal]:
    """Collect the breakouts of all coins in order of time, each with the failure after it."""
    found = []
    ends = (int(EventKind.COOLED), int(EventKind.RESET), int(EventKind.BREAKOUT))
    for rows, history in zip(events, histories, strict=True):
        kinds = rows["kind"]
        for i in np.flatnonzero(kinds == int(EventKind.BREAKOUT)):
            failed_t = 0
            for j in range(i + 1, len(rows)):
                if kinds[j] == int(EventKind.FAILED):
                    failed_t = int(rows["t"][j])
                if kinds[j] == int(EventKind.FAILED) or kinds[j] in ends:
                    break
            if start_ms is None or rows["t"][i] >= start_ms:
                found.append(Signal(rows[i], history, failed_t))
    return sorted(found, key=lambda s: (s.t, s.history.symbol))


def make_order(
    signal: Signal, plan: EntryPlan, qty: float, r_min: float, bar: int, estimate: CostEstimate
) -> np.ndarray:
    """Return one `ORDER` row for the path kernel."""
    order = np.zeros(1, paths.ORDER)
    sweep = sweep_share(estimate)
    values = {
        "bar": bar,
        "trade_id": signal.trade_id,
        "failed_t": signal.failed_t,
        "symbol_id": signal.history.symbol_id,
        "mode": plan.mode,
        "limit": plan.limit,
        "chase": plan.chase,
        "stop": plan.stop,
        "batr": plan.batr,
        "qty": qty,
        "r_min": r_min,
        "sweep_in": sweep,
        "sweep_out": sweep,
    }
    for name, value in values.items():
        order[name] = value
    return order


def walk(
    history: History, orders: np.ndarray, rules: PathRules, *, with_fills: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Walk orders of one coin; return (trades, fills)."""
    bars, funding, fine = history.bars, history.funding, history.fine
    trades = np.zeros(len(orders), paths.TRADE)
    room = 0
    if with_fills and len(orders):
        # every funding instant an order can meet: its wait, its hold, and the bar that ends it
        begin = bars.ts[orders["bar"]]
        most = (rules.valid_bars + rules.time_stop_bars + 3) * history.interval_ms
        first = np.searchsorted(funding.ts, begin)
        last = np.searchsorted(funding.ts, begin + most, side="right")
        room = int((last - first).sum()) + _FILLS_BESIDES_FUNDING * len(orders)
    fills = np.zeros(room, paths.FILL)
    n = paths.walk_trades(
        bars.ts,
        bars.open,
        bars.high,
        bars.low,
        bars.close,
        orders,
        funding.ts,
        funding.rate,
        fine.ts,
        fine.high,
        fine.low,
        fine.interval_ms,
        history.interval_ms,
        rules,
        trades,
        fills,
    )
    if with_fills and n > room:
        raise AssertionError(f"{n} fills, room for {room}")
    return trades, fills[:n]


def cash_of(fills: np.ndarray, entry: float) -> np.ndarray:
    """Return what each fill of one trade adds to realised equity: results of exits, minus fees."""
    sold = (fills["side"] == paths.SELL) & (fills["kind"] != paths.FUNDING)
    return np.where(sold, fills["qty"] * (fills["price"] - entry), 0.0) - fills["fee"]


class Account:
    """Realised equity and what is open, while signals arrive in their order of time."""

    def __init__(self, plan: PlanParams, settings: BacktestSettings) -> None:
        self.plan = plan
        self.settings = settings
        self.rules = path_rules(plan, settings.fees, settings.margin)
        self.equity = settings.capital
        self._cash: list[tuple[int, float]] = []
        self._busy: dict[str, int] = {}  # symbol -> when it is free again
        self.trades: list[np.ndarray] = []
        self.fills: list[np.ndarray] = []
        self.orders: list[np.ndarray] = []

    def take(self, signal: Signal) -> None:
        """Enter a breakout or refuse it; the verdict stands in the signal."""
        now = signal.t
        while self._cash and self._cash[0][0] < now:
            self.equity += heapq.heappop(self._cash)[1]
        self._busy = {s: t for s, t in self._busy.items() if t >= now}
        refusal = self._judge(signal)
        if refusal is not None:
            signal.outcome, signal.value, signal.limit = refusal

    def _judge(self, signal: Signal) -> Rejected | None:
        settings = self.settings
        plan = plan_entry(signal.event, self.plan.entry)
        if isinstance(plan, Rejected):
            return plan
        signal.plan = plan
        bar = int(np.searchsorted(signal.history.bars.ts, signal.t - signal.history.interval_ms))
        facts = Facts(signal.history, bar)
        signal.turnover_estimated = facts.turnover_estimated
        estimate = estimate_costs(
            price=float(signal.event["close"]),
            atr=facts.atr,
            sigma=facts.sigma,
            turnover_24h=facts.turnover_24h,
            turnover_bar=facts.turnover_bar,
            tick=facts.tick,
            notional=expected_notional(plan, self.equity, settings.sizing),
            model=settings.costs,
        )
        signal.estimate = estimate
        if not facts.turnover_24h >= settings.turnover_min_usdt:
            return Rejected("turnover", facts.turnover_24h, settings.turnover_min_usdt)
        passed = cost_gate(plan, estimate, settings.fees, settings.gate)
        if isinstance(passed, Rejected):
            return passed
        signal.cost_r = passed.cost_r
        if signal.history.symbol in self._busy:
            return Rejected("coin_already_open", 1, 1)
        if len(self._busy) >= settings.positions_max:
            return Rejected("positions", len(self._busy), settings.positions_max)
        sized = size_position(plan, self.equity, estimate, settings.fees, settings.sizing)
        if isinstance(sized, Rejected):
            return sized
        signal.leverage_bound = sized.leverage_bound
        signal.trade_id = len(self.trades) + 1
        return self._place(signal, make_order(signal, plan, sized.qty, passed.r_min, bar, estimate))

    def _place(self, signal: Signal, order: np.ndarray) -> Rejected | None:
        trades, fills = walk(signal.history, order, self.rules)
        trade = trades[0]
        self._busy[signal.history.symbol] = int(trade["exit_ts"])
        if trade["status"] != paths.OPENED:
            signal.trade_id = 0
            return Rejected(
                OrderStatus(int(trade["status"])).name.lower(), float("nan"), float("nan")
            )
        signal.outcome = "entered"
        for ts, cash in zip(fills["ts"], cash_of(fills, trade["entry"]), strict=True):
            heapq.heappush(self._cash, (int(ts), float(cash)))
        self.trades.append(trades)
        self.fills.append(fills)
        self.orders.append(order)
        return None


def run_account(signals: list[Signal], plan: PlanParams, settings: BacktestSettings) -> AccountRun:
    """Lead one account through all signals.

    Sizing knows realised equity only, of fills before the signal. A resting order occupies its coin
    and one of the positions until it fills or leaves the book.
    """
    account = Account(plan, settings)
    for signal in signals:
        account.take(signal)
    fills = np.concatenate([*account.fills, np.zeros(0, paths.FILL)])
    return AccountRun(
        np.concatenate([*account.trades, np.zeros(0, paths.TRADE)]),
        fills[np.argsort(fills["ts"], kind="stable")],
        np.concatenate([*account.orders, np.zeros(0, paths.ORDER)]),
        signals,
    )


def would_have_made(
    signals: list[Signal], plan: PlanParams, settings: BacktestSettings
) -> dict[str, np.ndarray]:
    """Return, by reason, the R that refused signals would have made had they been entered."""
    rules = path_rules(plan, settings.fees, settings.margin)
    out: dict[str, list[float]] = {}
    for signal in signals:
        if signal.outcome == "entered" or signal.plan is None or signal.estimate is None:
            continue
        bar = int(np.searchsorted(signal.history.bars.ts, signal.t - signal.history.interval_ms))
        order = make_order(signal, signal.plan, 1.0, 0.0, bar, signal.estimate)
        trades, _ = walk(signal.history, order, rules, with_fills=False)
        made = out.setdefault(signal.outcome, [])
        if trades["status"][0] == paths.OPENED:
            made.append(float(trades["r"][0]))
    return {reason: np.array(values) for reason, values in out.items()}
