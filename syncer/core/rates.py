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

_SLIGHT: Final = 0.03
"""The same at the least, on a line so steady that it is beyond `_SURE` standard deviations."""

_SURE: Final = 4.0
_LONG: Final = 10.0  # seconds of work that tell how steady a line is


@dataclass(frozen=True, slots=True)
class Line:
    """The way from the storage to here. Bytes a second; None where nothing has been measured yet."""

    total: float | None = None  # all transfers together
    connection: float | None = None  # the most that one transfer may get, as far as is known; None: as much as `total`
    spread: float = 0.0  # of `total`: one standard deviation
    lanes: int = 1  # transfers that fill the line
    unsure: int = 0  # the most that were tried, where no fewer are known to carry as much: more may carry more; else 0
    noise: float = 0.0  # as `spread`, but only of what was measured since the line last changed for good
    proven: bool = True  # whether as many as `lanes` were tried


@dataclass(slots=True)
class _Sum:
    """Seconds of work and the bytes they brought."""

    seconds: float = 0.0
    bytes: float = 0.0

    @property
    def rate(self) -> float:
        return self.bytes / self.seconds


@dataclass(slots=True)
class _Wavering:
    """Mean and variance of samples, weighted as they fade (T. Finch, 2009)."""

    mean: float = 0.0
    square: float = 0.0
    weight: float = 0.0

    @property
    def spread(self) -> float:
        return math.sqrt(self.square)

    def add(self, taken: _Sum) -> None:
        self.weight = self.weight * math.exp(-taken.seconds / MEMORY) + taken.seconds
        share = taken.seconds / self.weight
        off = taken.rate - self.mean
        self.mean += share * off
        self.square = (1.0 - share) * (self.square + share * off * off)


@dataclass(frozen=True, slots=True)
class _Was:
    """What a level carried before a sample that was far off, by which share that is far, and to which side it was."""

    rate: float
    far: float
    less: bool


@dataclass(slots=True)
class _Level:
    """What was carried while so many transfers ran: all of it, fading, and the sample being taken."""

    all: _Sum = field(default_factory=_Sum)
    sample: _Sum = field(default_factory=_Sum)
    was: _Was | None = None  # if the last sample was far off
    seen: float = 0.0  # when its last sample was taken, in seconds of work
    told: float = 0.0  # its rate as the other levels know it; 0: they don't

    @property
    def rate(self) -> float:
        """A sample that was far off does not count before a second one confirms it."""
        return self.all.rate if self.was is None else self.was.rate

    def set_rate(self, rate: float) -> None:
        """What it carries is known from elsewhere; a sample begun before tells of a line that was."""
        self.was, self.sample, self.told = None, _Sum(), rate
        self.all.bytes = rate * self.all.seconds


class Rates:
    """Measures a line from the bytes that arrive and the number of transfers at work; moments in seconds.

    What one connection carries cannot be seen while many share the line. So every number of transfers is a level with
    a rate of its own: the least level that comes near the best rate fills the line. Of levels below it that were not
    tried yet the half is assumed to do as well, until it is tried; thus a planner that is pressed finds out how few do.

    A level whose own rate changes tells of the line, and not of the level: the others change with it, so that what
    was measured before is never held against what is measured now. Where a level filled the line and carries less, no
    level carries more than it does; one that was too little for the line before may fill it now. And where more
    transfers carry no more than fewer did just before, the line is full, whatever still more carried once.
    """

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}
        self._running = 0
        self._at: float | None = None
        self._worked = 0.0  # seconds in which anything ran: while nothing is at work, nothing is forgotten
        self._all, self._since_change = _Wavering(), _Wavering()

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
        known = self._known()
        best = max((level.rate for level in known.values()), default=0.0)
        if best <= 0.0:
            return Line()
        enough = min(n for n, level in known.items() if level.rate >= FULL * best)
        filling = [level for n, level in known.items() if n >= enough]
        total = sum(one.rate * one.all.seconds for one in filling) / sum(one.all.seconds for one in filling)
        too_few = max((n for n in known if n < enough), default=0)
        lanes = enough if enough - too_few <= 1 else max(1, (enough + too_few) // 2)
        return Line(
            total,
            total / (too_few + 1),
            spread=self._all.spread,
            lanes=lanes,
            unsure=enough if enough == max(known) else 0,
            noise=self._since_change.spread,
            proven=lanes in known,
        )

    def _known(self) -> dict[int, _Level]:
        return {n: level for n, level in self._levels.items() if level.all.seconds >= ENOUGH}

    def _pass_to(self, at: float) -> None:
        """Let the time until `at` count for the level that was at work."""
        passed, self._at = 0.0 if self._at is None else max(0.0, at - self._at), at
        if not self._running:
            return
        level = self._levels.setdefault(self._running, _Level(seen=self._worked))
        if self._worked - level.seen > MEMORY:
            level.sample = _Sum()
        self._worked += passed
        fading = math.exp(-passed / MEMORY)
        level.all.seconds = level.all.seconds * fading + passed
        level.all.bytes *= fading
        level.sample.seconds += passed

    def _take(self, level: _Level) -> None:
        """One more sample, and a look at whether the line has changed."""
        taken, level.sample, level.seen = level.sample, _Sum(), self._worked
        far = self._far()
        self._all.add(taken)
        if level.rate >= FULL * max(other.rate for other in self._levels.values() if other.all.seconds):
            self._since_change.add(taken)
        self._look_for_change(level, taken, far)
        self._look_for_limit(level)

    def _look_for_change(self, level: _Level, taken: _Sum, far: float) -> None:
        """Two samples in a row far from what the level carried before them, to the same side, tell of another line."""
        was, level.was = level.was, None
        if was is not None and _is_off(taken.rate, was.rate, was.far) and (taken.rate < was.rate) == was.less:
            self._carry_over(level, was.rate, taken.rate)
            level.set_rate(taken.rate)
            self._since_change = _Wavering()
            return
        earlier = level.all.seconds - taken.seconds
        rate = (level.all.bytes - taken.bytes) / earlier if earlier > 0.5 else 0.0
        if rate > 0.0 and _is_off(taken.rate, rate, far):
            level.was = _Was(rate, far, less=taken.rate < rate)
            return
        if level.told > 0.0:
            for other in self._others(level):
                other.all.bytes *= level.rate / level.told
                other.told *= level.rate / level.told
        level.told = level.rate

    def _far(self) -> float:
        """The share by which a sample must be off to speak of another line: less where the line was steady so far."""
        known = self._since_change
        if known.weight < _LONG or known.mean <= 0.0:
            return _CHANGED
        return min(_CHANGED, max(_SLIGHT, _SURE * known.spread / known.mean))

    def _carry_over(self, level: _Level, before: float, now: float) -> None:
        others = self._others(level)
        filled = before >= FULL * max((other.rate for other in others), default=0.0)
        for other in others:
            other.set_rate(min(other.rate, now) if filled and now < before else other.rate * now / before)

    def _others(self, level: _Level) -> list[_Level]:
        return [other for other in self._levels.values() if other is not level and other.all.seconds]

    def _look_for_limit(self, level: _Level) -> None:
        """More transfers that carry no more than fewer did just before: the line has no room for still more."""
        known = self._known()
        count = self._running
        if count not in known or level.was is not None:
            return
        fewer = max((n for n in known if n < count), default=0, key=lambda n: known[n].seen)
        if not fewer:
            return
        gain = level.rate / known[fewer].rate if known[fewer].rate else math.inf
        if gain >= 1.0 + 0.5 * (count / fewer - 1.0):
            return
        for n, other in self._levels.items():
            if n > count and other.all.seconds and other.seen < known[fewer].seen:
                other.set_rate(min(other.rate, max(level.rate, known[fewer].rate)))


def _is_off(rate: float, from_rate: float, by: float) -> bool:
    return abs(rate / from_rate - 1.0) > by
