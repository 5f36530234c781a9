"""I2 and I2b: no naked position, and no stop that is widened."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.venue.exchange.records import Position
from engine.venue.words import Side

Judge = Any  # it stands above this file


NAKED_S = 3.0
GRACE_S = 6.0
_OFTEN = 12  # the same stop of the same coin: restored after people, faults and restarts
_PERSON_S = 8.0  # a stop that a person has just moved may cross one of ours under way


def position(judge: Judge, user: int, now: Position) -> None:
    """Look at a position that changed."""
    if now.side is Side.SELL:
        judge.found("I9", f"user {user}: {now.symbol} was closed into the reverse")
    key = (user, now.symbol)
    if not now.is_open:
        judge.stops.pop(key, None)
    elif now.stop_loss:
        judge.stops[key] = now.stop_loss
    if not now.is_open or not _ours(judge, user, now.symbol) or is_covered(judge, user, now):
        judge.naked.pop(key, None)
    else:
        judge.naked.setdefault(key, judge.world.now_s)


def is_covered(judge: Judge, user: int, held: Position) -> bool:
    """Tell whether a stop of the whole position works."""
    order = judge.account(user).open_orders.get(held.sl_order_id)
    return bool(held.stop_loss) and order is not None


def _ours(judge: Judge, user: int, symbol: str) -> bool:
    """Tell whether a coin's position is a trade of the engine's."""
    return any(
        i.user == user and i.row.leg == "entry" and i.row.symbol == symbol
        for i in judge.intents.values()
    ) and not is_foreign(judge, user, symbol)


def _unsettled(judge: Judge, user: int, symbol: str) -> bool:
    """Tell whether an entry of ours may be in: then a holding nobody protects may be its own."""
    return any(
        i.user == user and i.row.leg == "entry" and i.row.symbol == symbol
        for i in judge.intents.values()
        if i.row.state in ("new", "sent", "unknown")
    )


def is_foreign(judge: Judge, user: int, symbol: str) -> bool:
    """Tell whether what is held was bought by somebody else since the coin was flat last."""
    account = judge.account(user)
    held, ours = Decimal(0), Decimal(0)
    for execution in account.executions:
        if execution.symbol != symbol or execution.exec_type.value == "Funding":
            continue
        sign = 1 if execution.side is Side.BUY else -1
        held += sign * execution.exec_qty
        if execution.order_link_id in judge.intents:
            ours += execution.exec_qty
        if held <= 0:
            held, ours = Decimal(0), Decimal(0)
    return ours == 0


def look(judge: Judge) -> None:
    """Look for how long positions have been naked."""
    world = judge.world
    for (user, symbol), since_s in list(judge.naked.items()):
        held = judge.account(user).positions.get((symbol, 0))
        if held is None or not held.is_open or is_covered(judge, user, held):
            del judge.naked[user, symbol]
            continue
        for_s = world.now_s - since_s
        judge.naked_longest_s = max(judge.naked_longest_s, for_s)
        if for_s > NAKED_S + 2.0 and judge.reach_s(user) > GRACE_S:
            judge.found("I2", f"user {user}: {symbol} has been naked for {for_s:.1f} s in reach")


def moving(judge: Judge, user: int, params: Mapping[str, Any]) -> None:
    """Look at a stop that is about to be set."""
    stop = params.get("stopLoss")
    symbol = str(params.get("symbol"))
    if stop is None:
        return
    value = Decimal(str(stop))
    held = judge.account(user).positions.get((symbol, int(params.get("positionIdx") or 0)))
    if held is None or not held.is_open:
        return
    if not _ours(judge, user, symbol) and not _unsettled(judge, user, symbol):
        judge.found("I9", f"user {user}: the stop of a foreign position ({symbol}) was touched")
    rules = judge.world.desk.exchange.instruments[symbol]
    if value and not rules.on_tick(value) and not judge.world.market.changed_lately(symbol):
        judge.found("I12", f"user {user}: a stop off the tick ({symbol} {value})")
    key = (user, symbol, str(value))
    judge.asked[key] += 1
    if judge.asked[key] > _OFTEN:
        judge.found("I9", f"user {user}: {symbol} stop {value} set again and again")
    covered = is_covered(judge, user, held) and held.stop_loss is not None
    if covered and value < (held.stop_loss or Decimal(0)):
        if judge.lately(user, "move_stop", within_s=_PERSON_S):
            return
        judge.found("I2b", f"user {user}: {symbol} stop widened from {held.stop_loss} to {value}")
