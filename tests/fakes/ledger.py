"""A core.ports.Ledger in memory: what tests of other parts use, and what the real one is compared with."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from syncer.core import lifecycle, planner
from syncer.core.errors import LedgerHeld, StaleClaim
from syncer.core.model import (
    Binding,
    Claim,
    Entry,
    Fault,
    Follow,
    HandBack,
    Job,
    Link,
    Listing,
    Outcome,
    Promise,
    RemoteStatus,
    Sighting,
    State,
    Stored,
    StoredFile,
    Story,
    Tally,
)
from syncer.core.naming import unique_key
from syncer.core.planner import Task


@dataclass
class Row:
    """An entry and what only the ledger knows of it."""

    entry: Entry
    seen_pass: int
    token: str | None = None
    until: datetime | None = None
    tries_pass: int | None = None
    parked: bool = False
    ordered: bool = False  # not_before is the storage's wish
    checked_at: datetime | None = None


@dataclass(frozen=True)
class EndedPass:
    """What a pass was closed with."""

    id: int
    exit_code: int
    listing: Listing
    tally: Tally
    counts: dict[str, int]


@dataclass
class Store:
    """What outlives a handle, as a file outlives a process."""

    rows: dict[str, Row] = field(default_factory=dict)
    passes: int = 0
    held: bool = False
    binding: Binding = field(default_factory=lambda: Binding("fake-ledger", None, None))
    ended: list[EndedPass] = field(default_factory=list)


class FakeLedger:
    """One handle on a Store. `close` without `end_pass` is a pass that died."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()
        self._pass: int | None = None

    async def binding(self) -> Binding:
        return self.store.binding

    async def bind(self, destination_id: str, location: str) -> None:
        self.store.binding = replace(self.store.binding, destination_id=destination_id, location=location)

    async def begin_pass(self, at: datetime) -> int:
        if self.store.held:
            raise LedgerHeld("Another syncer works on this ledger right now.")
        self.store.held = True
        self.store.passes += 1
        self._pass = self.store.passes
        for row in self.store.rows.values():
            if row.entry.state is State.CLAIMED:
                self._take_back(row)
            if row.entry.state is State.PENDING:
                row.parked = False
                row.entry = replace(row.entry, not_before=row.entry.not_before if row.ordered else None)
        return self._pass

    async def record(self, sightings: Sequence[Sighting], at: datetime) -> frozenset[str]:
        number = self._held()
        page = {sighting.job.id: sighting for sighting in sightings}
        rows = self.store.rows
        fresh = frozenset(i for i in page if i not in rows or rows[i].seen_pass != number)
        for job_id, sighting in page.items():
            old = rows.get(job_id)
            entry = _listed(sighting, old.entry if old else None, at)
            if old is None:
                rows[job_id] = Row(entry, number)
            else:
                old.entry, old.seen_pass = entry, number
        return fresh

    async def due(self, at: datetime, limit: int) -> list[Entry]:
        entries = [row.entry for row in self._open()]
        return planner.order(e for e in entries if e.not_before is None or e.not_before <= at)[:limit]

    async def waiting(self, ids: Sequence[str] | None = None) -> AsyncIterator[list[Task]]:
        wanted = None if ids is None else set(ids)
        rows = [row for row in self._open() if wanted is None or row.entry.id in wanted]
        for entry in planner.order(row.entry for row in rows):
            yield [
                Task(
                    entry.id,
                    entry.deadline,
                    has_link=entry.link is not None,
                    estimated=bool(entry.link and entry.link.estimated),
                    size=entry.promise.size,
                    created_at=entry.created_at,
                    not_before=entry.not_before,
                    ordered=self.store.rows[entry.id].ordered,
                )
            ]

    async def sizes(self, limit: int) -> list[int]:
        known = [row.entry.promise.size for row in self.store.rows.values()]
        return [size for size in known if size is not None][:limit]

    async def next_due(self, at: datetime) -> datetime | None:
        moments = [row.entry.not_before for row in self._open() if not row.ordered]
        return min((m for m in moments if m is not None and m > at), default=None)

    async def claim(self, ids: Sequence[str], at: datetime, until: datetime) -> list[Claim]:
        number, claims = self._held(), []
        for job_id in dict.fromkeys(ids):
            row = self.store.rows.get(job_id)
            if row is None or row.entry.state is not State.PENDING:
                continue
            tries = row.entry.tries + 1 if row.tries_pass == number else 1
            state = lifecycle.move(State.PENDING, State.CLAIMED)
            row.entry = replace(row.entry, state=state, attempts=row.entry.attempts + 1, tries=tries)
            row.token, row.until, row.tries_pass = f"pass-{number}", until, number
            claims.append(Claim(row.entry, row.token, until))
        return claims

    async def renew(self, until: datetime) -> None:
        token = f"pass-{self._held()}"
        for row in self.store.rows.values():
            if row.token == token:
                row.until = until

    async def relink(self, claim: Claim, link: Link) -> None:
        row = self._fenced(claim)
        row.entry = replace(row.entry, link=link)

    async def reserve(self, claim: Claim, path: str, promise: Promise) -> bool:
        row, key = self._fenced(claim), unique_key(path)
        others = (other.entry.path for other in self.store.rows.values() if other is not row)
        if any(other is not None and unique_key(other) == key for other in others):
            return False
        row.entry = replace(row.entry, path=path, promise=promise)
        return True

    async def settle(self, claim: Claim, outcome: Outcome, at: datetime) -> None:
        settlement = lifecycle.settle(outcome)
        row = self._fenced(claim)
        row.token = row.until = None
        row.parked = settlement.parked
        row.ordered = settlement.parked and settlement.not_before is not None
        entry = replace(
            row.entry,
            state=settlement.state,
            last_error=settlement.reason,
            not_before=settlement.not_before,
            tries=0 if settlement.forgive else row.entry.tries,
        )
        match outcome:
            case Stored(file):
                promise = replace(entry.promise, size=file.size, etag=file.etag)
                entry = replace(entry, path=file.path, promise=promise, stored=file)
            case HandBack():
                entry = replace(entry, last_error=row.entry.last_error, attempts=entry.attempts - 1)
            case Follow(status, _, again):
                entry = replace(entry, status=status, regenerations=entry.regenerations + again)
        row.entry = entry
        if isinstance(outcome, Stored):
            row.entry = replace(entry, fault=None)
            row.checked_at = outcome.file.verified_at or outcome.file.stored_at

    async def regenerated(self, job_id: str) -> None:
        row = self.store.rows.get(job_id)
        if row is not None and row.entry.state is State.REMOTE_ERROR:
            count = row.entry.regenerations + 1
            made = {"state": State.PROCESSING, "status": RemoteStatus.PROCESSING, "last_error": None}
            row.entry = replace(row.entry, **made, regenerations=count)

    async def remade(self, job: Job) -> bool:
        row = self.store.rows.get(job.id)
        if row is None or row.entry.state is not State.PROCESSING:
            return False
        failed = job.status is RemoteStatus.ERROR
        state = lifecycle.move(State.PROCESSING, State.REMOTE_ERROR if failed else State.PENDING)
        row.parked = row.ordered = False
        row.entry = replace(
            row.entry,
            state=state,
            status=job.status,
            last_error=job.error if failed else None,
            not_before=None,
            tries=0,
            link=job.link or row.entry.link,
        )
        return True

    async def note_sizes(self, sizes: Mapping[str, int]) -> None:
        for job_id, size in sizes.items():
            row = self.store.rows.get(job_id)
            if row is not None and row.entry.promise.size is None:
                row.entry = replace(row.entry, promise=replace(row.entry.promise, size=size))

    async def mean_size(self) -> float | None:
        known = [row.entry.promise.size for row in self.store.rows.values() if row.entry.promise.size is not None]
        return sum(known) / len(known) if known else None

    async def tally(self) -> Tally:
        number = self._pass or self.store.passes
        counts = dict.fromkeys(State, 0)
        for row in self.store.rows.values():
            counts[row.entry.state] += row.seen_pass == number
        counts[State.PENDING] += counts.pop(State.CLAIMED)
        return Tally(**{str(state): count for state, count in counts.items()})

    async def end_pass(
        self,
        at: datetime,
        exit_code: int,
        listing: Listing,
        tally: Tally,
        counts: dict[str, int],
        story: Story | None = None,
    ) -> None:
        number = self._held()
        for row in self.store.rows.values():
            if row.token == f"pass-{number}":
                self._take_back(row)
        self.store.ended.append(EndedPass(number, exit_code, listing, tally, counts))
        await self.close()

    async def entries(self, states: Sequence[State] = (), *, this_pass: bool = False) -> AsyncIterator[Entry]:
        number = self._pass or self.store.passes
        for job_id in sorted(self.store.rows):
            row = self.store.rows[job_id]
            if (not states or row.entry.state in states) and (not this_pass or row.seen_pass == number):
                yield row.entry

    # --- the stored files, held against those on disk ---

    async def unlisted(self) -> AsyncIterator[Entry]:
        since = max((p.id for p in self.store.ended if p.exit_code != 5), default=0)
        for job_id in sorted(self.store.rows):
            row = self.store.rows[job_id]
            if row.entry.state is State.STORED and (row.tries_pass or 0) > since:
                yield row.entry

    async def find(self, ids: Sequence[str]) -> list[Entry]:
        return [self.store.rows[i].entry for i in dict.fromkeys(ids) if i in self.store.rows]

    async def stored_totals(self) -> tuple[int, int]:
        sizes = [row.entry.stored.size for row in self._stored()]
        return len(sizes), sum(sizes)

    async def unchecked(self, run: datetime) -> AsyncIterator[Entry]:
        met: set[str] = set()
        for ahead in (True, False):
            while True:
                due = [
                    (row.checked_at, row.entry.id, row.entry)
                    for row in self._stored()
                    if row.entry.fault is None and (row.checked_at > run if ahead else row.checked_at < run)
                ]
                _, job_id, entry = min((d for d in due if d[1] not in met), default=(None, None, None))
                if entry is None:
                    break
                met.add(job_id)
                yield entry

    async def faulty(self) -> AsyncIterator[Entry]:
        for row in sorted(self._stored(), key=lambda row: row.entry.id):
            if row.entry.fault is not None:
                yield row.entry

    async def note(self, looks: Sequence[tuple[Entry, Fault | None]], run: datetime) -> None:
        for entry, fault in looks:
            row = self._still(entry)
            if row is not None:
                stored = row.entry.stored if fault else replace(row.entry.stored, verified_at=run)
                row.entry, row.checked_at = replace(row.entry, fault=fault, stored=stored), run

    async def owned(self, paths: Sequence[str]) -> dict[str, Entry]:
        keys = {unique_key(row.entry.path): row.entry for row in self.store.rows.values() if row.entry.path}
        return {path: keys[unique_key(path)] for path in paths if unique_key(path) in keys}

    async def missing_sizes(self, sizes: Sequence[int]) -> frozenset[int]:
        return frozenset(sizes) & {row.entry.stored.size for row in self._missing()}

    async def missing(self, size: int, sha256: str) -> list[Entry]:
        stored = [(row.entry, row.entry.stored) for row in self._missing()]
        found = [entry for entry, file in stored if (file.size, file.sha256) == (size, sha256)]
        return sorted(found, key=lambda entry: entry.id)

    async def moved(self, entry: Entry, file: StoredFile) -> bool:
        row, owner = self._still(entry), (await self.owned([file.path])).get(file.path)
        if row is None or (owner is not None and owner.id != entry.id):
            return False
        row.entry, row.checked_at = replace(row.entry, path=file.path, stored=file, fault=None), file.verified_at
        return True

    async def requeue(self, entry: Entry) -> bool:
        row = self._still(entry)
        if row is None:
            return False
        fresh = {"promise": Promise(), "stored": None, "fault": None, "tries": 0, "last_error": None}
        row.entry = replace(row.entry, state=lifecycle.move(State.STORED, State.PENDING), not_before=None, **fresh)
        row.checked_at = None
        row.parked = row.ordered = False
        return True

    async def adopt(self, files: Sequence[tuple[str, str | None, StoredFile]]) -> list[str]:
        adopted = []
        for job_id, name, file in files:
            old, owner = self.store.rows.get(job_id), (await self.owned([file.path])).get(file.path)
            if (old and old.entry.state in (State.STORED, State.CLAIMED)) or (owner and owner.id != job_id):
                continue
            entry = old.entry if old else Entry(job_id, name, RemoteStatus.DONE, None, None, State.STORED)
            more = {"promise": Promise(size=file.size, etag=file.etag), "fault": None, "last_error": None}
            entry = replace(entry, state=State.STORED, path=file.path, stored=file, **more)
            row = Row(entry, old.seen_pass if old else 0, checked_at=file.verified_at or file.stored_at)
            self.store.rows[job_id] = row
            adopted.append(job_id)
        return adopted

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        if self.store.held:
            raise LedgerHeld("Another syncer works on this ledger right now.")
        self.store.held = True
        try:
            yield
        finally:
            self.store.held = False

    async def close(self) -> None:
        if self._pass is not None:
            self._pass = None
            self.store.held = False

    def _held(self) -> int:
        if self._pass is None:
            raise RuntimeError("no pass has begun on this ledger")
        return self._pass

    def _open(self) -> list[Row]:
        self._held()
        return [row for row in self.store.rows.values() if row.entry.state is State.PENDING and not row.parked]

    def _stored(self) -> list[Row]:
        return [row for row in self.store.rows.values() if row.entry.state is State.STORED]

    def _missing(self) -> list[Row]:
        return [row for row in self._stored() if row.entry.fault is Fault.MISSING]

    def _still(self, entry: Entry) -> Row | None:
        """The entry's row, as long as it stands for the same file."""
        row = self.store.rows.get(entry.id)
        if row is None or row.entry.state is not State.STORED:
            return None
        ours, theirs = row.entry.stored, entry.stored
        return row if (ours.path, ours.sha256) == (theirs.path, theirs.sha256) else None

    def _fenced(self, claim: Claim) -> Row:
        row = self.store.rows.get(claim.entry.id)
        if row is None or row.token != claim.token or row.entry.state is not State.CLAIMED:
            raise StaleClaim("The claim ran out.")
        return row

    @staticmethod
    def _take_back(row: Row) -> None:
        row.entry = replace(row.entry, state=lifecycle.move(State.CLAIMED, State.PENDING))
        row.token = row.until = None


def _listed(sighting: Sighting, old: Entry | None, at: datetime) -> Entry:
    job = sighting.job
    known = lifecycle.Known(old.state, old.link) if old else None
    state = lifecycle.on_listed(known, sighting, at)
    link = lifecycle.merge_link(known, job)
    if old is None:
        error = job.error if state is State.REMOTE_ERROR else None
        seen = {"first_seen_at": at, "last_seen_at": at}
        return Entry(job.id, job.name, job.status, job.created_at, link, state, last_error=error, **seen)
    error = old.last_error if state is old.state else None
    if state is State.REMOTE_ERROR:
        error = job.error or error
    came_back = old.state is State.LOST and state is not State.LOST
    return replace(
        old,
        name=job.name,
        status=job.status,
        created_at=job.created_at,
        link=old.link if old.state is State.CLAIMED else link,
        state=state,
        last_error=error,
        tries=0 if came_back else old.tries,
        last_seen_at=at,
    )
