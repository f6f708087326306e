"""The bytes of one job on their way: `DEST/.syncer/partial/<hash of id>.part`, hashed as they are written."""

import contextlib
import errno
import os
from collections.abc import Callable
from datetime import datetime

from syncer.core.errors import DestinationRefused
from syncer.core.naming import partial_key
from syncer.core.ports import Sink
from syncer.core.segments import Span, merged
from syncer.destination import ahead as maps
from syncer.destination.ahead import Ahead, Segment
from syncer.destination.digests import Digester
from syncer.destination.direct import Direct, Writer
from syncer.destination.hands import Hands
from syncer.destination.marker import Site
from syncer.destination.opening import Shelf, folder_of, make_file, open_file
from syncer.destination.pagecache import Trail, let_go
from syncer.destination.publish import Folders, dress, publish
from syncer.destination.room import Room
from syncer.destination.system import sync_folder

STEP = 8 * 1024 * 1024
"""Bytes of a partial that are read back in one go; between two, a cancelled reading stops."""

READ = 1024 * 1024

Tools = tuple[Shelf, Room, Folders, Direct]
"""What the partials of one destination share."""


def name_of(job_id: str) -> str:
    """The file name of a job's partial."""
    return f"{partial_key(job_id)}.part"


class FolderPartial:
    """`core.ports.Partial` on a file system; made by `FolderDestination.open_partial`."""

    def __init__(
        self, site: Site, tools: Tools, hands: Hands, name: str, mode: int, release: Callable[[], None]
    ) -> None:
        """`mode` is that of published files; `release` is called once when the partial is let go of."""
        self._site = site
        self._shelf, self._room, self._folders, direct = tools
        self._writer = Writer(direct)
        self._hands = hands
        self._name = name
        self._mode = mode
        self._release: Callable[[], None] | None = release
        self._fd = -1
        self._size = 0
        self._trail = Trail()
        self._ahead: Ahead | None = None  # only where bytes may lie beyond `size`
        self._digester: Digester | None = None
        self._wanted = frozenset[str]()  # what it was made for, besides sha256
        self._digests: dict[str, str] | None = None  # set by `finish`, void as soon as more is written
        self._own: os.stat_result | None = None
        self._named = False  # there is a file, and it has the partial's name
        self._spoiled = False  # an fsync failed: nothing that is there can be trusted

    async def open(self) -> None:
        """Open the file if there is one; a new one is made when there is something to write."""
        await self._hands.do(self._open)

    @property
    def size(self) -> int:
        """Bytes on disk, up to the first gap."""
        return self._size

    @property
    def held(self) -> int:
        return self._size if self._ahead is None else self._size + self._ahead.beyond(self._size)

    def spans(self) -> tuple[Span, ...]:
        front = self._size
        return merged([Span(0, front)]) if self._ahead is None else self._ahead.spans(front)

    async def begin(
        self, keep: int, digests: frozenset[str], size: int | None = None, version: str | None = None
    ) -> None:
        if not 0 <= keep <= self._size:
            raise AssertionError("more bytes are to be kept than there are")
        if self._fd < 0 and not self._spoiled:
            await self._hands.do(self._make, make_file)
        digester = self._digester if (keep, digests) == (self._size, self._wanted) and not self._spoiled else None
        self._digests, self._digester, self._wanted = None, None, digests
        ahead = self._ahead
        if ahead is not None and (keep, size, version) != (self._size, ahead.size, ahead.version):
            await self.retract()
        if size is not None:
            await self._hands.do(self._hold_room, size)
        if digester is None:  # else it has all of that already
            digester = Digester(digests)
            for start in range(0, keep, STEP):
                await self._hands.do(self._read_into, digester, start, min(start + STEP, keep))
        if keep < self._size:
            await self._hands.do(self._truncate, keep)
        self._digester = digester

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Blocking. Raises DestinationError, or FetchError where the file outgrows what the file system can hold."""
        digester = self._digester
        if digester is None or self._spoiled:
            raise self._unusable("written to before `begin`, or after a failed write")
        self._digests, self._digester = None, None
        view = memoryview(data).cast("B")
        digester.update(view)
        with self._site.translated:
            self._room.take(self._name, len(view), self._fd)
            while view:
                count = self._writer.write(self._fd, view, self._size)
                self._size += count
                view = view[count:]
        self._trail.reached(self._fd, self._size)
        self._digester = digester

    def at(self, start: int) -> Sink:
        if self._ahead is None:
            raise AssertionError("written ahead before `spread`")
        return Segment(self.write_ahead, start)

    def write_ahead(self, view: memoryview, start: int) -> None:
        """As `write`, for the bytes from `start` on. At the front they are hashed now; else `catch_up` reads them back.

        What `catch_up` may be reading meanwhile lies before the end of a span that is written; what is hashed here lies
        right behind it: so never both, and never two of these.
        """
        ahead, digester = self._ahead, self._digester if start == self._size else None
        if ahead is None or self._spoiled:
            raise self._unusable("written ahead after `retract`")
        self._digests = None
        stop, at = start + len(view), start
        with self._site.translated:
            self._room.take(self._name, len(view), self._fd)
            while at < stop:
                at += self._writer.write(self._fd, view[at - start :], at)
        if digester is not None:
            digester.update(view)
            self._size = stop
            self._trail.reached(self._fd, stop)
        ahead.add(start, stop)

    async def spread(self, version: str, size: int) -> None:
        if self._ahead is None:
            await self._hands.do(self._spread, version, size)

    async def note(self) -> None:
        await self._hands.do(self._note)

    async def catch_up(self, most: int) -> None:
        while await self._hands.do(self._catch_up, most):
            pass

    async def retract(self) -> None:
        if self._ahead is not None:
            await self._hands.do(self._retract)

    async def tail(self, count: int, stop: int | None = None) -> bytes:
        stop = self._size if stop is None else stop
        return await self._hands.do(self._read, max(0, stop - count), stop)

    async def finish(self) -> dict[str, str]:
        if self._digests is not None:
            return dict(self._digests)
        if self._digester is None or self._spoiled or self.held > self._size:
            raise AssertionError("finished before `begin`, after a failed write, or with bytes that are not hashed")
        await self._hands.do(self._trail.ended, self._fd, self._size)
        await self._hands.after_you()  # the first fsync commits the file system's journal for all of them
        await self._hands.do(self._sync)
        self._digests = self._digester.hexdigests()
        return dict(self._digests)

    async def publish(self, path: str, modified_at: datetime | None) -> None:
        if self._digests is None:
            raise AssertionError("published without `finish` behind the last write")
        await self._hands.go(self._publish, path, modified_at)

    async def discard(self) -> None:
        try:
            await self._hands.do(self._discard)
        finally:
            self._let_go()

    async def close(self) -> None:
        self._digester = None
        try:
            if self._fd >= 0:
                await self._hands.do(self._close if self._ahead is None else self._leave)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._room.drop(self._name)
        release, self._release = self._release, None
        if release is not None:
            release()

    def _open(self) -> None:
        with self._site.opened() as here:
            is_there = self._shelf.may_hold(self._name, here)
        if is_there:
            self._make(open_file)

    def _make(self, make: Callable[[Site, str], tuple[int, int, Ahead | None]]) -> None:
        # Kept from within the thread: were the call cancelled, a returned handle would be lost and stay open.
        self._fd, self._size, self._ahead = make(self._site, self._name)
        self._named = True
        self._shelf.made(self._name)

    def _unusable(self, bug: str) -> Exception:
        """Why nothing can be done with it: another thread's fsync failed, or else it is a bug."""
        if not self._spoiled:
            return AssertionError(bug)
        return DestinationRefused(f"A partial in {self._site.root} could not be put on disk.", hint="Look at the disk.")

    def _spread(self, version: str, size: int) -> None:
        """From here on bytes may lie beyond a gap: the map that says so is on disk before the first of them."""
        ahead = Ahead(version, size)
        with self._site.opened() as here:
            folder = folder_of(self._site, here)
            sync_folder(folder)  # a map must not outlive its partial
            self._write_map(ahead, folder)
        self._ahead = ahead

    def _note(self) -> None:
        if self._ahead is None or self._spoiled or self._ahead.news(self._size) is None:
            return
        with self._site.opened() as here:
            self._write_map(self._ahead, folder_of(self._site, here))

    def _write_map(self, ahead: Ahead, folder: int) -> None:
        """What the map tells of is on disk before the map is (I3)."""
        held = ahead.news(self._size)
        if held is None:
            return
        self._fsync()
        maps.write_map(self._name, folder, held)
        ahead.noted(held)

    def _catch_up(self, most: int) -> bool:
        """Some bytes more that lie behind the front into the digests; False where there are none, or it is busy."""
        ahead, digester = self._ahead, self._digester
        if ahead is None or digester is None:
            return False
        stop = min(ahead.reach(self._size), self._size + STEP, most)
        if stop <= self._size:
            return False
        self._digester = None
        self._read_into(digester, self._size, stop)
        self._size, self._digester = stop, digester
        return True

    def _retract(self) -> None:
        """Back to the bytes in order. They are on disk, and the others gone, before the map is."""
        ahead, held = self._ahead, self.held
        if ahead is None:
            return
        with self._site.opened() as here:
            os.ftruncate(self._fd, self._size)
            self._fsync()
            maps.drop_map(self._name, folder_of(self._site, here))
        self._ahead = None
        self._room.give_back(self._name, held - self._size)

    def _read(self, start: int, stop: int) -> bytes:
        pieces = []
        with self._site.translated:
            while start < stop:
                piece = os.pread(self._fd, min(READ, stop - start), start)
                if not piece:
                    raise OSError(errno.EIO, "a partial ended before its end")
                pieces.append(piece)
                start += len(piece)
        return b"".join(pieces)

    def _read_into(self, digester: Digester, start: int, stop: int) -> None:
        for at in range(start, stop, READ):
            digester.update(self._read(at, min(at + READ, stop)))
        self._trail.reached(self._fd, stop)

    def _hold_room(self, size: int) -> None:
        with self._site.translated:
            self._room.hold(self._name, max(0, size - self.held), self._fd)

    def _truncate(self, keep: int) -> None:
        with self._site.translated:
            os.ftruncate(self._fd, keep)
        self._room.give_back(self._name, self._size - keep)
        self._size = keep

    def _fsync(self) -> int:
        """fsync; the file's length. After a failed one the kernel may take the lost pages for written: the partial is
        not to be trusted. After a good one memory lets go of them, but for those that are to be hashed yet.

        See https://lwn.net/Articles/752063/.
        """
        try:
            os.fsync(self._fd)
            let_go(self._fd, 0, self._size)
            self._own = os.fstat(self._fd)
        except OSError:
            self._spoil()
            raise
        return self._own.st_size

    def _sync(self) -> None:
        """fsync, and the map away, whose time is over."""
        with self._site.translated:
            length = self._fsync()
        if length != self._size:
            self._spoil()
            raise DestinationRefused(
                f"A partial in {self._site.root} has another length than was written to it.",
                hint="Does another program work in its .syncer folder?",
            )
        if self._ahead is not None:
            with self._site.opened() as here:
                maps.drop_map(self._name, folder_of(self._site, here))
            self._ahead = None

    async def _publish(self, path: str, modified_at: datetime | None) -> None:
        with self._site.opened() as here:
            if self._fd >= 0:
                dress(self._fd, self._mode, modified_at)
                self._close()  # SMB does not like to rename what is open
            if self._own is None:
                raise AssertionError("published after it was let go of")
            source = self._name, folder_of(self._site, here)
            await publish(self._hands, self._folders, here, source, path, self._own)
            self._named = False
        self._shelf.gone(self._name)

    def _discard(self) -> None:
        fd, self._fd, self._digests, self._digester = self._fd, -1, None, None
        self._writer.close()
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)
        if self._named:
            self._unlink()
            self._named, self._size, self._ahead = False, 0, None
            self._shelf.gone(self._name)

    def _leave(self) -> None:
        try:
            self._note()
        finally:
            self._close()

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        self._writer.close()
        if fd < 0:
            return
        with self._site.translated:
            try:
                os.close(fd)
            except OSError:  # NFS tells late what it could not write
                self._spoil()
                raise

    def _spoil(self) -> None:
        self._digests, self._digester, self._spoiled = None, None, True
        with contextlib.suppress(Exception):
            self._unlink()

    def _unlink(self) -> None:
        with self._site.opened() as here, contextlib.suppress(FileNotFoundError):
            folder = folder_of(self._site, here)
            if self._ahead is not None:
                maps.drop_map(self._name, folder)
            os.unlink(self._name, dir_fd=folder)
