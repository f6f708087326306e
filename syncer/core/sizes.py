"""How large a file is whose size nobody has told yet: judged by the sizes of the files that were seen."""

import math
from collections.abc import Iterable
from typing import Final

_STEPS: Final = 4  # classes an octave: a class spans 19 %
_LARGEST: Final = 64 * _STEPS
_GUESS: Final = 50 * 1000 * 1000
"""Bytes taken for a file before any size is known: some minutes of video; it only orders the work."""


class Sizes:
    """The distribution of the sizes seen so far, in classes of equal ratio: bounded memory, any number of files."""

    def __init__(self, seen: Iterable[int] = ()) -> None:
        self._count = [0] * (_LARGEST + 1)
        self._sum = [0.0] * (_LARGEST + 1)
        self.seen = 0
        self._whole = 0.0  # bytes of all of them
        for size in seen:
            self.add(size)

    def add(self, size: int) -> None:
        """One more file of this many bytes."""
        place = _class_of(size)
        self._count[place] += 1
        self._sum[place] += size
        self._whole += size
        self.seen += 1

    def expected(self, arrived: int = 0) -> float:
        """The mean size, in bytes, of the files that are larger than `arrived`: what a file that has sent so much
        and not ended is likely to be. Where none was ever so large, twice what has arrived."""
        if arrived <= 0:
            return self._whole / self.seen if self.seen else float(_GUESS)
        larger = slice(_class_of(arrived) + 1, None)
        count = sum(self._count[larger])
        return sum(self._sum[larger]) / count if count else 2.0 * arrived

    def quantile(self, share: float) -> float:
        """The size, in bytes and to within a class, that this share of the files does not exceed."""
        if not self.seen:
            return float(_GUESS)
        rank, passed = share * self.seen, 0
        for place, count in enumerate(self._count):
            passed += count
            if count and passed >= rank:
                return self._sum[place] / count
        return float(_GUESS)


def _class_of(size: int) -> int:
    return min(_LARGEST, math.ceil(_STEPS * math.log2(size))) if size > 1 else 0
