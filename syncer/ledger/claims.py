"""From due to settled: which entries are due, who may fetch them, and how it ended."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Any, NoReturn

import sqlalchemy as sa

from syncer.core import lifecycle, planner
from syncer.core.errors import StaleClaim
from syncer.core.lifecycle import Settlement
from syncer.core.model import (
    Claim,
    Entry,
    Follow,
    HandBack,
    Job,
    Link,
    Outcome,
    Promise,
    RemoteStatus,
    State,
    Stored,
    StoredFile,
)
from syncer.core.naming import unique_key
from syncer.core.planner import Task
from syncer.ledger.commits import Fenced
from syncer.ledger.engine import among
from syncer.ledger.passes import Pass
from syncer.ledger.rows import CHUNK, WHOLE, chunked, entry_of, in_state, link_values, promise_values
from syncer.ledger.tables import clean, entries, passes

_TASK = (
    entries.c.id,
    entries.c.due_by,
    entries.c.link_expires_at,
    entries.c.link.is_not(None).label("has_link"),
    entries.c.link_estimated,
    entries.c.size,
    entries.c.created_at,
    entries.c.not_before,
    entries.c.ordered,
)
_OPEN = (entries.c.state == State.PENDING, entries.c.parked == sa.false())


def due(connection: sa.Connection, at: datetime, limit: int) -> list[Entry]:
    """Pending entries that may be tried at `at`, in the order of core.planner."""
    query = (
        WHOLE.where(*_OPEN, sa.or_(entries.c.not_before.is_(None), entries.c.not_before <= at))
        .order_by(entries.c.due_by, entries.c.created_at.nulls_last(), entries.c.id)
        .limit(limit)
    )
    return planner.order(entry_of(row) for row in connection.execute(query))


def waiting(
    connection: sa.Connection, after: tuple[datetime, str] | None, ids: Sequence[str] | None, limit: int
) -> tuple[list[Task], tuple[datetime, str] | None]:
    """The next `limit` of what may be tried in this pass behind `after`, by deadline, and where to go on from.

    Of `ids` only, if given: then all of them at once.
    """
    if ids is not None:
        return _waiting_of(connection, list(map(clean, ids))), None
    query = sa.select(*_TASK).where(*_OPEN)
    if after is not None:
        moment, job_id = after
        further = sa.or_(entries.c.due_by > moment, entries.c.id > job_id)
        query = query.where(entries.c.due_by >= moment, further)
    rows = list(connection.execute(query.order_by(entries.c.due_by, entries.c.id).limit(limit)))
    return [_task_of(row) for row in rows], (rows[-1].due_by, rows[-1].id) if len(rows) == limit else None


def _waiting_of(connection: sa.Connection, ids: Sequence[str]) -> list[Task]:
    """What may be tried of `ids`, found by id or, where that is less to read, by state: most pages bring no news."""
    if len(ids) > CHUNK and _are_at_most(connection, len(ids)):
        wanted = frozenset(ids)
        return [_task_of(row) for row in connection.execute(sa.select(*_TASK).where(*_OPEN)) if row.id in wanted]
    by_id = sa.select(*_TASK).where(in_state(State.PENDING), entries.c.parked == sa.false())
    of_chunks = (by_id.where(among(connection, entries.c.id, chunk)) for chunk in chunked(ids))
    return [_task_of(row) for query in of_chunks for row in connection.execute(query)]


def _are_at_most(connection: sa.Connection, limit: int) -> bool:
    """Whether no more than so many entries may be tried in this pass; the index of the states can answer for it."""
    some = sa.select(entries.c.due_by).where(*_OPEN).limit(limit + 1)
    return (connection.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0) <= limit


def _task_of(row: sa.Row[Any]) -> Task:
    # By place, as in rows.entry_of.
    job_id, _, deadline, has_link, estimated, size, created_at, not_before, ordered = tuple(row)
    return Task(job_id, deadline, has_link, estimated, size, 0, created_at, not_before, ordered)


def sizes(connection: sa.Connection, limit: int) -> list[int]:
    """Sizes of up to `limit` files, of those that were stored or begun."""
    query = sa.select(entries.c.size).where(entries.c.size.is_not(None)).limit(limit)
    return list(connection.scalars(query))


def next_due(connection: sa.Connection, at: datetime) -> datetime | None:
    """When a try that this pass put off comes due. What the storage ordered an earlier pass to wait for is not it:
    a pass takes such an entry if its moment comes, and does not sit and wait for it."""
    query = sa.select(sa.func.min(entries.c.not_before)).where(
        *_OPEN, entries.c.ordered == sa.false(), entries.c.not_before > at
    )
    moment: datetime | None = connection.scalar(query)
    return moment


# Built once: to build a statement takes longer than to carry it out.
_IDS = sa.bindparam("ids", type_=entries.c.id.type, expanding=True)
_NUMBER = sa.bindparam("holder_id", type_=entries.c.tries_pass.type)
_CLAIM = (
    sa.update(entries)
    .where(entries.c.id.in_(_IDS), in_state(State.PENDING))
    .values(
        state=lifecycle.move(State.PENDING, State.CLAIMED),
        claim=sa.bindparam("token", type_=entries.c.claim.type),
        lease_until=sa.bindparam("until", type_=entries.c.lease_until.type),
        attempts=entries.c.attempts + 1,
        tries=sa.case((entries.c.tries_pass == _NUMBER, entries.c.tries + 1), else_=1),
        tries_pass=_NUMBER,
    )
    .returning(entries.c.id)
)
_CLAIMED = WHOLE.where(entries.c.id.in_(_IDS))


def claim(connection: sa.Connection, holder: Pass, ids: Sequence[str], until: datetime) -> list[Claim]:
    """Claim those of `ids` that are still pending, in the order of `ids`."""
    claimed: dict[str, Claim] = {}
    wanted = list(dict.fromkeys(map(clean, ids)))
    by = {"holder_id": holder.id, "token": holder.token, "until": until}
    for chunk in chunked(wanted):
        met = connection.scalars(_CLAIM, {"ids": chunk, **by}).all()
        # Read by a query of its own: in RETURNING, SQLite's dialect names columns without their table.
        for row in connection.execute(_CLAIMED, {"ids": met}).all() if met else ():
            claimed[row.id] = Claim(entry_of(row), holder.token, until)
    return [claimed[i] for i in wanted if i in claimed]


def renew(connection: sa.Connection, holder: Pass, until: datetime) -> None:
    """Extend the lease of the pass and of every claim it holds."""
    mine = (entries.c.state == State.CLAIMED, entries.c.claim == holder.token)
    connection.execute(sa.update(entries).where(*mine).values(lease_until=until))
    connection.execute(sa.update(passes).where(passes.c.id == holder.id).values(lease_until=until))


def relink(held: Claim, link: Link) -> Fenced:
    """Remember a renewed link."""
    return _fenced(held, link_values(link))


def reserve(held: Claim, path: str, promise: Promise) -> Fenced:
    """Note path and promise; False, and nothing written, where another entry has that path."""
    values = {"path": path, "path_key": unique_key(path), **promise_values(promise)}
    return Fenced(_update(tuple(values), free=True), _parameters(held, values), partial(_is_taken, held=held))


def _is_taken(connection: sa.Connection, held: Claim) -> bool:
    held_still = sa.select(entries.c.id).where(
        entries.c.id == held.entry.id, entries.c.claim == held.token, entries.c.state == State.CLAIMED
    )
    if connection.execute(held_still).first() is None:
        _raise_stale()
    return False


def settle(held: Claim, outcome: Outcome) -> Fenced:
    """Write how a claim ended."""
    if isinstance(outcome, Stored):
        return _store(held, outcome.file)
    settlement = lifecycle.settle(outcome)
    values = _columns_of(settlement)
    if settlement.forgive:
        values["tries"] = 0
    match outcome:
        case HandBack():
            del values["last_error"]
            values["attempts"] = entries.c.attempts - 1
        case Follow(status, _, regenerated):
            values["status"] = status
            values["regenerations"] = entries.c.regenerations + int(regenerated)
    return _fenced(held, values)


def _store(held: Claim, file: StoredFile) -> Fenced:
    """What all stored entries have in common stands in the statement itself."""
    values = {
        "path": file.path,
        "path_key": unique_key(file.path),
        "size": file.size,
        "sha256": file.sha256,
        "etag": file.etag,
        "stored_at": file.stored_at,
        "verified_at": file.verified_at,
        "checked_at": file.verified_at or file.stored_at,
    }
    return Fenced(_stored(tuple(values)), _parameters(held, values), _raise_stale)


def _columns_of(settlement: Settlement) -> dict[str, Any]:
    return {
        "state": settlement.state,
        "claim": None,
        "lease_until": None,
        "last_error": settlement.reason,
        "not_before": settlement.not_before,
        "ordered": settlement.parked and settlement.not_before is not None,
        "parked": settlement.parked,
    }


def regenerated(connection: sa.Connection, job_id: str) -> None:
    """Note that VideoDB makes a job again that it had failed to make."""
    values = {
        "state": lifecycle.move(State.REMOTE_ERROR, State.PROCESSING),
        "status": RemoteStatus.PROCESSING,
        "last_error": None,
        "regenerations": entries.c.regenerations + 1,
    }
    mine = (entries.c.id == clean(job_id), entries.c.state == State.REMOTE_ERROR)
    connection.execute(sa.update(entries).where(*mine).values(values))


def remade(connection: sa.Connection, job: Job) -> bool:
    """Note what became of a job that was being made again; False where its entry is not in the making."""
    failed = job.status is RemoteStatus.ERROR
    values: dict[str, Any] = {
        "state": lifecycle.move(State.PROCESSING, State.REMOTE_ERROR if failed else State.PENDING),
        "status": job.status,
        "last_error": job.error if failed else None,
        "parked": False,
        "not_before": None,
        "ordered": False,
        "tries": 0,
    }
    if job.link is not None:
        values |= link_values(job.link)
    mine = (entries.c.id == clean(job.id), entries.c.state == State.PROCESSING)
    return connection.execute(sa.update(entries).where(*mine).values(values)).rowcount == 1


def note_sizes(connection: sa.Connection, sizes: Mapping[str, int]) -> None:
    """Note sizes by id where none is known: what a fetch found out is never put aside for what a probe did."""
    statement = (
        sa.update(entries)
        .where(entries.c.id == sa.bindparam("job"), entries.c.size.is_(None))
        .values(size=sa.bindparam("bytes"))
    )
    if sizes:
        connection.execute(statement, [{"job": clean(job), "bytes": size} for job, size in sizes.items()])


def _fenced(held: Claim, values: dict[str, Any]) -> Fenced:
    counted = {name: value for name, value in values.items() if isinstance(value, sa.ColumnElement)}
    plain = {name: value for name, value in values.items() if name not in counted}
    statement = _update(tuple(plain))
    return Fenced(statement.values(counted) if counted else statement, _parameters(held, plain), _raise_stale)


def _parameters(held: Claim, values: dict[str, Any]) -> dict[str, Any]:
    new = {f"new_{name}": value for name, value in values.items()}
    return {**new, "held_id": held.entry.id, "held_token": held.token}


def _raise_stale(_: sa.Connection | None = None) -> NoReturn:
    raise StaleClaim("The claim ran out, and the entry may be another pass's by now.")


@cache
def _stored(names: tuple[str, ...]) -> sa.Update:
    settlement = Settlement(lifecycle.move(State.CLAIMED, State.STORED))
    return _update(names).values(**_columns_of(settlement), fault=None)


@cache
def _update(names: tuple[str, ...], *, free: bool = False) -> sa.Update:
    """Made once for each set of columns: to build a statement takes longer than to carry it out.

    With `free`, only where no other entry has the path.
    """
    fence = [
        entries.c.id == sa.bindparam("held_id", type_=entries.c.id.type),
        entries.c.claim == sa.bindparam("held_token", type_=entries.c.claim.type),
        entries.c.state == State.CLAIMED,
    ]
    if free:
        other = entries.alias("other")
        key = sa.bindparam("new_path_key", type_=entries.c.path_key.type)
        fence.append(~sa.exists().where(other.c.path_key == key, other.c.id != entries.c.id))
    new = {name: sa.bindparam(f"new_{name}", type_=entries.c[name].type) for name in names}
    return sa.update(entries).where(*fence).values(new)
