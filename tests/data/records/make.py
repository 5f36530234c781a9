"""Small makers of what goes into a store."""

from decimal import Decimal
from typing import Any

from data.records.port import Store
from data.records.rows import Commit, ContextRow, IntentRow, Lease, SettingsRow, TraceRow, UserRow
from engine.account.commands import (
    AlertRecord,
    AuditRecord,
    DayRecord,
    ExecutionRecord,
    TradeRecord,
    VerdictRecord,
)

ANN = "11111111-1111-4111-8111-111111111111"
BOB = "22222222-2222-4222-8222-222222222222"
NOW = 1_760_000_000_000


def user(user_id: str = ANN, **facts: Any) -> UserRow:
    return UserRow(**{"user_id": user_id, "name": user_id[:4], "created_ms": NOW, **facts})


def settings(user_id: str = ANN, version: int = 1, **facts: Any) -> SettingsRow:
    given = {"body": b'{"profile":"default"}', "created_ms": NOW, "actor": "user:x", **facts}
    return SettingsRow(user_id=user_id, version=version, **given)


def intent(link_id: str = "l1", state: str = "new", user_id: str = ANN, **facts: Any) -> IntentRow:
    given = {
        "trade_id": "t1",
        "signal_id": "s1",
        "symbol": "SOLUSDT",
        "leg": "entry",
        "body": b"{}",
        "created_ms": NOW,
        "expires_ms": NOW + 1000,
        **facts,
    }
    return IntentRow(user_id=user_id, link_id=link_id, state=state, **given)


def execution(exec_id: str = "e1", **facts: Any) -> ExecutionRecord:
    given = {
        "exec_type": "Trade",
        "symbol": "SOLUSDT",
        "side": "Buy",
        "order_id": "o1",
        "link_id": "l1",
        "trade_id": "t1",
        "leg": "entry",
        "qty": Decimal("1.50"),
        "price": Decimal("171.123456789012345678"),
        "value": Decimal("256.685185183518518517"),
        "fee": Decimal("0.000000000000000001"),
        "pnl": Decimal(0),
        "exec_time": NOW,
        **facts,
    }
    return ExecutionRecord(exec_id=exec_id, **given)


def trade(trade_id: str = "t1", **facts: Any) -> TradeRecord:
    given = {
        "signal_id": "s1",
        "symbol": "SOLUSDT",
        "status": "open",
        "qty": Decimal("1.5"),
        "entry_price": Decimal("171.12"),
        "stop_loss": None,
        "realised_usdt": Decimal("-0.55"),
        "fees_usdt": Decimal("0.1"),
        "funding_usdt": Decimal(0),
        "risk_usdt": Decimal(50),
        "detail": {"b": 1, "a": [1, 2]},
        **facts,
    }
    return TradeRecord(trade_id=trade_id, **given)


def verdict(signal_id: str = "s1", **facts: Any) -> VerdictRecord:
    given = {
        "symbol": "SOLUSDT",
        "approved": True,
        "reason": "approved",
        "words": "taken",
        "checks": (("trades_max", "1", "6"), ("regime", "NORMAL", "")),
        **facts,
    }
    return VerdictRecord(signal_id=signal_id, **given)


def alert(event_id: str = "a1", **facts: Any) -> AlertRecord:
    given = {"kind": "entry", "severity": "info", "words": "entered", **facts}
    return AlertRecord(event_id=event_id, **given)


def audit(cause: str = "signal", **detail: Any) -> AuditRecord:
    return AuditRecord(cause=cause, actor="engine", detail=detail)


def day(name: str = "2026-10-09", **facts: Any) -> DayRecord:
    given = {
        "resets_ms": NOW,
        "start_equity_usdt": Decimal("1000.10"),
        "realised_usdt": Decimal("-1.5"),
        "fees_usdt": Decimal("0.3"),
        "funding_usdt": Decimal("-0.01"),
        "halted": False,
        **facts,
    }
    return DayRecord(day=name, **given)


def trace(seq: int = 1, user_id: str = ANN, at_ms: int = NOW) -> TraceRow:
    return TraceRow(user_id=user_id, seq=seq, at_ms=at_ms, body=b'["x"]', state_hash=f"h{seq}")


def context(symbol: str = "SOLUSDT", **facts: Any) -> ContextRow:
    given = {
        "profile": "default",
        "interval": "15m",
        "minute": NOW,
        "schema_hash": 2**64 - 1,
        "params_hash": -(2**63),
        "body": bytes(range(256)),
        "checksum": "c",
        **facts,
    }
    return ContextRow(symbol=symbol, **given)


def commit(version: int = 0, epoch: int = 1, user_id: str = ANN, **facts: Any) -> Commit:
    given = {
        "at_ms": NOW + version,
        "state": b'{"v":%d}' % (version + 1),
        "state_hash": f"hash{version + 1}",
        **facts,
    }
    return Commit(user_id=user_id, epoch=epoch, version=version, **given)


async def start(store: Store, user_id: str = ANN, holder: str = "p1") -> Lease:
    """Make a user and take its lease."""
    assert await store.add_user(user(user_id), settings(user_id)) is None
    lease = await store.acquire(user_id, holder, 10_000)
    assert isinstance(lease, Lease)
    return lease
