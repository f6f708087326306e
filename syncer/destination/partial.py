"""The bytes of one job on their way: `DEST/.syncer/partial/<hash of id>.part`, hashed as they are written."""

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from datetime import datetime

from syncer.core.errors import DestinationRefused, FetchError
from syncer.core.naming import partial_key
from syncer.destination.digests import Digester
from syncer.destination.hands import Hands
from syncer.destination.marker import Site
from syncer.destination.publish import Folders, dress, publish
from syncer.destination.room import Room
from syncer.destination.system import NEVER_FOLLOW, OPEN_FOLDER, closing, make_folder, sync_folder, translated

FOLDER = "partial"
STEP = 8 * 1024 * 1024
"""Bytes of a partial that are read back in one go; between two, a cancelled reading stops."""

READ = 1024 * 1024
_PRIVATE_MODE = 0o600


def name_of(job_id: str) -> str:
    """The file name of a job's partial."""
    return f"{partial_key(job_id)}.part"


def open_folder(site: Site, root_fd: int) -> int:
    """A handle of the folder of partials, made if missing."""
    with closing(site.private(root_fd)) as private:
        with contextlib.suppress(FileNotFoundError):
            return os.open(FOLDER, OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=private)
        if make_folder(FOLDER, private):
            sync_folder(private)
        return os.open(FOLDER, OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=private)


def open_file(site: Site, name: str) -> tuple[int, int]:
    """The partial's handle and its bytes on disk; made if missing.

    A partial with a second name is a file that was published by a pass killed before it could take the first name
    away: writing to it would change the published file, so only its name is removed (I1).
    """
    with site.opened() as root_fd, closing(open_folder(site, root_fd)) as folder:
        for _ in range(3):
            fd = _open_plain(name, folder)
            if fd >= 0:
                try:
                    return fd, _drop_holes(fd)
                except BaseException:
                    os.close(fd)
                    raise
            os.unlink(name, dir_fd=folder)
    raise DestinationRefused(f"The partial {name} cannot be replaced.", hint="Delete it by hand.")


def _open_plain(name: str, folder: int) -> int:
    """A handle of the file, made if missing; -1 where it is no plain file, or has a second name."""
    try:
        fd = os.open(name, os.O_RDWR | os.O_CREAT | NEVER_FOLLOW, _PRIVATE_MODE, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return -1
        raise
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:
        return fd
    os.close(fd)
    return -1


def _drop_holes(fd: int) -> int:
    """Cut the file before its first hole, and say what is left.

    Partials are written in order, so a hole is what a power cut left (XFS, NFS): it would read as zeros.
    """
    size = os.fstat(fd).st_size
    try:
        solid = min(size, os.lseek(fd, 0, os.SEEK_HOLE)) if size else 0
    except OSError:
        return size
    if solid < size:
        os.ftruncate(fd, solid)
    return solid


class FolderPartial:
    """`core.ports.Partial` on a file system; made by `FolderDestination.open_partial`."""

    def __init__(
        self, site: Site, room: Room, folders: Folders, hands: Hands, name: str, mode: int, release: Callable[[], None]
    ) -> None:
        """`mode` is that of published files; `release` is called once when the partial is let go of."""
        self._site = site
        self._room = room
        self._folders = folders
        self._hands = hands
        self._name = name
        self._mode = mode
        self._release: Callable[[], None] | None = release
        self._fd = -1
        self._size = 0
        self._digester: Digester | None = None
        self._digests: dict[str, str] | None = None  # set by `finish`, void as soon as more is written
        self._own: os.stat_result | None = None
        self._named = True  # the file still has the partial's name

    async def open(self) -> None:
        """Open or make the file."""
        await self._hands.do(self._open)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._size

    async def begin(self, keep: int, digests: frozenset[str], size: int | None = None) -> None:
        if not 0 <= keep <= self._size:
            raise AssertionError("more bytes are to be kept than there are")
        self._digests, self._digester = None, None
        if size is not None:
            await self._hands.do(self._hold_room, size)
        digester = Digester(digests)
        for start in range(0, keep, STEP):
            await self._hands.do(self._read_into, digester, start, min(start + STEP, keep))
        if keep < self._size:
            await self._hands.do(self._truncate, keep)
        self._digester = digester

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Blocking. Raises DestinationError, or FetchError where the file outgrows what the file system can hold."""
        digester = self._digester
        if digester is None:
            raise AssertionError("written to before `begin`, or after a failed write")
        self._digests, self._digester = None, None
        view = memoryview(data).cast("B")
        digester.update(view)
        with translated(self._site.root):
            self._room.take(self._name, len(view), self._fd)
            while view:
                try:
                    count = os.pwrite(self._fd, view, self._size)
                except OSError as error:
                    if error.errno != errno.EFBIG:
                        raise
                    # This file's fault and no other's (I8): FAT32 ends at 4 GiB.
                    raise FetchError("The file is larger than the destination's file system allows.") from None
                self._size += count
                view = view[count:]
        self._digester = digester

    async def tail(self, count: int) -> bytes:
        return await self._hands.do(self._read, max(0, self._size - count), self._size)

    async def finish(self) -> dict[str, str]:
        if self._digester is None:
            raise AssertionError("finished before `begin`, or after a failed write")
        await self._hands.do(self._sync)
        self._digests = self._digester.hexdigests()
        return dict(self._digests)

    async def publish(self, path: str, modified_at: datetime | None) -> None:
        if self._digests is None:
            raise AssertionError("published without `finish` behind the last write")
        await self._hands.do(self._publish, path, modified_at)

    async def discard(self) -> None:
        try:
            await self._hands.do(self._discard)
        finally:
            self._let_go()

    async def close(self) -> None:
        self._digester = None
        try:
            if self._fd >= 0:
                await self._hands.do(self._close)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._room.drop(self._name)
        release, self._release = self._release, None
        if release is not None:
            release()

    def _open(self) -> None:
        # Kept from within the thread: were the call cancelled, a returned handle would be lost and stay open.
        self._fd, self._size = open_file(self._site, self._name)

    def _read(self, start: int, stop: int) -> bytes:
        pieces = []
        with translated(self._site.root):
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

    def _hold_room(self, size: int) -> None:
        with translated(self._site.root):
            self._room.hold(self._name, max(0, size - self._size), self._fd)

    def _truncate(self, keep: int) -> None:
        with translated(self._site.root):
            os.ftruncate(self._fd, keep)
        self._room.give_back(self._name, self._size - keep)
        self._size = keep

    def _sync(self) -> None:
        """fsync. After a failed one the kernel may take the lost pages for written: the partial is not to be trusted.

        See https://lwn.net/Articles/752063/.
        """
        with translated(self._site.root):
            try:
                os.fsync(self._fd)
                length = os.fstat(self._fd).st_size
            except OSError:
                self._spoil()
                raise
        if length != self._size:
            self._spoil()
            raise DestinationRefused(
                f"A partial in {self._site.root} has another length than was written to it.",
                hint="Does another program work in its .syncer folder?",
            )

    def _publish(self, path: str, modified_at: datetime | None) -> None:
        with self._site.opened() as root_fd, closing(open_folder(self._site, root_fd)) as folder:
            if self._fd >= 0:
                dress(self._fd, self._mode, modified_at)
                self._own = os.fstat(self._fd)
                self._close()  # SMB does not like to rename what is open
            if self._own is None:
                raise AssertionError("published after it was let go of")
            publish(self._folders, root_fd, (self._name, folder), path, self._own)
            self._named = False

    def _discard(self) -> None:
        fd, self._fd, self._digests, self._digester = self._fd, -1, None, None
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)
        if self._named:
            self._unlink()
            self._named, self._size = False, 0

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        with translated(self._site.root):
            try:
                os.close(fd)
            except OSError:  # NFS tells late what it could not write
                self._spoil()
                raise

    def _spoil(self) -> None:
        self._digests, self._digester = None, None
        with contextlib.suppress(Exception):
            self._unlink()

    def _unlink(self) -> None:
        with (
            self._site.opened() as root_fd,
            closing(open_folder(self._site, root_fd)) as folder,
            contextlib.suppress(FileNotFoundError),
        ):
            os.unlink(self._name, dir_fd=folder)
