"""What others read off a state without knowing its shape."""

from collections.abc import Mapping

from engine.account.fills import slot_key
from engine.account.guard import PlannedStop
from engine.account.state import AccountState, Trade


def planned_stops(state: AccountState) -> Mapping[str, PlannedStop]:
    """Return, by symbol, where the stops of held positions belong: what the guard restores.

    A trade counts from its intent on: its first fill may be seen by the guard before it is told.
    What a person holds in a coin whose entry has had no fill yet is not the trade's to protect.
    """
    found = {}
    for trade_id in sorted(state.trades):
        trade = state.trades[trade_id]
        if trade.stop_loss is not None and not _is_theirs(state, trade):
            found[trade.symbol] = PlannedStop(
                trade_id=trade.trade_id,
                symbol=trade.symbol,
                side="Buy",
                stop_loss=trade.stop_loss,
                position_idx=trade.position_idx,
            )
    return found


def _is_theirs(state: AccountState, trade: Trade) -> bool:
    slot = state.slots.get(slot_key(trade.symbol, trade.position_idx))
    filled = trade.bought > 0 or any(order.cum_qty > 0 for order in trade.orders)
    return slot is not None and slot.size != 0 and not filled


def watched(state: AccountState) -> frozenset[str]:
    """Return the coins with a trade or an entry: their bars and quotes matter."""
    return frozenset(trade.symbol for trade in state.trades.values())


def bars_from(state: AccountState) -> Mapping[str, tuple[int, int]]:
    """Return, by symbol of a held trade, its interval and where its next unseen bar begins, ms."""
    found = {}
    for trade in state.trades.values():
        if trade.status == "open" and trade.qty > 0:
            first_ms = trade.opened_ms - trade.opened_ms % trade.interval_ms
            next_ms = trade.bar_ts + trade.interval_ms if trade.bar_ts else 0
            found[trade.symbol] = (trade.interval_ms, max(first_ms, next_ms))
    return found


def settings_version(state: AccountState) -> int:
    """Return which version of the settings the state has heard of."""
    return state.settings_version


def newest_ms(state: AccountState) -> int:
    """Return the time of the newest execution booked; 0: none."""
    return state.newest_ms
