"""The operating system as the destination needs it, its errors translated."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from syncer.core.errors import DestinationError, DestinationMissing, DestinationRefused

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NEVER_FOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""For files: links are not followed, and a FIFO under the name does not hang the program."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_GONE = frozenset(
    {errno.ENOENT, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENODEV, errno.ENXIO}
)
_TOO_MANY = frozenset({errno.EMFILE, errno.ENFILE})
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP})
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})


class translated:  # noqa: N801 - as those of contextlib
    """Every OSError leaves as a DestinationError that names the destination and the way out.

    One serves any number of threads. By hand, as are all contexts that each file goes through: those that contextlib
    makes take four times as long.
    """

    __slots__ = ("_root",)

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise destination_error(error, self._root) from error


def destination_error(error: OSError, root: Path) -> DestinationError:
    """What a system error means to the user of the destination at `root`."""
    if error.errno in _FULL:
        return DestinationRefused(
            f"The destination {root} is full.",
            hint="Free some space or raise the quota; the next pass goes on where this one stopped.",
        )
    if error.errno in _FORBIDDEN:
        return DestinationRefused(
            f"The destination {root} cannot be written: {_told(error)}.",
            hint="Check its owner, its permissions, and whether it is mounted read-only.",
        )
    if error.errno in _GONE:
        return DestinationMissing(
            f"The destination {root} is gone: {_told(error)}.", hint="Was it unmounted, or the NAS switched off?"
        )
    if error.errno == errno.EXDEV:
        return DestinationRefused(
            f"A folder inside {root} is on another file system than {root}{os.sep}.syncer.",
            hint="Files appear there whole or not at all only where both are on one file system.",
        )
    if error.errno in _TOO_MANY:
        return DestinationRefused(
            f"Nothing more can be opened in the destination {root}: {_told(error)}.",
            hint="Raise the limit on open files (`ulimit -n`), or lower --workers.",
        )
    return DestinationRefused(
        f"The destination {root} failed: {_told(error)}.", hint="Look at the disk, the NAS and the system's log."
    )


def _told(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


@contextmanager
def closing(fd: int) -> Iterator[int]:
    """Close a handle whatever happens."""
    try:
        yield fd
    finally:
        os.close(fd)


def make_folder(name: str, within: int) -> bool:
    """Make a folder inside the open one; False where something has that name already."""
    try:
        os.mkdir(name, dir_fd=within)
    except FileExistsError:
        return False
    return True


def sync_folder(fd: int) -> None:
    """fsync an open folder. A file system that has no such thing (some SMB servers) is taken at its word."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def write_all(fd: int, data: bytes) -> None:
    """Write every byte at the handle's position, short writes continued."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def size_at(path: str, within: int) -> int | None:
    """Bytes of the regular file under `path`; None where there is nothing, -1 where something else is in the way."""
    try:
        found = os.stat(path, dir_fd=within, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        # A file where a folder is needed, a chain of links, a name this file system cannot hold: not for this file.
        if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
            return -1
        raise
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def place(source: tuple[str, int], target: tuple[str, int], own: os.stat_result) -> None:
    """Move a fsynced file to a free name, durably; names with their open folders. `own` is the file's stat.

    Raises FileExistsError rather than replace anything.
    """
    has_both = give_name(source, target, own)
    sync_folder(target[1])
    if has_both:
        take_name(source)


def give_name(source: tuple[str, int], target: tuple[str, int], own: os.stat_result) -> bool:
    """Give a fsynced file a free name; whether it has its old one as well.

    Raises FileExistsError rather than replace anything: a hard link cannot. The old name goes, by `take_name`, once the
    new one is on disk; a kill between the two leaves a partial that is the published file, see `opening.open_file`.
    """
    try:
        os.link(source[0], target[0], src_dir_fd=source[1], dst_dir_fd=target[1], follow_symlinks=False)
    except FileExistsError:
        # Over NFS a link that was made may be answered so, when the first answer got lost (link(2), BUGS).
        if not os.path.samestat(own, os.stat(target[0], dir_fd=target[1], follow_symlinks=False)):
            raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        rename_to_free(source, target)
        return False
    return True


def take_name(source: tuple[str, int]) -> None:
    """A file that has another name by now loses this one; left there, it does no harm."""
    with contextlib.suppress(OSError):
        os.unlink(source[0], dir_fd=source[1])


def rename_to_free(source: tuple[str, int], target: tuple[str, int]) -> None:
    """`place` for file systems without hard links (FAT, some SMB).

    Danger: what somebody else puts under the name between the look and the rename is replaced.
    """
    if size_at(target[0], target[1]) is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target[0])
    os.rename(source[0], target[0], src_dir_fd=source[1], dst_dir_fd=target[1])
