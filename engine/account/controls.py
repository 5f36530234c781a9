"""What people and the platform wish: pause, resume, kill, close; the gate; new settings."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from engine.account import day, exits
from engine.account.draft import Draft
from engine.account.entry import withdraw, withdraw_all
from engine.account.messages import Control, EntriesAllowed, SettingsChanged
from engine.account.state import Trade


def on_control(draft: Draft, message: Control) -> None:
    """Do what a person wishes; a wish that is fulfilled already changes nothing."""
    act = _ACTS.get(message.action)
    if act is None:
        draft.audit("unknown_control", message.actor, action=message.action)
        return
    act(draft, message)


def _pause(draft: Draft, message: Control) -> None:
    if not draft.state.paused:
        draft.set(paused=True)
        draft.audit("pause", message.actor, reason=message.reason)
    withdraw_all(draft, "paused")


def _resume(draft: Draft, message: Control) -> None:
    if draft.state.paused:
        draft.set(paused=False)
        draft.audit("resume", message.actor, reason=message.reason)
    draft.set(key_refused=False)  # a new key, or the old one put right: the venue will tell
    day.resume(draft)


def _kill(draft: Draft, message: Control) -> None:
    state = draft.state
    # Of two clicks that race the higher generation holds; of equal ones the kill.
    if message.generation < state.kill_generation:
        return
    news = not state.killed or message.generation > state.kill_generation
    draft.set(killed=True, kill_generation=message.generation)
    if news:
        draft.audit("kill", message.actor, generation=message.generation, reason=message.reason)
        draft.alert(
            "kill",
            f"kill:{message.generation}",
            "The kill switch is on: no entries; stops stand, closing is allowed.",
            severity="critical",
            actor=message.actor,
        )
    withdraw_all(draft, "killed")


def _unkill(draft: Draft, message: Control) -> None:
    state = draft.state
    if message.generation <= state.kill_generation:
        return
    draft.set(killed=False, kill_generation=message.generation)
    draft.audit("unkill", message.actor, generation=message.generation, reason=message.reason)
    if state.killed:
        draft.alert(
            "kill",
            f"unkill:{message.generation}",
            "The kill switch is off.",
            severity="warning",
            actor=message.actor,
        )


def _is_meant(trade: Trade, message: Control) -> bool:
    named = message.trade_id or message.symbol
    return bool(named) and named in (trade.trade_id, trade.symbol)


def _close(draft: Draft, message: Control) -> None:
    for trade in list(draft.live()):
        if _is_meant(trade, message):
            _leave(draft, trade, message)


def _reconcile(draft: Draft, message: Control) -> None:
    draft.audit("reconcile", message.actor, reason=message.reason)
    draft.read_account("asked for by a person")


def _close_all(draft: Draft, message: Control) -> None:
    for trade in list(draft.live()):
        _leave(draft, trade, message)


def _leave(draft: Draft, trade: Trade, message: Control) -> None:
    if trade.bought == 0 and trade.status in ("pending", "resting"):
        withdraw(draft, trade, "closed by hand")
        # What is filled while it is being taken back is closed as well.
    exits.want(draft, trade, "manual", message.actor)


_ACTS: Mapping[str, Callable[[Draft, Control], None]] = MappingProxyType(
    {
        "pause": _pause,
        "resume": _resume,
        "kill": _kill,
        "unkill": _unkill,
        "close": _close,
        "close_all": _close_all,
        "reconcile": _reconcile,
    }
)


def on_gate(draft: Draft, message: EntriesAllowed) -> None:
    """Take in whether the platform takes entries; what rests keeps its expiry."""
    state = draft.state
    if (state.gate_open, state.gate_reason) == (message.allowed, message.reason):
        return
    draft.set(gate_open=message.allowed, gate_reason=message.reason)
    draft.audit("gate", "platform", allowed=message.allowed, reason=message.reason)


def on_settings(draft: Draft, message: SettingsChanged) -> None:
    """Take new settings: they hold for entries, and take back those they forbid."""
    if message.version <= draft.state.settings_version:
        return
    draft.set(settings_version=message.version)
    draft.params = message.settings
    draft.audit("settings", version=message.version)
    for trade in list(draft.live()):
        reason = _forbidden(draft, trade)
        if reason:
            withdraw(draft, trade, reason)


def _forbidden(draft: Draft, trade: Trade) -> str:
    """Say why a resting entry may not be there under the new settings."""
    params = draft.params
    reasons = (
        (trade.symbol in params.symbols_deny, "symbol_denied"),
        (bool(params.symbols_allow) and trade.symbol not in params.symbols_allow, "symbol_denied"),
        (trade.profile != params.profile, "other_profile"),
        (trade.interval_ms not in params.intervals_ms, "other_interval"),
        (trade.plan.leverage > min(params.leverage, params.risk.leverage_max), "leverage"),
        (trade.plan.market != (params.entry_mode != "retest"), "entry_mode"),
        (params.risk.regime_filter and draft.state.regime == "RISK_OFF", "risk_off"),
    )
    return next((reason for holds, reason in reasons if holds), "")
