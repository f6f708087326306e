"""How fast the line was so far, and how fast it would have to be for every file to arrive before its link dies."""

import math
from collections.abc import Iterable
from datetime import datetime

from syncer.core.planner import Task, expected_load, seconds_left
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


def needed_rate(tasks: Iterable[Task], now: datetime, sizes: Sizes) -> float:
    """Bytes a second of one line on which every link that lives at `now` outlives its file, fetched by deadline.

    By deadline no line can be narrower (J. R. Jackson, 1955): whatever is due until some moment must be through by
    then, in whatever order. 0.0 where no link says when it dies.
    """
    due = sorted(
        (left, expected_load(task, sizes)) for task in tasks if 0 < (left := seconds_left(task, now)) < math.inf
    )
    widest = total = 0.0
    for left, load in due:
        total += load
        widest = max(widest, total / left)
    return widest
