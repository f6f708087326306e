"""Lets the bytes of files go from the system's memory: an archive is not read again soon, and others are."""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

STRETCH: Final = 8 * 1024 * 1024
"""Bytes between two words to the system about one file."""


def let_go(fd: int, start: int = 0, stop: int | None = None) -> None:
    """Have the bytes from `start` up to `stop`, None for the end, leave the page cache.

    Advice, never an error: a system that does not take it keeps them. Linux drops what is on disk already, begins to
    write what is not, and drops that when it is asked again (posix_fadvise(2), POSIX_FADV_DONTNEED).
    """
    advise = getattr(os, "posix_fadvise", None)  # macOS has none
    count = 0 if stop is None else stop - start  # to the system, 0 is all from there on
    if advise is not None and (stop is None or count):
        with suppress(OSError):
            advise(fd, start, count, os.POSIX_FADV_DONTNEED)


class Trail:
    """What one file under way leaves behind in memory.

    Each stretch is named twice: when it has come, and with the next one, when it may have been written. So a file of
    any size never holds much of the memory, and its last fsync finds little to write.
    """

    def __init__(self, let_go: Callable[[int, int, int], None] = let_go) -> None:
        self._let_go = let_go
        self._twice = 0  # up to there all is named twice
        self._named = 0

    def reached(self, fd: int, front: int) -> None:
        """All before `front` is written and hashed; less than last time where it begins again. Blocking."""
        if 0 <= front - self._named < STRETCH:
            return
        start = min(self._twice, front)
        self._twice, self._named = min(self._named, front), front
        self._let_go(fd, start, front)

    def ended(self, fd: int, front: int) -> None:
        """Nothing more comes: what the system was not told of yet, it begins to write. Blocking."""
        self._let_go(fd, min(self._named, front), front)
