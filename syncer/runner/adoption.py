"""Takes a destination that is filled already into a ledger that does not know it: the deliberate act of `adopt`."""

import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

from syncer.core.errors import DestinationForeign, KeyRefused, ListingFailed
from syncer.core.model import Entry, Fault, StoredFile
from syncer.core.naming import Naming
from syncer.core.ports import Archive, Clock, Inventory, Watcher
from syncer.core.proof import is_named, may_be_media, possible_ids, proven_id, without_extension
from syncer.core.verify import Finding
from syncer.runner.parts import Stop
from syncer.runner.pool import Batches, side_by_side
from syncer.runner.reading import Look, Reader
from syncer.runner.strays import Found, moved_among, strays
from syncer.runner.verification import stored_files, until_stopped

Listed = tuple[str, str | None, StoredFile]

BATCH = 500
"""Files looked up in one go."""

MOST_LEFT = 100
"""Files left alone that are named."""


@dataclass(slots=True)
class Adoption:
    """What came of it. A file is adopted only when its bytes were read back: found to be those of the manifest, or
    hashed where no manifest speaks of it and its name proves whose it is."""

    adopted: int = 0
    bytes: int = 0
    moved: int = 0  # of the adopted: not where the manifest says
    by_name: int = 0  # of the adopted: in no manifest
    known: int = 0  # in the ledger before
    missing: list[str] = field(default_factory=list)  # paths the manifest names and that are not there
    changed: list[str] = field(default_factory=list)  # paths whose bytes are others than the manifest says
    unreadable: list[str] = field(default_factory=list)
    left: int = 0  # files that nothing proves to be a job's
    left_first: list[str] = field(default_factory=list)
    damaged_lines: int = 0  # of the manifest
    unlisted: str | None = None  # why the list of jobs could not help
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Takeover:
    """The concrete parts, as bootstrap put them together."""

    ledger: Inventory
    scratch: Inventory  # an empty ledger of its own: what the manifest says, in bounded memory
    archive: Archive
    clock: Clock
    watcher: Watcher
    rng: random.Random
    naming: Naming = field(default_factory=Naming)
    expected: Callable[[], Awaitable[Inventory | None]] | None = None  # lists the jobs: each stored where it belongs
    workers: int = 4


async def adopt(parts: Takeover, stop: Stop, *, dry_run: bool) -> Adoption:
    """Read the destination back, take in what is proven, and at last bind ledger and folder to each other.

    With `dry_run` the folder is not written to; `ledger` is to be a copy. Stopped or killed before the end it leaves
    the folder to the ledger it had, and a next run goes on from there. Raises DestinationForeign where the ledger
    belongs to another destination, DestinationMissing where the folder is not there, LedgerHeld.
    """
    binding = await parts.ledger.binding()
    marked = await parts.archive.marked()
    if binding.destination_id is not None and binding.destination_id != marked:
        raise DestinationForeign(
            f"This ledger belongs to {binding.location} already.", hint="Name a new ledger with --ledger."
        )
    if marked is None and dry_run:
        raise DestinationForeign(
            f"There is no marker in {parts.archive.location}.",
            hint="Without --dry-run, adopt writes one and reads what is there.",
        )
    identity = marked or _new_id(parts.rng)
    if marked is None:
        await parts.archive.rebind(binding.ledger_id, identity)
    await parts.archive.prove(identity)
    adopting = _Adopting(parts, identity, dry_run=dry_run)
    adopting.found.complete = await until_stopped(adopting.run(), stop)
    if adopting.found.complete and not dry_run:
        # Last, so that a kill before leaves the folder to the ledger it had; under a new id, so that one is told.
        identity = _new_id(parts.rng)
        await parts.archive.rebind(binding.ledger_id, identity)
        await parts.ledger.bind(identity, parts.archive.location)
        if adopting.found.damaged_lines:
            async with parts.ledger.hold():
                await parts.archive.relist(stored_files(parts.ledger))
    return adopting.found


class _Adopting:
    """The state of one run: the manifest into the scratch ledger, its files read back, then the files it misses."""

    def __init__(self, parts: Takeover, destination_id: str, *, dry_run: bool) -> None:
        self._parts = parts
        self._destination_id = destination_id
        self._dry_run = dry_run
        self._began = parts.clock.now()
        self._reader = Reader(parts.archive, parts.watcher, parts.clock, parts.workers)
        self._expected: Inventory | None = None
        self._is_listed = parts.expected is None
        self._files = self._size = 0  # to be read, as far as is known
        self.found = Adoption()

    async def run(self) -> None:
        scratch = self._parts.scratch
        await self._read_manifest()
        self._files, self._size = await scratch.stored_totals()
        self._parts.watcher.expect(self._files, self._size)
        await self._reader.read(scratch.unchecked(self._began), self._keep, self._destination_id)
        async with Batches(self._take_in_named, self._parts.clock) as files:

            async def work(stray: tuple[str, int, str, str | None]) -> None:
                await self._hash(stray, files)

            await side_by_side(self._named(), work, self._parts.workers)
        async for entry in scratch.faulty():
            self._tell(entry)

    # --- what the manifest names ---

    async def _read_manifest(self) -> None:
        batch: list[Listed] = []

        def damaged(_: int) -> None:
            self.found.damaged_lines += 1

        async for line in self._parts.archive.listed(damaged):
            batch.append(line)
            if len(batch) >= BATCH:
                await self._note_lines(batch)
                batch = []
        await self._note_lines(batch)

    async def _note_lines(self, batch: list[Listed]) -> None:
        """Into the scratch ledger; what the ledger has just so, from a run that was stopped, is not read again."""
        if not batch:
            return
        scratch, ledger = self._parts.scratch, self._parts.ledger
        taken = await scratch.adopt(batch)
        self.found.damaged_lines += len(batch) - len(taken)  # two ids with one path: one of them is wrong
        known = {entry.id: entry.stored for entry in await ledger.find(taken)}
        same = [e for e in await scratch.find(taken) if _is_same(known.get(e.id), e.stored)]
        await scratch.note([(entry, None) for entry in same], self._began)
        self.found.known += len(same)
        self._files, self._size = self._files + len(taken), self._size + sum(file.size for _, _, file in batch)
        self._parts.watcher.expect(self._files, self._size)

    async def _keep(self, looks: list[Look]) -> None:
        whole = [
            (entry.id, entry.name, replace(entry.stored, verified_at=self._began))
            for entry, fault in looks
            if fault is None and entry.stored is not None
        ]
        await self._take_in(whole)
        await self._parts.scratch.note(looks, self._began)

    async def _take_in(self, files: list[Listed], *, enlist: bool = False) -> int:
        taken = await self._parts.ledger.adopt(files) if files else []
        new = set(taken)
        self.found.known += len(files) - len(taken)
        for job_id, name, file in files:
            if job_id in new:
                new.remove(job_id)  # of two files for one job the ledger took the first
                self.found.adopted += 1
                self.found.bytes += file.size
                if enlist and not self._dry_run:
                    await self._parts.archive.enlist(job_id, name, file)
        return len(taken)

    # --- what it does not name, or not there ---

    async def _named(self) -> AsyncIterator[tuple[str, int, str, str | None]]:
        """Files that their names prove to be a job's: path, bytes, the job's id and name. Moved ones go in at once."""
        async for batch in strays(self._parts.archive, self._parts.scratch):
            moved = [path async for path in self._moved(batch)]
            for path, size in batch:
                job = None if path in moved else await self._job_of(path, size)
                if job is not None:
                    self._files, self._size = self._files + 1, self._size + size
                    self._parts.watcher.expect(self._files, self._size)
                    yield path, size, *job
                elif path not in moved:
                    self._leave(path)

    async def _moved(self, batch: list[Found]) -> AsyncIterator[str]:
        async for path, entries in moved_among(self._reader, self._parts.scratch, batch):
            for entry in entries:
                if entry.stored is None:
                    continue
                file = replace(entry.stored, path=path, verified_at=self._began)
                if await self._parts.scratch.moved(entry, file):
                    self.found.moved += await self._take_in([(entry.id, entry.name, file)], enlist=True)
                    self._parts.watcher.found(Finding(entry.id, entry.stored.path, moved_to=path))
                    yield path
                    break

    async def _job_of(self, path: str, size: int) -> tuple[str, str | None] | None:
        """The id and name of the job whose file this is by its name; None where that is not proven, where the manifest
        or the ledger has another file for it, and where this is no whole film by its looks."""
        if not size or not may_be_media(path):
            return None
        job = await self._listed_job(path)
        if job is None and (job_id := proven_id(self._parts.naming, path)) is not None:
            job = job_id, None
        if job is None or await self._parts.scratch.find([job[0]]):
            return None
        known = await self._parts.ledger.find([job[0]])
        return None if known and known[0].stored is not None else job

    async def _listed_job(self, path: str) -> tuple[str, str | None] | None:
        """The one job of the list that naming gives this very path, or this very name in another folder.

        An entry with a fault stands for several that naming would put in one place: see `list_expected`.
        """
        expected = await self._list()
        if expected is None:
            return None
        owned = await expected.owned([path, without_extension(path)])
        here = [e for e in owned.values() if is_named(path, e.path or "", e.name)]
        if not here:
            possible = await expected.find(possible_ids(self._parts.naming, path))
            here = [e for e in possible if is_named(_last(path), _last(e.path or ""), e.name)]
        one = len(here) == 1 and here[0].fault is None
        return (here[0].id, here[0].name) if one else None

    async def _list(self) -> Inventory | None:
        """The jobs where they belong; listed when the first is asked for, since a whole manifest needs no list."""
        if not self._is_listed and self._parts.expected is not None:
            self._is_listed = True
            try:
                self._expected = await self._parts.expected()
            except (KeyRefused, ListingFailed) as error:
                self.found.unlisted = error.message
        return self._expected

    async def _hash(self, stray: tuple[str, int, str, str | None], files: Batches[Listed]) -> None:
        path, size, job_id, name = stray
        sha256 = await self._reader.sha256(path)
        if sha256 is None or await self._parts.archive.size_of(path) != size:
            self._leave(path)  # not readable, or somebody is writing it
            return
        self._parts.watcher.looked(path)
        await files.add((job_id, name, StoredFile(path, size, sha256, None, self._began, self._began)))

    async def _take_in_named(self, files: list[Listed]) -> None:
        self.found.by_name += await self._take_in(files, enlist=True)

    # --- what is to be told ---

    def _leave(self, path: str) -> None:
        self.found.left += 1
        if len(self.found.left_first) < MOST_LEFT:
            self.found.left_first.append(path)

    def _tell(self, entry: Entry) -> None:
        path = entry.path or ""
        if entry.fault is Fault.MISSING:
            self.found.missing.append(path)
        elif entry.fault is Fault.UNREADABLE:
            self.found.unreadable.append(path)
        else:
            self.found.changed.append(path)
        self._parts.watcher.found(Finding(entry.id, path, entry.fault))


def _is_same(known: StoredFile | None, listed: StoredFile | None) -> bool:
    if known is None or listed is None:
        return False
    return (known.path, known.size, known.sha256) == (listed.path, listed.size, listed.sha256)


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _new_id(rng: random.Random) -> str:
    return uuid.UUID(int=rng.getrandbits(128), version=4).hex
