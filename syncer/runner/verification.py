"""Reads stored files back and holds them against the ledger: a scrub that may be spread over nights."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from syncer.core.errors import DestinationForeign, LedgerHeld, NameTaken
from syncer.core.model import Entry, Fault, State, StoredFile
from syncer.core.ports import Archive, Clock, Inventory, Watcher
from syncer.core.verify import Finding, Remedy, Sample, may_requeue
from syncer.runner.parts import Stop
from syncer.runner.reading import Reader
from syncer.runner.strays import moved_among, strays

BATCH = 500
"""Lines of the manifest held against the ledger in one go."""

Listed = tuple[str, str | None, StoredFile]


@dataclass(slots=True)
class Verification:
    """What came of it. Faults are all that the ledger knows of, those of earlier runs looked at again."""

    files: int = 0  # looked at
    bytes: int = 0  # read
    stored: int = 0  # in the ledger
    moved: int = 0
    requeued: int = 0
    accepted: int = 0  # missing ones, as deleted on purpose
    faults: Counter[Fault] = field(default_factory=Counter)
    relisted: int | None = None  # lines of the manifest, where it had to be written anew
    complete: bool = False  # False where it was stopped


@dataclass(frozen=True, slots=True)
class Scene:
    """The concrete parts, as bootstrap put them together."""

    ledger: Inventory
    archive: Archive
    clock: Clock
    watcher: Watcher
    workers: int = 4  # files read side by side


async def verify(scene: Scene, sample: Sample, stop: Stop, remedy: Remedy) -> Verification:
    """Look at the sample's files and at every one that had a fault before, find those that were moved, and do about
    the others what `remedy` allows; at last see that the manifest says what the ledger says.

    Raises DestinationError where the destination is not there or not the ledger's, and then nothing is written.
    """
    binding = await scene.ledger.binding()
    if binding.destination_id is None:
        raise DestinationForeign(
            "This ledger has no destination yet, and so nothing to verify.",
            hint="`syncer run` fills one; `syncer adopt DEST` takes over one that is filled.",
        )
    await scene.archive.prove(binding.destination_id)
    scrub = _Scrub(scene, sample, binding.destination_id)
    await scrub.run(stop, remedy)
    return scrub.result


class _Scrub:
    """The state of one run. `began` stamps what it looked at, so that it meets nothing twice."""

    def __init__(self, scene: Scene, sample: Sample, destination_id: str) -> None:
        self._scene = scene
        self._sample = sample
        self._destination_id = destination_id
        self._began = scene.clock.now()
        self._reader = Reader(scene.archive, scene.watcher, scene.clock, scene.workers)
        self.result = Verification()

    async def run(self, stop: Stop, remedy: Remedy) -> None:
        ledger, watcher = self._scene.ledger, self._scene.watcher
        self.result.stored, size = await ledger.stored_totals()
        watcher.expect(self._sample.budget(self.result.stored), self._sample.budget(size))
        self.result.complete = await until_stopped(self._read_and_search(), stop)
        self.result.files, self.result.bytes = self._reader.files, self._reader.bytes
        async for entry in ledger.faulty():
            await self._settle(entry, remedy if self.result.complete else Remedy.NONE)
        if self.result.complete:
            await self._see_to_manifest()

    async def _read_and_search(self) -> None:
        await self._read()
        async for entry in self._scene.ledger.faulty():
            if entry.fault is Fault.MISSING:
                await self._search()
                return

    # --- reading ---

    async def _read(self) -> None:
        ledger = self._scene.ledger
        await self._reader.read(self._due(), lambda looks: ledger.note(looks, self._began), self._destination_id)

    async def _due(self) -> AsyncIterator[Entry]:
        """What this run looks at. What had a fault before comes on top of the sample, and so stays named till it has
        none."""
        async for entry in self._scene.ledger.faulty():
            yield entry
        left = self._sample.budget(self.result.stored)
        async for entry in self._scene.ledger.unchecked(self._began):
            if left <= 0 and self._sample.part != self._sample.of:
                return
            left -= 1
            yield entry

    # --- what was moved ---

    async def _search(self) -> None:
        scene = self._scene
        async for batch in strays(scene.archive, scene.ledger):
            async for path, entries in moved_among(self._reader, scene.ledger, batch):
                await self._take_moved(path, entries)

    async def _take_moved(self, path: str, entries: list[Entry]) -> None:
        scene = self._scene
        for entry in entries:
            if entry.stored is None:
                continue
            found = replace(entry.stored, path=path, verified_at=self._began)
            if await scene.ledger.moved(entry, found):
                await scene.archive.enlist(entry.id, entry.name, found)
                self.result.moved += 1
                scene.watcher.found(Finding(entry.id, entry.stored.path, moved_to=path))
                return

    # --- what is wrong ---

    async def _settle(self, entry: Entry, remedy: Remedy) -> None:
        fault, path = entry.fault, entry.path or ""
        if fault is None or fault is Fault.DELETED:
            return
        finding = Finding(entry.id, path, fault)
        if remedy is Remedy.ACCEPT and fault is Fault.MISSING:
            await self._scene.ledger.note([(entry, Fault.DELETED)], self._began)
            self.result.accepted += 1
            self._scene.watcher.found(replace(finding, accepted=True))
            return
        if remedy is Remedy.REQUEUE and may_requeue(fault):
            finding = await self._requeue(entry, finding)
        self.result.faults[fault] += 1
        self.result.requeued += finding.requeued
        self._scene.watcher.found(finding)

    async def _requeue(self, entry: Entry, finding: Finding) -> Finding:
        """The entry put back, and its name free for the file to come.

        First the file, then the ledger: a kill in between leaves a missing file, which the next run puts back.
        """
        archive, aside = self._scene.archive, None
        try:
            if finding.fault is not Fault.MISSING:
                aside = await archive.set_aside(finding.path, self._began)
            elif await archive.size_of(finding.path) is not None:
                return finding  # it came back meanwhile; the next run reads it
        except NameTaken:
            return finding
        return replace(finding, aside=aside, requeued=await self._scene.ledger.requeue(entry))

    # --- the manifest ---

    async def _see_to_manifest(self) -> None:
        ledger, archive = self._scene.ledger, self._scene.archive
        if await self._manifest_agrees():
            return
        with contextlib.suppress(LedgerHeld):  # a pass is writing it; another run sees to it
            async with ledger.hold():
                self.result.relisted = await archive.relist(stored_files(ledger))

    async def _manifest_agrees(self) -> bool:
        """Whether every stored file has its line, and no line is torn or foreign."""
        damaged: list[int] = []
        stored, _ = await self._scene.ledger.stored_totals()
        agreed, batch = 0, list[Listed]()
        async for line in self._scene.archive.listed(lambda number: damaged.append(number) if not damaged else None):
            batch.append(line)
            if len(batch) >= BATCH:
                agreed += await self._agreeing(batch)
                batch = []
        return agreed + await self._agreeing(batch) >= stored and not damaged

    async def _agreeing(self, batch: list[Listed]) -> int:
        entries = {entry.id: entry.stored for entry in await self._scene.ledger.find([line[0] for line in batch])}
        return sum(1 for job_id, _, file in batch if _same(entries.get(job_id), file))


async def stored_files(ledger: Inventory) -> AsyncIterator[Listed]:
    """Every stored file, as the manifest has them."""
    async for entry in ledger.entries([State.STORED]):
        if entry.stored is not None:
            yield entry.id, entry.name, entry.stored


def _same(ours: StoredFile | None, listed: StoredFile) -> bool:
    return ours is not None and (ours.path, ours.size, ours.sha256) == (listed.path, listed.size, listed.sha256)


async def until_stopped(work: Coroutine[Any, Any, None], stop: Stop) -> bool:
    """Run `work`; False where `stop` was asked for first, and it was cancelled."""
    working, asked = asyncio.create_task(work), asyncio.create_task(stop.asked())
    try:
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        if not working.done():
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
    if working.cancelled():
        return False
    working.result()
    return True
