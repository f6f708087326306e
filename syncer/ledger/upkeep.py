"""What a user does to the ledger on purpose, outside any pass: put back, adopt."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from syncer.core.lifecycle import move
from syncer.core.model import Promise, RemoteStatus, State, StoredFile
from syncer.core.naming import unique_key
from syncer.ledger.engine import upsert
from syncer.ledger.rows import chunked, due_by, in_state, promise_values
from syncer.ledger.tables import clean, entries

BY_ITSELF = frozenset({State.PENDING, State.LOST})
BY_NAME = BY_ITSELF | {State.STORED, State.REMOTE_ERROR}
"""States an entry is put back from when its id was given; without ids, only those of BY_ITSELF."""

AFRESH: dict[str, Any] = {
    "state": State.PENDING,
    "parked": False,
    "not_before": None,
    "ordered": False,
    "tries": 0,
    "last_error": None,
}
# The promise goes with the file: left there, the next pass would take the rejected file for one it had just published.
UNSTORED: dict[str, Any] = {
    **dict.fromkeys(("sha256", "stored_at", "verified_at", "checked_at", "fault")),
    **promise_values(Promise()),
}


def put_back(connection: sa.Connection, ids: Sequence[str] | None, states: Sequence[State]) -> list[str]:
    """Make entries due again; the ids it did that for, sorted.

    Without `ids`: pending entries that failed and lost ones, narrowed down to `states` if given. With `ids`: these,
    stored ones and VideoDB's errors included.
    """
    allowed = (BY_ITSELF if ids is None else BY_NAME) & frozenset(states or State)
    failed = sa.or_(entries.c.state != State.PENDING, entries.c.last_error.is_not(None), entries.c.parked == sa.true())
    chosen = sa.select(entries.c.id, entries.c.state).where(in_state(*allowed), failed)
    if ids is None:
        found = [tuple(row) for row in connection.execute(chosen)]
    else:
        chunks = chunked(dict.fromkeys(map(clean, ids)))
        found = [tuple(row) for chunk in chunks for row in connection.execute(chosen.where(entries.c.id.in_(chunk)))]
    for state in {State(state) for _, state in found}:
        values = AFRESH | {"state": move(state, State.PENDING)} | (UNSTORED if state is State.STORED else {})
        for chunk in chunked(i for i, old in found if old == state):
            connection.execute(sa.update(entries).where(entries.c.id.in_(chunk)).values(values))
    return sorted(i for i, _ in found)


def adopt(connection: sa.Connection, files: Iterable[tuple[str, str | None, StoredFile]]) -> list[str]:
    """Take files that are already in the destination into the ledger as stored: (id, name, file).

    The ids that were taken in: not those stored already, nor those whose path another entry has.
    """
    adopted: list[str] = []
    for job_id, name, file in files:
        key = clean(job_id)
        state = connection.scalar(sa.select(entries.c.state).where(entries.c.id == key))
        if state in (State.STORED, State.CLAIMED):
            continue
        try:
            with connection.begin_nested():
                upsert(connection, entries, [_adopted(key, name, file)], once=frozenset({"name", "status", "due_by"}))
        except IntegrityError:
            continue
        adopted.append(job_id)
    return adopted


def _adopted(job_id: str, name: str | None, file: StoredFile) -> dict[str, Any]:
    return {
        "id": job_id,
        "name": name,
        "status": RemoteStatus.DONE,
        "due_by": due_by(None),
        **AFRESH,
        **promise_values(Promise(size=file.size, etag=file.etag)),
        "state": State.STORED,
        "path": file.path,
        "path_key": unique_key(file.path),
        "sha256": file.sha256,
        "stored_at": file.stored_at,
        "verified_at": file.verified_at,
        "checked_at": file.verified_at or file.stored_at,
        "fault": None,
    }
