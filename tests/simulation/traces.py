"""Random accounts of files, deadlines and lines; and what could have been saved by one who knew it all beforehand."""

import heapq
import math
import random
from dataclasses import dataclass, replace

MB = 1e6


@dataclass(frozen=True, slots=True)
class Film:
    """One job: bytes, and the seconds in which it is listed and its link dies."""

    id: str
    size: int
    deadline: float
    listed: float = 0.0


@dataclass(frozen=True, slots=True)
class Way:
    """The line: from each moment on (seconds) so many bytes a second; `alone` is the most one connection gets."""

    steps: tuple[tuple[float, float], ...]
    alone: float = math.inf

    def rate(self, at: float) -> float:
        return next(rate for begin, rate in reversed(self.steps) if begin <= at)

    def next_step(self, at: float) -> float:
        return min((begin for begin, _ in self.steps if begin > at), default=math.inf)

    def carried(self, until: float) -> float:
        """Bytes by then."""
        ends = [*(begin for begin, _ in self.steps[1:]), math.inf]
        return sum(
            max(0.0, min(end, until) - begin) * rate for (begin, rate), end in zip(self.steps, ends, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """One evening: what is to be fetched, over which line, and what is told of it."""

    films: tuple[Film, ...]
    way: Way
    sizes_told: bool = True
    slots: int = 4
    answer: float = 0.0  # seconds until a storage's answer begins, and tells the size


def trace(
    seed: int,
    *,
    load: float,
    least: float = 1.0,
    most: float = 2.6,
    sizes_told: bool = True,
    drops: bool | None = None,
    parts: tuple[int, ...] = (1,),
) -> Trace:
    """A trace whose tightest deadline asks for `load` times what the line carries until then.

    It has 10 ** `least` to 10 ** `most` films. `drops` says whether the line gets worse on the way; None leaves it to
    chance: two in five do. One connection carries as much as the line, or one part of it in so many as one of `parts`
    says; then no film is larger than a connection carries in the time it has, or nothing could save it.
    """
    rng = random.Random(seed)
    count = round(10 ** rng.uniform(least, most))
    rate = 10 ** rng.uniform(0, 2) * MB
    horizon = 10 ** rng.uniform(2.8, 4.5)  # seconds: ten minutes to nine hours
    steps = [(0.0, rate)]
    if rng.random() < 0.4 if drops is None else drops:
        for begin in sorted(rng.uniform(0.05, 0.8) * horizon for _ in range(rng.randint(1, 3))):
            steps.append((begin, steps[-1][1] * rng.uniform(0.4, 0.95)))
    way = Way(tuple(steps))
    sizes = _sizes(rng, count)
    deadlines = _deadlines(rng, count, horizon)
    order = list(range(count))
    listing = rng.choice(["random", "latest first", "largest first", "smallest first"])
    {
        "random": lambda: rng.shuffle(order),
        "latest first": lambda: order.sort(key=lambda i: -deadlines[i]),
        "largest first": lambda: order.sort(key=lambda i: -sizes[i]),
        "smallest first": lambda: order.sort(key=lambda i: sizes[i]),
    }[listing]()
    pages = rng.choice([1, 1, 3, 10])
    films = [
        Film(f"{place:07}", sizes[i], deadlines[i], 0.5 * (place * pages // count)) for place, i in enumerate(order)
    ]
    one = Trace(tuple(films), way, sizes_told, rng.choice([2, 4, 4, 8]), 0.0 if sizes_told else 0.1)
    part = rng.choice(parts)
    if part == 1:
        return _scaled(one, load)
    alone = rate / part
    one = _scaled(replace(one, way=replace(way, alone=alone), slots=max(8, 2 * part)), load)
    return replace(one, films=tuple(replace(f, size=min(f.size, int(0.9 * alone * f.deadline))) for f in one.films))


def _sizes(rng, count):
    if rng.random() < 0.5:
        spread = rng.uniform(0.4, 1.6)
        return [max(1000, round(rng.lognormvariate(17, spread))) for _ in range(count)]
    small, large, share = rng.uniform(1, 20), rng.uniform(100, 1000), rng.uniform(0.05, 0.5)
    return [round(MB * (large if rng.random() < share else small) * rng.uniform(0.7, 1.3)) for _ in range(count)]


def _deadlines(rng, count, horizon):
    """Spread evenly, or in bursts: jobs that were made together die together."""
    first = 0.1 * horizon
    if rng.random() < 0.4:
        return [rng.uniform(first, horizon) for _ in range(count)]
    bursts = [rng.uniform(first, horizon) for _ in range(rng.randint(1, 8))]
    return [min(horizon, max(first, rng.gauss(rng.choice(bursts), 0.01 * horizon))) for _ in range(count)]


def _scaled(one, load):
    """The same with sizes so that the tightest deadline asks for `load` of the line."""
    total, most = 0.0, 0.0
    for film in sorted(one.films, key=lambda film: film.deadline):
        total += film.size
        most = max(most, total / one.way.carried(film.deadline))
    return replace(one, films=tuple(replace(f, size=max(1, round(f.size * load / most))) for f in one.films))


def spared(one: Trace) -> float:
    """Seconds by which everything could be held up and still be in time, fetched by deadline; negative if it cannot.

    On one line with one rate after another, each deadline asks for the bytes due by then to be carried by then.
    Films that are listed later count as if nothing could be done before: the seconds until the last page are spared.
    """
    last = max(film.listed for film in one.films)
    total, least = 0.0, math.inf
    for film in sorted(one.films, key=lambda film: film.deadline):
        total += film.size
        least = min(least, (one.way.carried(film.deadline) - total) / one.way.steps[0][1])
    return least - last


def optimum(one: Trace) -> int:
    """The most films that can be saved, known everything beforehand: Moore and Hodgson on the bytes carried.

    No policy can do better: the optimum may begin before the films are listed. Where one connection carries a part of
    the line it is as if one carried all of it: more than can be saved, for what can be is NP-hard to tell.
    """
    largest, total = [], 0.0
    for film in sorted(one.films, key=lambda film: film.deadline):
        heapq.heappush(largest, -film.size)
        total += film.size
        if total > one.way.carried(film.deadline):
            total += heapq.heappop(largest)
    return len(largest)


def fits_side_by_side(one: Trace, after: float) -> bool:
    """Whether all films can be saved from `after` on, on a line without drops, by one who knows them all.

    Backwards in time films are released at their deadlines and are all due at one moment, so the one that lacks most
    goes first, those that lack alike share (E. C. Horvath, S. Lam, R. Sethi, 1977: the level algorithm).
    """
    rate, ends = one.way.rate(0.0), sorted({film.deadline for film in one.films}, reverse=True)
    lacks: list[float] = []
    for end, begin in zip(ends, [*ends[1:], after], strict=True):
        lacks += [film.size for film in one.films if film.deadline == end]
        most = one.way.alone * (end - begin)
        lacks = _levelled(lacks, most, min(rate * (end - begin), most * len(lacks)))
    return max(lacks) <= 1.0


def _levelled(lacks: list[float], most: float, room: float) -> list[float]:
    """Each less by at most `most`, by `room` together, so that the largest that is left is as small as can be."""
    low, high = 0.0, max(lacks)
    for _ in range(60):
        level = (low + high) / 2
        takes = sum(min(most, max(0.0, lack - level)) for lack in lacks)
        low, high = (level, high) if takes > room else (low, level)
    return [lack - min(most, max(0.0, lack - high)) for lack in lacks]


def without_foresight(one: Trace, hears: float = 0.0) -> int:
    """How many are saved by one who knows every size, and how fast the line was just now, but not what it will be.

    Whenever he `hears` how fast the line is, so many seconds after it is so, or a page comes, he makes Moore and
    Hodgson's choice anew of what is listed and not yet here, for a line that stays as it is, and fetches what he chose
    by deadline. The bytes that were spent on what is given up then are spent. Before he hears anything he gives up
    nothing.
    """
    lacks: dict[str, float] = {film.id: film.size for film in one.films}
    by_deadline = sorted(one.films, key=lambda film: film.deadline)
    moments = sorted({0.0, *(begin + hears for begin, _ in one.way.steps), *(film.listed for film in one.films)})
    saved = 0
    for at, until in zip(moments, [*moments[1:], math.inf], strict=True):
        kept = _chosen(by_deadline, lacks, at, one.way.rate(at - hears) if at >= hears else math.inf)
        begun = done = one.way.carried(at)
        room = one.way.carried(until) - begun if until < math.inf else math.inf
        for film in kept:
            takes = min(lacks[film.id], room - (done - begun), max(0.0, one.way.carried(film.deadline) - done))
            done += takes
            lacks[film.id] -= takes
            saved += lacks[film.id] <= 1e-6
    return saved


def _chosen(by_deadline, lacks, at, rate):
    kept, total = [], 0.0
    for film in by_deadline:
        if film.listed <= at < film.deadline and lacks[film.id] > 1e-6:
            heapq.heappush(kept, (-lacks[film.id], film.deadline, film.id, film))
            total += lacks[film.id]
            if total > rate * (film.deadline - at):
                total += heapq.heappop(kept)[0]
    return [film for *_, film in sorted(kept, key=lambda one: one[1:3])]
