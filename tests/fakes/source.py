"""An account in memory that keeps the contract of core.ports.Source, and a clock that is told the time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from syncer.core.errors import JobGone, SyncerError
from syncer.core.model import Job, Link, Listing, Malformed, Page, RemoteStatus

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


class ManualClock:
    """A clock whose time passes only where someone sleeps or calls `advance`; `slept` keeps every wait in seconds."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._passed += seconds
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self._passed += seconds


def a_job(job_id: str = "download-1", **changes: object) -> Job:
    """A finished job with a living link, as far as `changes` does not say otherwise."""
    link = Link(f"https://storage.example/{job_id}.mp4?X-Goog-Signature=secret", START + timedelta(hours=24))
    job = Job(job_id, f"{job_id}.mp4", RemoteStatus.DONE, START, link)
    return replace(job, **changes)  # type: ignore[arg-type]


class FakeSource:
    """Jobs in memory, newest first, cut into pages of `page_size`.

    `fail_after` pages the listing raises `error`. `between` is called after each page and may change the account.
    `renewed` holds what a look-up finds in place of what the list says.
    """

    def __init__(
        self,
        jobs: Iterable[Job] = (),
        *,
        page_size: int = 5000,
        malformed: Iterable[Malformed] = (),
        fail_after: int | None = None,
        error: SyncerError | None = None,
        between: Callable[["FakeSource"], None] | None = None,
        complete: bool = True,
    ) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.page_size = page_size
        self.malformed = tuple(malformed)
        self.fail_after = fail_after
        self.error = error
        self.between = between
        self.complete = complete
        self.renewed: dict[str, Job | SyncerError] = {}
        self.looked_up: list[str] = []
        self.regenerated: list[str] = []

    async def list_jobs(self, keep: Callable[[Page], Awaitable[frozenset[str]]]) -> Listing:
        pages, told = 0, 0
        served: set[str] = set()
        while batch := [job for job in self.jobs.values() if job.id not in served][: self.page_size]:
            if self.fail_after is not None and pages >= self.fail_after and self.error is not None:
                raise self.error
            fresh = await keep(Page(pages, tuple(batch), self.malformed if pages == 0 else ()))
            served |= {job.id for job in batch}
            told += len(fresh)
            pages += 1
            if self.between is not None:
                self.between(self)
        if self.fail_after is not None and pages <= self.fail_after and self.error is not None:
            raise self.error
        return Listing(pages, told, len(self.malformed) if pages else 0, complete=self.complete)

    async def look_up(self, job_id: str) -> Job:
        self.looked_up.append(job_id)
        found = self.renewed.get(job_id) or self.jobs.get(job_id)
        if found is None:
            raise JobGone("The account no longer knows the job.")
        if isinstance(found, SyncerError):
            raise found
        return found

    async def regenerate(self, job_id: str) -> None:
        self.regenerated.append(job_id)
        if job_id not in self.jobs:
            raise JobGone("The account no longer knows the job.")
        job = self.jobs[job_id]
        if job.status is not RemoteStatus.PROCESSING:
            self.jobs[job_id] = replace(job, status=RemoteStatus.PROCESSING, link=None)
