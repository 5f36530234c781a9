"""From a signal to an order with its stop attached, or to a refusal in words. Never to two."""

from decimal import Decimal
from math import isfinite
from typing import NamedTuple

from engine.account import orders
from engine.account.commands import VerdictRecord
from engine.account.draft import Draft
from engine.account.exposure import group_of, risk_book
from engine.account.links import trade_id_of
from engine.account.messages import SignalHeard
from engine.account.settings import UserSettings
from engine.account.signal import Quote, Signal
from engine.account.state import Heard, Plan, Trade
from engine.kernels.paths import NEXT_OPEN, RETEST
from engine.pipeline.p7_entry import EntryParams, EntryPlan, Rejected, plan_entry
from engine.risk.book import EntryRequest
from engine.risk.judge import judge
from engine.risk.verdict import Approved, Refused
from engine.venue.instrument import Instrument, exact

HEARD_MAX = 400
ORDERS_KEPT = 120  # times of sends remembered, for the ceiling of orders a minute
MARKET_MS = 15_000  # a market entry is not sent later than this after its decision
BPS = Decimal("0.0001")
MINUTE_MS = 60_000


_NOT_ASKED_FOR = frozenset({"other_profile", "other_interval"})  # written down, told to nobody


class No(NamedTuple):
    """A refusal before the controls were asked."""

    reason: str
    words: str
    value: str = ""
    limit: str = ""


def on_signal(draft: Draft, message: SignalHeard) -> None:
    """Judge a signal once; what was heard before changes nothing."""
    signal, state = message.signal, draft.state
    trade_id = trade_id_of(state.user_id, signal.signal_id)
    known = draft.trade(trade_id) is not None
    if known or any(heard.signal_id == signal.signal_id for heard in state.heard):
        return
    verdict = _verdict(draft, message, trade_id)
    if isinstance(verdict, Trade):
        _send(draft, verdict)
        _hear(draft, signal, trade_id)
        return
    _hear(draft, signal, "")
    draft.record(verdict)
    if verdict.reason in _NOT_ASKED_FOR:
        return
    draft.alert(
        "refused",
        f"refused:{signal.signal_id}",
        verdict.words,
        symbol=signal.symbol,
        reason=verdict.reason,
        value=verdict.value,
        limit=verdict.limit,
    )


def _hear(draft: Draft, signal: Signal, trade_id: str) -> None:
    heard = Heard(signal_id=signal.signal_id, t=signal.t, trade_id=trade_id)
    told = (*draft.state.heard, heard)
    floor = draft.state.heard_floor_ms
    if len(told) > HEARD_MAX:
        floor = max(floor, told[0].t)
        told = told[1:]
    draft.set(heard=told, heard_floor_ms=floor)


def _verdict(draft: Draft, message: SignalHeard, trade_id: str) -> Trade | VerdictRecord:
    signal, params = message.signal, draft.params
    no = _not_wanted(draft, signal, message.contract)
    if no is not None:
        return _refused(signal, no)
    plan = plan_of(signal, params)
    if isinstance(plan, Rejected):
        words = f"{signal.symbol}: the signal gives no plan ({plan.reason})."
        return _refused(signal, No(plan.reason, words, str(plan.value), str(plan.limit)))
    quote = message.quote
    if plan.mode == NEXT_OPEN and quote is not None and quote.ask > plan.chase:
        words = (
            f"{signal.symbol} ran away: {quote.ask:g} asked, the entry goes up to {plan.chase:g}."
        )
        return _refused(signal, No("chased", words, f"{quote.ask:g}", f"{plan.chase:g}"))
    request = request_of(signal, plan, message.contract, quote, draft)
    book = risk_book(draft.state)
    said = judge(
        request,
        book,
        params.risk,
        draft.at_ms,
        allow=params.symbols_allow,
        deny=params.symbols_deny,
    )
    if isinstance(said, Refused):
        no = No(said.reason.value, said.words, said.value, said.limit)
        return _refused(signal, no, said.checks)
    if draft.of_symbol(signal.symbol) is not None:  # whatever the controls think of it
        return _refused(signal, No("symbol_busy", f"{signal.symbol} already has a trade."))
    if _is_foreign(draft, signal.symbol):
        # One slot a coin: an entry would mix with it, and its stop would become ours to move.
        words = f"{signal.symbol} already holds a position that is not of this engine."
        return _refused(signal, No("symbol_busy", words))
    return _trade(draft, message, trade_id, plan, request, said)


def _is_foreign(draft: Draft, symbol: str) -> bool:
    """Tell whether something is held of a coin that has no trade of ours."""
    slots = draft.state.slots.items()
    return any(slot.size for key, slot in slots if key.split("/")[0] == symbol)


def _refused(
    signal: Signal, no: No, checks: tuple[tuple[str, str, str], ...] = ()
) -> VerdictRecord:
    return VerdictRecord(
        signal_id=signal.signal_id,
        symbol=signal.symbol,
        approved=False,
        reason=no.reason,
        words=no.words,
        value=no.value,
        limit=no.limit,
        checks=checks,
    )


def _not_wanted(draft: Draft, signal: Signal, contract: Instrument) -> No | None:
    """Say why the user's choice of signals leaves this one out."""
    params, name = draft.params, signal.symbol
    score, residual = signal.level_score, signal.residual_share
    wants = (
        (contract.symbol == name, "bad_numbers", "its contract is another coin's"),
        (
            signal.profile == params.profile,
            "other_profile",
            f"profile {signal.profile} is not yours",
        ),
        (signal.interval_ms in params.intervals_ms, "other_interval", "not an interval of yours"),
        (signal.t > draft.state.heard_floor_ms, "signal_old", "the signal is too old"),
        (
            params.level_score_min <= 0 or score >= params.level_score_min,
            "level_score",
            f"the level's score is {score:g}, you want {params.level_score_min:g}",
        ),
        (
            params.residual_share_min <= 0
            or (residual is not None and residual >= params.residual_share_min),
            "residual_share",
            f"the fall is mostly the market's ({residual}), you want {params.residual_share_min:g}",
        ),
    )
    for holds, reason, words in wants:
        if not holds:
            return No(reason, f"{name}: {words}.")
    return None


def plan_of(signal: Signal, params: UserSettings) -> EntryPlan | Rejected:
    """Return the plan by the rules of phase 7, as research makes it."""
    if not 0 <= params.level_kind < len(signal.levels) and params.level_kind != -1:
        return Rejected("no_level", float(params.level_kind), float(len(signal.levels)))
    rules = EntryParams(
        entry_mode=RETEST if params.entry_mode == "retest" else NEXT_OPEN,
        retest_batr=float(params.retest_batr),
        retest_bars=params.retest_bars,
        chase_max_batr=float(params.chase_max_batr),
        stop_floor_batr=float(params.stop_floor_batr),
        stop_max_batr=float(params.stop_max_batr),
        level_kind=params.level_kind,
    )
    event = {
        "level": signal.level,
        "levels": signal.levels,
        "floor": signal.floor,
        "batr": signal.batr,
        "close": signal.close,
    }
    plan = plan_entry(event, rules)
    if isinstance(plan, EntryPlan) and not all(isfinite(x) for x in plan[1:]):
        return Rejected("no_level", plan.entry, 0.0)
    return plan


def _number(value: float | None) -> Decimal | None:
    return exact(value) if value is not None and isfinite(value) else None


def request_of(
    signal: Signal, plan: EntryPlan, contract: Instrument, quote: Quote | None, draft: Draft
) -> EntryRequest:
    """Return what the controls are asked."""
    params = draft.params
    market = plan.mode == NEXT_OPEN
    entry = plan.entry
    if market and quote is not None and isfinite(quote.ask) and quote.ask > 0:
        entry = quote.ask
    return EntryRequest(
        symbol=signal.symbol,
        group=group_of(params, signal.symbol),
        contract=contract,
        entry=exact(entry),
        stop=exact(plan.stop),
        taker_fee=params.taker_fee,
        leverage=leverage_of(params, contract),
        market=market,
        bid=_number(quote.bid) if quote else None,
        ask=_number(quote.ask) if quote else None,
        mark=_number(quote.mark) if quote else None,
        spread_bps=_number(quote.spread_bps) if quote else None,
        sweep_bps=_number(quote.sweep_bps) if quote else None,
        quote_ms=quote.ts if quote else 0,
        quote_stale=quote.stale if quote else False,
        funding_rate=_number(quote.funding_rate) if quote else None,
        next_funding_ms=quote.next_funding_ms if quote else 0,
        atr=_number(signal.atr),
        batr=_number(signal.batr),
        signal_ms=signal.t,
        interval_ms=signal.interval_ms,
        reduce_only=signal.symbol in draft.state.reduce_only,
    )


def leverage_of(params: UserSettings, contract: Instrument) -> Decimal:
    """Return the leverage an entry is sent with: never above the user's limit or the coin's."""
    wanted = min(params.leverage, params.risk.leverage_max, contract.leverage_max)
    if not wanted.is_finite() or contract.leverage_step <= 0:
        return wanted
    steps = wanted // contract.leverage_step
    return max(steps * contract.leverage_step, contract.leverage_min)


def _trade(
    draft: Draft,
    message: SignalHeard,
    trade_id: str,
    plan: EntryPlan,
    request: EntryRequest,
    said: Approved,
) -> Trade:
    signal, params = message.signal, draft.params
    market = plan.mode == NEXT_OPEN
    ends_ms = signal.t + params.retest_bars * signal.interval_ms
    if market:
        ends_ms = min(ends_ms, draft.at_ms + MARKET_MS)
    kept = Plan(
        entry=said.entry,
        stop=said.stop,
        qty=said.qty,
        level=exact(plan.level),
        batr=exact(plan.batr),
        sweep=(request.sweep_bps or Decimal(0)) * BPS,
        taker_fee=params.taker_fee,
        risk_usdt=said.risk_usdt,
        r_usdt=said.r_usdt,
        margin_usdt=said.margin_usdt,
        leverage=said.leverage,
        expires_ms=ends_ms,
        market=market,
        tp1_r=params.tp1_r,
        tp1_share=params.tp1_share,
        trail_batr=params.trail_batr,
        time_stop_bars=params.time_stop_bars,
        exit_on_failed=params.exit_on_failed,
    )
    trade = Trade(
        trade_id=trade_id,
        signal_id=signal.signal_id,
        symbol=signal.symbol,
        profile=signal.profile,
        interval_ms=signal.interval_ms,
        signal_ms=signal.t,
        contract=message.contract,
        plan=kept,
        group=request.group,
        stop_loss=said.stop,
        mark=request.mark,
    )
    draft.record(
        VerdictRecord(
            signal_id=signal.signal_id,
            symbol=signal.symbol,
            approved=True,
            reason="approved",
            words=f"{signal.symbol}: buy {said.qty:f} at {said.entry:f}, stop {said.stop:f}.",
            trade_id=trade_id,
            checks=said.checks,
        )
    )
    return trade


def _send(draft: Draft, trade: Trade) -> None:
    plan = trade.plan
    order = orders.make(
        trade,
        "entry",
        "Buy",
        "Market" if plan.market else "Limit",
        plan.qty,
        None if plan.market else plan.entry,
        draft.at_ms,
        plan.expires_ms,
    )
    trade = draft.put_order(trade, order)
    if draft.state.leverage.get(trade.symbol) != plan.leverage:
        draft.set_leverage(trade.symbol, plan.leverage)
    draft.place(trade, order, stop=plan.stop)
    times = draft.state.order_times_ms
    recent = tuple(t for t in times if draft.at_ms - t < MINUTE_MS)
    draft.set(order_times_ms=(*recent, draft.at_ms)[-ORDERS_KEPT:])
    draft.audit(
        "entry_intended",
        trade_id=trade.trade_id,
        signal_id=trade.signal_id,
        link_id=order.link_id,
        qty=order.qty,
        stop=plan.stop,
        settings_version=draft.state.settings_version,
    )


# ---------------------------------------------------------------------------- taking it back


def withdraw(draft: Draft, trade: Trade, reason: str) -> Trade:
    """Take back what of an entry has not been filled; the stop of what was filled stays."""
    order = trade.of_leg("entry")
    if order is None or order.is_over or order.state not in orders.MAY_ACT or order.cancel:
        return trade
    draft.audit("entry_withdrawn", trade_id=trade.trade_id, reason=reason)
    return draft.cancel(trade, order, reason)


def withdraw_all(draft: Draft, reason: str) -> None:
    """Take back every entry that rests."""
    for trade in list(draft.live()):
        withdraw(draft, trade, reason)


def ask_again(draft: Draft, trade: Trade, every_ms: int) -> Trade:
    """Repeat cancellations that have had no effect yet."""
    for order in trade.orders:
        waits = order.cancel and order.state in orders.MAY_ACT
        if waits and draft.at_ms - order.cancel_ms >= every_ms:
            trade = draft.cancel(trade, order, order.cancel)
    return trade
