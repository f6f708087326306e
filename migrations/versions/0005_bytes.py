"""Missing files by their bytes: a folder that was renamed holds as many files to tell apart as the archive has."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    where = sa.text("fault IS NOT NULL")
    op.create_index("ix_entries_bytes", "entries", ["size", "sha256"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """A ledger never goes back: the copy made before each upgrade is the way."""
    raise NotImplementedError
