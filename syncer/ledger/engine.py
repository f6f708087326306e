"""The database: where it is, how it is opened, how its errors are told. All that is SQLite's alone is here."""

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from syncer.core.errors import LedgerError, LedgerHeld, UsageError
from syncer.core.mounts import journal_for, parse_mounts
from syncer.ledger.lock import PassLock
from syncer.ledger.written import Written

_MOUNTS = Path("/proc/self/mountinfo")
_MAGIC = b"SQLite format 3\0"
_BUSY_SECONDS = 10.0
_READS = {"syncer_reads": True}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ledger is: a file, or a database on a server."""

    url: sa.URL | None
    path: Path | None

    def __str__(self) -> str:
        return str(self.path) if self.url is None else self.url.render_as_string(hide_password=True)

    def lock(self) -> PassLock:
        """A new handle on the ledger's lock."""
        return PassLock(self.beside(".lock") if self.path else None)

    def journal(self) -> str:
        """The journal that the file system under an SQLite ledger can carry: `wal` or `delete`."""
        try:
            table = _MOUNTS.read_text(encoding="utf-8", errors="replace")
        except OSError:  # not Linux
            return "wal"
        return journal_for(str(self.file()), parse_mounts(table))

    def file(self) -> Path:
        """The ledger's file. Raises LedgerError where it has none."""
        if self.path is None:
            raise LedgerError("This ledger is no file.", hint="Use the database server's own tools.")
        return self.path

    def beside(self, suffix: str) -> Path:
        """The path next to the ledger's file that is called as it is, with `suffix`."""
        return self.file().with_name(self.file().name + suffix)


def place_of(location: str | Path) -> Place:
    """A file path or a SQLAlchemy URL, understood. Raises UsageError."""
    text = str(location)
    if "://" not in text:
        return Place(None, _resolved(text))
    try:
        url = sa.make_url(text)
    except ArgumentError:
        raise UsageError("The ledger's URL cannot be read.", hint="Give a file path or a SQLAlchemy URL.") from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")  # the driver of the extra `postgres`
    if url.get_backend_name() == "postgresql":
        return Place(url, None)
    if url.get_backend_name() != "sqlite":
        raise UsageError("A ledger lives in SQLite or PostgreSQL.", hint="Give a file path, or a postgresql:// URL.")
    if not url.database or url.database == ":memory:":
        raise UsageError("A ledger in memory forgets everything.", hint="Give the ledger a file.")
    return Place(None, _resolved(url.database))


def _resolved(text: str) -> Path:
    """One name for one file, so that everyone who opens it finds the same lock."""
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):
        raise UsageError("The ledger's path cannot be read.", hint="Give a file path.") from None


@contextmanager
def translated(place: Place) -> Iterator[None]:
    """Turns what the database raises into a LedgerError that carries no SQL and no values: values hold links."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, ImportError) as error:
        raise _translate(place, error) from None


def _translate(place: Place, error: Exception) -> LedgerError:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = str(cause).lower()
    if isinstance(error, ImportError):
        return LedgerError(f"The driver for {place} is not installed.", hint=f"Install the package {error.name}.")
    for signs, sentence, hint in _MEANINGS:
        if any(sign in text for sign in signs):
            kind = LedgerHeld if "locked" in signs else LedgerError
            return kind(f"The ledger {place} {sentence}.", hint=hint)
    return LedgerError(
        f"The ledger {place} failed ({type(cause).__name__}).",
        hint="Check the disk it is on, and put a backup in its place.",
    )


_RESTORE = (
    "Move it away and put a backup in its place, or start a new one: "
    "`syncer adopt DEST` takes the files that are already there into it."
)
_MEANINGS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("locked", "busy"), "is kept locked by another program", "Close whatever has it open, and try again."),
    # A disk that fails under it can look like that to SQLite, and the ledger be well once the disk is.
    (("malformed", "corrupt"), "is damaged", f"See that its disk is well, and try again. If it stays so: {_RESTORE}"),
    (("not a database", "encrypted"), "is no database", f"Point --ledger at another file. Or: {_RESTORE}"),
    (("disk is full",), "cannot grow: its disk is full", "Make room; nothing that was stored is lost."),
    (("readonly", "read-only"), "cannot be written", "Check the permissions of the file and its folder."),
    (("unable to open",), "cannot be opened", "Check the path and the permissions of its folder."),
    (("no such table", "no such column"), "lacks tables it should have", _RESTORE),
    (
        ("disk i/o error",),
        "cannot be read or written: its disk fails",
        "Check the disk, and put a backup in its place.",
    ),
)


def make_file(path: Path) -> None:
    """An empty ledger file with mode 0600, unless something is there. Raises LedgerError."""
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            _fsync_folder(path.parent)
    except OSError as error:
        raise LedgerError(
            f"The ledger {path} cannot be made: {error.strerror}.", hint="Check the path and its folder's permissions."
        ) from None


def check_file(path: Path) -> None:
    """Raises LedgerError, having changed nothing, if the file is no SQLite database."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
        if magic not in (b"", _MAGIC):
            raise _translate(Place(None, path), sqlite3.DatabaseError("file is not a database"))
    except OSError as error:
        raise LedgerError(
            f"The ledger {path} cannot be read: {error.strerror}.", hint="Check the path and its permissions."
        ) from None


def take_from_others(path: Path) -> None:
    """A ledger holds links, and a link is a password: other users are to have no part in it. Raises LedgerError."""
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise LedgerError(
            f"The ledger {path} cannot be kept from other users: {error.strerror}.", hint="Check who owns the file."
        ) from None


def open_engine(place: Place, *, read_only: bool = False) -> sa.Engine:
    """An engine on the ledger; the file of an SQLite one must exist. Nothing is connected yet. Raises LedgerError."""
    with translated(place):
        if place.url is not None:
            return sa.create_engine(place.url, hide_parameters=True, pool_pre_ping=True)
        uri, journal = _uri_of(place), place.journal()

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(
                uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                _set_up(connection, journal, read_only=read_only)
            except sqlite3.Error:
                connection.close()
                raise
            return connection

        engine = sa.create_engine("sqlite://", creator=connect, poolclass=QueuePool, hide_parameters=True)
        sa.event.listen(engine, "begin", _begin)
        return engine


def _uri_of(place: Place) -> str:
    """SQLite's name for a file that must be there already: made by SQLite, it would be open to others."""
    return f"file:{quote(str(place.file()))}?mode=rw"


def _set_up(connection: sqlite3.Connection, journal: str, *, read_only: bool) -> None:
    """Durable and concurrent: a settled row survives a power cut (I2), and `syncer status` reads beside a pass.

    Without WAL a reader may have to wait for a write to end.
    """
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        return
    connection.execute("PRAGMA synchronous = FULL")
    (mode,) = connection.execute(f"PRAGMA journal_mode = {journal}").fetchone()
    if mode not in (journal, "delete"):  # what has no shared memory stays at the journal that needs none
        raise sqlite3.OperationalError("unable to open: the ledger's journal cannot be changed")


def lasts(engine: sa.Engine) -> bool:
    """Whether a connection stays good while nobody uses it: one to a file does, a server may be gone meanwhile."""
    return engine.dialect.name == "sqlite"


def _begin(connection: sa.Connection) -> None:
    # A write that began as a read cannot wait for another writer; it fails. So writes say so from the start.
    reads = connection.get_execution_options().get("syncer_reads", False)
    begun = connection.connection.driver_connection
    assert isinstance(begun, sqlite3.Connection)  # noqa: S101 - for the type checker
    begun.execute("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that only reads, and sees one state of the ledger throughout."""
    with engine.connect().execution_options(**_READS) as connection, connection.begin():
        yield connection


def _insert(dialect: Dialect, table: sa.Table) -> Any:
    """An INSERT that knows what to do about conflicts; each dialect has a class of its own for it."""
    if dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - an eighth of a start, and most ledgers are files

    return postgresql.insert(table)


def among(connection: sa.Connection, column: sa.Column[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
    """Whether a text column holds one of many values, told as one parameter: writing down one for each costs as much
    as finding the row. The values are to be clean (see `tables.clean`)."""
    if connection.dialect.name == "sqlite":
        each = sa.func.json_each(json.dumps(values, ensure_ascii=False)).table_valued("value")
        return column.in_(sa.select(each.c.value))
    return column == sa.any_(sa.literal(values, sa.ARRAY(sa.Text)))


def upsert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, once: frozenset[str]
) -> None:
    """Insert `rows`, or update those whose key is there; columns in `once` are written by the insert alone."""
    if rows:
        _upserting(connection.dialect, table, tuple(rows[0]), once).carry_out(connection, rows)


@lru_cache(maxsize=64)
def _upserting(dialect: Dialect, table: sa.Table, names: tuple[str, ...], once: frozenset[str]) -> Written:
    statement = _insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in names if name not in once and name not in keys}
    return Written(statement.on_conflict_do_update(index_elements=keys, set_=changed), dialect, names)


def merge(connection: sa.Connection, table: sa.Table, found: sa.Select[Any]) -> None:
    """Insert the rows that a query with a condition finds, in the order of the columns; update those that are there."""
    statement = _insert(connection.dialect, table)
    names = [column.name for column in table.columns]
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in names if name not in keys}
    merged = statement.from_select(names, found).on_conflict_do_update(index_elements=keys, set_=changed)
    connection.execute(merged)


def copy_file(place: Place, target: Path) -> None:
    """A consistent copy of the ledger under `target`, mode 0600, whole or not at all, beside a running pass too.

    Replaces what lies there. Raises LedgerError.
    """
    place.file()
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        try:
            _copy_pages(place, name)
            Path(name).replace(target)
            _fsync_folder(target.parent)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise LedgerError(
            f"The ledger cannot be copied to {target}: {error.strerror}.",
            hint="Check that folder's room and permissions.",
        ) from None


def _copy_pages(place: Place, name: str) -> None:
    with (
        translated(place),
        closing(sqlite3.connect(_uri_of(place), uri=True, timeout=_BUSY_SECONDS)) as source,
        closing(sqlite3.connect(name)) as copy,
    ):
        source.execute("PRAGMA query_only = ON")
        copy.execute("PRAGMA synchronous = FULL")
        source.backup(copy)


def problems_of(place: Place) -> list[str]:
    """What a thorough check of an SQLite file finds; empty if all is well. Raises LedgerError."""
    place.file()
    with translated(place):
        engine = open_engine(place, read_only=True)
        try:
            with reading(engine) as connection:
                found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        finally:
            engine.dispose()
    return [] if found == ["ok"] else [str(line) for line in found]


def _fsync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
