"""How fast the line is: what it carries altogether and for one transfer, measured over the last minutes."""

import math
from dataclasses import dataclass, field
from typing import Final

MEMORY: Final = 45.0
"""Seconds after which a measurement counts a third (1/e): the last minutes, the latest seconds most of all."""

ENOUGH: Final = 1.5
"""Seconds of work after which a measurement counts at all: bytes are told in lumps, up to half a second apart."""

FULL: Final = 0.9
"""The share of the best rate at which so many transfers count as filling the line."""

_SAMPLE: Final = 2.0  # seconds of work over which one sample of the rate is taken

_CHANGED: Final = 0.15
"""By this share two samples of one level in a row must be off, to the same side, to count as another line."""


@dataclass(frozen=True, slots=True)
class Line:
    """The way from the storage to here. Bytes a second; None where nothing has been measured yet."""

    total: float | None = None  # all transfers together
    connection: float | None = None  # the most that one transfer may get, as far as is known; None: as much as `total`
    spread: float = 0.0  # of `total`: one standard deviation
    lanes: int = 1  # transfers that fill the line
    unsure: int = 0  # the most that were tried, where no fewer are known to carry as much: more may carry more; else 0


@dataclass(slots=True)
class _Sum:
    """Seconds of work and the bytes they brought."""

    seconds: float = 0.0
    bytes: float = 0.0

    @property
    def rate(self) -> float:
        return self.bytes / self.seconds


@dataclass(frozen=True, slots=True)
class _Was:
    """What a level carried before a sample that was far off, and to which side that was."""

    rate: float
    less: bool


@dataclass(slots=True)
class _Level:
    """What was carried while so many transfers ran: all of it, fading, and the sample being taken."""

    all: _Sum = field(default_factory=_Sum)
    sample: _Sum = field(default_factory=_Sum)
    was: _Was | None = None  # if the last sample was far off

    @property
    def rate(self) -> float:
        """A sample that was far off does not count before a second one confirms it."""
        return self.all.rate if self.was is None else self.was.rate


class Rates:
    """Measures a line from the bytes that arrive and the number of transfers at work; moments in seconds.

    What one connection carries cannot be seen while many share the line. So every number of transfers is a level with
    a rate of its own: the least level that comes near the best rate fills the line. Of levels below it that were not
    tried yet the half is assumed to do as well, until it is tried; thus a planner that is pressed finds out how few do.
    A level whose own rate changes lastingly tells of the line, and not of the level: all levels change with it.
    """

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}
        self._running = 0
        self._at: float | None = None
        self._mean = self._square = self._weight = 0.0

    def running(self, at: float, count: int) -> None:
        """From now on so many transfers are at work."""
        self._pass_to(at)
        self._running = count

    def arrived(self, at: float, count: int) -> None:
        """So many bytes came since they were told last."""
        self._pass_to(at)
        if not self._running:
            return
        level = self._levels[self._running]
        level.all.bytes += count
        level.sample.bytes += count
        if level.sample.seconds >= _SAMPLE:
            self._take(level)

    def line(self) -> Line:
        """The line as measured so far."""
        known = {n: level.rate for n, level in self._levels.items() if level.all.seconds >= ENOUGH}
        best = max(known.values(), default=0.0)
        if best <= 0.0:
            return Line()
        enough = min(n for n, rate in known.items() if rate >= FULL * best)
        filling = [level.all for n, level in self._levels.items() if n >= enough]
        total = sum(one.bytes for one in filling) / sum(one.seconds for one in filling)
        too_few = max((n for n in known if n < enough), default=0)
        lanes = enough if enough - too_few <= 1 else max(1, (enough + too_few) // 2)
        return Line(total, total / (too_few + 1), math.sqrt(self._square), lanes, enough if enough == max(known) else 0)

    def _pass_to(self, at: float) -> None:
        """Let the time until `at` count for the level that was at work, and all else fade."""
        passed, self._at = 0.0 if self._at is None else max(0.0, at - self._at), at
        if not self._running:
            return  # while nothing is at work nothing is learned, and nothing forgotten
        if passed:
            self._scale(math.exp(-passed / MEMORY), seconds=True)
        level = self._levels.setdefault(self._running, _Level())
        level.all.seconds += passed
        level.sample.seconds += passed

    def _take(self, level: _Level) -> None:
        """One more sample: the mean and variance of all, weighted as they fade (T. Finch, 2009), and a look whether
        the line has changed."""
        taken, level.sample = level.sample, _Sum()
        self._weight = self._weight * math.exp(-taken.seconds / MEMORY) + taken.seconds
        share = taken.seconds / self._weight
        off = taken.rate - self._mean
        self._mean += share * off
        self._square = (1.0 - share) * (self._square + share * off * off)
        self._look_for_change(level, taken)

    def _look_for_change(self, level: _Level, taken: _Sum) -> None:
        """Two samples in a row far from what the level carried before them, to the same side, tell of another line."""
        was, level.was = level.was, None
        if was is not None and _is_off(taken.rate, was.rate) and (taken.rate < was.rate) == was.less:
            self._scale(taken.rate / was.rate)
            level.all.bytes = taken.rate * level.all.seconds
            return
        earlier = level.all.seconds - taken.seconds
        rate = (level.all.bytes - taken.bytes) / earlier if earlier > 0.5 else 0.0
        if rate > 0.0 and _is_off(taken.rate, rate):
            level.was = _Was(rate, less=taken.rate < rate)

    def _scale(self, factor: float, *, seconds: bool = False) -> None:
        for level in self._levels.values():
            level.all.bytes *= factor
            if seconds:
                level.all.seconds *= factor


def _is_off(rate: float, from_rate: float) -> bool:
    return abs(rate / from_rate - 1.0) > _CHANGED
