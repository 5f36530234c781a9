"""I1, I4 to I7, I12, I13: what is asked of every order the moment it arrives at the venue."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.proofs.drill.judge_stops import is_foreign
from app.proofs.drill.judged import Intent
from data.records.rows import TERMINAL
from engine.account.commands import TradeRecord, VerdictRecord
from engine.venue.words import CreateType

Judge = Any  # it stands above this file


# What a trade may become. `expired` and `refused` come back to life by a proven late fill alone.
TRADE_MOVES: dict[str, frozenset[str]] = {
    "pending": frozenset({"resting", "open", "closing", "closed", "expired", "refused"}),
    "resting": frozenset({"open", "closing", "closed", "expired", "refused"}),
    "open": frozenset({"closing", "closed"}),
    "closing": frozenset({"closed", "expired", "refused"}),
    "closed": frozenset({"closing"}),
    "expired": frozenset({"open"}),
    "refused": frozenset({"open"}),
}
_OURS_TO_KNOW = frozenset({10001, 110094, 110017})
# The price had passed the stop; the mode was switched by hand; it stands as wanted already.
_NOT_OURS = ("base_price", "not match", "remains unchanged", "not modified")
_SLACK = Decimal("1.05")
_LATE_MS = 6_000  # the receive window and a second
_KILL_S = 4.0  # three seconds, and the half second in which the judge looks
_STALE_MS = 6_000
_KNOWN_MS = 5_000  # an execution this old is known to whoever is in reach
_CALM_S = 10.0
_OLD_MS = 500  # beyond the age at which a signal is refused


def create(judge: Judge, user: int, params: Mapping[str, Any]) -> None:
    """Look at an order about to be placed."""
    link = str(params.get("orderLinkId", ""))
    symbol = str(params.get("symbol"))
    _grid(judge, user, symbol, params)
    if params.get("side") != "Buy":
        if not params.get("reduceOnly"):
            judge.found("I9", f"user {user}: an exit that could reverse ({symbol}, {link})")
        return
    intent = judge.intents.get(link)
    if intent is None:
        judge.found("I1", f"user {user}: an entry was sent that is written nowhere ({symbol})")
        return
    if not params.get("stopLoss"):
        judge.found("I2", f"user {user}: an entry without its stop ({symbol})")
    if intent.user != user:
        judge.found("I6", f"user {user}: sends an intent of user {intent.user}")
    if link in judge.account(user).by_link:
        return  # the same again: the venue refuses it
    _once(judge, user, intent)
    _limits(judge, user, intent)
    _leverage(judge, user, symbol)
    _halts(judge, user, intent)
    _lost_enough(judge, user, intent)
    now_ms = judge.world.clock.now_ms()
    if intent.order.expires_ms and now_ms > intent.order.expires_ms + _LATE_MS + _skew_ms(judge):
        judge.found(
            "I1b", f"user {user}: {symbol} entered {now_ms - intent.order.expires_ms} ms late"
        )
    bars = max(s.retest_bars for s in judge.world.all_settings[judge.world.users[user]])
    late_ms = _late_ms(judge, intent.row.signal_id, now_ms, bars)
    if late_ms > _LATE_MS and not judge.world.skewed:
        judge.found("I13", f"user {user}: {symbol} entered {late_ms} ms after its signal was over")


def _skew_ms(judge: Judge) -> int:
    return max(abs(p.clock.skew_ms) for p in judge.world.processes)


def _grid(judge: Judge, user: int, symbol: str, params: Mapping[str, Any]) -> None:
    rules = judge.world.desk.exchange.instruments.get(symbol)
    if rules is None or judge.world.market.changed_lately(symbol):
        return
    for name in ("price", "stopLoss"):
        value = params.get(name)
        if value and not rules.on_tick(Decimal(str(value))):
            judge.found("I12", f"user {user}: {symbol} {name} {value} is off the tick")
    if not rules.on_step(Decimal(str(params.get("qty") or 0))):
        judge.found("I12", f"user {user}: {symbol} quantity {params.get('qty')} is off the step")


def _once(judge: Judge, user: int, intent: Intent) -> None:
    """I1: one accepted entry of a signal."""
    account = judge.account(user)
    for link, other in judge.intents.items():
        same = other.user == user and other.row.signal_id == intent.row.signal_id
        if same and other.row.leg == "entry" and link != intent.row.link_id:
            order = account.orders.get(account.by_link.get(link, ""))
            if order is not None:
                judge.found("I1", f"user {user}: two entries of {intent.row.signal_id}")


def _limits(judge: Judge, user: int, intent: Intent) -> None:
    """I4: at the instant of sending, everything open and everything under way is within limits."""
    account = judge.account(user)
    user_id = judge.world.users[user]
    limits = judge.world.limits_of(user_id)
    risk: dict[str, Decimal] = {}
    for link, other in judge.intents.items():
        if other.user != user or other.row.leg != "entry":
            continue
        order = account.orders.get(account.by_link.get(link, ""))
        if order is not None:
            left = order.leaves_qty
        elif other.row.state in TERMINAL:
            left = Decimal(0)
        else:
            left = other.order.qty
        if left:
            risk[other.row.trade_id] = _planned(other) * left
    for (symbol, _), held in account.positions.items():
        ours = [i for i in judge.intents.values() if i.user == user and i.row.symbol == symbol]
        ours = [i for i in ours if i.row.leg == "entry" and i.row.link_id in account.by_link]
        if held.is_open and ours and not is_foreign(judge, user, symbol):
            trade = ours[-1].row.trade_id
            known = judge.stops.get((user, symbol))
            stop = held.stop_loss or known or ours[-1].order.stop_loss or held.entry_price
            lost = max(Decimal(0), (held.entry_price - stop) * held.size)
            risk[trade] = risk.get(trade, Decimal(0)) + lost
    if len(risk) > max(limit.trades_max for limit in limits):
        judge.found("I4", f"user {user}: {len(risk)} trades at once ({intent.row.symbol})")
    equity = max(account.wallet.equity, account.wallet.wallet_balance)
    most = max(limit.total_risk_max for limit in limits) * equity * _SLACK
    if sum(risk.values()) > most:
        judge.found("I4", f"user {user}: {sum(risk.values()):.2f} at risk, {most:.2f} allowed")


def _planned(intent: Intent) -> Decimal:
    price = intent.order.price or intent.last
    stop = intent.order.stop_loss or price
    return max(Decimal(0), price - stop)


def _leverage(judge: Judge, user: int, symbol: str) -> None:
    """I4: never at another leverage than the user's."""
    account = judge.account(user)
    held = account.positions.get((symbol, 0))
    if held is None or "set_leverage" in {what for _, n, what in judge.acts if n == user}:
        return
    allowed = {s.leverage for s in judge.world.all_settings[judge.world.users[user]]}
    if held.leverage not in allowed and account.mode_of(symbol).value == 0:
        judge.found("I4", f"user {user}: {symbol} entered at leverage {held.leverage}")


def _lost_enough(judge: Judge, user: int, intent: Intent) -> None:
    """I5: what the venue's own books say was lost is enough to stop for the day."""
    account = judge.account(user)
    quiet_ms = intent.at_ms - _KNOWN_MS
    lost = sum(
        (e.exec_fee - e.exec_pnl for e in account.executions if e.exec_time < quiet_ms), Decimal(0)
    )
    limits = judge.world.limits_of(judge.world.users[user])
    most = max(limit.daily_loss_max for limit in limits) * judge.world.equity * _SLACK
    skewed = judge.world.skewed
    if lost > most and judge.calm_s(user, intent.at_ms) > _CALM_S and not skewed:
        judge.found("I5", f"user {user}: {lost:.2f} lost, and {intent.row.symbol} was entered")


def _halts(judge: Judge, user: int, intent: Intent) -> None:
    """I5 and I7: no entry after a halt or a kill."""
    now_ms = judge.world.clock.now_ms()
    for since_ms, day in judge.days[user].values():
        late = intent.at_ms > since_ms + 1_000 and intent.at_ms < day.resets_ms
        if day.halted and late and not judge.was_restored:
            judge.found("I5", f"user {user}: {intent.row.symbol} entered on a halted day")
    user_id = judge.world.users[user]
    for who in ("", user_id):
        since_s = judge.killed_s.get(who)
        if since_s is not None and judge.world.now_s - since_s > _KILL_S:
            after_s = judge.world.now_s - since_s
            judge.found("I7", f"user {user}: entered {after_s:.1f} s after a kill at {now_ms}")


def refused(judge: Judge, user: int, path: str, params: Mapping[str, Any], said: Any) -> None:
    """I12: the venue must not have to tell us our own rules."""
    code = said.code
    symbol = str(params.get("symbol"))
    if code not in _OURS_TO_KNOW or judge.world.market.changed_lately(symbol):
        return
    if code == 110017:  # noqa: PLR2004 - nothing to reduce: it was closed a moment before
        return
    if any(words in said.message for words in _NOT_OURS):
        return
    if path.endswith("trading-stop") and "position" in said.message:
        return  # it was closed a moment before
    judge.found("I12", f"user {user}: {path} refused: {said.message} ({symbol} {dict(params)})")


def verdict(judge: Judge, user: int, record: VerdictRecord, at_ms: int) -> None:
    """I13, I1b: one verdict a signal, never upon what was old when it was given.

    What is decided while the store is away is written down when it is back, and nothing is sent
    meanwhile: `at_ms` is the decision's time. That no entry is late is asked of every one sent.
    """
    world = judge.world
    key = (user, record.signal_id)
    before = judge.verdicts.get(key)
    if before is not None and record.approved and before.approved and not judge.was_restored:
        judge.found("I1b", f"user {user}: {record.signal_id} was approved twice")
    if before is None or record.approved:
        judge.verdicts[key] = record
    if not record.approved:
        return
    skewed = world.skewed
    before_s = (world.clock.now_ms() - at_ms) / 1000.0
    dark_s = world.market.dark_s(record.symbol) - before_s
    if dark_s * 1000.0 > _STALE_MS and not skewed:
        judge.found(
            "I13", f"user {user}: {record.symbol} approved {dark_s:.1f} s after its quotes ended"
        )
    if world.market.risk_off_s() - before_s > 4.0 and not judge.was_restored:  # noqa: PLR2004 - told each s
        settings = world.all_settings[world.users[user]]
        if all(s.risk.regime_filter for s in settings) and judge.calm_s(user) > _CALM_S:
            judge.found("I13", f"user {user}: {record.symbol} approved in RISK_OFF")
    bars = max(s.risk.signal_bars_max for s in world.all_settings[world.users[user]])
    late_ms = _late_ms(judge, record.signal_id, at_ms, bars)
    if late_ms > _OLD_MS and not skewed:
        judge.found("I13", f"user {user}: {record.symbol} approved {late_ms} ms too late")
    if record.signal_id.startswith("poison"):
        judge.found("I13", f"user {user}: a poisoned signal was approved")


def _late_ms(judge: Judge, signal_id: str, at_ms: int, bars: int) -> int:
    """Return for how long a signal was older than so many bars; below zero: it was not."""
    world = judge.world
    signal = next((w.signal for w in world.wanted if w.signal.signal_id == signal_id), None)
    if signal is None:
        return 0
    return at_ms - signal.t - bars * signal.interval_ms


def trade(judge: Judge, user: int, record: TradeRecord) -> bool:
    """I11: a trade moves only as it may; returns whether its status is another."""
    key = (user, record.trade_id)
    before = judge.trades.get(key)
    judge.trades[key] = record
    if before is None or before.status == record.status:
        return before is None
    judge.moved = f"{before.status} to {record.status}"
    if record.status not in TRADE_MOVES.get(before.status, ()) and not judge.was_restored:
        judge.found("I11", f"user {user}: {record.symbol} from {before.status} to {record.status}")
    return True


def is_user_order(order: Any) -> bool:
    """Tell whether somebody placed it, man or machine."""
    return order.create_type is CreateType.USER
