"""The due entries of a pass in memory, and every decision about them. Pure: told what happens, asked what to do."""

import heapq
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from syncer.core.planner.select import forecast
from syncer.core.planner.task import Outlook, Prefer, Task
from syncer.core.rates import Line
from syncer.core.sizes import Sizes

_Key = tuple[bool, float, str]


class Planner:
    """Holds what is due, what runs, and what was given up. Adding, removing and deciding cost O(log n) each."""

    def __init__(self, *, prefer: Prefer = Prefer.FILES, sizes: Sizes | None = None) -> None:
        self._prefer = prefer
        self.sizes = sizes or Sizes()
        self._tasks: dict[str, Task] = {}
        self._running: set[str] = set()
        self._queue: list[_Key] = []

    def __len__(self) -> int:
        """How many it holds, running ones included."""
        return len(self._tasks)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._tasks

    def add(self, tasks: Iterable[Task]) -> None:
        """Take these in, or anew where they are held already: a later deadline competes again."""
        for task in tasks:
            self._tasks[task.id] = task
            if task.id not in self._running:
                heapq.heappush(self._queue, _key(task))

    def remove(self, job_id: str) -> None:
        """It is no longer due: stored, lost, followed, or parked for this pass."""
        self._tasks.pop(job_id, None)
        self._running.discard(job_id)

    def learn(self, job_id: str, size: int) -> None:
        """The storage told the size of the whole file, in bytes."""
        if job_id in self._tasks:
            self.sizes.add(size)
            self._tasks[job_id] = replace(self._tasks[job_id], size=size)

    def renewed(self, job_id: str, deadline: datetime | None) -> None:
        """A relink gave a link that dies later: what was given up competes again."""
        if job_id in self._tasks:
            self.add([replace(self._tasks[job_id], deadline=deadline, has_link=True)])

    def given_up(self, now: datetime, limit: int) -> list[str]:
        """Those that cannot make it under the link they have, the first to die first: a relink may save them."""
        dying = [t for t in self._tasks.values() if t.has_link and t.deadline is not None and t.deadline <= now]
        return [t.id for t in sorted(dying, key=_key)[:limit]]

    def unmeasured(self, limit: int) -> list[str]:
        """Waiting ones whose size nobody has told, the most pressing first: a request for one byte may tell it."""
        waiting = [t for t in self._tasks.values() if t.size is None and t.has_link and t.id not in self._running]
        return [t.id for t in heapq.nsmallest(limit, waiting, key=_key)]

    def outlook(self, line: Line, now: datetime) -> Outlook:
        """What becomes of everything held if all goes on as measured."""
        return forecast(self._tasks.values(), line, now, sizes=self.sizes, prefer=self._prefer)


def _key(task: Task) -> _Key:
    return task.has_link, task.deadline.timestamp() if task.deadline else float("inf"), task.id
