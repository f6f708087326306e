"""Who can be saved: the files that arrive before their links die, and those given up for their sake."""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from syncer.core.planner.task import Outlook, Prefer, Task
from syncer.core.rates import Line
from syncer.core.sizes import Sizes

MOST_NAMED = 1000
"""The most lost ids an outlook names; its counts are always whole."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Positions in the sequence selected from, both by deadline."""

    kept: list[int]
    given_up: list[int]


def select(loads: Sequence[float], until: Sequence[float], line: Line, prefer: Prefer = Prefer.FILES) -> Selection:
    """Which of some files to bring, given the bytes each lacks and the seconds until its link dies.

    Files on one shared line: the most that can be saved, exactly (J. M. Moore, 1968, the rule of T. J. Hodgson: by
    deadline, and whenever one comes late the largest so far is given up). On several lines, where one transfer cannot
    fill the line, the same rule is a heuristic, and what cannot arrive in time even alone is given up first: the
    problem is NP-hard (E. L. Lawler, 1983). The most bytes are a knapsack: exact only in pseudo-polynomial time
    (E. L. Lawler and J. M. Moore, 1969), so here too a heuristic: see `_for_bytes`.
    """
    by_deadline = sorted(range(len(loads)), key=lambda i: (until[i], i))
    if line.total is None:
        return Selection(by_deadline, [])
    alone = line.connection or line.total
    possible = [i for i in by_deadline if loads[i] <= alone * until[i]]
    gone = _for_bytes if prefer is Prefer.BYTES else _for_files
    dropped = gone(possible, loads, until, line.total) | set(by_deadline).difference(possible)
    return Selection([i for i in by_deadline if i not in dropped], [i for i in by_deadline if i in dropped])


def _for_files(possible: list[int], loads: Sequence[float], until: Sequence[float], rate: float) -> set[int]:
    largest: list[tuple[float, int]] = []
    dropped, total = set[int](), 0.0
    for i in possible:
        heapq.heappush(largest, (-loads[i], -i))
        total += loads[i]
        while total > rate * until[i]:
            load, position = heapq.heappop(largest)
            total += load
            dropped.add(-position)
    return dropped


def _for_bytes(possible: list[int], loads: Sequence[float], until: Sequence[float], rate: float) -> set[int]:
    """Where a file comes late, the smallest of those whose absence is enough goes; where none is, the largest."""
    classes: dict[int, list[tuple[float, int]]] = {}
    dropped, total = set[int](), 0.0
    for i in possible:
        heapq.heappush(classes.setdefault(math.frexp(loads[i])[1], []), (loads[i], i))
        total += loads[i]
        while (excess := total - rate * until[i]) > 0:
            enough = [c for c, held in classes.items() if held and held[0][0] >= excess]
            position = heapq.heappop(classes[min(enough)])[1] if enough else _pop_largest(classes)
            total -= loads[position]
            dropped.add(position)
    return dropped


def _pop_largest(classes: dict[int, list[tuple[float, int]]]) -> int:
    held = classes[max(c for c, held in classes.items() if held)]
    largest = max(held)
    held.remove(largest)
    heapq.heapify(held)
    return largest[1]


def forecast(
    tasks: Iterable[Task], line: Line, now: datetime, *, sizes: Sizes | None = None, prefer: Prefer = Prefer.FILES
) -> Outlook:
    """What becomes of `tasks` if everything is fetched from `now` on as the planner would have it."""
    held, sizes = list(tasks), sizes or Sizes()
    loads = [expected_load(task, sizes) for task in held]
    until = [seconds_left(task, now) for task in held]
    chosen = select(loads, until, line, prefer)
    slower = replace(line, total=max(1.0, line.total - line.spread)) if line.total is not None else line
    sure = set(select(loads, until, slower, prefer).kept)
    ahead = [task.deadline for task in held if task.deadline is not None and task.deadline > now]
    load = sum(loads[i] for i in chosen.kept)
    return Outlook(
        files=len(held),
        bytes=round(sum(loads)),
        unknown_sizes=sum(task.size is None for task in held),
        saved=len(chosen.kept),
        at_risk=sum(i not in sure for i in chosen.kept),
        lost=len(chosen.given_up),
        lost_bytes=round(sum(loads[i] for i in chosen.given_up)),
        lost_ids=tuple(held[i].id for i in chosen.given_up[:MOST_NAMED]),
        earliest=min(ahead, default=None),
        seconds=load / line.total if line.total else None,
    )


def expected_load(task: Task, sizes: Sizes) -> float:
    """Bytes of the task still to come: what it lacks, or what a file that has sent so much is likely to lack."""
    size = sizes.expected(task.on_disk) if task.size is None else task.size
    return max(0.0, float(size - task.on_disk))


def seconds_left(task: Task, now: datetime) -> float:
    """Until the link dies, negative where it has; without end where nothing says when."""
    return math.inf if task.deadline is None else (task.deadline - now).total_seconds()
