"""The account in memory: its jobs, the order they are listed in, and what time does to them."""

import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from syncer.sandbox.model import JobStatus, PageOrder, PageRules, SandboxJob


class Store:
    """Jobs by id, given newest first; two of one id are a ValueError.

    Safe to use from the server's thread and a test's at once.

    Jobs are frozen; every change puts another one in the place of the old. Newest is first, by place and not by
    `created_at`: where a job is added decides where it is listed.
    """

    def __init__(self, jobs: Iterable[SandboxJob], now: Callable[[], datetime], rng: random.Random) -> None:
        self._lock = threading.RLock()
        self._now = now
        self._rng = rng
        self._shuffled: list[str] = []
        self._listings = 0
        self._made = 0
        newest_first = list(jobs)
        self._jobs = {job.id: job for job in newest_first}
        self._oldest_first = [job.id for job in reversed(newest_first)]
        if len(self._jobs) < len(newest_first):
            raise ValueError("two jobs have the same id")

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._jobs

    def add(self, job: SandboxJob, place: int | None = None) -> None:
        """Takes the job in, as the newest or at `place` counted from the newest.

        Raises ValueError where the account has a job with this id.
        """
        with self._lock:
            if job.id in self._jobs:
                raise ValueError(f"a job with the id {job.id!r} is there already")
            self._jobs[job.id] = job
            where = len(self._oldest_first) if place is None else max(len(self._oldest_first) - place, 0)
            self._oldest_first.insert(where, job.id)

    def create(self, name: str | None, size: int, stream_link: str | None, seconds: float) -> SandboxJob:
        """A new job as `POST /download` makes it: done at once, or in so many seconds. It is not added yet."""
        now = self._now()
        with self._lock:
            self._made += 1
            job_id = f"download-{self._rng.getrandbits(32):08x}-{self._made:06d}"
        job = SandboxJob(job_id, name, size=size, created_at=now, stream_link=stream_link)
        return self.processing(job, seconds)

    def processing(self, job: SandboxJob, seconds: float) -> SandboxJob:
        """The job as one that is made from now on and takes so many seconds."""
        now = self._now()
        if seconds <= 0:
            return replace(job, status=JobStatus.DONE, completed_at=now, ready_at=None, error=None)
        ready = datetime.fromtimestamp(now.timestamp() + seconds, now.tzinfo)
        return replace(job, status=JobStatus.PROCESSING, ready_at=ready, completed_at=None, error=None)

    def get(self, job_id: str) -> SandboxJob | None:
        """The job as it stands now, or None."""
        with self._lock:
            job = self._jobs.get(job_id)
            return job if job is None else self._settled(job)

    def put(self, job: SandboxJob) -> None:
        """Puts the job in the place of the one with its id; does nothing where that was removed."""
        with self._lock:
            if job.id in self._jobs:
                self._jobs[job.id] = job

    def remove(self, job_id: str) -> bool:
        """Takes the job out; False where there was none."""
        with self._lock:
            if self._jobs.pop(job_id, None) is None:
                return False
            self._oldest_first.remove(job_id)
            return True

    def all(self) -> list[SandboxJob]:
        """Every job as it stands now, newest first."""
        with self._lock:
            return [self._settled(self._jobs[job_id]) for job_id in reversed(self._oldest_first)]

    def page(self, rules: PageRules, index: int, count: int | None) -> list[SandboxJob]:
        """The jobs of one page; empty beyond the last page, for a negative page and for a `count` below 1."""
        wanted = rules.default_count if count is None or rules.ignore_count else count
        wanted = min(wanted, rules.cap)
        number = 0 if rules.ignore_index else (max(index - rules.base, 0) if index >= 0 else index)
        with self._lock:
            if number == 0:
                self._begin(rules)
            if number < 0 or wanted < 1:
                return []
            ids = self._slice(rules.order, number * wanted, wanted)
            return [self._settled(self._jobs[job_id]) for job_id in ids if job_id in self._jobs]

    def _begin(self, rules: PageRules) -> None:
        self._listings += 1
        if rules.order is PageOrder.RANDOM:
            self._shuffled = list(self._oldest_first)
            self._rng.shuffle(self._shuffled)

    def _slice(self, order: PageOrder, start: int, length: int) -> list[str]:
        if order is PageOrder.RANDOM:
            return self._shuffled[start : start + length]
        if order is PageOrder.OLDEST:
            return self._oldest_first[start : start + length]
        stop = len(self._oldest_first) - start
        return self._oldest_first[max(stop - length, 0) : max(stop, 0)][::-1]

    def _settled(self, job: SandboxJob) -> SandboxJob:
        if job.status is not JobStatus.PROCESSING:
            return job
        now = self._now()
        after = job.ready_after_listings
        if after is not None and self._listings > after:
            ended = now
        elif job.ready_at is not None and now >= job.ready_at:
            ended = job.ready_at
        else:
            return job
        job = replace(job, status=job.becomes, completed_at=ended, ready_at=None, ready_after_listings=None)
        self._jobs[job.id] = job
        return job
