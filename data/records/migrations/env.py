"""Run by alembic: every migration of one upgrade in the caller's one transaction."""

from alembic import context

from data.records.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=False,
)
# No begin_transaction here: the caller's holds the lock, and commits all or nothing.
context.run_migrations()
