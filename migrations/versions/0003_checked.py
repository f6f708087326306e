"""When each stored file was last looked at, and what was wrong with it then."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("entries", sa.Column("checked_at", sa.DateTime(timezone=True)))
    op.add_column("entries", sa.Column("fault", sa.Text))
    op.execute("UPDATE entries SET checked_at = coalesce(verified_at, stored_at) WHERE state = 'stored'")
    for name, column, where in (
        ("ix_entries_checked_at", "checked_at", "checked_at IS NOT NULL"),
        ("ix_entries_faulty", "id", "fault IS NOT NULL"),
    ):
        op.create_index(name, "entries", [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def downgrade() -> None:
    """A ledger never goes back: the copy made before each upgrade is the way."""
    raise NotImplementedError
