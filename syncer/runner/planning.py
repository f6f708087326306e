"""Forecasts a pass: lists into a throw-away copy of the ledger, and fetches nothing."""

from dataclasses import dataclass
from datetime import datetime

from syncer.core import planner
from syncer.core.filters import JobFilter
from syncer.core.model import Listing, Page, Plan, Sighting, State, Tally
from syncer.core.ports import Clock, Ledger, Source


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a pass at this moment would meet. Sizes in bytes; None where nothing is known to tell them by."""

    at: datetime
    plan: Plan
    listing: Listing
    tally: Tally
    mean_size: float | None  # of the stored files
    free_bytes: int | None  # in the destination

    @property
    def estimated_bytes(self) -> int | None:
        """The known sizes, and the mean of what is stored for each unknown one."""
        if not self.plan.unknown_sizes:
            return self.plan.known_bytes
        if self.mean_size is None:
            return None
        return self.plan.known_bytes + round(self.mean_size * self.plan.unknown_sizes)

    @property
    def fits(self) -> bool | None:
        """Whether the free space holds it; None where either is not known."""
        if self.estimated_bytes is None or self.free_bytes is None:
            return None
        return self.estimated_bytes <= self.free_bytes


async def forecast(source: Source, copy: Ledger, jobs: JobFilter, clock: Clock, free_bytes: int | None) -> Forecast:
    """List through `source` into `copy`, a ledger nobody else uses, and sum up what is due."""
    await copy.begin_pass(clock.now())

    async def keep(page: Page) -> frozenset[str]:
        sightings = [Sighting(job, filtered=not jobs.admits(job)) for job in page.jobs]
        return await copy.record(sightings, clock.now())

    listing = await source.list_jobs(keep)
    now, plan = clock.now(), Plan()
    async for entry in copy.entries([State.PENDING]):
        plan = planner.extend(plan, entry, now)
    count = total = 0
    async for entry in copy.entries([State.STORED]):
        if entry.stored is not None:
            count, total = count + 1, total + entry.stored.size
    return Forecast(now, plan, listing, await copy.tally(), total / count if count else None, free_bytes)
