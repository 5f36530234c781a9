"""What must hold when all is quiet: money to the last digit, an end for every signal."""

from collections import Counter
from decimal import Decimal
from typing import Any

from app.proofs.drill.judged import now
from app.proofs.drill.replaying import replayed
from data.records.chain import verify_chain
from data.records.rows import TERMINAL, Stored
from engine.venue.words import LogType

Judge = Any  # it stands above this file


_MOST = 1_000_000
_ACT_S = 8.0


def look(judge: Judge) -> None:
    """Look at everything."""
    for user in range(len(judge.world.users)):
        _intents(judge, user)
        _signals(judge, user)
        _executions(judge, user)
        _chain(judge, user)
        _dust(judge, user)
        _replay(judge, user)
    _notifications(judge)
    _secrets(judge)


def _now(judge: Judge, name: str, user: int, *args: Any) -> Any:

    return now(getattr(judge.world.store, name)(judge.world.users[user], *args))


def _intents(judge: Judge, user: int) -> None:
    """I20, I1: nothing is left unknown, and what is believed is true."""
    stored = _now(judge, "load", user)
    if not isinstance(stored, Stored):
        return
    account = judge.account(user)
    for row in stored.intents:
        order = account.orders.get(account.by_link.get(row.link_id, ""))
        works = order is not None and order.order_status.is_open
        if row.state not in TERMINAL and not (row.state == "placed" and works):
            judge.found("I20", f"user {user}: {row.leg} of {row.symbol} is left {row.state}")
    for link, intent in judge.intents.items():
        if intent.user != user:
            continue
        there = link in account.by_link
        if intent.row.state in ("absent", "stale", "refused") and there:
            order = account.orders[account.by_link[link]]
            if order.order_status.is_open or order.cum_exec_qty:
                judge.found(
                    "I1",
                    f"user {user}: {intent.row.leg} of {intent.row.symbol} exists, "
                    f"and is believed {intent.row.state}",
                )
        late_ms = judge.world.clock.now_ms() - intent.order.expires_ms
        if intent.row.leg == "entry" and there and intent.order.expires_ms:
            order = account.orders[account.by_link[link]]
            if order.order_status.is_open and late_ms > 60_000:  # noqa: PLR2004 - the bound
                judge.found("I1b", f"user {user}: {intent.row.symbol} rests {late_ms} ms too long")


def _signals(judge: Judge, user: int) -> None:
    """I1b: every signal that was told has a verdict."""
    user_id = judge.world.users[user]
    for wanted in judge.world.wanted:
        heard = judge.world.heard_well(wanted, user_id)
        if heard and (user, wanted.signal.signal_id) not in judge.verdicts:
            judge.found("I1b", f"user {user}: {wanted.signal.signal_id} has no verdict")


def _executions(judge: Judge, user: int) -> None:
    """I3: the same executions, the same money, to the last digit."""
    account = judge.account(user)
    truth = {
        e.exec_id: (e.exec_qty, e.exec_price, e.exec_fee, e.side.value) for e in account.executions
    }
    rows = _now(judge, "executions", user, 0, _MOST)
    here = {e.exec_id: (e.qty, e.price, e.fee, e.side) for e in rows}
    twice = [e for e, n in Counter(r.exec_id for r in rows).items() if n > 1]
    if twice:
        judge.found("I3", f"user {user}: {len(twice)} executions twice")
    if set(here) != set(truth):
        lost, more = set(truth) - set(here), set(here) - set(truth)
        judge.found(
            "I3", f"user {user}: {len(lost)} executions lost, {len(more)} are not the venue's"
        )
        return
    wrong = [e for e in truth if truth[e] != here[e]]
    if wrong:
        judge.found("I3", f"user {user}: {len(wrong)} executions differ")
    moved = sum((r.change for r in account.log if _is_transfer(r)), Decimal(0))
    ledger = _now(judge, "ledger", user, 0, _MOST)
    balance = ledger[-1].balance_usdt if ledger else Decimal(0)
    real = account.wallet.wallet_balance - moved
    if balance != real:
        judge.found("I3", f"user {user}: the ledger says {balance}, the venue {real}")
    _trades(judge, user)


def _is_transfer(row: Any) -> bool:
    return row.type in (LogType.TRANSFER_IN, LogType.TRANSFER_OUT)


def _trades(judge: Judge, user: int) -> None:
    """I3: what a closed trade earned is what its executions say."""
    rows = _now(judge, "executions", user, 0, _MOST)
    of: dict[str, Decimal] = {}
    for row in rows:
        if row.trade_id:
            of[row.trade_id] = of.get(row.trade_id, Decimal(0)) + row.pnl - row.fee
    for trade in _now(judge, "trades", user, _MOST):
        if trade.status == "closed" and trade.realised_usdt != of.get(trade.trade_id, Decimal(0)):
            judge.found(
                "I3",
                f"user {user}: {trade.symbol} is said to have earned {trade.realised_usdt}, "
                f"its executions say {of.get(trade.trade_id)}",
            )


def _chain(judge: Judge, user: int) -> None:
    """I8: the chain holds; where somebody changed a row it does not."""
    stored = _now(judge, "load", user)
    if not isinstance(stored, Stored):
        return
    rows = _now(judge, "audit", user, 0, _MOST)
    head = (stored.audit_seq, stored.audit_hash)
    broken = verify_chain(rows, user_id=judge.world.users[user], head=head)
    if broken is not None and user not in judge.edited:
        judge.found("I8", f"user {user}: {broken.reason}")
    if broken is None and user in judge.edited and not judge.was_restored:
        judge.found("I8", f"user {user}: an edited row was not noticed")


def _dust(judge: Judge, user: int) -> None:
    """I12: what is over leaves nothing."""
    alive = {t.symbol for (n, _), t in judge.trades.items() if n == user and t.status in _LIVE}
    ours = {t.symbol for (n, _), t in judge.trades.items() if n == user}
    if judge.lately(user, "open", "resize"):
        return
    for (symbol, _), held in judge.account(user).positions.items():
        if held.is_open and symbol in ours and symbol not in alive:
            judge.found("I12", f"user {user}: {held.size} of {symbol} are left over")


_LIVE = frozenset({"pending", "resting", "open", "closing"})


def _replay(judge: Judge, user: int) -> None:
    """I16: the recording, told again, gives the same states."""
    if not judge.world.replays:
        return
    wrong = replayed(judge.world, user)
    if wrong:
        judge.found("I16", f"user {user}: {wrong}")


def _notifications(judge: Judge) -> None:
    """I15: what was written is told, or given up aloud."""
    if judge.was_restored:
        return
    due = [key for key in judge.alerts if not judge.told_by[key]]
    if due:
        user_id, event_id = due[0]
        judge.found(
            "I15", f"{len(due)} notifications were never told, {event_id} of {user_id[-2:]}"
        )


def _secrets(judge: Judge) -> None:
    """I17: no secret in what was said or written."""
    secrets = [key.secret for key in judge.world.office.keys.values()]
    for line in judge.world.said_lines:
        if any(secret in line for secret in secrets):
            judge.found("I17", "a secret stands in the log")
            return
