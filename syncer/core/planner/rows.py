"""The planner's memory: one row of columns a due entry, so that a million of them fit."""

import heapq
import math
from array import array
from collections.abc import Callable
from enum import IntEnum

_BITS = 24
_MOST = 1 << _BITS


class Place(IntEnum):
    """Where a row stands."""

    FREE = 0
    KEPT = 1  # on the timeline: it can make it
    GIVEN_UP = 2  # under the link it has it cannot
    ASKING = 3  # no link, or a dead one: the API or the storage has the next word
    LATER = 4  # not before its moment
    ORDERED = 5  # not before the moment that the storage ordered an earlier pass to wait for


class Few(dict[int, float]):
    """A column in which few rows have a value of their own, and are `in` it; the others have the usual one, and take
    no room."""

    def __init__(self, usual: float) -> None:
        super().__init__()
        self._usual = usual

    def __missing__(self, row: int) -> float:
        return self._usual

    def __setitem__(self, row: int, value: float) -> None:
        if value != self._usual:
            super().__setitem__(row, value)
        elif row in self:
            del self[row]


class Rows:
    """Columns by row number; numbers are used again. Bytes, and seconds from the planner's origin."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {}
        self.id: list[str] = []
        self.deadline = array("d")
        self.load = array("d")  # still to come, expected where the size is not known
        self.on_disk = Few(0.0)
        self.size = array("d")  # of the whole file; -1: not known
        self.not_before = Few(-math.inf)
        self.place = bytearray()
        self.on_line = bytearray()  # on the timeline
        self.busy = Few(0)  # running; 2 once it was asked to make way
        self.has_link = Few(1)
        self.ordered = Few(0)  # `not_before` is
        self.asked = Few(0)  # named for a relink under the link it has
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self.number)

    def take(self, job_id: str) -> int:
        """The row of this id, its own or a new one."""
        row = self.number.get(job_id)
        if row is not None:
            return row
        if self._free:
            row = self._free.pop()
            self.id[row] = job_id
            self.size[row] = -1.0
        else:
            row = len(self.id)
            self.id.append(job_id)
            self.deadline.append(0.0)
            self.load.append(0.0)
            self.size.append(-1.0)
            self.place.append(Place.FREE)
            self.on_line.append(0)
        self.number[job_id] = row
        return row

    def worth(self, row: int) -> float:
        """Bytes of the whole file, as far as they are known."""
        return self.size[row] if self.size[row] >= 0 else self.load[row] + self.on_disk[row]

    def free(self, row: int) -> None:
        """The row's entry is no longer held."""
        del self.number[self.id[row]]
        self.id[row] = ""
        self.place[row] = Place.FREE
        for few in (self.busy, self.has_link, self.ordered, self.asked, self.on_disk, self.not_before):
            few.pop(row, None)
        self._free.append(row)


class RowHeap:
    """Rows of one place by a value of theirs, the least first; to the thousandth.

    A row that left the place since, or whose value changed, is passed over: moving a row costs nothing here.
    """

    def __init__(self, rows: Rows, place: Place, value: Callable[[int], float]) -> None:
        self._rows = rows
        self._place = place
        self._value = value
        self._heap: list[int] = []  # value and row in one number: a pair would take three times the room

    def push(self, row: int) -> None:
        """Note the row; it must stand in the place."""
        heapq.heappush(self._heap, self._packed(row))

    def peek(self) -> int | None:
        """The first row; None if there is none."""
        while self._heap:
            row = self._heap[0] % _MOST
            if self._is_true(self._heap[0]):
                return row
            heapq.heappop(self._heap)
        return None

    def pop(self) -> int | None:
        """Take the first row out; None if there is none."""
        row = self.peek()
        if row is not None:
            heapq.heappop(self._heap)
        return row

    def _is_true(self, packed: int) -> bool:
        row = packed % _MOST
        return self._rows.place[row] == self._place and packed == self._packed(row)

    def _packed(self, row: int) -> int:
        value = self._value(row)
        return round(min(max(value, -1e12), 1e15) * 1000.0) * _MOST + row if not math.isnan(value) else row
