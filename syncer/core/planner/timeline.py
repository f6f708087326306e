"""Files in the order of their deadlines, and at any moment whether all of them can make it, in O(log n)."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final

_FULL = 128
"""Rows of a block; one that grows beyond is cut into halves."""

UNMEASURED: Final = 1e15
"""Bytes a second: more than any line carries, so that nothing comes late over one whose rate is not known."""

_Key = tuple[float, int]
_NOTHING = (0.0, -math.inf, -math.inf, math.inf)


class Timeline:
    """Rows by deadline, ties by number, in blocks under a tree of sums.

    Of each stretch of the order the tree knows the load (bytes), the crest (the most by which a prefix of it outruns
    the line: load so far, less what the line carries until that row's deadline), the largest load, and the latest
    moment at which the first row must have begun if it has a connection to itself. Moments are seconds from an origin
    of the caller's; `deadline` and `load` are its columns: while a row is in here its deadline must not change, and
    where its load does, `touch` must be told.
    """

    def __init__(self, deadline: Sequence[float], load: Sequence[float]) -> None:
        self._deadline = deadline
        self._load = load
        self._rate = self._alone = UNMEASURED
        self._blocks: list[array[int]] = []
        self._ends: list[_Key] = []  # the last key of each block
        self._leaves: list[tuple[float, float, float, float]] = []  # load, crest, largest, latest start
        self._tree: list[tuple[float, float, float, float]] = []
        self._width = 0  # leaves in the tree, a power of two; 0: to be built
        self._stale: set[int] = set()  # blocks whose leaves are to be reckoned anew before the tree is asked
        self._count = 0
        self._head = 0  # the first block that may hold any

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self._blocks)

    def rebuild(self, rows: Iterable[int], rate: float, alone: float) -> None:
        """Hold just these rows, given in order, against a line of `rate` and a connection of `alone` bytes a second."""
        self._rate, self._alone = rate, alone
        held = array("i", rows)
        self._count = len(held)
        self._stale.clear()
        self._set(0, len(self._blocks), [held[at : at + _FULL // 2] for at in range(0, len(held), _FULL // 2)])

    def add(self, rows: Iterable[int]) -> None:
        """Take rows in; cheaper for many at once."""
        new = list(rows)
        if 2 * len(new) > self._count:
            self.rebuild(in_order(chain(self, new), self._deadline), self._rate, self._alone)
            return
        todo = sorted(new, key=self._key, reverse=True)
        self._count += len(todo)
        while todo:
            place = min(bisect_left(self._ends, self._key(todo[-1])), max(0, len(self._blocks) - 1))
            last = place >= len(self._blocks) - 1
            fresh: list[int] = []
            while todo and (last or self._key(todo[-1]) <= self._ends[place]):
                fresh.append(todo.pop())
            held = self._blocks[place : place + 1]
            merged = array("i", sorted([*(held[0] if held else ()), *fresh], key=self._key))
            size = len(merged) if len(merged) <= _FULL else _FULL // 2
            self._set(place, len(held), [merged[at : at + size] for at in range(0, len(merged), size)])

    def remove(self, row: int) -> None:
        """Let a row go; it must be in here."""
        place, at = self._find(row)
        block = self._blocks[place]
        del block[at]
        self._count -= 1
        # An emptied block keeps its place: to close the gap, the whole tree would have to be built anew.
        if block:
            self._ends[place] = self._key(block[-1])
        self._stale.add(place)
        while self._head < len(self._blocks) - 1 and not self._blocks[self._head]:
            self._head += 1

    def touch(self, row: int) -> None:
        """The row's load changed."""
        self._stale.add(bisect_left(self._ends, self._key(row)))

    @property
    def load(self) -> float:
        """Bytes of all rows."""
        self._build()
        return self._tree[1][0] if self._width else 0.0

    @property
    def largest(self) -> float:
        """Bytes of the row that has most."""
        self._build()
        return max(0.0, self._tree[1][2]) if self._width else 0.0

    def first(self, count: int) -> list[int]:
        """The rows of the earliest deadlines."""
        found: list[int] = []
        for block in islice(self._blocks, self._head, None):
            found += block[: count - len(found)]
            if len(found) >= count:
                break
        return found

    def due_to_begin(self, moment: float, count: int) -> list[int]:
        """Up to `count` rows that must begin by `moment` to make it on a connection of their own, by deadline."""
        self._build()
        found: list[int] = []
        stack = [1] if self._width else []
        while stack and len(found) < count:
            node = stack.pop()
            if self._tree[node][3] > moment:
                continue
            if node < self._width:
                stack += (2 * node + 1, 2 * node)
            else:
                starts = ((row, self._latest_start(row)) for row in self._blocks[node - self._width])
                found += (row for row, start in starts if start <= moment)
        return found[:count]

    def late(self, now: float) -> int | None:
        """The row to give up so that the first that comes late may be in time; None where all make it.

        It is the largest of those up to and including the late one (Moore and Hodgson's rule); the last of equals.
        """
        self._build()
        if not self._width or self._tree[1][1] <= self._limit(now):
            return None
        node, passed = 1, 0.0
        limit = self._limit(now)
        while node < self._width:
            node *= 2
            if passed + self._tree[node][1] <= limit:
                passed += self._tree[node][0]
                node += 1
        place = node - self._width
        block, best = self._blocks[place], -1
        for row in block:
            passed += self._load[row]
            if best < 0 or self._load[row] >= self._load[best]:
                best = row
            if passed - self._rate * self._deadline[row] > limit:
                break
        before = self._largest_before(place)
        return before if before is not None and self._load[before] > self._load[best] else best

    def load_before(self, row: int) -> float:
        """Bytes of all rows before this one."""
        self._build()
        place, at = self._find(row)
        return self._load_of_all_before(place) + sum(self._load[other] for other in self._blocks[place][:at])

    # --- the tree ---

    def _key(self, row: int) -> _Key:
        return self._deadline[row], row

    def _limit(self, now: float) -> float:
        """What a crest may reach; a little more than nothing is forgiven to the sums of many fractions."""
        return -self._rate * now + max(1.0, 1e-9 * abs(self._rate * now))

    def _latest_start(self, row: int) -> float:
        return self._deadline[row] - self._load[row] / self._alone

    def _find(self, row: int) -> tuple[int, int]:
        place = bisect_left(self._ends, self._key(row))
        return place, self._blocks[place].index(row)

    def _leaf(self, block: "array[int]") -> tuple[float, float, float, float]:
        deadline, load, rate, alone = self._deadline, self._load, self._rate, self._alone
        total, crest, largest, start = _NOTHING
        for row in block:
            # Comparisons in place of max and min: this is the planner's innermost loop.
            size, end = load[row], deadline[row]
            total += size
            if (above := total - rate * end) > crest:
                crest = above
            largest = max(largest, size)
            if (begin := end - size / alone) < start:
                start = begin
        return total, crest, largest, start

    def _set(self, place: int, count: int, blocks: "list[array[int]]") -> None:
        """Put `blocks` in the place of `count` ones."""
        if len(blocks) != count:
            self._refresh()  # while they are where they are noted
        leaves = [self._leaf(block) for block in blocks]
        self._blocks[place : place + count] = blocks
        self._ends[place : place + count] = [self._key(block[-1]) if block else self._ends[place] for block in blocks]
        self._head = min(self._head, place)
        self._leaves[place : place + count] = leaves
        if len(blocks) != count or not self._width:
            self._width = 0
            return
        for at, leaf in enumerate(leaves, place):
            self._put(at, leaf)

    def _refresh(self) -> None:
        """Reckon the stale leaves anew: once, however often their rows changed."""
        stale, self._stale = self._stale, set()
        for place in stale:
            self._leaves[place] = leaf = self._leaf(self._blocks[place])
            if self._width:
                self._put(place, leaf)

    def _put(self, place: int, leaf: tuple[float, float, float, float]) -> None:
        node = self._width + place
        self._tree[node] = leaf
        while node > 1:
            node //= 2
            self._tree[node] = _joined(self._tree[2 * node], self._tree[2 * node + 1])

    def _build(self) -> None:
        if self._stale:
            self._refresh()
        if self._width or not self._leaves:
            return
        width = 1 << (len(self._leaves) - 1).bit_length()
        tree = [_NOTHING] * width + self._leaves + [_NOTHING] * (width - len(self._leaves))
        for node in range(width - 1, 0, -1):
            tree[node] = _joined(tree[2 * node], tree[2 * node + 1])
        self._tree, self._width = tree, width

    def _load_of_all_before(self, place: int) -> float:
        """Of all blocks before this one."""
        node, total = self._width + place, 0.0
        while node > 1:
            if node % 2:
                total += self._tree[node - 1][0]
            node //= 2
        return total

    def _largest_before(self, place: int) -> int | None:
        node, best, found = self._width + place, -math.inf, 0
        while node > 1:
            if node % 2 and self._tree[node - 1][2] > best:
                best, found = self._tree[node - 1][2], node - 1
            node //= 2
        if not found:
            return None
        while found < self._width:
            found = 2 * found + 1 if self._tree[2 * found + 1][2] == best else 2 * found
        return _last_largest(self._blocks[found - self._width], self._load.__getitem__)


def in_order(rows: Iterable[int], deadline: Sequence[float]) -> list[int]:
    """The rows by deadline, ties by number."""
    held = sorted(rows)
    held.sort(key=deadline.__getitem__)
    return held


def _joined(
    left: tuple[float, float, float, float], right: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    return (
        left[0] + right[0],
        max(left[1], left[0] + right[1]),
        max(left[2], right[2]),
        min(left[3], right[3]),
    )


def _last_largest(block: "array[int]", load: Callable[[int], float]) -> int:
    return max(reversed(block), key=load)
