"""Between rows and entries: how the core's values are written down, and read back the same."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from typing import Any, TypeVar

import sqlalchemy as sa

from syncer.core.model import Entry, Fault, Link, Promise, RemoteStatus, State, StoredFile
from syncer.ledger.tables import clean, entries, sightings

T = TypeVar("T")

CHUNK = 500
"""Rows read, and ids asked for, at once: bounded memory, and well below any database's limit of parameters."""

FEW = 5000
"""Entries in a state, up to which `page_after` looks them up by that state."""

SEEN_AT = sa.select(sightings.c.seen_at).where(sightings.c.id == entries.c.id).scalar_subquery().label("last_seen_at")
"""When an entry was last listed, as a column of it."""

_NAMES = (
    *("id", "name", "status", "created_at", "link", "link_expires_at", "link_estimated"),
    *("state", "attempts", "tries", "not_before", "last_error", "regenerations", "path"),
    *("size", "etag", "last_modified", "content_type", "md5", "crc32c", "sha256", "stored_at", "verified_at"),
    *("fault", "first_seen_at"),
)

WHOLE: sa.Select[Any] = sa.select(
    *(entries.c[name] for name in _NAMES), SEEN_AT, entries.c.path_key, entries.c.checked_at
)
"""Rows for `entry_of`; what only queries of them look for comes last."""

_PROMISED = tuple(Promise.__dataclass_fields__)
_promised = attrgetter(*_PROMISED)

# Two days off the ends of the calendar: a server tells moments in its own time zone.
_FIRST = datetime(1, 1, 3, tzinfo=UTC)
_LAST = datetime(9999, 12, 29, tzinfo=UTC)


def due_by(link: Link | None) -> datetime:
    """Where an entry stands in the order of core.planner, as one value that is never NULL: NULLs sort differently
    from database to database, and an index could not follow."""
    if link is None:
        return _FIRST
    return link.expires_at or _LAST


def link_values(link: Link | None) -> dict[str, Any]:
    """The columns of a link."""
    return {
        "link": link.url if link else None,
        "link_expires_at": link.expires_at if link else None,
        "link_estimated": link.estimated if link else False,
        "due_by": due_by(link),
    }


def link_of(row: sa.Row[Any]) -> Link | None:
    """The link that `link_values` wrote."""
    return None if row.link is None else Link(row.link, row.link_expires_at, row.link_estimated)


def promise_values(promise: Promise) -> dict[str, Any]:
    """The columns of a promise."""
    return dict(zip(_PROMISED, _promised(promise), strict=True))


def entry_of(row: sa.Row[Any]) -> Entry:
    """The entry of a row of WHOLE."""
    # By place: to ask for each value by its name takes several times as long.
    # fmt: off
    (
        job_id, name, status, created_at, url, expires_at, estimated,
        state, attempts, tries, not_before, last_error, regenerations, path,
        size, etag, last_modified, content_type, md5, crc32c, sha256, stored_at, verified_at,
        fault, first_seen_at, last_seen_at, *_,
    ) = tuple(row)
    # fmt: on
    return Entry(
        id=job_id,
        name=name,
        status=RemoteStatus(status),
        created_at=created_at,
        link=None if url is None else Link(url, expires_at, estimated),
        state=State(state),
        attempts=attempts,
        tries=tries,
        not_before=not_before,
        last_error=last_error,
        regenerations=regenerations,
        path=path,
        promise=Promise(size, etag, last_modified, content_type, md5, crc32c),
        stored=None if stored_at is None else StoredFile(path, size, sha256, etag, stored_at, verified_at),
        fault=None if fault is None else Fault(fault),
        first_seen_at=first_seen_at,
        last_seen_at=last_seen_at,
    )


def chunked(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Lists of up to `size` items."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def in_state(*states: State) -> sa.ColumnElement[bool]:
    """Whether an entry is in one of `states`, for queries that find their rows by id.

    coalesce hides the index of the state: a database that took it would read every entry of that state each time.
    """
    return sa.func.coalesce(entries.c.state, "").in_([str(state) for state in states])


def are_few(connection: sa.Connection, states: Sequence[State]) -> bool:
    """Whether so few entries are in one of `states` that reading all of these beats walking all entries by id."""
    some = sa.select(entries.c.id).where(entries.c.state.in_([str(state) for state in states])).limit(FEW + 1)
    return (connection.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0) <= FEW


def page_after(
    connection: sa.Connection, after: str | None, states: Sequence[State], seen_pass: int | None, *, few: bool
) -> list[Entry]:
    """The next CHUNK entries by id behind `after`; all states if none is given, all passes if `seen_pass` is None.

    `few` says whether to find them by state (see `are_few`): right either way, but no database knows which is quick.
    """
    query = WHOLE.order_by(entries.c.id).limit(CHUNK)
    key = sa.func.coalesce(entries.c.id, "") if few else entries.c.id
    if after is not None:
        query = query.where(key > after)
    if states:
        query = query.where(entries.c.state.in_([str(state) for state in states]) if few else in_state(*states))
    if seen_pass is not None:
        query = query.where(entries.c.id.in_(_seen_in(seen_pass)))
    return [entry_of(row) for row in connection.execute(query)]


def stored_since(connection: sa.Connection, pass_id: int, after: str | None) -> list[Entry]:
    """The next CHUNK entries by id behind `after` that passes from `pass_id` on claimed last and stored."""
    query = WHOLE.where(in_state(State.STORED), entries.c.tries_pass >= pass_id).order_by(entries.c.id).limit(CHUNK)
    if after is not None:
        query = query.where(entries.c.id > after)
    return [entry_of(row) for row in connection.execute(query)]


def find(connection: sa.Connection, ids: Sequence[str]) -> list[Entry]:
    """Those of `ids` that the ledger knows, in the order asked for."""
    found: list[Entry] = []
    for chunk in chunked(dict.fromkeys(map(clean, ids))):
        rows = connection.execute(WHOLE.where(entries.c.id.in_(chunk)))
        by_id = {row.id: entry_of(row) for row in rows}
        found += (by_id[i] for i in chunk if i in by_id)
    return found


def counts(connection: sa.Connection, seen_pass: int | None = None) -> dict[State, int]:
    """How many entries stand in each state; only those that `seen_pass` listed, if given."""
    query = sa.select(entries.c.state, sa.func.count()).group_by(entries.c.state)
    if seen_pass is not None and not _saw_all(connection, seen_pass):
        query = query.where(entries.c.id.in_(_seen_in(seen_pass)))
    return dict.fromkeys(State, 0) | {State(state): count for state, count in connection.execute(query)}


def _seen_in(seen_pass: int) -> sa.Select[tuple[str]]:
    return sa.select(sightings.c.id).where(sightings.c.seen_pass == seen_pass)


def _saw_all(connection: sa.Connection, seen_pass: int) -> bool:
    """Whether a pass listed every entry there is: the usual case, which an index can answer for."""
    seen = sa.select(sa.func.count()).select_from(_seen_in(seen_pass).subquery()).scalar_subquery()
    every = sa.select(sa.func.count()).select_from(entries).scalar_subquery()
    return bool(connection.scalar(sa.select(seen == every)))


def failures(connection: sa.Connection, limit: int) -> list[Entry]:
    """Up to `limit` pending entries that carry an error, by id."""
    query = (
        WHOLE.where(entries.c.state == State.PENDING, entries.c.last_error.is_not(None))
        .order_by(entries.c.id)
        .limit(limit)
    )
    return [entry_of(row) for row in connection.execute(query)]


def mean_size(connection: sa.Connection) -> float | None:
    """The mean of the sizes that are known."""
    mean = connection.scalar(sa.select(sa.func.avg(entries.c.size)))
    return None if mean is None else float(mean)
