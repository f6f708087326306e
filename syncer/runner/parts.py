"""What a pass is made of, its rules, and its counts."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from syncer.core.errors import NoRoom
from syncer.core.filters import JobFilter
from syncer.core.model import Claim, Story
from syncer.core.naming import Naming
from syncer.core.planner import Prefer
from syncer.core.ports import Clock, Destination, Fetcher, Helper, Hook, Ledger, Observer, Source
from syncer.core.report import Loss, Transfer
from syncer.core.retry import RetryPolicy
from syncer.core.segments import LEAST
from syncer.core.text import one_line
from syncer.runner.limits import Limits


@dataclass(frozen=True, slots=True)
class Parts:
    """The concrete parts, as bootstrap put them together."""

    source: Source
    ledger: Ledger
    fetcher: Fetcher
    destination: Destination
    observer: Observer
    clock: Clock
    rng: random.Random
    hook: Hook | None = None
    helpers: tuple[Helper, ...] = ()  # processes that are begun where one is not enough
    cpu_seconds: Callable[[], float] = time.process_time  # of this process
    is_limited: Callable[[], bool] = lambda: False  # whether the user limits the rate just now


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user asked of a pass."""

    workers: int = 4  # files at once
    naming: Naming = field(default_factory=Naming)
    jobs: JobFilter = field(default_factory=JobFilter)
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    prefer: Prefer = Prefer.FILES  # what counts where not everything can be saved
    regenerate: bool = False
    catch_up: bool = False  # sizes first, and how it stands told all along
    remake_patience: float = 120.0  # seconds a pass waits, with nothing else to do, for a job that is made again
    max_file_size: int | None = None  # bytes
    segments: int = 1  # connections of one large file
    segment_size: int = LEAST  # bytes, at the least
    lease: timedelta = timedelta(minutes=10)
    limits: Limits = field(default_factory=Limits)


MOST_HOURS = 48
"""Margins are counted by whole hours, up to this many: links live a day, and the rest is one heap."""


@dataclass(slots=True)
class Counts:
    """What a pass has done so far; the one mutable record, written on the event loop's thread only."""

    fetched: int = 0
    bytes: int = 0
    resumed: int = 0
    restarted: int = 0
    relinked: int = 0
    retries: int = 0
    recovered: int = 0
    crowded: int = 0  # files that the destination had no room for
    no_room: NoRoom | None = None  # the last of them
    lost: dict[str, Loss] = field(default_factory=dict)  # by id, in order
    margins: Counter[int] = field(default_factory=Counter)  # see core.model.Story
    least_margin: float | None = None
    reasons: Counter[str] = field(default_factory=Counter)

    def saved(self, margin: timedelta) -> None:
        """A file was stored so long before its link dies; after it, where the storage let the link live on."""
        seconds = margin.total_seconds()
        self.margins[max(-1, min(MOST_HOURS, int(seconds // 3600)))] += 1
        self.least_margin = seconds if self.least_margin is None else min(self.least_margin, seconds)

    def story(self) -> Story:
        """The ledger's form."""
        return Story(dict(self.margins), self.least_margin, dict(self.reasons))

    def transfer(self, failed: int) -> Transfer:
        """The report's form."""
        return Transfer(
            fetched=self.fetched,
            bytes=self.bytes,
            resumed=self.resumed,
            restarted=self.restarted,
            relinked=self.relinked,
            retries=self.retries,
            failed=failed,
            recovered=self.recovered,
        )


class Stop:
    """Asks a pass to end soon and cleanly; `code` is the exit code it then has."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self.code = 0

    def ask(self, code: int) -> None:
        """Stop with this exit code; the first one asked for counts."""
        if not self._asked.is_set():
            self.code = code
            self._asked.set()

    def is_asked(self) -> bool:
        """Whether somebody asked already."""
        return self._asked.is_set()

    async def asked(self) -> None:
        """Returns once somebody asked."""
        await self._asked.wait()


def label_of(claim: Claim) -> str:
    """What to call a job in front of people: its name on one line, or its id."""
    return one_line(claim.entry.name, 80) or one_line(claim.entry.id, 80)
