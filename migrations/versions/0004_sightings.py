"""When each entry was last listed, in small rows of their own: a pass with no news no longer rewrites every entry."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sightings",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("seen_pass", sa.Integer, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sightings"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO sightings (id, seen_pass, seen_at) "
        "SELECT id, coalesce(seen_pass, 0), last_seen_at FROM entries WHERE last_seen_at IS NOT NULL"
    )
    op.drop_column("entries", "seen_pass")
    op.drop_column("entries", "last_seen_at")


def downgrade() -> None:
    """A ledger never goes back: the copy made before each upgrade is the way."""
    raise NotImplementedError
