"""Taking in a page of the listing: one read of what is known, one bulk upsert of what is new."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from syncer.core.lifecycle import STAYING, Known, merge_link, on_listed
from syncer.core.model import Job, Sighting, State
from syncer.ledger.engine import among, merge, upsert
from syncer.ledger.rows import chunked, link_of, link_values
from syncer.ledger.tables import clean, entries, sightings

_ONCE = frozenset({"first_seen_at"})
_SEEN_PASS = 1  # of a row of _KNOWN
_KNOWN = sa.select(
    entries.c.id,
    sightings.c.seen_pass,
    entries.c.state,
    entries.c.name,
    entries.c.status,
    entries.c.created_at,
    entries.c.link,
    entries.c.link_expires_at,
    entries.c.link_estimated,
    entries.c.last_error,
    entries.c.tries,
).select_from(entries.outerjoin(sightings, sightings.c.id == entries.c.id))


def record(connection: sa.Connection, pass_id: int, page: Sequence[Sighting], at: datetime) -> frozenset[str]:
    """Take in one page; the ids that this pass had not listed before. An id that comes twice counts as it came last.

    An entry that the page tells nothing new of is not written, only noted as seen.
    """
    listed = {clean(sighting.job.id): sighting for sighting in page}
    known = _known(connection, listed)
    rows = (
        _row(job_id, sighting, known.get(job_id), at)
        for job_id, sighting in listed.items()
        if job_id not in known or _is_news(sighting, known[job_id], at)
    )
    for chunk in chunked(rows):  # of a whole page they would be the most that a pass has in memory at once
        upsert(connection, entries, chunk, once=_ONCE)
    _note(connection, listed, known, pass_id, at)
    return frozenset(
        sighting.job.id
        for job_id, sighting in listed.items()
        if job_id not in known or known[job_id][_SEEN_PASS] != pass_id
    )


def _known(connection: sa.Connection, ids: Iterable[str]) -> dict[str, sa.Row[Any]]:
    found: dict[str, sa.Row[Any]] = {}
    for chunk in chunked(ids):
        rows = connection.execute(_KNOWN.where(among(connection, entries.c.id, chunk))).all()
        found |= {row[0]: row for row in rows}
    return found


def _note(
    connection: sa.Connection, listed: Iterable[str], known: Mapping[str, sa.Row[Any]], pass_id: int, at: datetime
) -> None:
    """Entries seen in this pass, at this moment; all but the new ones have a row that says when they were last."""
    again: list[str] = []
    first: list[str] = []
    for job_id in listed:
        (again if job_id in known and known[job_id][_SEEN_PASS] is not None else first).append(job_id)
    for chunk in chunked(again):
        ours = sa.update(sightings).where(among(connection, sightings.c.id, chunk))
        connection.execute(ours.values(seen_pass=pass_id, seen_at=at))
    for chunk in chunked(first):
        seen = sa.select(
            entries.c.id, sa.literal(pass_id), sa.literal(at, sightings.c.seen_at.type)
        ).where(among(connection, entries.c.id, chunk))  # fmt: skip
        merge(connection, sightings, seen)


def _is_news(sighting: Sighting, old: sa.Row[Any], at: datetime) -> bool:
    """Whether an entry is to be written because of what a page says of it. When in doubt, it is."""
    job, (_, _, state, name, status, created_at, link, *_) = sighting.job, tuple(old)
    if (job.name, job.status, job.created_at) != (name, status, created_at):
        return True
    if job.link is not None and job.link.url != link:
        return True
    if state in STAYING:
        return False
    now = State(state)
    return now is State.REMOTE_ERROR or on_listed(Known(now, job.link), sighting, at) is not now


def _row(job_id: str, sighting: Sighting, old: sa.Row[Any] | None, at: datetime) -> dict[str, Any]:
    job = sighting.job
    known = Known(State(old.state), link_of(old)) if old is not None else None
    state = on_listed(known, sighting, at)
    # A claimed entry's link is its worker's: were it replaced here, a link that nobody tried could pass for refused.
    keeps_link = known is not None and known.state is State.CLAIMED
    link = known.link if known is not None and keeps_link else merge_link(known, job)
    came_back = known is not None and known.state is State.LOST and state is not State.LOST
    return {
        "id": job_id,
        "name": job.name,
        "status": job.status,
        "created_at": job.created_at,
        **link_values(link),
        "state": state,
        "last_error": _error(job, state, old),
        "tries": 0 if old is None or came_back else old.tries,
        "first_seen_at": at,
    }


def _error(job: Job, state: State, old: sa.Row[Any] | None) -> str | None:
    """Why the entry is not stored: VideoDB's own words where it failed; what is no longer so is forgotten."""
    kept: str | None = old.last_error if old is not None and old.state == state else None
    return (job.error or kept) if state is State.REMOTE_ERROR else kept
