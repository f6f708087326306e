"""The first ledger: entries, passes, and the row that says which ledger it is."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_PASS_COUNTS = (
    *("pages", "listed", "malformed"),
    *("stored", "pending", "processing", "remote_error", "lost", "filtered"),
    *("fetched", "bytes", "resumed", "restarted", "relinked", "retries", "failed", "recovered"),
)


def upgrade() -> None:
    _create_entries()
    op.create_table(
        "passes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("complete", sa.Boolean, nullable=False, server_default=sa.false()),
        *(sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0")) for name in _PASS_COUNTS),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passes")),
    )
    op.create_table(
        "ledger_info",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("ledger_id", sa.Text, nullable=False),
        sa.Column("destination_id", sa.Text),
        sa.Column("destination_location", sa.Text),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_info")),
        sa.CheckConstraint("id = 1", name=op.f("ck_ledger_info_one_row")),
    )


def _create_entries() -> None:
    op.create_table(
        "entries",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True)),
        sa.Column("link", sa.Text),
        sa.Column("link_expires_at", sa.DateTime(timezone=True)),
        sa.Column("link_estimated", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("first_seen_at", sa.DateTime(timezone=True)),
        sa.Column("last_seen_at", sa.DateTime(timezone=True)),
        sa.Column("seen_pass", sa.Integer),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claim", sa.Text),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("tries", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("tries_pass", sa.Integer),
        sa.Column("parked", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("not_before", sa.DateTime(timezone=True)),
        sa.Column("ordered", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("last_error", sa.Text),
        sa.Column("regenerations", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("path", sa.Text),
        sa.Column("path_key", sa.Text),
        sa.Column("size", sa.BigInteger),
        sa.Column("etag", sa.Text),
        sa.Column("last_modified", sa.Text),
        sa.Column("content_type", sa.Text),
        sa.Column("md5", sa.Text),
        sa.Column("crc32c", sa.Text),
        sa.Column("sha256", sa.Text),
        sa.Column("stored_at", sa.DateTime(timezone=True)),
        sa.Column("verified_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
        sa.UniqueConstraint("path_key", name=op.f("uq_entries_path_key")),
    )
    op.create_index("ix_entries_due", "entries", ["state", "parked", "due_by"])


def downgrade() -> None:
    """A ledger never goes back: the copy made before each upgrade is the way."""
    raise NotImplementedError
