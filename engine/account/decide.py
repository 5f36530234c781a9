"""One user's decision: a state and a message in; a state, commands and records out.

Pure and total: no clock, no id, no randomness but what the message carries, and no message is so
wrong that it raises. The caller writes state and records down first and carries the commands out
afterwards; a command that was lost with the process is wished again, or repeated by its id.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec

from engine.account import answers, controls, day, exits, fills, manage, reading, seen, targets
from engine.account import messages as m
from engine.account.commands import AnyCommand, AnyRecord
from engine.account.draft import Draft
from engine.account.entry import on_signal
from engine.account.settings import UserSettings
from engine.account.state import AccountState
from engine.venue.exchange.ledger import MONEY

_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
DIGITS_MAX = 14  # before or behind the point: products of two stay exact


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from a message."""

    state: AccountState
    commands: tuple[AnyCommand, ...] = ()
    records: tuple[AnyRecord, ...] = ()


_HANDLERS: Mapping[type, Callable[[Draft, Any], None]] = MappingProxyType(
    {
        m.SignalHeard: on_signal,
        m.SignalEnded: manage.on_end,
        m.BarClosed: manage.on_bar,
        m.QuoteSeen: seen.on_quote,
        m.RegimeSeen: seen.on_regime,
        m.ContractSeen: seen.on_contract,
        m.Executed: fills.on_executed,
        m.OrderSeen: seen.on_order,
        m.PositionSeen: seen.on_position,
        m.WalletSeen: seen.on_wallet,
        m.Placed: answers.on_placed,
        m.NotPlaced: answers.on_not_placed,
        m.SentUnknown: answers.on_unknown,
        m.StopAnswered: manage.on_stop,
        m.CancelAnswered: answers.on_cancelled,
        m.LeverageAnswered: answers.on_leverage,
        m.VenueTrouble: answers.on_trouble,
        m.ViewLost: answers.on_lost,
        m.SettingsChanged: controls.on_settings,
        m.Control: controls.on_control,
        m.EntriesAllowed: controls.on_gate,
        m.Tick: manage.on_tick,
        m.AccountRead: reading.on_read,
    }
)


def decide(state: AccountState, message: m.AnyMessage, params: UserSettings) -> Decision:
    """Decide what follows from a message.

    Parameters
    ----------
    state : AccountState
    message : AnyMessage
        `at_ms` is the only time there is.
    params : UserSettings
        The settings in force; a `SettingsChanged` brings the next ones.
    """
    with localcontext(MONEY):
        draft = Draft(state, params, message.at_ms)
        if not is_readable(message):
            draft.audit("unreadable", message=type(message).__name__)
            draft.read_account(f"an unreadable {type(message).__name__}")
            return finished(draft)
        day.roll(draft)
        day.pass_time(draft)
        _HANDLERS[type(message)](draft, message)
        return finished(draft)


def finished(draft: Draft) -> Decision:
    """Let every live trade do its next step, and return the decision."""
    settle(draft)
    draft.record_trades()
    return Decision(state=draft.state, commands=tuple(draft.commands), records=tuple(draft.records))


def settle(draft: Draft) -> None:
    """Bring every live trade's orders to what they should be."""
    for trade in list(draft.live()):
        now = targets.sync(draft, trade)
        now = exits.push(draft, now)
        exits.finish(draft, now)


# ---------------------------------------------------------------------------- what can be read


def is_readable(part: object) -> bool:
    """Tell whether every exact number in a message, however deep, is one that money can be."""
    kind = type(part)
    if kind in _PLAIN:  # most of what there is: this is asked of every message
        return True
    if isinstance(part, Decimal):
        if not part.is_finite():
            return False
        return not part or -DIGITS_MAX < part.adjusted() < DIGITS_MAX
    if isinstance(part, tuple):
        return all(map(is_readable, part))
    for name in _fields(kind):
        value = getattr(part, name)
        if type(value) not in _PLAIN and not is_readable(value):
            return False
    return True


@cache
def _fields(kind: type) -> tuple[str, ...]:
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    return tuple(getattr(kind, "__dataclass_fields__", ()))
