"""The ledger's tables, as this version of the program wants them; `migrations/` says how they came to be."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_TEXT = "%04d-%02d-%02d %02d:%02d:%02d.%06d"


class UtcDateTime(TypeDecorator[datetime]):
    """Aware moments in, aware UTC moments out; as text they sort by time. Raises ValueError for a naive one."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else _utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    # A pass reads two of these of every entry, and writes four of one with news: SQLAlchemy's own reader takes five
    # times as long, and its writer twice, to the same text.

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        return _text_of if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        return _moment_of if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("the ledger takes aware moments only")
    return value.astimezone(UTC)


def _text_of(value: datetime | None) -> str | None:
    """A moment as SQLite is given it: in UTC, to the microsecond, without the zone."""
    if value is None:
        return None
    utc = _utc(value)
    return _TEXT % (utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond)


def _moment_of(text: str | None) -> datetime | None:
    """What `UtcDateTime` wrote into SQLite, which keeps no zone."""
    return None if text is None else datetime.fromisoformat(text + "+00:00")


class SafeText(TypeDecorator[str]):
    """Text from outside: whatever UTF-8 or a database refuses becomes a replacement character, never an error."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return _clean_or_none(value)

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], Any] | None:
        return _clean_or_none if dialect.name == "sqlite" else super().bind_processor(dialect)


def _clean_or_none(value: str | None) -> str | None:
    return None if value is None else clean(value)


def clean(text: str) -> str:
    """`text` as the ledger keeps it: without lone surrogates and without NUL."""
    text = str(text)
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_ZERO = sa.text("0")

entries = sa.Table(
    "entries",
    metadata,
    sa.Column("id", SafeText, primary_key=True),
    # What VideoDB says.
    sa.Column("name", SafeText),
    sa.Column("status", SafeText, nullable=False),
    sa.Column("created_at", UtcDateTime),
    sa.Column("link", SafeText),
    sa.Column("link_expires_at", UtcDateTime),
    sa.Column("link_estimated", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("first_seen_at", UtcDateTime),
    # Where it stands.
    sa.Column("state", SafeText, nullable=False),
    sa.Column("due_by", UtcDateTime, nullable=False),  # the order of fetching: see rows.due_by
    sa.Column("claim", SafeText),  # the token that fences every write under a claim
    sa.Column("lease_until", UtcDateTime),
    sa.Column("attempts", sa.Integer, nullable=False, server_default=_ZERO),
    sa.Column("tries", sa.Integer, nullable=False, server_default=_ZERO),
    sa.Column("tries_pass", sa.Integer),  # the pass that `tries` counts in
    sa.Column("parked", sa.Boolean, nullable=False, server_default=sa.false()),  # nothing more in this pass
    sa.Column("not_before", UtcDateTime),
    sa.Column("ordered", sa.Boolean, nullable=False, server_default=sa.false()),  # not_before is the storage's wish
    sa.Column("last_error", SafeText),
    sa.Column("regenerations", sa.Integer, nullable=False, server_default=_ZERO),  # each may have been billed
    # What was promised and what is there.
    sa.Column("path", SafeText),
    sa.Column("path_key", SafeText, unique=True),  # core.naming.unique_key(path)
    sa.Column("size", sa.BigInteger),
    sa.Column("etag", SafeText),
    sa.Column("last_modified", SafeText),
    sa.Column("content_type", SafeText),
    sa.Column("md5", SafeText),
    sa.Column("crc32c", SafeText),
    sa.Column("sha256", SafeText),
    sa.Column("stored_at", UtcDateTime),
    sa.Column("verified_at", UtcDateTime),  # when it was last read back and found whole
    sa.Column("checked_at", UtcDateTime),  # when it was stored or last looked at; NULL: nothing is stored
    sa.Column("fault", SafeText),  # what was wrong with it then
    sa.Index("ix_entries_due", "state", "parked", "due_by"),
    # None is touched by the upserts of the listing, which write no column of theirs.
    sa.Index("ix_entries_checked_at", "checked_at", sqlite_where=sa.text("checked_at IS NOT NULL")),
    sa.Index("ix_entries_bytes", "size", "sha256", sqlite_where=sa.text("fault IS NOT NULL")),
    sa.Index("ix_entries_faulty", "id", sqlite_where=sa.text("fault IS NOT NULL")),
)

sightings = sa.Table(
    "sightings",
    metadata,
    sa.Column("id", SafeText, primary_key=True),  # of the entry
    sa.Column("seen_pass", sa.Integer, nullable=False),  # the pass that listed it last
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

LISTING_COUNTS = ("pages", "listed", "malformed")
TALLY_COUNTS = ("stored", "pending", "processing", "remote_error", "lost", "filtered")
TRANSFER_COUNTS = ("fetched", "bytes", "resumed", "restarted", "relinked", "retries", "failed", "recovered")

passes = sa.Table(
    "passes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("lease_until", UtcDateTime, nullable=False),  # where no file lock tells the living from the dead
    sa.Column("finished_at", UtcDateTime),  # NULL: still running, or died
    sa.Column("host", SafeText, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("exit_code", sa.Integer),
    sa.Column("complete", sa.Boolean, nullable=False, server_default=sa.false()),
    *(
        sa.Column(name, sa.BigInteger, nullable=False, server_default=_ZERO)
        for name in (*LISTING_COUNTS, *TALLY_COUNTS, *TRANSFER_COUNTS)
    ),
    sa.Column("story", sa.JSON),  # core.model.Story; NULL for passes that died or are older than it
)

ledger_info = sa.Table(
    "ledger_info",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ledger_id", SafeText, nullable=False),
    sa.Column("destination_id", SafeText),
    sa.Column("destination_location", SafeText),
    sa.CheckConstraint("id = 1", name="one_row"),
)


@sa.event.listens_for(metadata, "before_create")
def _say_it_to_postgresql(target: sa.MetaData, connection: sa.Connection, **_: Any) -> None:
    """The conditions of indexes, for PostgreSQL too: its name in a table would load its dialect at each start."""
    if connection.dialect.name == "postgresql":
        for index in (index for table in target.tables.values() for index in table.indexes):
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
