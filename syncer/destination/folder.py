"""The Destination port for a folder, on a local disk or a NAS mount."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from syncer.core.model import StoredFile
from syncer.core.ports import Clock
from syncer.destination.ahead import names_of
from syncer.destination.aside import set_aside
from syncer.destination.digests import Digester
from syncer.destination.direct import Direct
from syncer.destination.hands import Hands
from syncer.destination.manifest import Manifest, ManifestLine, manifest_of, read_manifest
from syncer.destination.marker import Marker, Site
from syncer.destination.opening import Shelf, folder_of
from syncer.destination.pagecache import let_go
from syncer.destination.partial import READ, STEP, FolderPartial, name_of
from syncer.destination.publish import Folders, split
from syncer.destination.room import Room
from syncer.destination.system import NEVER_FOLLOW, closing, size_at, sync_folder
from syncer.destination.walk import Walk

T = TypeVar("T")

LINES = 1000
"""Lines of a manifest written in one go."""


class FolderDestination:
    """`core.ports.Destination` in a folder. Nothing blocks the event loop: file work runs in threads of its own.

    Every piece of work proves the marker first and is then done relative to the folder it was found in (I5).
    """

    def __init__(
        self, root: Path, *, clock: Clock, threads: int = 16, min_free: int | None = 0, keeps_manifest: bool = True
    ) -> None:
        """`root` is the folder; `threads` bounds the file operations at once; `min_free` bytes are left free, None
        for the default of `core.space`. Where this one does not keep the manifest, `enlist` leaves it to others."""
        self._site = Site(root.absolute(), clock.monotonic)
        self._shelf = Shelf(self._site)
        self._room = Room(self._site.root, min_free)
        self._clock = clock
        self._hands = Hands(threads)
        self._folders = Folders(self._site.root)
        self._direct = Direct(clock.monotonic)
        self._manifest = Manifest(self._site)
        self._keeps_manifest = keeps_manifest
        self._mode = 0o666 & ~_umask()
        self._held: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def location(self) -> str:
        return str(self._site.root)

    async def identify(self, ledger_id: str) -> str | None:
        return await self._hands.do(self._site.identify, ledger_id)

    async def bind(self, ledger_id: str, destination_id: str) -> None:
        await self._hands.do(self._site.bind, Marker(destination_id, ledger_id), self._clock.now())

    async def marked(self) -> str | None:
        return await self._hands.do(self._site.marked)

    async def rebind(self, ledger_id: str, destination_id: str) -> None:
        await self._hands.do(self._site.rebind, Marker(destination_id, ledger_id), self._clock.now())

    async def listed(
        self, damaged: Callable[[int], None] = lambda _: None
    ) -> AsyncIterator[tuple[str, str | None, StoredFile]]:
        async for line in read_manifest(manifest_of(self._site.root), damaged):
            yield line.id, line.name, line.file

    async def relist(self, files: AsyncIterator[tuple[str, str | None, StoredFile]]) -> int:
        count, fd = 0, await self._hands.do(self._manifest.draft)
        try:
            lines: list[ManifestLine] = []
            async for job_id, name, file in files:
                lines.append(ManifestLine(job_id, name, file))
                if len(lines) >= LINES:
                    await self._hands.do(self._manifest.write_draft, fd, lines)
                    count, lines = count + len(lines), []
            await self._hands.do(self._manifest.write_draft, fd, lines)
        except BaseException:
            await self._hands.do(os.close, fd)
            raise
        await self._hands.do(self._manifest.put_draft, fd)
        return count + len(lines)

    async def walk(self) -> AsyncIterator[tuple[str, int]]:
        walk = Walk(self._site)
        try:
            while files := await self._hands.do(walk.some):
                for path, size in files:
                    yield path, size
        finally:
            await self._hands.do(walk.close)

    async def set_aside(self, path: str, at: datetime) -> str | None:
        return await self._hands.do(set_aside, self._site, self._folders, path, at)

    async def prove(self, destination_id: str) -> None:
        await self._hands.do(self._site.prove, destination_id)

    async def in_one_go(self, work: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        return await self._hands.go(self._go, work, args)

    async def _go(self, work: Callable[..., Coroutine[Any, Any, T]], args: tuple[Any, ...]) -> T:
        with self._site.one_go():
            return await work(*args)

    async def look(self, jobs: Sequence[tuple[str, str]]) -> list[bool]:
        return await self._hands.do(self._look, [(name_of(job_id), path) for job_id, path in jobs])

    async def open_partial(self, job_id: str, *, is_new: bool = False) -> FolderPartial:
        if job_id in self._held:
            raise AssertionError("a partial is opened twice at once")
        self._held.add(job_id)
        partial = FolderPartial(
            self._site,
            (self._shelf, self._room, self._folders, self._direct),
            self._hands,
            name_of(job_id),
            self._mode,
            release=lambda: self._held.discard(job_id),
        )
        if is_new and not self._shelf.knows(name_of(job_id)):
            return partial
        try:
            await partial.open()
        except BaseException:
            await partial.close()
            raise
        return partial

    async def size_of(self, path: str) -> int | None:
        return await self._hands.do(self._size_of, path)

    async def digest(
        self, path: str, digests: frozenset[str], progress: Callable[[int], None] = lambda _: None
    ) -> dict[str, str]:
        reading = Reading(self._site, path, digests)
        try:
            while count := await self._hands.do(reading.go_on):
                progress(count)
        finally:
            await self._hands.do(reading.close)
        return reading.digester.hexdigests()

    async def enlist(self, job_id: str, name: str | None, file: StoredFile, *, is_durable: bool = False) -> None:
        """Add a published file to the manifest; durable itself at `flush` and `close`.

        A file that another pass published may never have had its folder fsynced: that is made up for here (I2).
        """
        await self._hands.go(self._enlist, ManifestLine(job_id, name, file), is_durable)

    async def note_partial(self, job_id: str) -> None:
        await self._hands.do(self._note_partial, name_of(job_id))

    async def free(self) -> int | None:
        return await self._hands.do(self._free)

    async def sweep(self, job_ids: Sequence[str]) -> None:
        await self._hands.do(self._sweep, [name_of(job_id) for job_id in job_ids])

    async def flush(self) -> None:
        """fsync the manifest."""
        await self._hands.do(self._rest)

    async def close(self) -> None:
        """fsync the manifest and let go of everything. Not to be used afterwards."""
        try:
            await self.flush()
        finally:
            self._hands.close()

    def _rest(self) -> None:
        try:
            self._manifest.close()
        finally:
            self._site.rest()

    def _look(self, jobs: list[tuple[str, str]]) -> list[bool]:
        with self._site.opened() as here:
            return [not self._shelf.may_hold(name, here) and _is_free(path, here.root) for name, path in jobs]

    def _note_partial(self, name: str) -> None:
        with self._site.opened() as here:
            if size_at(name, folder_of(self._site, here)) is not None:
                self._shelf.made(name)

    def _free(self) -> int | None:
        with self._site.opened() as here:
            return self._room.free(here.root)

    def _size_of(self, path: str) -> int | None:
        split(path)
        with self._site.opened() as here:
            return size_at(path, here.root)

    async def _enlist(self, line: ManifestLine, is_durable: bool) -> None:  # noqa: FBT001 - passed through a thread
        if not self._folders.take_fresh(line.file.path) and not is_durable:
            self._settle(line.file.path)
        if self._keeps_manifest:
            await self._hands.together(self._manifest.extend, line)

    def _settle(self, path: str) -> None:
        *above, name = split(path)
        with self._site.opened() as here, closing(self._folders.open(above, here.root)) as folder:
            with closing(os.open(name, os.O_RDONLY | NEVER_FOLLOW, dir_fd=folder)) as fd:
                os.fsync(fd)
            sync_folder(folder)

    def _sweep(self, names: list[str]) -> None:
        with self._site.opened() as here:
            folder = folder_of(self._site, here)
            for name in names:
                for one in (*names_of(name), name):
                    with suppress(FileNotFoundError, IsADirectoryError):  # a folder is somebody's
                        os.unlink(one, dir_fd=folder)


class Reading:
    """One published file being read back, a stretch at a time, so that a cancelled reading ends soon."""

    def __init__(self, site: Site, path: str, digests: frozenset[str]) -> None:
        """Raises ValueError for a path that does not stay inside the destination."""
        split(path)
        self.digester = Digester(digests)
        self._site = site
        self._path = path
        self._fd = -1
        self._at = 0

    def go_on(self) -> int:
        """Some megabytes more into the digests: how many bytes, 0 at the end. Blocking."""
        count = 0
        with self._site.translated:
            if self._fd < 0:
                with self._site.opened() as here:
                    self._fd = os.open(self._path, os.O_RDONLY | NEVER_FOLLOW, dir_fd=here.root)
                let_go(self._fd)  # what is being proven is the disk, not memory
            while count < STEP and (piece := os.read(self._fd, READ)):
                self.digester.update(piece)
                count += len(piece)
            let_go(self._fd, self._at, self._at + count)
        self._at += count
        return count

    def close(self) -> None:
        """Blocking."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _is_free(path: str, root: int) -> bool:
    split(path)
    return size_at(path, root) is None


def _umask() -> int:
    """The process's umask. It can only be read by setting it: for that moment it is stricter, never laxer."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
