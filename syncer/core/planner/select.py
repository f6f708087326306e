"""Who can be saved: the files that arrive before their links die, and those given up for their sake."""

import heapq
import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from syncer.core.planner.task import Outlook, Prefer, Task
from syncer.core.rates import Line
from syncer.core.sizes import Sizes

MOST_NAMED: Final = 1000
"""The most ids of a sort that an outlook names; its counts are always whole."""

_ROWS: Final = 1 << 24

_LEAST: Final = 0.1
"""The share of its measured rate below which a line is not taken to fall, however it wavers."""


@dataclass(frozen=True, slots=True)
class Files:
    """Columns by row: bytes to come, the second each link dies in, and, where bytes count, those of the whole file."""

    load: Sequence[float]
    deadline: Sequence[float]
    worth: Callable[[int], float]


def late_ones(rows: Iterable[int], files: Files, now: float, line: Line, prefer: Prefer = Prefer.FILES) -> set[int]:
    """Those of `rows`, given by deadline, to give up so that the others are in time.

    Files on one shared line: as few as can be, exactly (J. M. Moore, 1968, by T. J. Hodgson's rule: in the order of
    deadlines, and whenever one comes late the largest so far is given up). Where it takes several transfers to fill
    the line the same rule is a heuristic, and what cannot be in time even by itself is given up at once: that problem
    is NP-hard (E. L. Lawler, 1983). The most bytes are a knapsack, exact only in pseudo-polynomial time (E. L. Lawler
    and J. M. Moore, 1969), so there too a heuristic: of the files whose absence is enough the one worth least goes,
    and where none is enough the one that takes most for its worth. Estimated sizes make a heuristic of all of it.
    """
    if line.total is None:
        return set()
    alone = line.connection or line.total
    hopeless = set[int]()
    rule = _ByWorth(files) if prefer is Prefer.BYTES else _BySize(files)
    total, load, deadline = 0.0, files.load, files.deadline
    for row in rows:
        left = deadline[row] - now
        if load[row] > alone * left + 1.0:
            hopeless.add(row)
            continue
        rule.take(row)
        total += load[row]
        while total > line.total * left + 1.0:
            dropped = rule.drop(total - line.total * left)
            total -= load[dropped]
            hopeless.add(dropped)
    return hopeless


def unsure_ones(
    rows: Iterable[int], files: Files, now: float, line: Line, prefer: Prefer = Prefer.FILES
) -> Sequence[int]:
    """Those of `rows`, kept and given by deadline, that would be late if the line were slower by its spread; in order.

    It is the choice of `late_ones` for such a line: who would be given up then, and not all that might be.
    """
    held = list(rows)
    late = late_ones(held, files, now, slower(line), prefer)
    return [row for row in held if row in late]


def slower(line: Line) -> Line:
    """The line at the lower end of what was measured, one standard deviation down."""
    if not line.total:
        return line
    share = max(_LEAST, 1.0 - line.spread / line.total)
    return replace(line, total=share * line.total, connection=share * (line.connection or line.total))


class _BySize:
    """The largest goes; the last of equals.

    By classes of size, and only those that something was dropped from are sorted: the others are rows and nothing
    else, or a million of them would need as much room as all that is known of them.
    """

    def __init__(self, files: Files) -> None:
        self._load = files.load
        self._classes: dict[int, array[int]] = {}
        self._heaps: dict[int, list[int]] = {}

    def take(self, row: int) -> None:
        size = int(8.0 * math.log2(self._load[row] + 1.0))
        if size in self._heaps:
            heapq.heappush(self._heaps[size], self._packed(row))
        else:
            self._classes.setdefault(size, array("i")).append(row)

    def drop(self, _excess: float) -> int:
        top = max(max(self._classes, default=-1), max(self._heaps, default=-1))
        if top not in self._heaps:
            self._heaps[top] = [self._packed(row) for row in self._classes.pop(top)]
            heapq.heapify(self._heaps[top])
        row = -heapq.heappop(self._heaps[top]) % _ROWS
        if not self._heaps[top]:
            del self._heaps[top]
        return row

    def _packed(self, row: int) -> int:
        return -(round(self._load[row]) * _ROWS + row)


class _ByWorth:
    """By octaves of size, each with the file worth least on top."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._octaves: dict[int, list[tuple[float, int]]] = {}

    def take(self, row: int) -> None:
        octave = math.frexp(self._files.load[row])[1]
        heapq.heappush(self._octaves.setdefault(octave, []), (self._files.worth(row), row))

    def drop(self, excess: float) -> int:
        load = self._files.load
        tops = [(held[0], octave) for octave, held in self._octaves.items() if held]
        enough = [top for top in tops if load[top[0][1]] >= excess]
        if enough:
            _, octave = min(enough)
        else:
            _, octave = max(tops, key=lambda top: (load[top[0][1]] / max(1.0, top[0][0]), load[top[0][1]]))
        return heapq.heappop(self._octaves[octave])[1]


def forecast(
    tasks: Iterable[Task], line: Line, now: datetime, *, sizes: Sizes | None = None, prefer: Prefer = Prefer.FILES
) -> Outlook:
    """What becomes of `tasks` if everything is fetched from `now` on as the planner would have it."""
    held, sizes = sorted(tasks, key=lambda task: seconds_left(task, now)), sizes or Sizes()
    loads = [expected_load(task, sizes) for task in held]
    left = [seconds_left(task, now) for task in held]
    files = Files(loads, left, lambda i: loads[i] + held[i].on_disk)
    lost = late_ones(range(len(held)), files, 0.0, line, prefer)
    kept = [i for i in range(len(held)) if i not in lost]
    unsure = unsure_ones(kept, files, 0.0, line, prefer)
    load = sum(loads[i] for i in kept)
    return Outlook(
        files=len(held),
        bytes=round(sum(loads)),
        unknown_sizes=sum(task.size is None for task in held),
        saved=len(kept),
        at_risk=len(unsure),
        at_risk_ids=tuple(held[i].id for i in unsure[:MOST_NAMED]),
        lost=len(lost),
        lost_bytes=round(sum(loads[i] for i in lost)),
        lost_ids=tuple(held[i].id for i in sorted(lost)[:MOST_NAMED]),
        earliest=next((t.deadline for t in held if t.deadline is not None and t.deadline > now), None),
        seconds=load / line.total if line.total else None,
    )


def expected_load(task: Task, sizes: Sizes) -> float:
    """Bytes of the task still to come: what it lacks, or what a file that has sent so much is likely to lack."""
    size = sizes.expected(task.on_disk) if task.size is None else task.size
    return max(0.0, float(size - task.on_disk))


def seconds_left(task: Task, now: datetime) -> float:
    """Until the link dies, negative where it has; without end where nothing says when."""
    return math.inf if task.deadline is None else (task.deadline - now).total_seconds()
