"""What the account holds at risk, as the controls read it; and why entries may be off."""

from decimal import Decimal

from engine.account.orders import IN_FLIGHT, open_qty
from engine.account.settings import UserSettings
from engine.account.state import ZERO, AccountState, Slot, Trade
from engine.risk.book import Exposure, RiskBook

DEFAULT_GROUP = "alts"
PORTFOLIO = "PORTFOLIO_MARGIN"
MINUTE_MS = 60_000


def group_of(params: UserSettings, symbol: str) -> str:
    """Return a coin's correlation group."""
    return params.groups.get(symbol, DEFAULT_GROUP)


def blocked(state: AccountState) -> str:
    """Return why entries are off at this user; "": they are on."""
    reasons = (
        (state.killed, "the kill switch is on"),
        (state.paused, "paused"),
        (not state.gate_open, state.gate_reason or "the platform takes no entries"),
        (state.key_refused, "the venue refuses the key"),
        (not state.read_ms, f"the account is not known ({state.lost_reason})"),
        (state.margin_mode == PORTFOLIO, "the account is in portfolio margin mode"),
        (
            bool(state.differences),
            "the books differ from the venue: " + "; ".join(state.differences),
        ),
    )
    return next((words for holds, words in reasons if holds), "")


def unrealised(state: AccountState) -> Decimal:
    """Return the open result of every position, ours or not, each at the newest mark known.

    Every slot counts by the same formula that its exits are booked by, so a fill moves a result
    from here to the realised one and changes no sum, whoever opens or closes what. A position whose
    mark nobody has told yet counts nothing.
    """
    marks = {trade.symbol: trade.mark for trade in state.trades.values() if trade.mark is not None}
    total = ZERO
    for key in sorted(state.slots):
        slot = state.slots[key]
        mark = marks.get(key.partition("/")[0], slot.mark)
        if mark is not None:
            total += slot.size * (mark - slot.entry_price)
    return total


def equity(state: AccountState) -> Decimal | None:
    """Return wallet plus unrealised; None: never read."""
    if state.wallet is None:
        return None
    return state.wallet.wallet_balance + unrealised(state)


def held_risk(trade: Trade) -> Decimal:
    """Return what the held part would lose at its stop, the way out paid; locked profit is 0."""
    if trade.qty <= 0 or trade.entry_price is None:
        return ZERO
    stop = trade.stop_set if trade.stop_set is not None else trade.plan.stop
    plan = trade.plan
    costs = plan.taker_fee * (trade.entry_price + stop) + plan.sweep * stop
    return max(ZERO, trade.qty * (trade.entry_price - stop + costs))


def exposure_of(trade: Trade) -> Exposure:
    """Return one trade as the controls see it: from its intent, not from its fill."""
    plan = trade.plan
    entry = trade.of_leg("entry")
    waiting = open_qty(entry)
    share = (trade.qty + waiting) / plan.qty if plan.qty > 0 else ZERO
    flying = any(order.state in IN_FLIGHT for order in trade.orders if order.leg == "entry")
    kind = "in_flight" if flying else "position" if trade.qty > 0 else "resting"
    waiting_risk = plan.risk_usdt * waiting / plan.qty if plan.qty > 0 else ZERO
    price = trade.mark or trade.entry_price or plan.entry
    return Exposure(
        symbol=trade.symbol,
        group=trade.group,
        kind=kind,
        risk_usdt=held_risk(trade) + waiting_risk,
        notional_usdt=max(trade.qty, ZERO) * price + waiting * plan.entry,
        margin_usdt=max(plan.margin_usdt * share, ZERO),
        trade_id=trade.trade_id,
    )


def _foreign(symbol: str, slot: Slot, leverage: Decimal) -> Exposure:
    value = abs(slot.size) * slot.entry_price
    return Exposure(
        symbol=symbol,
        group=DEFAULT_GROUP,
        kind="foreign",
        risk_usdt=ZERO,  # whose stop we do not lead
        notional_usdt=value,
        margin_usdt=value / leverage if leverage > 0 else value,
    )


def exposures(state: AccountState) -> tuple[Exposure, ...]:
    """Return everything that holds risk or margin."""
    found = [exposure_of(state.trades[name]) for name in sorted(state.trades)]
    ours = {exposure.symbol for exposure in found}
    for key in sorted(state.slots):
        symbol = key.partition("/")[0]
        slot = state.slots[key]
        if slot.size and symbol not in ours:
            found.append(_foreign(symbol, slot, state.leverage.get(symbol, Decimal(1))))
    return tuple(found)


def pending_margin(state: AccountState) -> Decimal:
    """Return what entries will lock that the wallet, as read last, does not show yet."""
    shown_ms = state.wallet.updated_time if state.wallet is not None else 0
    total = ZERO
    for name in sorted(state.trades):
        trade = state.trades[name]
        entry = trade.of_leg("entry")
        waiting = open_qty(entry)
        if entry is not None and waiting and entry.made_ms >= shown_ms and trade.plan.qty > 0:
            total += trade.plan.margin_usdt * waiting / trade.plan.qty
    return total


def risk_book(state: AccountState) -> RiskBook:
    """Return the account as the controls read it."""
    wallet = state.wallet
    available = ZERO
    if wallet is not None:
        free = wallet.available_balance
        available = wallet.wallet_balance if free is None else free
    return RiskBook(
        equity_usdt=equity(state) or ZERO,
        available_usdt=available,
        unrealised_usdt=unrealised(state),
        exposures=exposures(state),
        day=state.day,
        breaker=state.breaker,
        regime=state.regime or "unknown",
        order_times_ms=state.order_times_ms,
        blocked=blocked(state),
        pending_margin_usdt=pending_margin(state),
    )
