"""What users set: leverage, position mode, margin mode, added margin; and money in and out."""

from decimal import Decimal

from engine.venue.exchange import checks, margin, positions
from engine.venue.exchange.checks import NO
from engine.venue.exchange.commands import (
    AddMargin,
    ConfirmPendingMmr,
    OpenAccount,
    SetAutoAddMargin,
    SetLeverage,
    SetMarginMode,
    SetReduceOnly,
    SwitchMode,
    Transfer,
)
from engine.venue.exchange.events import Accepted, Logged, Refused
from engine.venue.exchange.ledger import book_row, q8
from engine.venue.exchange.records import Account, Position
from engine.venue.exchange.state import Market, World
from engine.venue.instrument import plain
from engine.venue.words import LogType, MarginMode, PositionMode, Side


def open_account(world: World, command: OpenAccount) -> None:
    """Take in a new user; the first money is a transfer."""
    if command.uid in world.accounts:
        world.out.append(Refused(command.uid, checks.PARAMS, "account exists"))
        return
    account = Account(
        command.uid,
        margin_mode=command.margin_mode,
        maker_fee_rate=command.maker_fee_rate,
        taker_fee_rate=command.taker_fee_rate,
    )
    world.accounts[command.uid] = account
    world.out.append(Accepted(command.uid))
    _move(world, account, command.equity)


def transfer(world: World, account: Account, command: Transfer) -> None:
    """Move money in or out; out only what is not bound."""
    free = min(margin.available(world, account), account.wallet.wallet_balance)
    if command.amount < 0 and -command.amount > free:
        world.out.append(Refused(account.uid, 110012, "Insufficient available balance"))
        return
    world.out.append(Accepted(account.uid))
    _move(world, account, command.amount)


def _move(world: World, account: Account, amount: Decimal) -> None:
    kind = LogType.TRANSFER_IN if amount >= 0 else LogType.TRANSFER_OUT
    row = book_row(
        account, world.new_row_id(account.uid, ""), kind, world.now_ms, cash_flow=q8(amount)
    )
    world.out.append(Logged(account.uid, row))
    world.moved_wallets[account.uid] = account


def _slots(world: World, account: Account, symbol: str) -> tuple[Position, ...]:
    hedge = account.mode_of(symbol) is PositionMode.HEDGE
    return tuple(world.slot(account, symbol, idx) for idx in ((1, 2) if hedge else (0,)))


def set_leverage(world: World, market: Market, account: Account, command: SetLeverage) -> None:
    """Set a symbol's leverage, on each side."""
    slots = _slots(world, account, command.symbol)
    wanted = (command.buy_leverage, command.sell_leverage)
    before = [slot.leverage for slot in slots]
    refusal = _leverage_refused(market, account, slots, wanted)
    if refusal:
        world.out.append(Refused(account.uid, *refusal))
        return
    for slot, leverage in zip(slots, wanted, strict=False):
        slot.leverage = leverage
        positions.relock(market, account, slot)
    world.stale_orders[account.uid, command.symbol] = account
    refusal = _unbearable(world, market, account, slots)
    if refusal:
        for slot, leverage in zip(slots, before, strict=True):
            slot.leverage = leverage
            positions.relock(market, account, slot)
        world.stale_orders[account.uid, command.symbol] = account
        world.out.append(Refused(account.uid, *refusal))
        return
    world.seq += 1
    world.out.append(Accepted(account.uid))
    for slot in slots:
        slot.updated_time = world.now_ms
        world.touch(account, slot)


def _leverage_refused(
    market: Market, account: Account, slots: tuple[Position, ...], wanted: tuple[Decimal, Decimal]
) -> NO:
    instrument = market.instrument
    hedge_isolated = len(slots) > 1 and account.margin_mode is MarginMode.ISOLATED
    if wanted[0] != wanted[1] and not hedge_isolated:
        return checks.PARAMS, "buy leverage must be equal to sell leverage"
    for leverage in wanted:
        if leverage < instrument.leverage_min or leverage % instrument.leverage_step:
            return checks.PARAMS, "leverage invalid"
        if leverage > instrument.leverage_max:
            return _too_much(leverage, instrument.leverage_max)
    for slot, leverage in zip(slots, wanted, strict=False):
        if market.price is None:
            continue
        most = max(checks.exposure(account, slot, side) for side in _opening_sides(slot))
        tier = margin.tier_of(instrument, most * market.quote.mark)
        if leverage > tier.leverage_max:
            return _too_much(leverage, tier.leverage_max)
    if all(slot.leverage == leverage for slot, leverage in zip(slots, wanted, strict=False)):
        return 110043, "leverage not modified"
    return None


def _opening_sides(slot: Position) -> tuple[Side, ...]:
    if slot.position_idx == 0:
        return (Side.BUY, Side.SELL)
    return (Side.BUY,) if slot.position_idx == checks.HEDGE_LONG else (Side.SELL,)


def _too_much(leverage: Decimal, most: Decimal) -> tuple[int, str]:
    shown = f"[{plain(leverage)}] gt maxLeverage [{plain(most)}] by risk limit"
    return 110013, f"cannot set leverage {shown}"


def _unbearable(world: World, market: Market, account: Account, slots: tuple[Position, ...]) -> NO:
    """Refuse what the balance cannot back, or what would be taken over at once."""
    if market.price is None:
        return None
    bound = any(slot.side for slot in slots) or account.open_of(market.symbol)
    if bound and margin.available(world, account) < 0:
        return 110007, "ab not enough for new leverage"
    for slot in slots:
        if slot.side is None or account.margin_mode is not MarginMode.ISOLATED:
            continue
        if slot.liq_price is not None and (
            (market.quote.mark - slot.liq_price) * slot.side.sign <= 0
        ):
            return 110040, "The order will trigger a forced liquidation, please re-submit"
    return None


def switch_mode(world: World, account: Account, command: SwitchMode) -> None:
    """Switch between one-way and hedge, for a symbol or for every idle symbol of the coin."""
    if command.symbol:
        refusal = _switch_refused(account, command.symbol, command.mode)
        if refusal:
            world.out.append(Refused(account.uid, *refusal))
            return
        world.out.append(Accepted(account.uid))
        _switch(world, account, command.symbol, command.mode)
        return
    if command.coin != "USDT":
        text = "params error: symbol or coin=USDT is required"
        world.out.append(Refused(account.uid, checks.PARAMS, text))
        return
    # By coin the venue is content where nothing changes: bots ask for it at every start.
    world.out.append(Accepted(account.uid))
    for symbol in world.markets:
        refusal = _switch_refused(account, symbol, command.mode)
        if refusal and refusal[0] != 110025:  # noqa: PLR2004 - busy ones stay as they are
            account.position_mode[symbol] = account.mode_of(symbol)
        else:
            _switch(world, account, symbol, command.mode)
    account.coin_mode = command.mode


def _switch_refused(account: Account, symbol: str, mode: PositionMode) -> NO:
    if account.mode_of(symbol) is mode:
        return 110025, "Position mode is not modified"
    if any(slot.side for (name, _), slot in account.positions.items() if name == symbol):
        return 110024, "You have an existing position, so the position mode cannot be switched."
    if account.open_of(symbol):
        return 110028, "You have existing open orders, so the position mode cannot be switched."
    return None


def _switch(world: World, account: Account, symbol: str, mode: PositionMode) -> None:
    changed = account.mode_of(symbol) is not mode
    used = any(name == symbol for name, _ in account.positions)
    slots = _slots(world, account, symbol) if used else ()
    leverage = slots[0].leverage if slots else None
    flagged = any(slot.is_reduce_only for slot in slots)
    account.position_mode[symbol] = mode
    if leverage is None or not changed:
        return
    for slot in _slots(world, account, symbol):
        slot.leverage, slot.is_reduce_only = leverage, flagged
        world.touch(account, slot)


def set_margin_mode(world: World, account: Account, command: SetMarginMode) -> None:
    """Set the account's margin mode; only while nothing is held and nothing waits."""
    if command.mode is account.margin_mode:
        world.out.append(Accepted(account.uid))
        return
    reasons = []
    if command.mode is MarginMode.PORTFOLIO:
        reasons.append(("3400000", "Equity needs to be equal to or greater than 1000 USDC"))
    if any(slot.side for slot in account.positions.values()):
        reasons.append(("3400045", "Unable to switch: there are open positions"))
    if account.open_orders:
        reasons.append(("3400045", "Unable to switch: there are open orders"))
    if reasons:
        text = "Set margin mode failed"
        world.out.append(Refused(account.uid, 3400045, text, tuple(reasons)))
        return
    account.margin_mode = command.mode
    world.out.append(Accepted(account.uid))


def add_margin(world: World, market: Market, account: Account, command: AddMargin) -> None:
    """Put margin into an isolated position, or take out what was put in."""
    position = account.positions.get((command.symbol, command.position_idx))
    if account.margin_mode is not MarginMode.ISOLATED:
        refusal: NO = (110076, "Only available in isolated margin mode.")
    elif position is None or position.side is None:
        refusal = (checks.PARAMS, "position is zero, cannot change its margin")
    else:
        refusal = _margin_refused(world, market, account, position, q8(command.margin))
    if refusal or position is None:
        world.out.append(Refused(account.uid, *(refusal or (checks.PARAMS, ""))))
        return
    world.seq += 1
    world.out.append(Accepted(account.uid))
    position.extra_margin += q8(command.margin)
    positions.relock(market, account, position)
    world.touch(account, position)


def _margin_refused(
    world: World, market: Market, account: Account, position: Position, amount: Decimal
) -> NO:
    if not amount:
        return 110026, "margin not modified"
    if amount > 0:
        short = amount > margin.available(world, account)
        return (110012, "Insufficient available balance") if short else None
    if -amount > position.extra_margin:
        return checks.PARAMS, "only margin that was added can be taken out"
    position.extra_margin += amount
    liq, side = margin.liquidation_price(market.instrument, position), position.side
    position.extra_margin -= amount
    if liq is not None and side is not None and (market.quote.mark - liq) * side.sign <= 0:
        return 110040, "The order will trigger a forced liquidation, please re-submit"
    return None


def set_auto_add_margin(world: World, account: Account, command: SetAutoAddMargin) -> None:
    """Let an isolated position take from the balance instead of being taken over."""
    if account.margin_mode is not MarginMode.ISOLATED:
        refusal: NO = (110076, "Only available in isolated margin mode.")
    else:
        refusal = checks.position_idx(account, command.symbol, command.position_idx)
    if refusal:
        world.out.append(Refused(account.uid, *refusal))
        return
    position = world.slot(account, command.symbol, command.position_idx)
    position.auto_add_margin = int(command.on)
    world.out.append(Accepted(account.uid))
    world.touch(account, position)


def set_reduce_only(world: World, account: Account, command: SetReduceOnly) -> None:
    """Let a symbol's positions only shrink until the user confirms."""
    world.out.append(Accepted(account.uid))
    for slot in _slots(world, account, command.symbol):
        slot.is_reduce_only = True
        slot.mmr_sys_updated_time = slot.leverage_sys_updated_time = world.now_ms
        world.touch(account, slot)


def confirm_pending_mmr(world: World, account: Account, command: ConfirmPendingMmr) -> None:
    """Lift it."""
    slots = _slots(world, account, command.symbol)
    if not any(slot.is_reduce_only for slot in slots):
        world.out.append(Refused(account.uid, checks.PARAMS, "no pending risk limit change"))
        return
    world.out.append(Accepted(account.uid))
    for slot in slots:
        slot.is_reduce_only = False
        world.touch(account, slot)
