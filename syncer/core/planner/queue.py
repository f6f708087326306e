"""The due entries of a pass in memory, and every decision about them. Pure: told what happens, asked what to do."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from syncer.core.planner.board import Board
from syncer.core.planner.rows import Place
from syncer.core.planner.sharing import POORER, fewest, width
from syncer.core.planner.task import Outlook, Prefer, Task
from syncer.core.rates import Line
from syncer.core.sizes import Sizes

_BRIEF: Final = 0.2  # seconds: what ends so soon makes way for nothing
_SOON: Final = 0.5  # seconds until a decision is looked at again, at the least
_TRIED: Final = 2.0  # and at the most, while it is tried how few transfers fill the line
_CALM: Final = 5.0  # and at the most, under pressure; twice that without
_LINK_LIFE: Final = 24 * 3600.0  # seconds
_SHARE: Final = 4  # one start, or one slot, in so many is for entries that must ask for a link first


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now. `ahead` may be claimed already, being next; what is in `stop` yields and keeps what it has."""

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()
    look_again: float | None = None  # seconds after which to ask anew, if nothing happens before
    pressed: bool = False  # not everything could have its turn at once without making something late


class Planner:
    """Holds what is due, what runs, and what was given up; each call costs O(log n), amortised.

    Who is kept is the choice of `select.late_ones`, see there for what is optimal. Those kept run by earliest
    deadline, which loses none of a set that fits one line (J. R. Jackson, 1955). Where it takes several transfers to
    fill the line, one that must begin now to make it goes first (EDZL: S. Cho, S.-K. Lee, A. Han, K.-J. Lin, 2002);
    there that is a heuristic, as everything is while sizes are estimates.

    What was given up runs where the line has room for it; where only an estimate of its size spoke against it, it is
    begun for as long as it takes to be told the size. What has no link, or a dead one, gets a share of the slots:
    only the API and the storage can say what becomes of it. So every entry has its turn in the end.
    The same calls in the same order give the same decisions.
    """

    def __init__(self, now: datetime, *, prefer: Prefer = Prefer.FILES, sizes: Sizes | None = None) -> None:
        self._origin = now
        self._at = 0.0  # seconds from the origin, as last told
        self._board = Board(prefer, sizes or Sizes())
        self._rows = self._board.rows
        self._running: set[int] = set()
        self._turn = 0

    def __len__(self) -> int:
        """How many it holds, running ones included."""
        return len(self._rows)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._rows.number

    @property
    def sizes(self) -> Sizes:
        """What is known of the sizes of files."""
        return self._board.sizes

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left that this pass should try, or wait for.

        What the storage ordered an earlier pass to wait for is taken if its moment comes, and not waited for.
        """
        return not self._running and len(self._rows) == self._board.ordered

    # --- what happens ---

    def add(self, tasks: Iterable[Task]) -> None:
        """Take these in, or anew where they are held already: a later deadline competes again."""
        rows, board, at = self._rows, self._board, self._at
        guess = board.guess()
        for task in tasks:
            known = task.id in rows.number
            row = rows.take(task.id)
            # Without a link it waits its turn to ask for one from now on.
            end = self._death(task.deadline) if task.has_link else at
            if known:
                board.lift(row)
                if rows.deadline[row] != end:
                    board.forgive(row)
            rows.deadline[row] = end
            if task.size is not None:
                rows.size[row] = task.size
            if known or task.on_disk or not task.has_link or task.not_before is not None:
                self._note(row, task)
            else:
                rows.load[row] = guess if task.size is None else task.size
            board.put(row, at)

    def _note(self, row: int, task: Task) -> None:
        """What few tasks have, and fewer changes."""
        rows = self._rows
        rows.has_link[row] = task.has_link
        rows.ordered[row] = task.ordered
        self._put_off(row, task.not_before)
        rows.on_disk[row] = max(rows.on_disk[row], task.on_disk)
        self._board.weigh(row)

    def renewed(self, job_id: str, deadline: datetime | None) -> None:
        """A relink gave a link that dies then: what was given up competes again."""
        row = self._rows.number.get(job_id)
        if row is None:
            return
        self._board.lift(row)
        self._rows.deadline[row] = self._death(deadline)
        self._rows.has_link[row] = True
        self._board.forgive(row)
        self._board.put(row, self._at)

    def learn(self, job_id: str, size: int) -> None:
        """The storage told the size of the whole file, in bytes."""
        row = self._rows.number.get(job_id)
        if row is not None and self._rows.size[row] != size:
            if self._rows.size[row] < 0:
                self.sizes.add(size)
            self._rows.size[row] = size
            self._board.reweigh(row)

    def arrived(self, job_id: str, on_disk: int) -> None:
        """So many bytes of the file are here now."""
        row = self._rows.number.get(job_id)
        if row is not None and self._rows.on_disk[row] != on_disk:
            self._rows.on_disk[row] = on_disk
            self._board.reweigh(row)

    def remove(self, job_id: str) -> None:
        """It is no longer due: stored, lost, followed, or parked for this pass."""
        row = self._rows.number.get(job_id)
        if row is not None:
            self._running.discard(row)
            self._board.remove(row)

    def again(self, job_id: str, not_before: datetime | None = None) -> None:
        """It runs no longer and is due again, at once or from a moment on."""
        row = self._rows.number.get(job_id)
        if row is not None:
            self._running.discard(row)
            self._put_off(row, not_before)
            self._rows.ordered[row] = False
            self._board.rest(row, self._at)

    def yielded(self, job_id: str) -> None:
        """It was stopped to make way, and keeps what it has."""
        row = self._rows.number.get(job_id)
        if row is not None:
            self._running.discard(row)
            if self._rows.on_disk[row]:
                self._board.count_yield(row)
            self._board.rest(row, self._at)

    # --- what to do ---

    def decide(self, now: datetime, line: Line, slots: int, *, ahead: int = 0) -> Decision:
        """Which to start and which to stop, with so many transfers at once; up to `ahead` more to claim meanwhile.

        What it says to start counts as running from here on, until `remove`, `again` or `yielded`.
        """
        at, rows = self._tell_time(now), self._rows
        self._board.bring_up(at, line)
        heads = self._heads(at, line, slots + ahead)
        first = heads[:slots]
        loads = list(map(rows.load.__getitem__, first))
        wide = width(loads, [rows.deadline[row] - at for row in first], line, slots)
        chosen = heads[:wide]
        stop = self._to_stop(chosen, line, slots)
        start = self._to_start(chosen, line, slots)
        pressed = wide < len(first) or bool(stop) or self._board.has_given_up
        self._running.update(start)
        for row in stop:
            rows.busy[row] = 2  # and is not asked twice
        spare = [] if pressed else [row for row in heads if row not in rows.busy][:ahead]
        return Decision(self._ids(start), self._ids(stop), self._ids(spare), self._look_again(line, pressed), pressed)

    def next_moment(self) -> datetime | None:
        """When the next entry that was put off comes due; None if none will."""
        moment = self._board.next_moment()
        return None if moment is None else self._origin + timedelta(seconds=moment)

    def given_up(self, now: datetime, limit: int) -> tuple[str, ...]:
        """Those that cannot make it under the link they have, the first to die first: a relink may save them.

        Each is named once; once more if it is given up again under another link.
        """
        self._tell_time(now)
        return self._ids(self._board.unasked(limit))

    def unmeasured(self, limit: int) -> tuple[str, ...]:
        """Waiting ones whose size nobody has told, the most pressing first: a request for one byte may tell it."""
        rows = self._rows
        soon = self._board.timeline.first(20 * limit + len(self._running))
        return self._ids([row for row in soon if rows.size[row] < 0 and not rows.busy[row]][:limit])

    def outlook(self, line: Line, now: datetime) -> Outlook:
        """What becomes of everything held if all goes on as measured. O(1), but for what is at risk: O(log n)."""
        return self._board.outlook(self._tell_time(now), line, self._origin)

    # --- how it is decided ---

    def _heads(self, at: float, line: Line, count: int) -> list[int]:
        """The next of those kept, in the order of their turns."""
        timeline = self._board.timeline
        first = timeline.first(count)
        if line.lanes <= 1:
            return first
        return list(dict.fromkeys([*timeline.due_to_begin(at + 2 * _CALM, count), *first]))[:count]

    def _to_stop(self, chosen: list[int], line: Line, slots: int) -> list[int]:
        """Running ones that take from the line what others need to make it."""
        if line.total is None:
            return []
        rows, held = self._rows, 0.0
        others = [r for r in sorted(self._running.difference(chosen)) if rows.busy[r] == 1]
        others = [r for r in others if rows.load[r] / line.total > _BRIEF]
        # One of unknown size was begun for its head, which tells it.
        given_up = [r for r in others if rows.place[r] == Place.GIVEN_UP and (rows.size[r] >= 0 or rows.on_disk[r] > 0)]
        room = max(0, fewest(line, slots) - len(chosen))
        stop = sorted(given_up, key=rows.load.__getitem__)[room:]
        soonest = min((rows.deadline[row] for row in self._board.timeline.first(1)), default=math.inf)
        for row in others:
            if not rows.on_line[row]:
                continue
            # Out of its turn, it goes on if there is time for it and for all before it on a line as poor as `POORER`.
            takes, before = rows.load[row] / line.total, self._board.timeline.load_before(row) / line.total
            if before + held + takes <= POORER * (soonest - self._at):
                held += takes
            else:
                stop.append(row)
        return stop

    def _to_start(self, chosen: list[int], line: Line, slots: int) -> list[int]:
        """Fill the free slots: those kept, a share for those that must ask for a link, what was given up last."""
        rows, board = self._rows, self._board
        room = slots - len(self._running)
        places = list(map(rows.place.__getitem__, self._running))
        asking = places.count(Place.ASKING)
        kept = sum(map(rows.on_line.__getitem__, self._running))
        spare = fewest(line, slots) - places.count(Place.GIVEN_UP)
        waiting = [row for row in chosen if row not in rows.busy][: max(0, len(chosen) - kept)]
        waiting.reverse()
        start: list[int] = []
        while len(start) < room:
            self._turn += 1
            may_ask = not waiting or (self._turn % _SHARE == 0 and asking < max(1, slots // _SHARE))
            if may_ask and (row := board.pop_asking()) is not None:
                asking += 1
            elif waiting:
                row = waiting.pop()
                kept += 1
            elif kept < spare and (row := board.pop_given_up()) is not None:
                kept += 1
            elif line.total is not None and (row := board.pop_unsized()) is not None:
                pass
            else:
                break
            rows.busy[row] = 1
            start.append(row)
        return start

    def _look_again(self, line: Line, pressed: bool) -> float | None:  # noqa: FBT001 - what it is follows from its name
        moment = self._board.next_moment(ordered=True)
        soonest = math.inf if moment is None else max(0.0, moment - self._at)
        if self._running and len(self._rows) > 1:
            # The nearer the first deadline, the sooner.
            first = self._board.timeline.first(1)
            left = 0.01 * (self._rows.deadline[first[0]] - self._at) if first else 0.0
            most = _SOON if line.total is None else _CALM if pressed else 2 * _CALM
            if pressed and not line.proven:
                most = _TRIED
            soonest = min(soonest, max(_SOON, min(most, left)))
        return None if soonest == math.inf else soonest

    def _tell_time(self, now: datetime) -> float:
        self._at = max(self._at, self._seconds(now))
        return self._at

    def _seconds(self, moment: datetime) -> float:
        return (moment - self._origin).total_seconds()

    def _put_off(self, row: int, moment: datetime | None) -> None:
        self._rows.not_before[row] = -math.inf if moment is None else self._seconds(moment)

    def _death(self, deadline: datetime | None) -> float:
        """Where nothing says when a link dies it is taken to live a day: so even such a one has its turn."""
        return self._at + _LINK_LIFE if deadline is None else self._seconds(deadline)

    def _ids(self, rows: Iterable[int]) -> tuple[str, ...]:
        return tuple(map(self._rows.id.__getitem__, rows))
