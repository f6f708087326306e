"""Forecasts a pass: lists into a throw-away copy of the ledger, and fetches nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from syncer.core import planner, saving
from syncer.core.filters import JobFilter
from syncer.core.model import Entry, Listing, Page, Plan, Sighting, State, Tally
from syncer.core.planner import Outlook, Prefer
from syncer.core.ports import Clock, Ledger, Source
from syncer.core.rates import Line
from syncer.core.saving import Due
from syncer.core.sizes import Sizes
from syncer.runner.probe import Prober

BATCH = 500
"""Entries whose sizes are asked for at once."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast the line is, in bytes a second, and how that is known: from so many passes, or by what the user says."""

    rate: float | None = None
    passes: int = 0
    limited: bool = False  # by --bwlimit
    spread: float = 0.0  # by how much passes were slower than that, where some were


@dataclass(frozen=True, slots=True)
class Means:
    """What a forecast goes by besides the list itself."""

    speed: Speed
    workers: int
    free_bytes: int | None  # in the destination
    prefer: Prefer = Prefer.FILES
    prober: Prober | None = None  # asks the storage for sizes that are not known


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a pass at this moment would meet. Sizes in bytes; None where nothing is known to tell them by."""

    at: datetime
    plan: Plan
    listing: Listing
    tally: Tally
    means: Means
    outlook: Outlook
    mean_size: float | None  # of the files whose size is known
    needed_rate: float  # bytes a second that save all links that live

    @property
    def estimated_bytes(self) -> int | None:
        """The known sizes, and the mean of those for each unknown one."""
        if not self.plan.unknown_sizes:
            return self.plan.known_bytes
        if self.mean_size is None:
            return None
        return self.plan.known_bytes + round(self.mean_size * self.plan.unknown_sizes)

    @property
    def fits(self) -> bool | None:
        """Whether the free space holds it; None where either is not known."""
        if self.estimated_bytes is None or self.means.free_bytes is None:
            return None
        return self.estimated_bytes <= self.means.free_bytes

    @property
    def lost(self) -> int:
        """Files that would be lost under the links they have: those that are dead, and those whose turn comes late."""
        late = 0 if self.estimated_bytes is None else self.outlook.lost
        return max(late, self.plan.dead)

    @property
    def in_time(self) -> bool | None:
        """Whether every link outlives its file's turn; None where no size or no rate is known to tell that by."""
        if self.lost:
            return False
        if self.outlook.earliest is None:
            return True
        return None if self.estimated_bytes is None or self.means.speed.rate is None else True

    @property
    def needed_workers(self) -> int | None:
        """How many workers would do, if each connection by itself carried its share of the rate and no more."""
        rate = self.means.speed.rate
        return math.ceil(self.needed_rate * self.means.workers / rate) if rate else None


async def forecast(source: Source, copy: Ledger, jobs: JobFilter, clock: Clock, means: Means) -> Forecast:
    """List through `source` into `copy`, a ledger nobody else uses, and sum up what is due."""
    await copy.begin_pass(clock.now())

    async def keep(page: Page) -> frozenset[str]:
        sightings = [Sighting(job, filtered=not jobs.admits(job)) for job in page.jobs]
        return await copy.record(sightings, clock.now())

    listing = await source.list_jobs(keep)
    if means.prober is not None:
        await _probe(copy, means.prober)
    sizes = Sizes()
    async for entry in copy.entries([State.STORED]):
        if entry.stored is not None:
            sizes.add(entry.stored.size)
    now, plan, due = clock.now(), Plan(), Due()
    async for entry in copy.entries([State.PENDING]):
        plan = planner.extend(plan, entry, now)
        due.add(entry.id, _left(entry, now), entry.promise.size)
        if entry.promise.size is not None:
            sizes.add(entry.promise.size)
    return Forecast(
        now,
        plan,
        listing,
        await copy.tally(),
        means,
        due.outlook(Line(means.speed.rate, spread=means.speed.spread), now, sizes, means.prefer),
        sizes.expected() if sizes.seen else None,
        due.needed_rate(sizes),
    )


def _left(entry: Entry, now: datetime) -> float:
    """Seconds until the entry's link dies. An estimated death that is past says nothing: the link may well live."""
    link, deadline = entry.link, entry.deadline
    if link is None or deadline is None or (link.estimated and deadline <= now):
        return math.inf
    return (deadline - now).total_seconds()


async def _probe(copy: Ledger, prober: Prober) -> None:
    """Ask for every size that is not known and note it in the copy."""
    batch: list[Entry] = []
    async for entry in copy.entries([State.PENDING]):
        if entry.promise.size is None:
            batch.append(entry)
        if len(batch) >= BATCH:
            await copy.note_sizes(await prober.sizes(batch))
            batch = []
    await copy.note_sizes(await prober.sizes(batch))


def speed_of(given: float | None, passes: Sequence[tuple[int, float]], limit: float | None) -> Speed:
    """The line as the user says it is, else as past passes found it: (bytes, seconds) each. Never beyond `limit`."""
    moved = [one for one in passes if one[0] > 0]
    speed = Speed(given)
    if given is None:
        speed = Speed(saving.remembered_rate(moved), len(moved), spread=saving.remembered_spread(moved))
    if limit is None or (speed.rate is not None and speed.rate <= limit):
        return speed
    slowest = math.inf if speed.rate is None else speed.rate - speed.spread
    return Speed(limit, limited=True, spread=max(0.0, limit - slowest))
