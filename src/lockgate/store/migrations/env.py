"""What Alembic runs for every command; the connection comes from `lockgate.store.migrate`."""

from __future__ import annotations

from alembic import context

from lockgate.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
