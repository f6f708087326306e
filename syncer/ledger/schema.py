"""The ledger's schema: made, checked and brought up by Alembic's migrations; never taken down, never guessed.

Alembic is loaded where there is something to bring up: to look, its table and the names of the migrations will do, and
a new ledger is made as the tables say, which is where the migrations lead (tests/migration).
"""

import re
import threading
import uuid
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from syncer.core.errors import LedgerError
from syncer.ledger.engine import (
    Place,
    check_file,
    copy_file,
    make_file,
    open_engine,
    place_of,
    reading,
    take_from_others,
    translated,
)
from syncer.ledger.tables import ledger_info, metadata

if TYPE_CHECKING:
    from alembic.config import Config

_PATIENCE = 10.0
"""Seconds to wait for another process that is making this very ledger; a pass is not waited for."""

_version = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""What Alembic keeps of a database, as it makes it (alembic.ddl.impl.DefaultImpl.version_table_impl)."""

# Alembic hands its context to migrations through globals, so one thread at a time.
_alembic = threading.Lock()


@dataclass(frozen=True, slots=True)
class Revisions:
    """The schema a ledger has, and the one this program wants."""

    current: str | None  # None: there is nothing yet
    head: str


def scripts() -> Path:
    """The folder of migrations: inside the installed package, else at the top of the checkout."""
    package = Path(str(files("syncer")))
    shipped = package / "migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


def config(connection: sa.Connection | None = None) -> "Config":
    """Alembic's configuration; its commands then work on `connection`, within the transaction it is in."""
    from alembic.config import Config  # noqa: PLC0415 - what few commands need is not waited for by all

    made = Config()
    made.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    if connection is not None:
        made.attributes["connection"] = connection
    return made


@cache
def _known() -> tuple[str, frozenset[str]]:
    """The newest revision of this program, and all it knows: each file is named for its own, and they count up."""
    names = (re.match(r"(\d{4})_", path.name) for path in (scripts() / "versions").glob("*.py"))
    revisions = frozenset(name[1] for name in names if name is not None)
    return max(revisions), revisions


def revisions(location: str | Path) -> Revisions:
    """What a ledger has and what it should have, nothing changed. Raises LedgerError, for a newer one too."""
    place = place_of(location)
    if place.path is not None and not place.path.exists():
        raise _absent(place)
    return _look(place)


def upgrade(location: str | Path) -> tuple[str | None, str]:
    """Bring a ledger up, made if it is not there: (before, after). Raises LedgerError, LedgerHeld."""
    place = place_of(location)
    if place.path is not None:
        make_file(place.path)
    before = _look(place)
    if place.path is not None:
        take_from_others(place.path)
    if before.current == before.head:
        return before.current, before.head
    lock = place.lock()
    lock.acquire(patience=_PATIENCE if before.current is None else 0)
    try:
        before = _look(place)
        if before.current != before.head:
            _upgrade(place, before)
    finally:
        lock.release()
    return before.current, before.head


def prepare(location: str | Path, *, may_change: bool) -> None:
    """See that the ledger has the schema of this program; bring it up if it `may_change`, else refuse."""
    if may_change:
        upgrade(location)
        return
    found = revisions(location)
    if found.current is None:
        raise _absent(place_of(location))
    if found.current != found.head:
        raise LedgerError(
            f"The ledger {place_of(location)} was written by an older syncer.", hint="Run `syncer ledger upgrade`."
        )


def _absent(place: Place) -> LedgerError:
    return LedgerError(f"There is no ledger at {place}.", hint="`syncer run` makes one; or set --ledger.")


def _look(place: Place) -> Revisions:
    """The revisions, having proved that it is a ledger and no newer than this program."""
    if place.path is not None:
        check_file(place.path)
    engine = open_engine(place, read_only=True)
    try:
        with translated(place), reading(engine) as connection:
            tables = sa.inspect(connection).get_table_names()
            heads = connection.scalars(sa.select(_version.c.version_num)).all() if "alembic_version" in tables else []
            is_foreign = not heads and bool(tables)
    finally:
        engine.dispose()
    head, known = _known()
    if is_foreign:
        raise LedgerError(f"The database {place} is not a ledger of syncer.", hint="Point --ledger at another file.")
    if not known.issuperset(heads):
        raise LedgerError(
            f"The ledger {place} was written by a newer syncer.",
            hint="Upgrade syncer, or point --ledger at another file.",
        )
    return Revisions(heads[0] if heads else None, head)


def _upgrade(place: Place, found: Revisions) -> None:
    """All of it in one transaction; an older ledger's file is copied beside it first."""
    if found.current is not None and place.path is not None:
        copy_file(place, place.beside(f".before-{found.head}"))
    engine = open_engine(place)
    try:
        with translated(place), engine.begin() as connection:
            if found.current is None:
                _make_new(connection, found.head)
            else:
                _migrate(connection)
            if connection.scalar(sa.select(ledger_info.c.id)) is None:
                connection.execute(sa.insert(ledger_info).values(id=1, ledger_id=uuid.uuid4().hex))
    finally:
        engine.dispose()


def _make_new(connection: sa.Connection, head: str) -> None:
    """All tables in an empty database, and the word that it has been through every migration."""
    for tables in (_version.metadata, metadata):
        tables.create_all(connection, checkfirst=False)
    connection.execute(sa.insert(_version).values(version_num=head))


def _migrate(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415

    with _alembic:
        command.upgrade(config(connection), "head")
