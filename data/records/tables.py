"""The tables, the same ones in SQLite and PostgreSQL. No secret has a column.

Every table but `leases` and `contexts` hangs on a user. The platform itself is the user "": it has
a kill switch and a chain, and is shown to nobody as a user.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    MetaData,
    Table,
    Text,
    event,
)

from data.records.types import BigNumber, Blob, Exact

# The newest migration this code knows, and all before it, oldest first (data/records/migrations).
REVISIONS = ("0001",)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _user(*, primary_key: bool = True) -> Column[str]:
    return Column("user_id", Text, ForeignKey("users.user_id"), primary_key=primary_key)


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


def _seq(name: str) -> Column[int]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _int(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _money(name: str, *, nullable: bool = False) -> Column:
    return Column(name, Exact, nullable=nullable)


def _blob(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, Blob, nullable=nullable)


users = Table(
    "users",
    metadata,
    _key("user_id"),
    _text("name"),
    _text("mode"),
    _flag("active"),
    _flag("armed"),
    _int("kill_generation"),
    _flag("killed"),
    _int("created_ms"),
)

settings = Table(
    "settings",
    metadata,
    _user(),
    _seq("version"),
    _blob("body"),
    _int("created_ms"),
    _text("actor"),
)

# Where a user's books stand. Every writer of a user's rows locks this row first.
engines = Table(
    "engines",
    metadata,
    _user(),
    _int("version"),
    _blob("state", nullable=True),
    _text("state_hash"),
    _text("checksum"),  # of version, state and hash: an edited row is seen when it is loaded
    _int("audit_seq"),
    _text("audit_hash"),
    _int("ledger_seq"),
    _money("ledger_usdt"),
    _int("trace_seq"),
)

# An intent and its order are one row: `order_id` and `state` are the order's side of it.
intents = Table(
    "intents",
    metadata,
    _user(),
    _key("link_id"),
    _text("trade_id"),
    _text("signal_id"),
    _text("symbol"),
    _text("leg"),
    _text("state"),
    _blob("body"),
    _int("created_ms"),
    _int("expires_ms"),
    _int("sent_ms"),
    _text("order_id"),
    _int("code"),
    Index(None, "user_id", "state"),
    Index(None, "user_id", "trade_id"),
)

executions = Table(
    "executions",
    metadata,
    _user(),
    _key("exec_id"),
    _text("trade_id"),
    _text("leg"),
    _text("symbol"),
    _text("side"),
    _text("order_id"),
    _text("link_id"),
    _text("exec_type"),
    _money("qty"),
    _money("price"),
    _money("value"),
    _money("fee"),
    _money("pnl"),
    _int("exec_time"),
    _flag("is_maker"),
    Index(None, "user_id", "exec_time"),
)

ledger = Table(
    "ledger",
    metadata,
    _user(),
    _seq("seq"),
    _text("exec_id"),
    _int("at_ms"),
    _money("change_usdt"),
    _money("balance_usdt"),
)

trades = Table(
    "trades",
    metadata,
    _user(),
    _key("trade_id"),
    _text("signal_id"),
    _text("symbol"),
    _text("status"),
    _money("qty"),
    _money("entry_price", nullable=True),
    _money("stop_loss", nullable=True),
    _money("realised_usdt"),
    _money("fees_usdt"),
    _money("funding_usdt"),
    _money("risk_usdt"),
    _money("r", nullable=True),
    _int("opened_ms"),
    _int("closed_ms"),
    _text("exit_kind"),
    _blob("detail"),
    _int("made_version"),  # which commit wrote it first, and as which of its trades
    _int("made_n"),
    Index(None, "user_id", "made_version"),
)

verdicts = Table(
    "verdicts",
    metadata,
    _user(),
    _seq("version"),  # the commit that wrote it
    _seq("n"),
    _text("signal_id"),
    _text("symbol"),
    _flag("approved"),
    _text("reason"),
    _text("words"),
    _text("value"),
    _text("limit"),
    _text("trade_id"),
    _blob("checks"),
)

days = Table(
    "days",
    metadata,
    _user(),
    _key("day"),
    _int("resets_ms"),
    _money("start_equity_usdt"),
    _money("realised_usdt"),
    _money("fees_usdt"),
    _money("funding_usdt"),
    _flag("halted"),
    _text("reason"),
)

outbox = Table(
    "outbox",
    metadata,
    _user(),
    _key("event_id"),
    _text("kind"),
    _text("severity"),
    _blob("body"),
    _int("created_ms"),
    _int("attempts"),
    _int("next_ms"),
    _text("state"),
    Index(None, "state", "next_ms"),
)

controls = Table(
    "controls",
    metadata,
    _user(),
    _key("control_id"),
    _text("action"),
    _text("actor"),
    _int("at_ms"),
    _text("symbol"),
    _text("trade_id"),
    _text("reason"),
    _int("taken_ms"),
    _text("answer"),
    Index(None, "taken_ms", "at_ms"),
)

audit = Table(
    "audit",
    metadata,
    _user(),
    _seq("seq"),
    _int("at_ms"),
    _int("epoch"),
    _text("actor"),
    _text("cause"),
    _text("before_hash"),
    _text("after_hash"),
    _blob("detail"),
    _text("prev_hash"),
    _text("hash"),
)

traces = Table(
    "traces",
    metadata,
    _user(),
    _seq("seq"),
    _int("at_ms"),
    _blob("body"),
    _text("state_hash"),
    Index(None, "at_ms"),
)

leases = Table(
    "leases",
    metadata,
    _key("user_id"),  # no foreign key: a role of the platform may hold one too
    _text("holder"),
    _int("epoch"),
    _int("expires_ms"),
)

contexts = Table(
    "contexts",
    metadata,
    _key("profile"),
    _key("interval"),
    _key("symbol"),
    _int("minute"),
    Column("schema_hash", BigNumber, nullable=False),
    Column("params_hash", BigNumber, nullable=False),
    _blob("body"),
    _text("checksum"),
)

# What only ever grows: the databases themselves refuse a change.
APPEND_ONLY = ("audit", "executions", "ledger")

_REFUSE_SQLITE = """CREATE TRIGGER {table}_no_{what} BEFORE {what} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
_FUNCTION_POSTGRES = """CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"""
_REFUSE_POSTGRES = """CREATE TRIGGER {table}_append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION append_only()"""

_PLATFORM = (
    """INSERT INTO users (user_id, name, mode, active, armed, kill_generation, killed, created_ms)
VALUES ('', 'platform', 'paper', true, false, 0, false, 0)""",
    """INSERT INTO engines (user_id, version, state_hash, checksum, audit_seq, audit_hash,
ledger_seq, ledger_usdt, trace_seq) VALUES ('', 0, '', '', 0, '', 0, '0', 0)""",
)


def guards(dialect: str) -> tuple[str, ...]:
    """Return the statements that follow the tables: triggers, and the platform's own rows."""
    if dialect == "postgresql":
        made = [_FUNCTION_POSTGRES, *(_REFUSE_POSTGRES.format(table=t) for t in APPEND_ONLY)]
    else:
        made = [
            _REFUSE_SQLITE.format(table=t, what=what)
            for t in APPEND_ONLY
            for what in ("UPDATE", "DELETE")
        ]
    return (*made, *_PLATFORM)


for _dialect in ("sqlite", "postgresql"):
    for _statement in guards(_dialect):
        _ddl = DDL(_statement.replace("%", "%%"))
        event.listen(metadata, "after_create", _ddl.execute_if(dialect=_dialect))
