"""How many files at once: transfers side by side share the line, and each comes later for it."""

import math
from collections.abc import Sequence
from typing import Final

from syncer.core.rates import Line

POORER: Final = 1 / 20
"""The share of the measured rate at which files must still be in time to be fetched otherwise than one after the other
by their deadlines. That order alone loses nothing, however the rate changes, that could be saved at all."""


def fewest(line: Line, slots: int) -> int:
    """The least number of transfers that fills the line; `slots` where nothing is measured yet."""
    return slots if line.total is None else min(slots, line.lanes)


def width(loads: Sequence[float], left: Sequence[float], line: Line, slots: int) -> int:
    """How many of the first files to run side by side so that each is still in time.

    `loads` are the bytes the files lack, `left` the seconds they have, in the order of their turns. As many as there
    are slots where time allows, since more connections carry more and hide the storage's latency; but never so many
    that sharing makes one late that would be in time by itself, were the line no better than `POORER`. Not fewer than
    fill the line.
    """
    least, most = fewest(line, slots), min(slots, len(loads))
    while most > least and not in_time(loads[:most], left[:most], line):
        most = max(least, most - max(1, most // 4))
    return most


def in_time(loads: Sequence[float], left: Sequence[float], line: Line) -> bool:
    """Whether all of these make it when they share the line evenly and it gets as poor as `POORER` says.

    Processor sharing with a limit for each: the one that lacks least ends first, and the others share what it had.
    """
    if line.total is None:
        return True
    total = POORER * line.total
    alone = POORER * (line.connection or line.total)
    if sum(loads) / total + max(loads, default=0.0) / alone <= min(left, default=math.inf):
        return True  # at the latest all end by then: no need to look at each
    passed = done = 0.0
    active = len(loads)
    for load, end in sorted(zip(loads, left, strict=True)):
        passed += (load - done) * max(active / total, 1.0 / alone)
        if passed > end:
            return False
        done = load
        active -= 1
    return True
