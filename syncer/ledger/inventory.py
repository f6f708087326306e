"""The stored files as the ledger has them, to be held against those on disk: beside a pass, and without its lock.

Every write is fenced by the file it is about: an entry that a pass has changed meanwhile is left alone.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from syncer.core.lifecycle import move
from syncer.core.model import Entry, Fault, State, StoredFile
from syncer.core.naming import unique_key
from syncer.ledger.rows import CHUNK, WHOLE, chunked, entry_of, in_state
from syncer.ledger.tables import entries
from syncer.ledger.upkeep import AFRESH, UNSTORED

Place = tuple[datetime, str]

_STORED = in_state(State.STORED)


def totals(connection: sa.Connection) -> tuple[int, int]:
    """How many files are stored, and their bytes."""
    count, total = connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(entries.c.size), 0)).where(
            entries.c.state == State.STORED
        )
    ).one()
    return int(count), int(total)


def unchecked(
    connection: sa.Connection, run: datetime, after: Place | None, *, ahead: bool
) -> list[tuple[Entry, Place]]:
    """The next CHUNK sound stored files behind `after`, those looked at longest ago first.

    With `ahead` those that a clock running ahead stamped with a later moment than `run`, else those stamped before
    it: what the run itself has looked at carries `run` and is in neither.
    """
    at = entries.c.checked_at
    query = WHOLE.where(_STORED, entries.c.fault.is_(None), at > run if ahead else at < run)
    if after is not None:
        query = query.where(sa.or_(at > after[0], sa.and_(at == after[0], entries.c.id > after[1])), at >= after[0])
    rows = connection.execute(query.order_by(at, entries.c.id).limit(CHUNK))
    return [(entry_of(row), (row.checked_at, row.id)) for row in rows]


def faulty(connection: sa.Connection, after: str | None) -> list[Entry]:
    """The next CHUNK stored files with a fault, by id."""
    query = WHOLE.where(entries.c.fault.is_not(None), _STORED)
    if after is not None:
        query = query.where(entries.c.id > after)
    return [entry_of(row) for row in connection.execute(query.order_by(entries.c.id).limit(CHUNK))]


def note(connection: sa.Connection, looks: Iterable[tuple[Entry, Fault | None]], run: datetime) -> None:
    """Write down what the run that began at `run` found: a file without a fault is verified."""
    for entry, fault in looks:
        values: dict[str, Any] = {"checked_at": run, "fault": fault}
        if fault is None:
            values["verified_at"] = run
        connection.execute(sa.update(entries).where(*_fence(entry)).values(values))


def owned(connection: sa.Connection, paths: Sequence[str]) -> dict[str, Entry]:
    """Those of `paths` that are some entry's own, stored there or reserved, and whose."""
    keys = {unique_key(path): path for path in paths}
    found: dict[str, Entry] = {}
    for chunk in chunked(keys):
        rows = connection.execute(WHOLE.where(entries.c.path_key.in_(chunk)))
        found |= {keys[row.path_key]: entry_of(row) for row in rows}
    return found


def missing_sizes(connection: sa.Connection, sizes: Iterable[int]) -> frozenset[int]:
    """Those of `sizes` that a missing file has."""
    query = sa.select(entries.c.size).where(*_MISSING).distinct()
    found = (connection.scalars(query.where(entries.c.size.in_(chunk))) for chunk in chunked(sorted(set(sizes))))
    return frozenset(size for sizes_there in found for size in sizes_there)


def missing(connection: sa.Connection, size: int, sha256: str) -> list[Entry]:
    """Missing files with these bytes, by id; CHUNK of them at most."""
    query = (
        WHOLE.where(*_MISSING, entries.c.size == size, entries.c.sha256 == sha256).order_by(entries.c.id).limit(CHUNK)
    )
    return [entry_of(row) for row in connection.execute(query)]


def moved(connection: sa.Connection, entry: Entry, file: StoredFile) -> bool:
    """Note that the file of `entry` lies elsewhere now; False where another entry has that path."""
    values = {
        "path": file.path,
        "path_key": unique_key(file.path),
        "verified_at": file.verified_at,
        "checked_at": file.verified_at,
        "fault": None,
    }
    try:
        with connection.begin_nested():
            return connection.execute(sa.update(entries).where(*_fence(entry)).values(values)).rowcount == 1
    except IntegrityError:
        return False


def requeue(connection: sa.Connection, entry: Entry) -> bool:
    """Make a stored file's entry due again, its path kept; False where it is no more what it was."""
    values = {**AFRESH, **UNSTORED, "state": move(State.STORED, State.PENDING)}
    return connection.execute(sa.update(entries).where(*_fence(entry)).values(values)).rowcount == 1


# The first says to the database what the second says to it in a way it does not see: that its index of faults will do.
_MISSING = (entries.c.fault.is_not(None), entries.c.fault == Fault.MISSING, _STORED)


def _fence(entry: Entry) -> tuple[sa.ColumnElement[bool], ...]:
    """This entry, as long as it stands for the same file."""
    stored = entry.stored
    if stored is None:
        raise AssertionError("an entry without a file is held against the destination")
    return entries.c.id == entry.id, _STORED, entries.c.path == stored.path, entries.c.sha256 == stored.sha256
