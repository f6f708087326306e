"""Where Alembic meets the ledger: on the connection that syncer hands over, or on `sqlalchemy.url` for a developer."""

import sqlalchemy as sa
from alembic import context

from syncer.ledger.tables import metadata


def run(connection: sa.Connection) -> None:
    """Run the command at hand. SQLite alters by copying the table, hence the batches."""
    context.configure(
        connection=connection, target_metadata=metadata, render_as_batch=True, compare_server_default=True
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with sa.create_engine(context.config.get_main_option("sqlalchemy.url") or "sqlite://").begin() as own:
        run(own)
