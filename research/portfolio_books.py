"""What a user lived, as tables: fills as the venue executed them, trades, verdicts, equity.

Money comes from the venue's executions, not from what `decide` wrote: the two are compared, and a
difference is a broken promise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import polars as pl

from engine.account.commands import ExecutionRecord, TradeRecord, VerdictRecord
from engine.errors import PromiseBroken
from engine.stats.bootstrap import week_of
from engine.stats.trades import TradeColumns
from engine.venue.instrument import exact
from engine.venue.replay import Replay
from engine.venue.words import CreateType, ExecType, Side
from research.portfolio_desk import AccountDesk, Filled
from research.portfolio_run import Life

ZERO = Decimal(0)
_STOPS = frozenset({CreateType.STOP_LOSS, CreateType.TRAILING_STOP, CreateType.STOP_ORDER})
_KINDS = {
    ExecType.FUNDING: "funding",
    ExecType.BUST: "liquidation",
    ExecType.ADL: "adl",
}
FILL_SCHEMA = {
    "ts": pl.Int64,
    "symbol": pl.String,
    "trade_id": pl.Int64,
    "side": pl.String,
    "qty": pl.Float64,
    "price": pl.Float64,
    "fee": pl.Float64,
    "liquidity": pl.String,
    "kind": pl.String,
    "slippage": pl.Float64,
}


@dataclass(slots=True)
class TradeBook:
    """One trade, added up from its executions. Money exact, + = in favour but for costs."""

    number: int
    key: str
    symbol: str
    stop: Decimal
    signal_ts: int
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    paid: Decimal = ZERO  # for what was bought
    got: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO  # + = paid
    slippage: Decimal = ZERO
    entry_ts: int = 0
    exit_ts: int = 0
    tp1: bool = False
    kind: str = ""
    rows: list[tuple] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Tell whether everything that was bought is sold."""
        return self.bought > 0 and self.bought == self.sold

    @property
    def entry(self) -> Decimal:
        """Mean price paid."""
        return self.paid / self.bought if self.bought else ZERO

    @property
    def risk(self) -> Decimal:
        """What a fill of the first stop at its price would have lost."""
        return self.bought * (self.entry - self.stop)

    @property
    def net(self) -> Decimal:
        """What the trade earned, all costs paid; of what is sold."""
        return self.got - self.sold * self.entry - self.fees - self.funding

    def book(self, filled: Filled, kind: str) -> None:
        """Add one execution."""
        e = filled.execution
        slip = ZERO if e.is_maker else (e.exec_price - filled.last) * e.side.sign * e.exec_qty
        if kind == "funding":
            self.funding += e.exec_fee
            slip = ZERO
        else:
            self.fees += e.exec_fee
            self.slippage += slip
            if e.side is Side.BUY:
                self.bought += e.exec_qty
                self.paid += e.exec_value
                self.entry_ts = self.entry_ts or e.exec_time
            else:
                self.sold += e.exec_qty
                self.got += e.exec_value
                self.exit_ts, self.kind = e.exec_time, kind
                self.tp1 = self.tp1 or kind == "tp1"
        liquidity = "none" if kind == "funding" else "maker" if e.is_maker else "taker"
        self.rows.append(
            (
                e.exec_time,
                e.symbol,
                self.number,
                e.side.lower(),
                float(e.exec_qty),
                float(e.exec_price),
                float(e.exec_fee),
                liquidity,
                kind,
                float(slip),
            )
        )


def trade_books(life: Life, desk: AccountDesk) -> list[TradeBook]:
    """Add up every trade from the venue's executions; check that `decide` booked the same.

    Raises
    ------
    PromiseBroken
        An execution was lost, booked twice, or given to another trade.
    """
    last: dict[str, TradeRecord] = {}
    for _, record in life.records:
        if isinstance(record, TradeRecord):
            last[record.trade_id] = record
    books: dict[str, TradeBook] = {}
    holding: dict[str, str] = {}  # symbol -> the trade that holds it
    owners: dict[str, str] = {}
    for filled in desk.filled:
        e = filled.execution
        order = desk.orders.get(e.order_link_id)
        key = order.trade_id if order is not None else holding.get(e.symbol, "")
        owners[e.exec_id] = key
        if order is not None and order.leg == "entry":
            holding[e.symbol] = key
            if key not in books:
                signal_ts = _signal_ts(last.get(key))
                stop = order.stop_loss or ZERO
                books[key] = TradeBook(len(books) + 1, key, e.symbol, stop, signal_ts)
        if key in books:
            books[key].book(filled, _kind(filled, order, last.get(key)))
    _compare(life, owners)
    return list(books.values())


def _signal_ts(record: TradeRecord | None) -> int:
    tail = record.signal_id.rpartition("-")[2] if record is not None else ""
    return int(tail) if tail.isdecimal() else 0


def _kind(filled: Filled, order: object, record: TradeRecord | None) -> str:
    e = filled.execution
    if e.exec_type in _KINDS:
        return _KINDS[e.exec_type]
    leg = getattr(order, "leg", "")
    if leg in ("entry", "tp1"):
        return leg
    if e.create_type in _STOPS:
        return filled.stop_reason if filled.stop_reason in ("breakeven", "trail") else "stop"
    return record.exit_kind if record is not None and record.exit_kind else "close"


def _compare(life: Life, owners: Mapping[str, str]) -> None:
    booked: dict[str, str] = {}
    for _, record in life.records:
        if isinstance(record, ExecutionRecord):
            if record.exec_id in booked:
                raise PromiseBroken(f"execution {record.exec_id} was booked twice")
            booked[record.exec_id] = record.trade_id
    for exec_id, key in owners.items():
        if booked.get(exec_id) != key:
            told = booked.get(exec_id, "nothing")
            raise PromiseBroken(
                f"execution {exec_id} belongs to trade {key or 'nobody'}, was booked to {told}"
            )


# ---------------------------------------------------------------------------- tables


def fill_frame(books: list[TradeBook]) -> pl.DataFrame:
    """Return every execution of a trade, in order of time; columns as in the fast backtest."""
    rows = sorted((row for book in books for row in book.rows), key=lambda row: row[0])
    return pl.DataFrame(rows, schema=FILL_SCHEMA, orient="row")


def trade_frame(books: list[TradeBook], replay: Replay) -> pl.DataFrame:
    """Return one row a trade; one that the data's end left open is `open`, its net of what is sold.

    `gross` is at the prices that stood when its orders met the market: gross - slippage - fees -
    funding = net.
    """
    rows = [_trade_row(book, replay) for book in books]
    return pl.DataFrame(rows, schema=_TRADE_SCHEMA)


_TRADE_SCHEMA = {
    "trade_id": pl.Int64,
    "key": pl.String,
    "symbol": pl.String,
    "signal_ts": pl.Int64,
    "entry_ts": pl.Int64,
    "exit_ts": pl.Int64,
    "qty": pl.Float64,
    "entry": pl.Float64,
    "exit": pl.Float64,
    "stop": pl.Float64,
    "risk": pl.Float64,
    "gross": pl.Float64,
    "fees": pl.Float64,
    "slippage": pl.Float64,
    "funding": pl.Float64,
    "net": pl.Float64,
    "r": pl.Float64,
    "mae_r": pl.Float64,
    "mfe_r": pl.Float64,
    "tp1_hit": pl.Boolean,
    "exit_reason": pl.String,
}


def _trade_row(book: TradeBook, replay: Replay) -> dict[str, object]:
    risk, net = book.risk, book.net
    adverse, favourable = _excursions(book, replay)
    return {
        "trade_id": book.number,
        "key": book.key,
        "symbol": book.symbol,
        "signal_ts": book.signal_ts,
        "entry_ts": book.entry_ts,
        "exit_ts": book.exit_ts,
        "qty": float(book.bought),
        "entry": float(book.entry),
        "exit": float(book.got / book.sold) if book.sold else float("nan"),
        "stop": float(book.stop),
        "risk": float(risk),
        "gross": float(net + book.fees + book.funding + book.slippage),
        "fees": float(book.fees),
        "slippage": float(book.slippage),
        "funding": float(book.funding),
        "net": float(net),
        "r": float(net / risk) if risk > 0 else float("nan"),
        "mae_r": adverse,
        "mfe_r": favourable,
        "tp1_hit": book.tp1,
        "exit_reason": book.kind if book.is_over else "open",
    }


def _excursions(book: TradeBook, replay: Replay) -> tuple[float, float]:
    """Return the worst and the best in R over the bars after the one of the entry."""
    stamps, (_, high, low, _, _, _) = replay.columns(book.symbol)
    end = book.exit_ts or replay.last
    held = slice(*np.searchsorted(stamps, (book.entry_ts, end)))
    room = float(book.entry - book.stop)
    if room <= 0.0 or held.start >= held.stop:
        return 0.0, 0.0
    entry = float(book.entry)
    worst = min((float(low[held].min()) - entry) / room, 0.0)
    return worst, max((float(high[held].max()) - entry) / room, 0.0)


def trade_columns(trades: pl.DataFrame) -> TradeColumns:
    """Return closed trades as the statistics want them, in order of their exits."""
    closed = trades.filter(pl.col("exit_reason") != "open").sort("exit_ts")
    names = ("r", "net", "gross", "fees", "slippage", "funding", "risk", "mae_r", "mfe_r")
    columns = [closed[name].to_numpy().astype(np.float64) for name in names]
    return TradeColumns._make([*columns, week_of(closed["signal_ts"].to_numpy())])


def verdict_frame(life: Life) -> pl.DataFrame:
    """Return every verdict: when, which signal, yes or no, the reason and the user's words."""
    rows = [
        {
            "t": at_ms,
            "signal_id": r.signal_id,
            "symbol": r.symbol,
            "approved": r.approved,
            "reason": r.reason,
            "words": r.words,
            "value": r.value,
            "limit": r.limit,
            "trade": r.trade_id,
        }
        for at_ms, r in life.records
        if isinstance(r, VerdictRecord)
    ]
    schema = dict.fromkeys(("signal_id", "symbol", "reason", "words", "value", "limit", "trade"))
    texts = dict.fromkeys(schema, pl.String)
    return pl.DataFrame(rows, schema={"t": pl.Int64, **texts, "approved": pl.Boolean})


def equity_frame(life: Life) -> pl.DataFrame:
    """Return ts, equity, realised (the wallet), unrealised, positions, drawdown."""
    frame = pl.DataFrame(
        [(t, float(e), float(w), float(e - w), n) for t, e, w, n in life.marks],
        schema={
            "ts": pl.Int64,
            "equity": pl.Float64,
            "realised": pl.Float64,
            "unrealised": pl.Float64,
            "positions": pl.Int32,
        },
        orient="row",
    )
    return frame.with_columns(
        (pl.col("equity") / pl.col("equity").cum_max() - 1.0).alias("drawdown")
    )


def wallet_of(books: list[TradeBook], capital: float) -> Decimal:
    """Return what the wallet must hold once every trade is over: capital and all results."""
    return sum((book.net for book in books), exact(float(capital)))
