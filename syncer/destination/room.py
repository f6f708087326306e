"""Keeps the destination above its floor of free space, however many files are written at once."""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final

from syncer.core.errors import DestinationRefused, NoRoom
from syncer.core.space import free_above

STEP: Final = 64 * 1024 * 1024
"""Bytes written between two looks at the file system: what others write there meanwhile is noticed then."""

_HINT = "Free some space, or lower --min-free; the next pass goes on where this one stopped."


class Room:
    """The free bytes above the floor, shared out among the files under way. Safe to use from several threads.

    A file whose size is known has its bytes set aside before the first is written; one that never said how large it is
    gets only what the others leave.
    """

    def __init__(self, root: Path, floor: int | None, ask: Callable[[int], os.statvfs_result] = os.fstatvfs) -> None:
        """`floor` is in bytes; None for the default (see `core.space`), 0 for none: then only the file system itself
        says that it is full. `ask` is asked for a handle's file system."""
        self._root = root
        self._floor = floor
        self._ask = ask
        self._lock = Lock()
        self._left: int | None = 0 if floor != 0 else None  # bytes above the floor, not written yet; None: not told
        self._unseen = STEP  # bytes written since the file system was asked
        self._aside: dict[str, int] = {}

    def hold(self, name: str, count: int, fd: int) -> None:
        """Set `count` bytes aside for a file until `drop`. Raises NoRoom. Blocking."""
        with self._lock:
            self._aside.pop(name, None)
            if self._lacks(count, fd):
                raise NoRoom(
                    f"The destination {self._root} has no room for this file: {count} bytes are to come, "
                    f"{self._unspoken()} are free above its floor.",
                    hint=_HINT,
                )
            self._aside[name] = count

    def take(self, name: str, count: int, fd: int) -> None:
        """Before `count` bytes of a file are written. Raises NoRoom for a file without bytes of its own set aside,
        DestinationRefused where the destination is down to its floor for everyone. Blocking."""
        with self._lock:
            own = self._aside.get(name, 0)
            if own >= count:
                self._aside[name] = own - count
                if self._unseen >= STEP:
                    self._look(fd)
                    if self._left is not None and self._left < count:
                        raise DestinationRefused(
                            f"The destination {self._root} is down to its floor of free space.", hint=_HINT
                        )
            elif self._lacks(count, fd):
                raise NoRoom(
                    f"The destination {self._root} is down to its floor of free space, and the storage does not say "
                    "how large this file is.",
                    hint=_HINT,
                )
            self._unseen += count
            if self._left is not None:
                self._left -= count

    def give_back(self, name: str, count: int) -> None:
        """`count` bytes of a file were cut off, and will be written again."""
        with self._lock:
            if self._left is not None:
                self._left += count
            if name in self._aside:
                self._aside[name] += count

    def drop(self, name: str) -> None:
        """Nothing more of this file will be written."""
        with self._lock:
            self._aside.pop(name, None)

    def free(self, fd: int) -> int | None:
        """Bytes above the floor, what is set aside among them; None where the file system does not tell. Blocking."""
        found = self._ask(fd)
        return free_above(self._floor, found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    def _lacks(self, count: int, fd: int) -> bool:
        if self._unseen >= STEP or (self._left is not None and self._unspoken() < count):
            self._look(fd)
        return self._left is not None and self._unspoken() < count

    def _unspoken(self) -> int:
        return max(0, (self._left or 0) - sum(self._aside.values()))

    def _look(self, fd: int) -> None:
        self._unseen = 0
        if self._floor == 0:
            return
        self._left = self.free(fd)
