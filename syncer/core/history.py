"""What the last passes amount to, for a table and for charts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from syncer.core.model import State, Story, Tally


@dataclass(frozen=True, slots=True)
class Night:
    """One pass that ended, or died (then without an exit code)."""

    id: int
    started_at: datetime
    finished_at: datetime | None
    exit_code: int | None
    listed: int
    standing: Tally
    fetched: int  # files
    bytes: int  # over the wire
    retries: int
    failed: int
    story: Story

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None

    @property
    def rate(self) -> float | None:
        """Bytes a second over the whole pass, listing included; None where nothing was moved."""
        return self.bytes / self.seconds if self.seconds and self.bytes else None


@dataclass(frozen=True, slots=True)
class History:
    """The last passes, the oldest first, and how the ledger stands now."""

    at: datetime
    destination: str | None
    entries: Mapping[State, int]
    nights: tuple[Night, ...]

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Kinds of failure in all these passes, the most frequent first."""
        total: Counter[str] = Counter()
        for night in self.nights:
            total.update(night.story.reasons)
        return sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))

    @property
    def least_margin(self) -> float | None:
        """Seconds that the file closest to its deadline had left in all these passes."""
        return min((n.story.least_margin for n in self.nights if n.story.least_margin is not None), default=None)


BANDS = ((None, 0), (0, 1), (1, 3), (3, 6), (6, 12), (12, 18), (18, None))
"""Hours from and to, in which margins are shown; None is open."""


def banded(margins: Mapping[int, int]) -> list[int]:
    """Files in each of BANDS, from margins in whole hours (below 0: after the link's own death)."""
    found = [0] * len(BANDS)
    for hours, count in margins.items():
        for position, (low, high) in enumerate(BANDS):
            if (low is None or hours >= low) and (high is None or hours < high):
                found[position] += count
                break
    return found


def band_name(position: int) -> str:
    """What a band is called."""
    low, high = BANDS[position]
    if low is None:
        return "after it"
    return f"{low} h and more" if high is None else f"{low} to {high} h"


def scaled(values: Iterable[float], height: float = 100.0) -> list[float]:
    """Values as heights, the greatest `height`; what is there is never shown as nothing."""
    found = list(values)
    top = max(found, default=0.0)
    return [max(1.5, value / top * height) if value > 0 else 0.0 for value in found]
