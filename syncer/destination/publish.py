"""Makes a finished partial visible under its final name: never over something else, never outside the destination."""

import contextlib
import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from syncer.core.errors import NameTaken
from syncer.core.naming import PRIVATE
from syncer.destination.handles import Handles
from syncer.destination.hands import Hands
from syncer.destination.syncs import SharedSyncs
from syncer.destination.system import OPEN_FOLDER, give_name, make_folder, sync_folder, take_name

_MOST_SETTLED = 4096  # folders remembered
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def split(path: str) -> list[str]:
    """The parts of a path relative to the destination. Raises ValueError for one that does not stay inside it."""
    parts = path.split("/")
    unsafe = any(part in ("", ".", "..") or "\0" in part for part in parts)
    if unsafe or parts[0].casefold() == PRIVATE:
        raise ValueError("a path that does not stay inside the destination")
    return parts


class Folders:
    """The folders below one destination, made when needed and fsynced into their parents.

    The first use of each in this process fsyncs its parent even if the folder is there already: whoever made it may
    have died before that (I2).
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._settled: set[str] = set()
        self._fresh: set[str] = set()
        self._syncs = SharedSyncs()

    def sync(self, fds: list[int]) -> None:
        """fsync open folders, together with whoever publishes into them at the same time. Blocking."""
        for fd in dict.fromkeys(fds):
            self._syncs.sync(fd)

    def published(self, path: str) -> None:
        """The file at `path` and its folders are durable."""
        self._fresh.add(path)

    def take_fresh(self, path: str) -> bool:
        """Whether `published` was told of `path`; asked once, it is forgotten."""
        was_there = path in self._fresh
        self._fresh.discard(path)
        return was_there

    def handle(self, parts: list[str], here: Handles) -> int:
        """As `open`, one of `here`."""
        return here.folder("/".join(parts), lambda root: self.open(parts, root)) if parts else here.root

    def open(self, parts: list[str], root_fd: int) -> int:
        """A handle of the folder, its missing parts made. Raises NameTaken where something else is in its place."""
        fd = os.dup(root_fd)
        try:
            for depth, name in enumerate(parts, start=1):
                inner = self._enter(parts[:depth], name, fd)
                os.close(fd)
                fd = inner
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _enter(self, parts: list[str], name: str, fd: int) -> int:
        path = "/".join(parts)
        made = False
        try:
            inner = self._open_part(path, name, fd)
        except FileNotFoundError:
            made = make_folder(name, fd)
            inner = self._open_part(path, name, fd)
        try:
            if made or path not in self._settled:
                sync_folder(fd)
        except BaseException:
            os.close(inner)
            raise
        if len(self._settled) >= _MOST_SETTLED:
            self._settled.clear()
        self._settled.add(path)
        return inner

    def _open_part(self, path: str, name: str, fd: int) -> int:
        try:
            return os.open(name, OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=fd)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
        real, inside = os.path.realpath(self._root / path), os.path.realpath(self._root)
        notes = os.path.join(inside, PRIVATE)  # noqa: PTH118 - compared as text
        if os.path.commonpath((real, inside)) != inside or os.path.commonpath((real, notes)) == notes:
            raise NameTaken(f"{self._root / path} is a link that leads out of the destination.")
        try:
            return os.open(name, OPEN_FOLDER, dir_fd=fd)
        except (NotADirectoryError, FileNotFoundError):
            raise NameTaken(f"{self._root / path} is not a folder.") from None


async def publish(
    hands: Hands, folders: Folders, here: Handles, source: tuple[str, int], path: str, own: os.stat_result
) -> None:
    """Move a fsynced file to `path`, and fsync the folder. Raises NameTaken where something has that name.

    `source` is its name and open folder, `own` its stat. To be gone through by `hands`.
    """
    *above, name = split(path)
    try:
        try:
            folder = folders.handle(above, here)
            has_both = give_name(source, (name, folder), own)
        except FileNotFoundError:  # somebody took the folder away since it was opened
            here.forget("/".join(above))
            folder = folders.handle(above, here)
            has_both = give_name(source, (name, folder), own)
        await hands.together(folders.sync, folder)
        if has_both:
            take_name(source)
        folders.published(path)
    except FileExistsError:
        raise NameTaken(f"Something else lies under {path}.") from None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise NameTaken(f"The name {path} is too long for the destination's file system.") from None


def dress(fd: int, mode: int, modified_at: datetime | None) -> None:
    """Give a file its final mode and time; as far as the file system allows, since CIFS may refuse either."""
    with contextlib.suppress(OSError):
        os.fchmod(fd, mode)
    if modified_at is not None:
        nanoseconds = (modified_at - _EPOCH) // timedelta(microseconds=1) * 1000
        with contextlib.suppress(OSError, OverflowError):
            os.utime(fd, ns=(nanoseconds, nanoseconds))
