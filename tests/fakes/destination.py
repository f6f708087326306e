"""A destination in memory. The disk outlives the part, so that a test can kill one pass and start another."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any, TypeVar

import google_crc32c

from syncer.core.errors import DestinationForeign, DestinationMissing, DestinationRefused, NameTaken, NoRoom
from syncer.core.model import StoredFile
from syncer.core.naming import unique_key
from syncer.core.segments import Map, Span, merged, to_go_on_with
from syncer.core.verify import is_kept_apart

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Published:
    """A file under its final name."""

    content: bytes
    modified_at: datetime | None


@dataclass(slots=True)
class FakeDisk:
    """What is in the destination. Set a switch, and the file system behaves so from then on."""

    marker: tuple[str, str] | None = None  # ledger id, destination id
    files: dict[str, Published] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)  # paths where something lies that is no file
    partials: dict[str, bytearray] = field(default_factory=dict)
    maps: dict[str, Map] = field(default_factory=dict)  # which of a partial's bytes are there, where it has gaps
    manifest: list[tuple[str, str | None, StoredFile] | None] = field(default_factory=list)  # None: a damaged line
    aside: dict[str, Published | None] = field(default_factory=dict)
    flushed: int = 0  # lines of the manifest that are durable
    gone: bool = False  # unmounted
    room: int | None = None  # bytes that may still be written before it is full
    above_floor: int | None = None  # bytes that may still be written before only the floor is free
    refuses_sync: bool = False

    def drop(self, job_id: str) -> None:
        """No partial of this job any more."""
        self.partials.pop(job_id, None)
        self.maps.pop(job_id, None)

    def look(self) -> None:
        """Raises DestinationMissing while it is gone."""
        if self.gone:
            raise DestinationMissing("There is no folder memory: is it not mounted?", hint="Mount it.")


class FakeDestination:
    """`core.ports.Archive` on a `FakeDisk`; names that differ only in case or Unicode form are one name."""

    def __init__(self, disk: FakeDisk | None = None, *, keeps_manifest: bool = True) -> None:
        """Where this one does not keep the manifest, `enlist` leaves it to others."""
        self.disk = disk or FakeDisk()
        self._keeps_manifest = keeps_manifest
        self._expected: str | None = None
        self._held: set[str] = set()

    @property
    def location(self) -> str:
        return "memory"

    async def identify(self, ledger_id: str) -> str | None:
        await asyncio.sleep(0)
        if self.disk.gone or self.disk.marker is None:
            return None
        owner, destination_id = self.disk.marker
        if owner != ledger_id:
            raise DestinationForeign("The marker memory belongs to another ledger.", hint="Adopt it.")
        return destination_id

    async def bind(self, ledger_id: str, destination_id: str) -> None:
        await asyncio.sleep(0)
        self.disk.look()
        if self.disk.marker not in (None, (ledger_id, destination_id)):
            raise DestinationForeign("The marker memory is that of another destination.", hint="Adopt it.")
        self.disk.marker = (ledger_id, destination_id)
        self._expected = destination_id

    async def prove(self, destination_id: str) -> None:
        await asyncio.sleep(0)
        self._check(destination_id)
        self._expected = destination_id

    async def in_one_go(self, work: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        return await work(*args)

    async def look(self, jobs: Sequence[tuple[str, str]]) -> list[bool]:
        await asyncio.sleep(0)
        self.check()
        return [job_id not in self.disk.partials and self.look_up(path) is None for job_id, path in jobs]

    async def open_partial(self, job_id: str, *, is_new: bool = False) -> "FakePartial":
        await asyncio.sleep(0)
        self.check()
        if job_id in self._held:
            raise AssertionError("a partial is opened twice at once")
        self._held.add(job_id)
        self.disk.partials.setdefault(job_id, bytearray())
        return FakePartial(self, job_id)

    async def size_of(self, path: str) -> int | None:
        await asyncio.sleep(0)
        self.check()
        return self.look_up(path)

    async def digest(
        self, path: str, digests: frozenset[str], progress: Callable[[int], None] = lambda _: None
    ) -> dict[str, str]:
        await asyncio.sleep(0)
        self.check()
        found = self.disk.files.get(path)
        if found is None:
            raise DestinationMissing("The destination memory is gone: no such file.", hint="Was it unmounted?")
        progress(len(found.content))
        return _digests(found.content, digests)

    async def marked(self) -> str | None:
        await asyncio.sleep(0)
        self.disk.look()
        return self.disk.marker[1] if self.disk.marker else None

    async def rebind(self, ledger_id: str, destination_id: str) -> None:
        await asyncio.sleep(0)
        self.disk.look()
        self.disk.marker = (ledger_id, destination_id)
        self._expected = destination_id

    async def listed(
        self, damaged: Callable[[int], None] = lambda _: None
    ) -> AsyncIterator[tuple[str, str | None, StoredFile]]:
        last = {line[0]: number for number, line in enumerate(self.disk.manifest) if line is not None}
        for number, line in enumerate(self.disk.manifest):
            if line is None:
                damaged(number + 1)
            elif last[line[0]] == number:
                yield line

    async def relist(self, files: AsyncIterator[tuple[str, str | None, StoredFile]]) -> int:
        self.check()
        self.disk.manifest = [line async for line in files]
        return len(self.disk.manifest)

    async def walk(self) -> AsyncIterator[tuple[str, int]]:
        self.check()
        for path, published in self.disk.files.items():
            if not any(is_kept_apart(folder) for folder in path.split("/")[:-1]):
                yield path, len(published.content)

    async def set_aside(self, path: str, at: datetime) -> str | None:
        if await self.size_of(path) is None:
            return None
        aside = f".syncer/aside/{at:%Y%m%dT%H%M%SZ}/{path}"
        while aside in self.disk.aside:
            aside += "-"
        self.disk.aside[aside] = self.disk.files.pop(path, None)
        return aside

    async def flush(self) -> None:
        await asyncio.sleep(0)
        self.disk.look()
        self.disk.flushed = len(self.disk.manifest)

    async def enlist(self, job_id: str, name: str | None, file: StoredFile, *, is_durable: bool = False) -> None:
        await asyncio.sleep(0)
        self.check()
        if self._keeps_manifest:
            self.disk.manifest.append((job_id, name, file))

    async def note_partial(self, job_id: str) -> None:
        pass

    async def free(self) -> int | None:
        await asyncio.sleep(0)
        self.check()
        return 1 << 50 if self.disk.above_floor is None else self.disk.above_floor

    async def sweep(self, job_ids: Sequence[str]) -> None:
        await asyncio.sleep(0)
        self.check()
        for job_id in job_ids:
            self.disk.drop(job_id)

    async def close(self) -> None:
        """Nothing to let go of."""

    def check(self) -> None:
        """Raises DestinationError unless the disk is the one that was proven."""
        if self._expected is None:
            raise AssertionError("the destination is used before it was proven")
        self._check(self._expected)

    def release(self, job_id: str) -> None:
        """The job's partial is let go of."""
        self._held.discard(job_id)

    def look_up(self, path: str) -> int | None:
        """As `size_of`."""
        parts = path.split("/")
        if any(part in ("", ".", "..") for part in parts) or parts[0].casefold() == ".syncer":
            raise ValueError("a path that does not stay inside the destination")
        key = unique_key(path)
        for at, published in self.disk.files.items():
            if unique_key(at) == key:
                return len(published.content)
            if key.startswith(f"{unique_key(at)}/"):
                return -1
        folders = {unique_key(at) for at in (*self.disk.files, *self.disk.others)}
        return -1 if any(at == key or at.startswith(f"{key}/") for at in folders) else None

    def _check(self, destination_id: str) -> None:
        self.disk.look()
        if self.disk.marker is None:
            raise DestinationForeign("There is no marker memory.", hint="Mount it, or adopt it.")
        if self.disk.marker[1] != destination_id:
            raise DestinationForeign("The marker memory is that of another destination.", hint="Adopt it.")


class FakePartial:
    """`core.ports.Partial` on a `FakeDisk`."""

    def __init__(self, destination: FakeDestination, job_id: str) -> None:
        self._destination = destination
        self._disk = destination.disk
        self._job_id = job_id
        self._bytes = self._disk.partials[job_id]
        held = self._disk.maps.get(job_id)
        self._version = None if held is None else (held.version, held.size)
        self._spans = (Span(0, len(self._bytes)),) if held is None else to_go_on_with(held)
        self._spans = merged(self._spans)
        self._front = next((span.stop for span in self._spans if span.start == 0), 0)
        self._wanted: frozenset[str] | None = None
        self._finished = False
        self._open = True
        self._sized = False
        self._lock = Lock()  # sinks are written to from several threads

    @property
    def size(self) -> int:
        return self._front

    @property
    def held(self) -> int:
        return sum(span.length for span in self._spans)

    def spans(self) -> tuple[Span, ...]:
        return self._spans

    async def begin(
        self, keep: int, digests: frozenset[str], size: int | None = None, version: str | None = None
    ) -> None:
        await asyncio.sleep(0)
        if not 0 <= keep <= self._front:
            raise AssertionError("more bytes are to be kept than there are")
        if self._version is not None and (keep, self._version) != (self._front, (version, size)):
            await self.retract()
        if size is not None and self._disk.above_floor is not None and size - self.held > self._disk.above_floor:
            raise NoRoom("The destination memory has no room for this file.", hint="Free some space.")
        self._sized = size is not None
        if keep < self._front:
            self._cut(keep)
        self._wanted, self._finished = digests, False

    def _cut(self, keep: int) -> None:
        del self._bytes[keep:]
        self._front, self._spans = keep, merged([Span(0, keep)])

    def at(self, start: int) -> "FakeSegment":
        if self._version is None:
            raise AssertionError("written ahead before `spread`")
        return FakeSegment(self, start)

    async def spread(self, version: str, size: int) -> None:
        await asyncio.sleep(0)
        if self._version is None:
            self._version = (version, size)
            await self.note()

    async def note(self) -> None:
        await asyncio.sleep(0)
        if self._version is not None and self._open:
            self._destination.check()
            self._disk.maps[self._job_id] = Map(*self._version, self._spans)

    async def catch_up(self, most: int) -> None:
        await asyncio.sleep(0)
        with self._lock:
            reach = next((span.stop for span in self._spans if span.start == 0), 0)
            self._front = max(self._front, min(reach, most))

    async def retract(self) -> None:
        await asyncio.sleep(0)
        if self._version is not None:
            self._cut(self._front)  # what lies behind the front without a gap goes as well
            self._version = None
            self._disk.maps.pop(self._job_id, None)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._wanted is None:
            raise AssertionError("written to before `begin`, or after a failed write")
        self.write_at(data, self._front)

    def write_at(self, data: bytes | bytearray | memoryview, start: int) -> None:
        """As `write`, from `start` on."""
        with self._lock:
            self._put(data, start)

    def _put(self, data: bytes | bytearray | memoryview, start: int) -> None:
        self._finished = False
        above = self._disk.above_floor
        if above is not None:
            if len(data) > above and not self._sized:
                self._wanted = None
                raise NoRoom("The destination memory is down to its floor of free space.", hint="Free some space.")
            self._disk.above_floor = above - len(data)
        room = self._disk.room
        fits = memoryview(data) if room is None else memoryview(data)[:room]
        if room is not None:
            self._disk.room = room - len(fits)
        self._bytes.extend(bytes(max(0, start - len(self._bytes))))
        self._bytes[start : start + len(fits)] = fits
        at_front = start == self._front
        self._spans = merged([*self._spans, Span(start, start + len(fits))])
        if at_front:
            self._front = start + len(fits)
        if len(fits) < len(data):
            self._wanted = None
            raise DestinationRefused("The destination memory is full.", hint="Free some space.")

    async def tail(self, count: int, stop: int | None = None) -> bytes:
        await asyncio.sleep(0)
        stop = self._front if stop is None else stop
        return bytes(self._bytes[max(0, stop - count) : stop])

    async def finish(self) -> dict[str, str]:
        await asyncio.sleep(0)
        if self._wanted is None or self._spans[1:] or self._front != len(self._bytes):
            raise AssertionError("finished before `begin`, after a failed write, or with a gap")
        if self._disk.refuses_sync:
            self._disk.drop(self._job_id)
            self._wanted = None
            raise DestinationRefused("The destination memory failed: input/output error.", hint="Look at the disk.")
        self._finished, self._version = True, None
        self._disk.maps.pop(self._job_id, None)
        return _digests(bytes(self._bytes), self._wanted)

    async def publish(self, path: str, modified_at: datetime | None) -> None:
        await asyncio.sleep(0)
        if not self._finished:
            raise AssertionError("published without `finish` behind the last write")
        self._destination.check()
        if self._destination.look_up(path) is not None:
            raise NameTaken(f"Something else lies under {path}.")
        self._disk.files[path] = Published(bytes(self._bytes), modified_at)
        self._disk.drop(self._job_id)

    async def discard(self) -> None:
        await asyncio.sleep(0)
        if self._open:
            self._disk.drop(self._job_id)
            self._version = None
        await self.close()

    async def close(self) -> None:
        await self.note()
        self._wanted, self._finished, self._open = None, False, False
        self._destination.release(self._job_id)


class FakeSegment:
    """A sink somewhere in a FakePartial."""

    def __init__(self, partial: FakePartial, start: int) -> None:
        self._partial = partial
        self._at = start

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._partial.write_at(data, self._at)
        self._at += len(data)


def _digests(content: bytes, wanted: frozenset[str]) -> dict[str, str]:
    digests = {"sha256": hashlib.sha256(content).hexdigest()}
    if "md5" in wanted:
        digests["md5"] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if "crc32c" in wanted:
        digests["crc32c"] = google_crc32c.value(content).to_bytes(4, "big").hex()
    return digests
