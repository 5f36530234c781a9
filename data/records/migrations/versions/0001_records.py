"""Everything the records began with."""

import sqlalchemy as sa
from alembic import op

from data.records.tables import guards
from data.records.types import BigNumber, Exact

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, their triggers, and the platform's own rows."""
    _market()
    _people()
    _engines()
    _books()
    _told()
    for statement in guards(op.get_bind().dialect.name):
        op.execute(sa.text(statement.replace(":", "\\:")))


def _market() -> None:
    op.create_table(
        "contexts",
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("schema_hash", BigNumber(), nullable=False),
        sa.Column("params_hash", BigNumber(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("profile", "interval", "symbol", name="pk_contexts"),
    )
    op.create_table(
        "leases",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_leases"),
    )


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("armed", sa.Boolean(), nullable=False),
        sa.Column("kill_generation", sa.BigInteger(), nullable=False),
        sa.Column("killed", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_users"),
    )
    op.create_table(
        "settings",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_settings_user_id"),
        sa.PrimaryKeyConstraint("user_id", "version", name="pk_settings"),
    )
    op.create_table(
        "controls",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("control_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("taken_ms", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_controls_user_id"),
        sa.PrimaryKeyConstraint("user_id", "control_id", name="pk_controls"),
    )
    op.create_index("ix_controls_taken_ms_at_ms", "controls", ["taken_ms", "at_ms"], unique=False)


def _engines() -> None:
    op.create_table(
        "engines",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=True),
        sa.Column("state_hash", sa.Text(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_hash", sa.Text(), nullable=False),
        sa.Column("ledger_seq", sa.BigInteger(), nullable=False),
        sa.Column("ledger_usdt", Exact(), nullable=False),
        sa.Column("trace_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_engines_user_id"),
        sa.PrimaryKeyConstraint("user_id", name="pk_engines"),
    )
    op.create_table(
        "intents",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("link_id", sa.Text(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("leg", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("sent_ms", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("code", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_intents_user_id"),
        sa.PrimaryKeyConstraint("user_id", "link_id", name="pk_intents"),
    )
    op.create_index("ix_intents_user_id_state", "intents", ["user_id", "state"], unique=False)
    op.create_index("ix_intents_user_id_trade_id", "intents", ["user_id", "trade_id"], unique=False)
    op.create_table(
        "verdicts",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("limit", sa.Text(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.Column("checks", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_verdicts_user_id"),
        sa.PrimaryKeyConstraint("user_id", "version", "n", name="pk_verdicts"),
    )


def _books() -> None:
    op.create_table(
        "executions",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("exec_id", sa.Text(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.Column("leg", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("link_id", sa.Text(), nullable=False),
        sa.Column("exec_type", sa.Text(), nullable=False),
        sa.Column("qty", Exact(), nullable=False),
        sa.Column("price", Exact(), nullable=False),
        sa.Column("value", Exact(), nullable=False),
        sa.Column("fee", Exact(), nullable=False),
        sa.Column("pnl", Exact(), nullable=False),
        sa.Column("exec_time", sa.BigInteger(), nullable=False),
        sa.Column("is_maker", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_executions_user_id"),
        sa.PrimaryKeyConstraint("user_id", "exec_id", name="pk_executions"),
    )
    op.create_index(
        "ix_executions_user_id_exec_time", "executions", ["user_id", "exec_time"], unique=False
    )
    op.create_table(
        "ledger",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("exec_id", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("change_usdt", Exact(), nullable=False),
        sa.Column("balance_usdt", Exact(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_ledger_user_id"),
        sa.PrimaryKeyConstraint("user_id", "seq", name="pk_ledger"),
    )
    op.create_table(
        "trades",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("qty", Exact(), nullable=False),
        sa.Column("entry_price", Exact(), nullable=True),
        sa.Column("stop_loss", Exact(), nullable=True),
        sa.Column("realised_usdt", Exact(), nullable=False),
        sa.Column("fees_usdt", Exact(), nullable=False),
        sa.Column("funding_usdt", Exact(), nullable=False),
        sa.Column("risk_usdt", Exact(), nullable=False),
        sa.Column("r", Exact(), nullable=True),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_ms", sa.BigInteger(), nullable=False),
        sa.Column("exit_kind", sa.Text(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.Column("made_version", sa.BigInteger(), nullable=False),
        sa.Column("made_n", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_trades_user_id"),
        sa.PrimaryKeyConstraint("user_id", "trade_id", name="pk_trades"),
    )
    op.create_index(
        "ix_trades_user_id_made_version", "trades", ["user_id", "made_version"], unique=False
    )
    op.create_table(
        "days",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("resets_ms", sa.BigInteger(), nullable=False),
        sa.Column("start_equity_usdt", Exact(), nullable=False),
        sa.Column("realised_usdt", Exact(), nullable=False),
        sa.Column("fees_usdt", Exact(), nullable=False),
        sa.Column("funding_usdt", Exact(), nullable=False),
        sa.Column("halted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_days_user_id"),
        sa.PrimaryKeyConstraint("user_id", "day", name="pk_days"),
    )


def _told() -> None:
    op.create_table(
        "outbox",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_outbox_user_id"),
        sa.PrimaryKeyConstraint("user_id", "event_id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_state_next_ms", "outbox", ["state", "next_ms"], unique=False)
    op.create_table(
        "audit",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("before_hash", sa.Text(), nullable=False),
        sa.Column("after_hash", sa.Text(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.Column("prev_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_audit_user_id"),
        sa.PrimaryKeyConstraint("user_id", "seq", name="pk_audit"),
    )
    op.create_table(
        "traces",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state_hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_traces_user_id"),
        sa.PrimaryKeyConstraint("user_id", "seq", name="pk_traces"),
    )
    op.create_index("ix_traces_at_ms", "traces", ["at_ms"], unique=False)
