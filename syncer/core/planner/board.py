"""Where every due entry stands: kept, given up, asking for a link, or put off; and who moves when things change."""

import math
from array import array
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from syncer.core.planner.rows import Place, RowHeap, Rows
from syncer.core.planner.select import MOST_NAMED, Files, late_ones, unsure_ones
from syncer.core.planner.task import Outlook, Prefer
from syncer.core.planner.timeline import Timeline, in_order
from syncer.core.rates import Line
from syncer.core.sizes import Sizes

MOST_YIELDS: Final = 3
"""How often a transfer makes way in a pass before it has to wait for room on the line, or for another link."""


_SMALLER: Final = 0.1  # the quantile of sizes that a file of unknown size is taken for
_AT_ONCE: Final = 64  # files given up, and taken back, by one decision; the next ones go on
_FEW: Final = 10_000  # files for which choosing anew is quick
_LENIENT: Final = 1.0  # seconds: bytes are told in lumps, and a running file may be further than it seems
_NEAREST: Final = 10_000  # files, by deadline, among which those at risk are looked for
_EASE: Final = 3.0  # how much longer than by the line all may take, and nothing would be late
_DRIFT: Final = 0.02  # by how much the rate may move before the choice is made anew; for many files 0.1


class Board:
    """The rows and their places. Moments are seconds from the planner's origin."""

    def __init__(self, prefer: Prefer, sizes: Sizes) -> None:
        self.sizes = sizes
        self.rows = rows = Rows()
        self.timeline = Timeline(rows.deadline, rows.load)
        self.ordered = 0  # rows put off by a storage's order to an earlier pass
        self._prefer = prefer
        self._inbox: list[int] = []  # kept rows that are not on the timeline yet
        self._given_up = RowHeap(rows, Place.GIVEN_UP, rows.load.__getitem__)
        self._dying = RowHeap(rows, Place.GIVEN_UP, rows.deadline.__getitem__)
        self._unasked = RowHeap(rows, Place.GIVEN_UP, rows.deadline.__getitem__)
        self._unsized = RowHeap(rows, Place.GIVEN_UP, rows.deadline.__getitem__)
        self._asking = RowHeap(rows, Place.ASKING, rows.deadline.__getitem__)
        self._later = RowHeap(rows, Place.LATER, rows.not_before.__getitem__)
        self._ordered = RowHeap(rows, Place.ORDERED, rows.not_before.__getitem__)
        self._yields: dict[int, int] = {}
        self._line = Line()  # what the timeline reckons with
        self._changes = 0  # since the choice was last made anew
        self._chosen_at = -math.inf
        self._guess = 0.0  # what the timeline reckons with for files of unknown size
        self._has_room = False  # something ended or turned out smaller: what was given up may fit
        self._lost = self._lost_load = 0.0
        self._unsure: Sequence[int] = ()  # kept, and lost if the line were slower by its spread
        self._unsure_until = -math.inf  # when they are looked for again

    # --- one row ---

    def put(self, row: int, at: float) -> None:
        """Give a row that is nowhere its place."""
        rows = self.rows
        if rows.not_before[row] > at:
            rows.place[row] = Place.ORDERED if rows.ordered[row] else Place.LATER
            self.ordered += bool(rows.ordered[row])
            (self._ordered if rows.ordered[row] else self._later).push(row)
        elif not rows.has_link[row] or rows.deadline[row] <= at:
            rows.place[row] = Place.ASKING
            self._asking.push(row)
        else:
            rows.place[row] = Place.KEPT
            self._inbox.append(row)
            self._changes += 1

    def lift(self, row: int) -> None:
        """Take a row out of its place."""
        rows = self.rows
        match rows.place[row]:
            case Place.KEPT:
                self._changes += 1
                self._has_room |= self.rows.load[row] > 0
                if rows.on_line[row]:
                    self.timeline.remove(row)
                    rows.on_line[row] = False
            case Place.GIVEN_UP:
                self._lost -= 1
                self._lost_load -= rows.load[row]
            case Place.ORDERED:
                self.ordered -= 1
        rows.place[row] = Place.FREE

    def remove(self, row: int) -> None:
        """Hold a row no longer."""
        self.lift(row)
        self.forgive(row)
        self.rows.free(row)

    def rest(self, row: int, at: float) -> None:
        """A row ran, and runs no longer."""
        rows = self.rows
        rows.busy[row] = False
        if rows.not_before[row] > at or rows.place[row] == Place.ASKING:
            self.lift(row)
            self.put(row, at)
        elif rows.place[row] == Place.GIVEN_UP:
            self._push_given_up(row)

    def weigh(self, row: int) -> None:
        """What the row lacks, from its size or from what is likely; for a row that is nowhere."""
        rows = self.rows
        size = rows.size[row] if rows.size[row] >= 0 else self.guess(rows.on_disk[row])
        rows.load[row] = max(0.0, size - rows.on_disk[row])

    def guess(self, on_disk: float = 0.0) -> float:
        """Bytes to reckon with for a file of unknown size.

        Its size is told as soon as it is begun, and then it can still be given up. So where files count it is taken
        for one of the smaller ones, which are those worth beginning; where bytes count, for an average one.
        """
        return (
            self.sizes.expected(int(on_disk))
            if on_disk or self._prefer is Prefer.BYTES
            else self.sizes.quantile(_SMALLER)
        )

    def reweigh(self, row: int) -> None:
        """The same for a row in its place."""
        rows, before = self.rows, self.rows.load[row]
        self.weigh(row)
        if rows.place[row] == Place.GIVEN_UP:
            self._lost_load += rows.load[row] - before
            self._given_up.push(row)
            self._has_room |= rows.load[row] < before or not before
        elif rows.on_line[row]:
            self.timeline.touch(row)
            self._has_room |= rows.load[row] < before and not rows.busy[row]

    def count_yield(self, row: int) -> None:
        """It made way once more."""
        self._yields[row] = self._yields.get(row, 0) + 1

    def forgive(self, row: int) -> None:
        """It has another link: how often it made way no longer counts, and another relink may be asked for."""
        self._yields.pop(row, None)
        self.rows.asked[row] = False

    # --- all rows ---

    def bring_up(self, at: float, line: Line) -> None:
        """Let time and line have their effect: who is due again, who died, who is to be given up or taken back."""
        for heap in (self._later, self._ordered):
            while (row := heap.peek()) is not None and self.rows.not_before[row] <= at:
                self.lift(row)
                self.put(row, at)
        self._bury(at)
        self._take_in()
        if self._must_choose(at, line):
            self._choose(at, line)
        self._give_up_hopeless(at)
        for _ in range(_AT_ONCE):
            row = self.timeline.late(at) if self._prefer is Prefer.FILES else None
            if row is None:
                break
            self._give_up(row)
        self._take_back(at)

    def next_moment(self, *, ordered: bool = False) -> float | None:
        """When the next row that was put off comes due; those that the storage ordered only where asked for."""
        firsts = [self._later.peek(), self._ordered.peek() if ordered else None]
        return min((self.rows.not_before[row] for row in firsts if row is not None), default=None)

    def pop_asking(self) -> int | None:
        """The next that needs a link."""
        return self._pop_idle(self._asking)

    def pop_given_up(self) -> int | None:
        """The one given up that lacks least."""
        return self._pop_idle(self._given_up)

    def pop_unsized(self) -> int | None:
        """The first to die of those given up by an estimate of their size."""
        while (row := self._pop_idle(self._unsized)) is not None:
            if self.rows.size[row] < 0 and not self.rows.on_disk[row]:
                return row
        return None

    @property
    def has_given_up(self) -> bool:
        """Whether anything that this pass holds cannot make it as things stand."""
        return self._lost > 0

    def unasked(self, limit: int) -> list[int]:
        """Given up, and not named here under the link they have; the first to die first."""
        found: list[int] = []
        while len(found) < limit and (row := self._unasked.pop()) is not None:
            self.rows.asked[row] = True
            found.append(row)
        return found

    def outlook(self, at: float, line: Line, origin: datetime) -> Outlook:
        """What becomes of everything held."""
        rows = self.rows
        self._take_in()
        first = next((row for row in self.timeline.first(64) if rows.deadline[row] > at), None)
        kept, load, lost = len(self.timeline), self.timeline.load, round(self._lost)
        unsure = [row for row in self._at_risk(at, line) if rows.on_line[row]]
        return Outlook(
            files=len(rows),
            bytes=round(load + self._lost_load),
            saved=kept,
            at_risk=len(unsure),
            at_risk_ids=tuple(rows.id[row] for row in unsure[:MOST_NAMED]),
            lost=lost,
            lost_bytes=round(self._lost_load),
            earliest=None if first is None else origin + timedelta(seconds=rows.deadline[first]),
            seconds=load / line.total if line.total else None,
        )

    def _at_risk(self, at: float, line: Line) -> Sequence[int]:
        """Of the nearest kept rows. Looked for so seldom that each row costs next to nothing a second."""
        if at >= self._unsure_until:
            near = self.timeline.first(_NEAREST)
            files = Files(self.rows.load, self.rows.deadline, self.rows.worth)
            self._unsure = unsure_ones(near, files, at, line, self._prefer)
            self._unsure_until = at + 1e-3 * len(near)
        return self._unsure

    # --- the choice ---

    def _bury(self, at: float) -> None:
        """Links of what was given up that have died: the storage has the last word, or the API another link."""
        while (row := self._dying.peek()) is not None and self.rows.deadline[row] <= at:
            self._dying.pop()
            if not self.rows.busy[row]:
                self.lift(row)
                self.put(row, at)

    def _take_in(self) -> None:
        rows = self.rows
        fresh: list[int] = []
        for row in self._inbox:
            if rows.place[row] == Place.KEPT and not rows.on_line[row]:
                rows.on_line[row] = True
                fresh.append(row)
        self._inbox.clear()
        if fresh:
            self.timeline.add(fresh)

    def _must_choose(self, at: float, line: Line) -> bool:
        """Whether the choice is to be made from scratch: seldom enough that each change pays for its share."""
        if line.total is None:
            return False
        held = len(self.timeline) + round(self._lost)
        if at < self._chosen_at + held * 2e-5:
            return False
        now, then = _hopeful(line), self._line
        drift = 0.1 if held > _FEW else _DRIFT
        moved = then.total is None or any(
            abs(one / other - 1.0) > drift
            for one, other in zip(
                (now.total or 1, now.connection or 1), (then.total, then.connection or 1), strict=True
            )
        )
        changed = self._changes * (2 if held > _FEW else 16) >= held > 0
        uneasy = self._lost > 0 or self.timeline.late(at) is not None
        moved = moved and not self._is_at_ease(at, now)
        return moved or (uneasy and (changed or self._prefer is Prefer.BYTES))

    def _is_at_ease(self, at: float, line: Line) -> bool:
        """Whether all would be here long before the first link dies, by this line as by the one reckoned with: then
        to choose anew would change nothing."""
        first, then = self.timeline.first(1), self._line
        if self._lost or not first or line.total is None or then.total is None:
            return False
        if abs(self.guess() - self._guess) > 0.1 * self._guess:
            return False
        alone = min(line.connection or line.total, then.connection or then.total)
        seconds = self.timeline.load / min(line.total, then.total) + self.timeline.largest / alone
        return _EASE * (seconds + 60.0) < self.rows.deadline[first[0]] - at

    def _choose(self, at: float, line: Line) -> None:
        """Moore and Hodgson's rule over everything that is kept or was given up."""
        rows = self.rows
        self._line, self._changes, self._chosen_at, self._has_room = _hopeful(line), 0, at, False
        given = [row for row, place in enumerate(rows.place) if place == Place.GIVEN_UP] if self._lost else []
        for row in given:
            if rows.size[row] < 0:
                self.weigh(row)
        everyone = array("i", self.timeline)
        guess = self._guess = self.guess()
        for row in everyone:
            if rows.size[row] < 0 and not rows.on_disk[row]:
                rows.load[row] = guess
        barred = [row for row in given if self._yields.get(row, 0) >= MOST_YIELDS]
        free = [row for row in given if self._yields.get(row, 0) < MOST_YIELDS]
        if free:
            everyone = array("i", in_order(chain(everyone, free), rows.deadline))
        files = Files(rows.load, rows.deadline, rows.worth)
        late = late_ones(everyone, files, at, self._line, self._prefer)
        kept = array("i", (row for row in everyone if row not in late))
        for row in kept:
            rows.place[row], rows.on_line[row] = Place.KEPT, True
        assert self._line.total is not None  # noqa: S101 - `_must_choose` saw to it
        self.timeline.rebuild(kept, self._line.total, self._line.connection or self._line.total)
        for row in sorted(late):
            if rows.place[row] != Place.GIVEN_UP:
                self._note_given_up(row)
        self._lost = float(len(late) + len(barred))
        self._lost_load = sum(rows.load[row] for row in late) + sum(rows.load[row] for row in barred)

    def _give_up_hopeless(self, at: float) -> None:
        """Where the line takes several transfers, what could not make it even with a connection to itself."""
        if self._line.total is not None and self._line.connection != self._line.total:
            # Never stricter than `late_ones`, which lets a byte pass.
            lenient = max(_LENIENT, 2.0 / (self._line.connection or self._line.total))
            for row in self.timeline.due_to_begin(at - lenient, _AT_ONCE):
                self._give_up(row)

    def _give_up(self, row: int) -> None:
        self.timeline.remove(row)
        self._changes += 1
        self._lost += 1
        self._lost_load += self.rows.load[row]
        self._note_given_up(row)

    def _note_given_up(self, row: int) -> None:
        rows = self.rows
        rows.place[row], rows.on_line[row] = Place.GIVEN_UP, False
        self._push_given_up(row)
        if not rows.asked[row]:
            self._unasked.push(row)

    def _push_given_up(self, row: int) -> None:
        self._given_up.push(row)
        self._dying.push(row)
        if self.rows.size[row] < 0:
            self._unsized.push(row)

    def _take_back(self, at: float) -> None:
        """Where there may be room: what lacks least competes again, until one does not fit."""
        passed_over: list[int] = []
        for _ in range(_AT_ONCE if self._has_room and self._prefer is Prefer.FILES else 0):
            row = self._given_up.pop()
            if row is None:
                self._has_room = False
                break
            if self._yields.get(row, 0) >= MOST_YIELDS:
                passed_over.append(row)
                continue
            self.lift(row)
            self.rows.place[row], self.rows.on_line[row] = Place.KEPT, True
            self.timeline.add([row])
            loser = self.timeline.late(at)
            if loser is not None:
                self._give_up(loser)
                self._has_room = loser != row
            if not self._has_room:
                break
        for row in passed_over:
            self._given_up.push(row)

    def _pop_idle(self, heap: RowHeap) -> int | None:
        """A row that already runs is left out; it is put back when it rests."""
        while (row := heap.pop()) is not None:
            if not self.rows.busy[row]:
                return row
        return None


def _hopeful(line: Line) -> Line:
    """The upper end of what was measured: nothing is given up that the line may yet carry."""
    if line.total is None:
        return line
    more = 1.0 + line.noise / line.total
    return Line(line.total * more, (line.connection or line.total) * more)
