"""How fast the line was so far, and how fast it would have to be for every file to arrive before its link dies."""

import math
from array import array
from collections.abc import Iterable
from datetime import datetime, timedelta

from syncer.core.planner import Outlook, Prefer
from syncer.core.planner.select import MOST_NAMED, Files, late_ones, unsure_ones
from syncer.core.rates import Line
from syncer.core.sizes import Sizes


def remembered_rate(passes: Iterable[tuple[int, float]]) -> float | None:
    """Bytes a second that passes carried, given what each fetched in how many seconds; None where nothing was fetched.

    The median, by bytes: a pass that brought two small files and spent its time on listing says little of the line.
    """
    rates = sorted((count / seconds, count) for count, seconds in passes if count > 0 and seconds > 0)
    half, passed = sum(count for _, count in rates) / 2, 0
    for rate, count in rates:
        passed += count
        if passed >= half:
            return rate
    return None


def remembered_spread(passes: Iterable[tuple[int, float]]) -> float:
    """Bytes a second by which passes were off `remembered_rate`: the mean, by bytes, of the slower ones' distances.

    0.0 where none was slower. What was faster does not speak against what a pass may bring.
    """
    held = [(count / seconds, count) for count, seconds in passes if count > 0 and seconds > 0]
    rate = remembered_rate([(count, count / one) for one, count in held]) or 0.0
    slower = [(rate - one, count) for one, count in held if one < rate]
    return sum(off * count for off, count in slower) / sum(count for _, count in slower) if slower else 0.0


class Due:
    """What is due, as far as a forecast goes by it: of each file little more than its id."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._left = array("d")  # seconds until the link dies, negative where it has; inf where nothing says when
        self._size = array("q")  # bytes; -1 where nobody has told

    def add(self, job_id: str, left: float, size: int | None) -> None:
        """One more file."""
        self._ids.append(job_id)
        self._left.append(left)
        self._size.append(-1 if size is None else size)

    def outlook(self, line: Line, now: datetime, sizes: Sizes, prefer: Prefer = Prefer.FILES) -> Outlook:
        """What becomes of it if everything is fetched from `now` on as the planner would have it."""
        # By deadline from here on, as the planner has it: which of equals goes depends on how they are numbered.
        order = self._by_deadline()
        load, left = self._loads(sizes, order), array("d", (self._left[row] for row in order))
        rows, files = range(len(order)), Files(load, left, load.__getitem__)
        lost = late_ones(rows, files, 0.0, line, prefer)
        late = sorted(lost)
        unsure = unsure_ones((row for row in rows if row not in lost), files, 0.0, line, prefer)
        coming = sum(load) - sum(load[row] for row in late)
        first = next((seconds for seconds in left if 0 < seconds < math.inf), None)
        return Outlook(
            files=len(rows),
            bytes=round(sum(load)),
            unknown_sizes=self._size.count(-1),
            saved=len(rows) - len(late),
            at_risk=len(unsure),
            at_risk_ids=tuple(self._ids[order[row]] for row in unsure[:MOST_NAMED]),
            lost=len(late),
            lost_bytes=round(sum(load[row] for row in late)),
            lost_ids=tuple(self._ids[order[row]] for row in late[:MOST_NAMED]),
            earliest=None if first is None else now + timedelta(seconds=first),
            seconds=coming / line.total if line.total else None,
        )

    def needed_rate(self, sizes: Sizes) -> float:
        """Bytes a second of one line on which every link that lives outlives its file, fetched by deadline.

        By deadline no line can be narrower (J. R. Jackson, 1955): whatever is due until some moment must be through
        by then, in whatever order. 0.0 where no link says when it dies.
        """
        order = self._by_deadline()
        widest = total = 0.0
        for row, load in zip(order, self._loads(sizes, order), strict=True):
            left = self._left[row]
            if 0 < left < math.inf:
                total += load
                widest = max(widest, total / left)
        return widest

    def _by_deadline(self) -> list[int]:
        return sorted(range(len(self._ids)), key=self._left.__getitem__)

    def _loads(self, sizes: Sizes, order: list[int]) -> "array[float]":
        guess = sizes.expected()
        return array("d", (guess if self._size[row] < 0 else self._size[row] for row in order))
