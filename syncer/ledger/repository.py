"""The Ledger port over SQLAlchemy: all of it on one thread, writes that wait together in one transaction."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from syncer.core.model import (
    Binding,
    Claim,
    Entry,
    Fault,
    Job,
    Link,
    Listing,
    Outcome,
    Promise,
    Sighting,
    State,
    StoredFile,
    Story,
    Tally,
)
from syncer.core.planner import Task
from syncer.ledger import claims, inventory, pages, passes, rows, schema, upkeep
from syncer.ledger.commits import GroupCommit
from syncer.ledger.engine import Place, copy_file, open_engine, place_of, problems_of, reading, translated
from syncer.ledger.tables import ledger_info
from syncer.ledger.thread import OneThread

_TASKS = 5000  # due entries read at once

_log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


async def open_ledger(location: str | Path, *, upgrade: bool = True, read_only: bool = False) -> "SqlLedger":
    """The ledger at a file path or SQLAlchemy URL, its schema checked; made or brought up where that is allowed.

    Raises LedgerError where it is damaged, newer than this program, or absent (or older) and must not change.
    """
    place = place_of(location)
    await asyncio.to_thread(schema.prepare, location, may_change=upgrade and not read_only)
    if place.path is not None and await asyncio.to_thread(place.journal) != "wal":
        _log.warning("the ledger %s is on a network file system, where locks may fail: keep it on a local disk", place)
    return SqlLedger(place, read_only=read_only)


class SqlLedger:
    """A core.ports.Ledger. Use `open_ledger` to get one, and close it: it has a thread and, in a pass, a lock."""

    def __init__(self, place: Place, *, read_only: bool = False) -> None:
        self._place = place
        self._engine = open_engine(place, read_only=read_only)
        self._lock = place.lock()
        self._thread = OneThread("ledger")
        self._commits = GroupCommit(self._thread, self._engine, self._translated)
        self._holder: passes.Pass | None = None
        self._closed = False

    # --- the destination it belongs to ---

    async def binding(self) -> Binding:
        return await self._read(_binding)

    async def bind(self, destination_id: str, location: str) -> None:
        values = {"destination_id": destination_id, "destination_location": location}
        await self._write(lambda connection: connection.execute(sa.update(ledger_info).values(values)))

    # --- one pass ---

    async def begin_pass(self, at: datetime) -> int:
        return await self._call(self._begin, at)

    def _begin(self, at: datetime) -> int:
        self._lock.acquire()
        try:
            with self._engine.begin() as connection:
                self._holder = passes.begin(connection, at, alone=self._lock.exclusive)
        except BaseException:
            self._lock.release()
            raise
        return self._holder.id

    async def record(self, sightings: Sequence[Sighting], at: datetime) -> frozenset[str]:
        return await self._write(pages.record, self._held().id, sightings, at)

    async def due(self, at: datetime, limit: int) -> list[Entry]:
        self._held()
        return await self._read(claims.due, at, limit)

    async def waiting(self, ids: Sequence[str] | None = None) -> AsyncIterator[list[Task]]:
        self._held()
        after = None
        while True:
            tasks, after = await self._read(claims.waiting, after, ids, _TASKS)
            if tasks:
                yield tasks
            if after is None:
                return

    async def sizes(self, limit: int) -> list[int]:
        return await self._read(claims.sizes, limit)

    async def next_due(self, at: datetime) -> datetime | None:
        self._held()
        return await self._read(claims.next_due, at)

    async def claim(self, ids: Sequence[str], at: datetime, until: datetime) -> list[Claim]:  # noqa: ARG002
        return await self._write(claims.claim, self._held(), ids, until)

    async def renew(self, until: datetime) -> None:
        await self._write(claims.renew, self._held(), until)

    async def relink(self, claim: Claim, link: Link) -> None:
        await self._commits.write(claims.relink(claim, link))

    async def reserve(self, claim: Claim, path: str, promise: Promise) -> bool:
        return await self._commits.write(claims.reserve(claim, path, promise))

    async def settle(self, claim: Claim, outcome: Outcome, at: datetime) -> None:  # noqa: ARG002
        await self._commits.write(claims.settle(claim, outcome))

    async def regenerated(self, job_id: str) -> None:
        await self._write(claims.regenerated, job_id)

    async def remade(self, job: Job) -> bool:
        return await self._write(claims.remade, job)

    async def note_sizes(self, sizes: Mapping[str, int]) -> None:
        await self._write(claims.note_sizes, sizes)

    async def mean_size(self) -> float | None:
        return await self._read(rows.mean_size)

    async def tally(self) -> Tally:
        return await self._read(lambda connection: passes.tally(connection, self._pass_id(connection)))

    async def end_pass(
        self,
        at: datetime,
        exit_code: int,
        listing: Listing,
        tally: Tally,
        counts: dict[str, int],
        story: Story | None = None,
    ) -> None:
        await self._commits.landed()
        await self._call(self._end, at, exit_code, listing, tally, (counts, story or Story()))

    def _end(
        self, at: datetime, exit_code: int, listing: Listing, tally: Tally, told: tuple[dict[str, int], Story]
    ) -> None:
        with self._engine.begin() as connection:
            passes.end(connection, self._held(), at, exit_code, listing, tally, *told)
        self._holder = None
        self._lock.release()

    # --- reading ---

    async def entries(self, states: Sequence[State] = (), *, this_pass: bool = False) -> AsyncIterator[Entry]:
        """Entries by id, in bounded memory. Outside a pass, `this_pass` means the last one."""
        seen = await self._read(self._pass_id) if this_pass else None
        few = bool(states) and await self._read(rows.are_few, states)
        after: str | None = None
        while True:
            chunk = await self._read(rows.page_after, after, states, seen, few=few)
            for entry in chunk:
                yield entry
            if len(chunk) < rows.CHUNK:
                return
            after = chunk[-1].id

    async def unlisted(self) -> AsyncIterator[Entry]:
        number = self._held().id
        since = await self._read(passes.last_in_order, number) + 1
        after: str | None = None
        while since < number and (chunk := await self._read(rows.stored_since, since, after)):
            for entry in chunk:
                yield entry
            after = chunk[-1].id

    async def find(self, ids: Sequence[str]) -> list[Entry]:
        """Those of `ids` that are known, in the order asked for."""
        return await self._read(rows.find, ids)

    async def counts(self) -> dict[State, int]:
        """How many entries stand in each state, every state named."""
        return await self._read(rows.counts)

    async def failures(self, limit: int) -> list[Entry]:
        """Up to `limit` pending entries that carry an error."""
        return await self._read(rows.failures, limit)

    async def last_passes(self, limit: int) -> list[passes.PassRecord]:
        """The last passes, the newest first."""
        return await self._read(passes.last, limit)

    # --- upkeep, outside any pass ---

    async def put_back(self, ids: Sequence[str] | None = None, states: Sequence[State] = ()) -> list[str]:
        """Make failed, lost or named entries due again (see ledger.upkeep); their ids. Raises LedgerHeld."""
        return await self._call(self._alone, partial(upkeep.put_back, ids=ids, states=states))

    async def adopt(self, files: Sequence[tuple[str, str | None, StoredFile]]) -> list[str]:
        """Take published files in as stored: (id, name, file); the ids taken in. Raises LedgerHeld."""
        return await self._call(self._alone, partial(upkeep.adopt, files=files))

    # --- the stored files, held against those on disk ---

    async def stored_totals(self) -> tuple[int, int]:
        return await self._read(inventory.totals)

    async def unchecked(self, run: datetime) -> AsyncIterator[Entry]:
        for ahead in (True, False):
            after: inventory.Place | None = None
            while chunk := await self._read(inventory.unchecked, run, after, ahead=ahead):
                for entry, _ in chunk:
                    yield entry
                after = chunk[-1][1]

    async def faulty(self) -> AsyncIterator[Entry]:
        after: str | None = None
        while chunk := await self._read(inventory.faulty, after):
            for entry in chunk:
                yield entry
            after = chunk[-1].id

    async def note(self, looks: Sequence[tuple[Entry, Fault | None]], run: datetime) -> None:
        await self._write(inventory.note, looks, run)

    async def owned(self, paths: Sequence[str]) -> dict[str, Entry]:
        return await self._read(inventory.owned, paths)

    async def missing_sizes(self, sizes: Sequence[int]) -> frozenset[int]:
        return await self._read(inventory.missing_sizes, sizes)

    async def missing(self, size: int, sha256: str) -> list[Entry]:
        return await self._read(inventory.missing, size, sha256)

    async def moved(self, entry: Entry, file: StoredFile) -> bool:
        return await self._write(inventory.moved, entry, file)

    async def requeue(self, entry: Entry) -> bool:
        return await self._write(inventory.requeue, entry)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        fence = await self._call(self._take)
        try:
            yield
        finally:
            await self._call(self._give_back, fence)

    def _take(self) -> sa.Connection | None:
        """The lock; on a server a transaction that whoever begins a pass waits for."""
        self._lock.acquire()
        fence = None
        try:
            if not self._lock.exclusive:
                fence = self._engine.connect()
                fence.begin()
                passes.refuse_while_held(fence, datetime.now(UTC))
        except BaseException:
            self._give_back(fence)
            raise
        return fence

    def _give_back(self, fence: sa.Connection | None) -> None:
        if fence is not None:
            fence.close()
        self._lock.release()

    # --- copies ---

    async def snapshot(self, folder: str | Path) -> Path:
        """A consistent copy of the ledger's file in `folder`, to work on without touching this one."""
        target = Path(folder) / "ledger.db"
        await self.copy_to(target)
        return target

    async def copy_to(self, target: str | Path) -> None:
        """A consistent copy under `target`, whole or not at all, beside a running pass too; replaces what is there."""
        await self._call(copy_file, self._place, Path(target))

    async def problems(self) -> list[str]:
        """What a thorough check of the file finds; empty if all is well. Reads all of it."""
        return await self._call(problems_of, self._place)

    async def close(self) -> None:
        """Let go of everything; a pass that was not ended counts as dead from here on. May be called again."""
        if self._closed:
            return
        self._closed = True
        await self._commits.landed()
        try:
            await self._call(self._let_go)
            await self._commits.close()
            await self._call(self._engine.dispose)
        finally:
            self._thread.close()

    # --- the machinery ---

    def _held(self) -> passes.Pass:
        if self._holder is None:
            raise RuntimeError("no pass has begun on this ledger")
        return self._holder

    def _pass_id(self, connection: sa.Connection) -> int:
        return self._holder.id if self._holder else passes.newest(connection)

    def _let_go(self) -> None:
        """Where a lock proves a pass dead its end is enough; elsewhere it is said, or its lease would be waited for."""
        holder, self._holder = self._holder, None
        try:
            if holder is not None and not self._lock.exclusive:
                with self._engine.begin() as connection:
                    passes.abandon(connection, holder)
        finally:
            self._lock.release()

    def _alone(self, work: Callable[[sa.Connection], T]) -> T:
        """`work` in a transaction that no pass, here or elsewhere, runs beside."""
        self._lock.acquire()
        try:
            with self._engine.begin() as connection:
                if not self._lock.exclusive:
                    passes.refuse_while_held(connection, datetime.now(UTC))
                return work(connection)
        finally:
            self._lock.release()

    async def _write(self, work: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`work` in a transaction, shared with the writes that wait at the same time; committed when it returns."""
        return await self._commits.write(lambda connection: work(connection, *args, **kwargs))

    async def _read(self, work: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._call(self._in_reading, lambda connection: work(connection, *args, **kwargs))

    def _in_reading(self, work: Callable[[sa.Connection], T]) -> T:
        with reading(self._engine) as connection:
            return work(connection)

    async def _call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on the ledger's one thread; errors of the database come out as LedgerError."""
        return await self._thread.do(partial(self._translated, partial(work, *args, **kwargs)))

    def _translated(self, work: Callable[[], T]) -> T:
        with translated(self._place):
            return work()


def _binding(connection: sa.Connection) -> Binding:
    row = connection.execute(sa.select(ledger_info)).one()
    return Binding(row.ledger_id, row.destination_id, row.destination_location)
