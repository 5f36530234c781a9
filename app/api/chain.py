"""One trade from signal to money, put together from the store's rows: pure, values in and out."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from data.records.rows import ExecutionRow, IntentRow, TraceRow
from engine.account.commands import PlaceOrder, TradeRecord, VerdictRecord
from engine.account.messages import (
    AnyMessage,
    CancelAnswered,
    Control,
    NotPlaced,
    OrderSeen,
    Placed,
    SentUnknown,
    SignalEnded,
    SignalHeard,
    StopAnswered,
)
from engine.account.signal import Signal

FUNDING = "funding"  # the leg of a payment that is no fill
_message = msgspec.json.Decoder(AnyMessage)
_order = msgspec.json.Decoder(PlaceOrder)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to the trade; `seq` finds it in the recording."""

    seq: int
    at_ms: int
    words: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was wished, and what became of the wish."""

    link_id: str
    leg: str
    state: str
    created_ms: int
    sent_ms: int
    code: int
    order_id: str
    wish: PlaceOrder | None  # None: its body cannot be read


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """What the executions add up to, USDT. `result`: before fees and funding."""

    result_usdt: Decimal
    fees_usdt: Decimal
    funding_usdt: Decimal  # + received
    net_usdt: Decimal
    booked_usdt: Decimal  # as the engine booked it
    r: Decimal | None


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the store knows of one trade."""

    user_id: str
    trade: TradeRecord
    signal: Signal | None  # None: the recording no longer reaches back to it
    verdict: VerdictRecord | None
    orders: tuple[Order, ...]
    fills: tuple[ExecutionRow, ...]
    steps: tuple[Step, ...]
    money: Money


def chain(
    user_id: str,
    trade: TradeRecord,
    *,
    verdicts: Iterable[VerdictRecord],
    intents: Sequence[IntentRow],
    executions: Iterable[ExecutionRow],
    trace: Iterable[TraceRow],
) -> Chain:
    """Put a trade's rows together; rows of other trades are left out.

    Parameters
    ----------
    trace : iterable of TraceRow
        The user's recording, as much of it as there is; unreadable rows are passed over.
    """
    of_trade = [i for i in intents if i.trade_id == trade.trade_id]
    fills = tuple(e for e in executions if e.trade_id == trade.trade_id)
    links = {i.link_id for i in of_trade}
    signal, steps = None, []
    for row in trace:
        try:
            message = _message.decode(row.body)
        except (msgspec.DecodeError, ArithmeticError, ValueError):
            continue
        if isinstance(message, SignalHeard) and message.signal.signal_id == trade.signal_id:
            signal = signal or message.signal
        words = _told(message, trade, links)
        if words:
            steps.append(Step(seq=row.seq, at_ms=row.at_ms, words=words))
    verdict = next((v for v in verdicts if v.signal_id == trade.signal_id), None)
    return Chain(
        user_id=user_id,
        trade=trade,
        signal=signal,
        verdict=verdict,
        orders=tuple(_wished(i) for i in of_trade),
        fills=fills,
        steps=tuple(_no_repeats(steps)),
        money=_money(trade, fills),
    )


def _wished(intent: IntentRow) -> Order:
    try:
        wish = _order.decode(intent.body)
    except (msgspec.DecodeError, ArithmeticError, ValueError):
        wish = None
    return Order(
        link_id=intent.link_id,
        leg=intent.leg,
        state=intent.state,
        created_ms=intent.created_ms,
        sent_ms=intent.sent_ms,
        code=intent.code,
        order_id=intent.order_id,
        wish=wish,
    )


def _money(trade: TradeRecord, fills: Sequence[ExecutionRow]) -> Money:
    zero = Decimal(0)
    result = sum((e.pnl for e in fills if e.leg != FUNDING), zero)
    fees = sum((e.fee for e in fills if e.leg != FUNDING), zero)
    # the venue tells a payment as a fee: what was paid is positive there
    funding = -sum((e.fee for e in fills if e.leg == FUNDING), zero)
    return Money(
        result_usdt=result,
        fees_usdt=fees,
        funding_usdt=funding,
        net_usdt=result - fees + funding,
        booked_usdt=trade.realised_usdt,
        r=trade.r,
    )


def _told(message: AnyMessage, trade: TradeRecord, links: set[str]) -> str:
    """Return what a message says of the trade, "" where it says nothing of it."""
    if isinstance(message, Placed | NotPlaced | SentUnknown | CancelAnswered):
        return _answer(message) if message.link_id in links else ""
    if isinstance(message, OrderSeen):
        o = message.order
        if o.order_link_id not in links:
            return ""
        return f"order {o.order_link_id}: {o.order_status}, {plain(o.cum_exec_qty)} filled"
    if isinstance(message, StopAnswered):
        if message.trade_id != trade.trade_id:
            return ""
        end = "set" if message.ok else f"refused ({message.code} {message.text})"
        return f"stop {plain(message.stop_loss)} {end}"
    return _of_signal(message, trade)


def _answer(message: Placed | NotPlaced | SentUnknown | CancelAnswered) -> str:
    link = message.link_id
    if isinstance(message, Placed):
        return f"order {link}: the venue has it"
    if isinstance(message, NotPlaced):
        why = f"{message.code} {message.text}".strip() if message.code else message.text
        return f"order {link}: not placed ({why or 'stale or absent'})"
    if isinstance(message, SentUnknown):
        return f"order {link}: sent, outcome unknown ({message.reason})"
    end = "accepted" if message.ok else f"refused ({message.code} {message.text})"
    return f"order {link}: cancel or change {end}"


def _of_signal(message: AnyMessage, trade: TradeRecord) -> str:
    if isinstance(message, SignalHeard):
        ours = message.signal.signal_id == trade.signal_id
        return f"signal {trade.signal_id} heard" if ours else ""
    within = trade.opened_ms <= message.at_ms and (
        not trade.closed_ms or message.at_ms <= trade.closed_ms
    )
    if isinstance(message, SignalEnded) and message.end.symbol == trade.symbol:
        return f"the coin's setup is over: {message.end.kind}" if within else ""
    if isinstance(message, Control) and (
        message.trade_id == trade.trade_id
        or (within and not message.trade_id and message.symbol in {"", trade.symbol})
    ):
        reason = f": {message.reason}" if message.reason else ""
        return f"{message.action} by {message.actor}{reason}"
    return ""


def _no_repeats(steps: Iterable[Step]) -> Iterable[Step]:
    last = ""
    for step in steps:  # the venue tells an order's state again with every action
        if step.words != last:
            yield step
        last = step.words


def plain(value: Decimal | None) -> str:
    """Return a number without needless zeros or an exponent; "" for none."""
    if value is None:
        return ""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
