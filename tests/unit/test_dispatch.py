"""How many files are under way at once: on the wire, and from memory to the disk."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from fakes.destination import FakeDestination
from fakes.fetcher import FakeFetcher, Hang
from fakes.fetcher import Stored as Object
from fakes.ledger import FakeLedger
from fakes.source import FakeSource, ManualClock, a_job

from syncer.core.errors import DestinationRefused
from syncer.core.model import Listing, Page
from syncer.runner.dispatch import FINISHING
from syncer.runner.limits import Limits
from syncer.runner.one_pass import run_pass
from syncer.runner.parts import Parts, Rules

WORKERS = 2
MANY = 30
SMALL, LARGE = 1000, 100_000


class StandingClock(ManualClock):
    """Time that does not pass: nothing is looked at again because of it."""

    async def sleep(self, seconds):
        await asyncio.Event().wait()


class SlowDisk(FakeDestination):
    """What is published waits for the disk until `go_on`; `waiting` are those that do."""

    def __init__(self):
        super().__init__()
        self.go_on, self.waiting, self.refuses = asyncio.Event(), 0, False

    async def enlist(self, job_id, name, file, *, is_durable=False):
        self.waiting += 1
        try:
            await self.go_on.wait()
            if self.refuses:
                raise DestinationRefused("The destination memory is full.", hint="Make room.")
            await super().enlist(job_id, name, file, is_durable=is_durable)
        finally:
            self.waiting -= 1


class Commands:
    """A Hook that counts the user's commands at once."""

    def __init__(self):
        self.now = self.most = 0

    async def stored(self, job_id, name, file):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1


class Scene:
    """A pass over many files of one size, whose disk is slow."""

    def __init__(self, size, *, hook=None, **rules):
        jobs = [a_job(f"job-{n:02}") for n in range(MANY)]
        self.fetcher, self.disk = FakeFetcher(block=10_000), SlowDisk()
        self.fetcher.objects = {job.link.url: Object(bytes(8) + random.Random(job.id).randbytes(size)) for job in jobs}
        self.urls = [job.link.url for job in jobs]
        self.ledger = FakeLedger()
        parts = Parts(
            FakeSource(jobs), self.ledger, self.fetcher, self.disk, self, StandingClock(), random.Random(1), hook
        )
        self.run = asyncio.create_task(run_pass(parts, Rules(workers=WORKERS, **rules)))

    def notify(self, event):
        pass

    async def stand_still(self, waiting):
        """Until so many files wait for the disk, and then for as long as it takes to see that no others come."""
        async with asyncio.timeout(30):
            while self.disk.waiting < waiting:  # noqa: ASYNC110 - a thread may be what is waited for
                await asyncio.sleep(0.001)
        for _ in range(200):
            await asyncio.sleep(0)

    async def end(self):
        self.disk.go_on.set()
        report = await self.run
        assert (report.jobs.stored, report.exit_code) == (MANY, 0)
        return report


async def test_small_files_that_wait_for_the_disk_leave_their_connection_to_others():
    scene = Scene(SMALL)
    await scene.stand_still(WORKERS * (1 + FINISHING))
    assert scene.disk.waiting == len(scene.fetcher.asks) == WORKERS * (1 + FINISHING)
    assert scene.fetcher.open_now == 0
    await scene.end()


async def test_large_files_keep_their_place_until_they_are_stored():
    scene = Scene(LARGE)
    await scene.stand_still(WORKERS)
    assert scene.disk.waiting == len(scene.fetcher.asks) == WORKERS
    await scene.end()


async def test_no_more_commands_run_at_once_than_there_are_workers():
    hook = Commands()
    scene = Scene(SMALL, hook=hook)
    await scene.stand_still(WORKERS)
    assert scene.disk.waiting == WORKERS
    await scene.end()
    assert 0 < hook.most <= WORKERS


async def test_those_that_wait_for_the_disk_count_among_the_files_a_pass_may_take():
    scene = Scene(SMALL, limits=Limits(files=5))
    await scene.stand_still(5)
    assert scene.disk.waiting == len(scene.fetcher.asks) == 5
    scene.disk.go_on.set()
    report = await scene.run
    assert (report.jobs.stored, report.limited) == (5, True)


async def test_no_more_is_on_the_wire_at_once_however_many_wait_for_the_disk():
    scene = Scene(SMALL)
    for url in scene.urls[4:]:
        scene.fetcher.fail_next(url, Hang(after=500))
    await scene.stand_still(4)
    assert scene.disk.waiting >= 4
    assert scene.fetcher.open_now == WORKERS
    for url in scene.urls:
        scene.fetcher.fail_always(url, None)
    scene.run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scene.run
    assert scene.fetcher.open_now == scene.disk.waiting == 0


async def test_a_disk_that_refuses_ends_the_pass_with_all_that_waited_handed_back():
    scene = Scene(SMALL)
    await scene.stand_still(1)
    scene.disk.refuses = True
    scene.disk.go_on.set()
    report = await scene.run
    assert report.exit_code == 5
    assert report.jobs.pending == MANY
    assert scene.disk.waiting == 0
    assert all(row.token is None for row in scene.ledger.store.rows.values())


async def test_a_claim_that_ran_out_before_it_was_begun_is_not_handed_back():
    scene = Scene(SMALL)
    await scene.stand_still(WORKERS * (1 + FINISHING))
    begun = {url for url, _ in scene.fetcher.asks}
    rows = scene.ledger.store.rows.values()
    ahead = [row for row in rows if row.token is not None and row.entry.link.url not in begun]
    assert ahead
    for row in ahead[::2]:
        row.token = "another pass"
    scene.disk.refuses = True
    scene.disk.go_on.set()
    report = await scene.run
    assert report.exit_code == 5
    assert {row.token for row in ahead[::2]} == {"another pass"}
    assert {row.token for row in rows if row not in ahead[::2]} == {None}


class Receding(FakeSource):
    """Each page is of older jobs than the one before, whose links die sooner; it comes when some were begun."""

    PAGES, EACH = 12, 10

    def __init__(self, fetcher):
        super().__init__()
        self.fetcher = fetcher
        self.pages = [[self._job(page, n) for n in range(self.EACH)] for page in range(self.PAGES)]
        self.jobs = {job.id: job for jobs in self.pages for job in jobs}

    def _job(self, page, n):
        job = a_job(f"job-{page:02}-{n:02}")
        return replace(job, link=replace(job.link, expires_at=job.link.expires_at - timedelta(minutes=page)))

    async def list_jobs(self, keep):
        told = 0
        for number, jobs in enumerate(self.pages):
            told += len(await keep(Page(number, tuple(jobs), ())))
            while len(self.fetcher.asks) < 5 * (number + 1):  # noqa: ASYNC110 - files are what is waited for
                await asyncio.sleep(0)
        return Listing(self.PAGES, told, 0, complete=True)


class Silent:
    def notify(self, event):
        pass


class Attentive(FakeLedger):
    """Notes of each claim how many it was for, and how many were held then."""

    def __init__(self):
        super().__init__()
        self.claimed, self.held = [], []

    async def claim(self, ids, at, until):
        claims = await super().claim(ids, at, until)
        self.claimed.append([claim.entry.id for claim in claims])
        self.held.append(sum(row.token is not None for row in self.store.rows.values()))
        return claims


async def test_what_comes_first_is_claimed_ahead_though_others_were_before():
    """Those are handed back: however many pages overtake each other, no more is held."""
    fetcher, ledger, disk = FakeFetcher(block=10_000), Attentive(), FakeDestination()
    source = Receding(fetcher)
    fetcher.objects = {
        job.link.url: Object(bytes(8) + random.Random(job.id).randbytes(LARGE)) for job in source.jobs.values()
    }
    parts = Parts(source, ledger, fetcher, disk, Silent(), StandingClock(), random.Random(1))
    report = await run_pass(parts, Rules(workers=WORKERS))
    assert (report.jobs.stored, report.exit_code) == (len(source.jobs), 0)
    overtaking = [ids for ids in ledger.claimed if ids and ids[0] > "job-06"]
    assert any(len(ids) > WORKERS for ids in overtaking)
    assert max(ledger.held) <= 12
    assert all(row.entry.attempts == 1 for row in ledger.store.rows.values())
