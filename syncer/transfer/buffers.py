"""Memory for bodies on their way: as much as is in use at once, and used again while it is warm."""

import mmap
from typing import Final

BUFFER: Final = 1024 * 1024
"""Bytes of a buffer: the most that a sink gets at once. Larger ones fall out of the processor's cache."""


class Buffers:
    """Buffers that are lent, the one last given back first. Safe to use from several threads.

    Each is a mapping of its own: memory is taken up as far as it is filled, and all of it goes with its owner.
    """

    def __init__(self) -> None:
        self._free: list[memoryview] = []

    def take(self) -> memoryview:
        """One that nobody else has, with whatever is left in it."""
        try:
            return self._free.pop()
        except IndexError:
            return memoryview(mmap.mmap(-1, BUFFER, flags=mmap.MAP_PRIVATE | mmap.MAP_ANON))

    def give_back(self, buffer: memoryview) -> None:
        """Nobody uses it any more."""
        self._free.append(buffer)
