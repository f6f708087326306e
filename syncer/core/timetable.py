"""Bandwidth limits, plain or by the time of day, and the units people write them in."""

import re
from dataclasses import dataclass
from datetime import datetime, time

from syncer.core.errors import UsageError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?(?:/s)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_HINT = "Write a rate such as 2M or 500k (bytes a second), `off`, or a timetable such as '08:00,2M 23:00,off'."


@dataclass(frozen=True, slots=True)
class Timetable:
    """Limits in bytes a second, each from its time of day on (local time) until the next; None is no limit.

    The last one of a day holds until the first of the next.
    """

    steps: tuple[tuple[time, int | None], ...] = ()

    def rate(self, local: datetime) -> int | None:
        """The limit at a local moment."""
        if not self.steps:
            return None
        begun = [limit for start, limit in self.steps if start <= local.time()]
        return begun[-1] if begun else self.steps[-1][1]


def parse_size(text: str) -> int:
    """Bytes from `500k`, `2M`, `1.5GiB`: powers of 1024, as rclone and curl have them. Raises UsageError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a number of bytes.", hint="Write 500k, 2M or 1.5G.")
    number, unit, _ = match.groups()
    return int(float(number) * 1024 ** _POWERS[unit.lower()])


def parse_timetable(text: str) -> Timetable:
    """A timetable from `2M`, `off`, or `08:00,2M 23:00,off`. Raises UsageError."""
    words = text.split()
    if not words:
        return Timetable()
    if len(words) == 1 and "," not in words[0]:
        return Timetable(((time(0), _limit(words[0], text)),))
    steps: dict[time, int | None] = {}
    for word in words:
        moment, comma, limit = word.partition(",")
        if not comma:
            raise UsageError(f"The bandwidth limit {text!r} cannot be read.", hint=_HINT)
        try:
            start = time.fromisoformat(moment)
        except ValueError:
            raise UsageError(f"{moment!r} in the bandwidth limit is no time of day.", hint=_HINT) from None
        steps[start] = _limit(limit, text)
    return Timetable(tuple(sorted(steps.items(), key=lambda step: step[0])))


def _limit(word: str, whole: str) -> int | None:
    if word.lower() == "off":
        return None
    try:
        limit = parse_size(word)
    except UsageError:
        raise UsageError(f"The bandwidth limit {whole!r} cannot be read.", hint=_HINT) from None
    if limit == 0:
        raise UsageError("A bandwidth limit of 0 would fetch nothing.", hint=_HINT)
    return limit
