"""Writes to a partial that go past the page cache, where the disk is quick: an archive is not read again soon."""

import errno
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Final

from syncer.core.errors import FetchError
from syncer.core.ports import PAGE

LEAST: Final = 512 * 1024
"""Bytes of one write that are worth the wait for the disk."""

QUICK: Final = 128 * 1024 * 1024
"""Bytes a second that one write must reach. A disk that turns does not, when several files are written side by side:
it is better off with what the page cache brings together."""

PATIENCE: Final = 16
"""So many more slow writes than quick ones, and the page cache has all that follows."""

REFUSALS: Final = 32
"""Files that were refused, and none taken: then it is the file system. Else it was the memory, which may begin in the
middle of a page where a body goes on that was begun before."""


class Direct:
    """Whether direct writes pay in one destination. Safe to use from several threads.

    They are tried on block devices alone: the file systems of the network, of memory, and those that keep checksums of
    what they write (btrfs, ZFS) have no device number of a disk, and are served as well by the page cache. See open(2),
    O_DIRECT, and makedev(3).
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """`monotonic` tells seconds."""
        self._monotonic = monotonic
        self._flag = getattr(os, "O_DIRECT", 0)  # macOS has none
        self._pays = bool(self._flag)
        self._slow = 0
        self._refused = 0
        self._taken = False
        self._lock = Lock()
        self._most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2

    @property
    def pays(self) -> bool:
        return self._pays

    def open(self, fd: int) -> int:
        """A second handle of a file, whose writes are direct; -1 where there is none to be had."""
        handle = -1
        with suppress(OSError):
            if os.major(os.fstat(fd).st_dev):
                handle = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | self._flag)
        if handle < 0:
            self._pays = False
        elif handle > self._most >= 0:  # the rest is for what cannot be done without
            os.close(handle)
            return -1
        return handle

    def write(self, handle: int, view: memoryview, at: int) -> int:
        """As os.pwrite; 0 where the file system does not take this in this way, and the page cache has to."""
        began = self._monotonic()
        try:
            count = os.pwrite(handle, view, at)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._refuse()
            return 0
        self._taken = True
        self._judge(count, self._monotonic() - began)
        return count

    def _refuse(self) -> None:
        with self._lock:
            self._refused += 1
            if self._refused >= REFUSALS and not self._taken:
                self._pays = False

    def _judge(self, count: int, seconds: float) -> None:
        with self._lock:
            self._slow = max(0, self._slow + (1 if count < QUICK * seconds else -1))
            if self._slow >= PATIENCE:
                self._pays = False


class Writer:
    """Writes at positions of one file, directly where that pays. For several threads, but for `close`."""

    def __init__(self, direct: Direct) -> None:
        self._direct = direct
        self._handle: int | None = None  # opened when there is something for it
        self._refused = False
        self._lock = Lock()

    def write(self, fd: int, view: memoryview, at: int) -> int:
        """Some of the bytes of `view`, from position `at` on; how many. Blocking.

        What the page cache holds of the same pages is written first, and forgotten: a reader sees one file.
        Raises OSError, or FetchError where the file outgrows what the file system can hold.
        """
        whole = len(view) - len(view) % PAGE
        try:
            if whole >= LEAST and at % PAGE == 0 and self._may_be() and (handle := self._opened(fd)) >= 0:
                if count := self._direct.write(handle, view[:whole], at):
                    return count
                self._refused = True
            return os.pwrite(fd, view, at)
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            # This file's fault and no other's (I8): FAT32 ends at 4 GiB.
            raise FetchError("The file is larger than the destination's file system allows.") from None

    def close(self) -> None:
        """What was written stays written, and is durable by an fsync of any handle of the file."""
        handle, self._handle = self._handle, None
        if handle is not None and handle >= 0:
            with suppress(OSError):
                os.close(handle)

    def _may_be(self) -> bool:
        return self._direct.pays and not self._refused

    def _opened(self, fd: int) -> int:
        with self._lock:
            if self._handle is None:
                self._handle = self._direct.open(fd)
            return self._handle
