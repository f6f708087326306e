"""Taking in a page of the listing: one read of what is known, one bulk upsert of what is now."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from syncer.core.lifecycle import Known, merge_link, on_listed
from syncer.core.model import Job, Sighting, State
from syncer.ledger.engine import upsert
from syncer.ledger.rows import chunked, link_of, link_values
from syncer.ledger.tables import clean, entries

_ONCE = frozenset({"first_seen_at"})
_KNOWN = [
    entries.c[name]
    for name in ("id", "state", "link", "link_expires_at", "link_estimated", "last_error", "tries", "seen_pass")
]


def record(connection: sa.Connection, pass_id: int, sightings: Sequence[Sighting], at: datetime) -> frozenset[str]:
    """Take in one page; the ids that this pass had not listed before. An id that comes twice counts as it came last."""
    page = {clean(sighting.job.id): sighting for sighting in sightings}
    known = _known(connection, page)
    rows = [_row(job_id, sighting, known.get(job_id), at, pass_id) for job_id, sighting in page.items()]
    upsert(connection, entries, rows, once=_ONCE)
    return frozenset(
        sighting.job.id
        for job_id, sighting in page.items()
        if job_id not in known or known[job_id].seen_pass != pass_id
    )


def _known(connection: sa.Connection, ids: Iterable[str]) -> dict[str, sa.Row[Any]]:
    found: dict[str, sa.Row[Any]] = {}
    for chunk in chunked(ids):
        found |= {row.id: row for row in connection.execute(sa.select(*_KNOWN).where(entries.c.id.in_(chunk)))}
    return found


def _row(job_id: str, sighting: Sighting, old: sa.Row[Any] | None, at: datetime, pass_id: int) -> dict[str, Any]:
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
        "last_seen_at": at,
        "seen_pass": pass_id,
    }


def _error(job: Job, state: State, old: sa.Row[Any] | None) -> str | None:
    """Why the entry is not stored: VideoDB's own words where it failed; what is no longer so is forgotten."""
    kept: str | None = old.last_error if old is not None and old.state == state else None
    return (job.error or kept) if state is State.REMOTE_ERROR else kept
