"""Opens a partial, or makes it: a plain file that has no other name, with what it holds that can be gone on with."""

import contextlib
import errno
import os
import stat
from threading import Lock

from syncer.core.errors import DestinationRefused, FetchError
from syncer.core.naming import PRIVATE
from syncer.destination import ahead as maps
from syncer.destination.ahead import Ahead
from syncer.destination.handles import Handles
from syncer.destination.marker import Site
from syncer.destination.system import NEVER_FOLLOW, OPEN_FOLDER, make_folder, sync_folder

FOLDER = "partial"
_PRIVATE_MODE = 0o600
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | NEVER_FOLLOW


def folder_of(site: Site, here: Handles) -> int:
    """A handle of the folder of partials, one of `here`; the folder is made if missing."""
    return here.folder(f"{PRIVATE}/{FOLDER}", lambda _: _open_folder(site.private(here)))


class Shelf:
    """The partials that there are, as far as this process knows: those it found at first, and those it made since.

    One that it does not know of costs its bytes and no more: `open_file` finds it once it is made.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._names: set[str] | None = None
        self._lock = Lock()

    def may_hold(self, name: str, here: Handles) -> bool:
        """Whether there may be a partial of this name. Blocking."""
        with self._lock:
            if self._names is None:
                self._names = set(os.listdir(folder_of(self._site, here)))
            return name in self._names

    def knows(self, name: str) -> bool:
        """Whether there is one of this name that was found or made."""
        return self._names is not None and name in self._names

    def made(self, name: str) -> None:
        if self._names is not None:
            self._names.add(name)

    def gone(self, name: str) -> None:
        if self._names is not None:
            self._names.discard(name)


def _open_folder(private: int) -> int:
    with contextlib.suppress(FileNotFoundError):
        return os.open(FOLDER, OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=private)
    if make_folder(FOLDER, private):
        sync_folder(private)
    return os.open(FOLDER, OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=private)


def open_file(site: Site, name: str) -> tuple[int, int, Ahead | None]:
    """The partial's handle, its bytes on disk up to the first gap, and what lies beyond; made if missing.

    A partial with a second name is a file that was published by a pass killed before it could take the first name
    away: writing to it would change the published file, so only its name is removed (I1).
    """
    with site.opened() as here:
        folder = folder_of(site, here)
        for _ in range(3):
            fd = _open_plain(name, folder)
            if fd >= 0:
                try:
                    size = os.fstat(fd).st_size
                    size, ahead = maps.settle(fd, name, folder, size) if size else (0, None)
                    return fd, size if ahead else _drop_holes(fd, size), ahead
                except BaseException:
                    os.close(fd)
                    raise
            os.unlink(name, dir_fd=folder)
    raise DestinationRefused(f"The partial {name} cannot be replaced.", hint="Delete it by hand.")


def make_file(site: Site, name: str) -> tuple[int, int, Ahead | None]:
    """As `open_file`, where there is most likely nothing of this name."""
    with site.opened() as here, contextlib.suppress(FileExistsError):
        return os.open(name, _NEW, _PRIVATE_MODE, dir_fd=folder_of(site, here)), 0, None
    return open_file(site, name)


def _open_plain(name: str, folder: int) -> int:
    """A handle of the file, made if missing; -1 where it is no plain file, or has a second name.

    Raises FetchError where it is a folder: that is somebody's, and one job's trouble (I8).
    """
    try:
        fd = os.open(name, os.O_RDWR | os.O_CREAT | NEVER_FOLLOW, _PRIVATE_MODE, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            return -1
        if error.errno == errno.EISDIR:
            raise FetchError(f"A folder lies in the destination where {PRIVATE}/{FOLDER}/{name} belongs.") from None
        raise
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:
        return fd
    os.close(fd)
    return -1


def _drop_holes(fd: int, size: int) -> int:
    """Cut the file before its first hole, and say what is left.

    Without a map partials are written in order, so a hole is what a power cut left (XFS, NFS): it would read as zeros.
    """
    try:
        solid = min(size, os.lseek(fd, 0, os.SEEK_HOLE)) if size else 0
    except OSError:
        return size
    if solid < size:
        os.ftruncate(fd, solid)
    return solid
