"""How each pass went, kept with it: margins to the deadlines, kinds of failure."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("passes", sa.Column("story", sa.JSON))


def downgrade() -> None:
    """A ledger never goes back: the copy made before each upgrade is the way."""
    raise NotImplementedError
