"""What any core.ports.Source must do: the one over HTTP against the sandbox, and the fake in memory."""

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from fakes.source import START, FakeSource, ManualClock, a_job

from syncer.core.errors import JobGone, KeyRefused, ListingFailed
from syncer.core.model import Job, RemoteStatus
from syncer.core.ports import Source
from syncer.sandbox import JobStatus, Sandbox, SandboxJob, running
from syncer.sandbox.faults import Op, When
from syncer.sandbox.faults_wire import Status
from syncer.sandbox.model import PageRules, Rules
from syncer.sandbox.scenarios import Scenario
from syncer.videodb import ApiClient, VideoDb

IDS = [f"job-{n:03d}" for n in range(57)]
STATUSES = [RemoteStatus.DONE, RemoteStatus.PROCESSING, RemoteStatus.ERROR]


@dataclass
class Account:
    """A source over the same jobs as every other one, in pages of ten."""

    source: Source
    expected: dict[str, RemoteStatus]


class Keeper:
    """Takes pages as a pass does, and minds that it is never asked twice at once."""

    def __init__(self):
        self.pages = []
        self.jobs: dict[str, Job] = {}
        self.told: list[str] = []
        self._busy = False

    async def __call__(self, page):
        assert not self._busy, "keep was called while it worked"
        self._busy = True
        await asyncio.sleep(0)
        fresh = frozenset(job.id for job in page.jobs) - self.jobs.keys()
        self.pages.append(page)
        self.told += sorted(fresh)
        self.jobs |= {job.id: job for job in page.jobs}
        self._busy = False
        return fresh


def statuses(ids=IDS):
    return {job_id: STATUSES[n % 3] for n, job_id in enumerate(ids)}


@asynccontextmanager
async def in_memory(fault=None):
    jobs = [
        a_job(i, status=status) if status is RemoteStatus.DONE else a_job(i, status=status, link=None)
        for i, status in statuses().items()
    ]
    errors = {"key": KeyRefused("no"), "down": ListingFailed("no")}
    yield Account(FakeSource(jobs, page_size=10, fail_after=3 if fault else None, error=errors.get(fault)), statuses())


@asynccontextmanager
async def over_http(fault=None):
    jobs = [
        SandboxJob(i, f"{i}.mp4", 10, JobStatus(status.value), created_at=START, error="broken" if n % 3 == 2 else None)
        for n, (i, status) in enumerate(statuses().items())
    ]
    codes = {"key": 401, "down": 500}
    later = When(ops=frozenset({Op.LIST}), after=3)
    faults = (Status(status=codes[fault], when=later),) if fault else ()
    sandbox = Sandbox(jobs, Scenario("contract", rules=Rules(pages=PageRules(cap=10)), api=faults))
    clock = ManualClock()
    async with (
        running(sandbox),
        ApiClient(sandbox.base_url, sandbox.api_key, clock=clock, rng=random.Random(1)) as client,
    ):
        yield Account(VideoDb(client, clock=clock), statuses())


SOURCES = pytest.mark.parametrize("account", [in_memory, over_http])


@SOURCES
async def test_every_job_is_told_once_and_the_sums_agree(account):
    keeper = Keeper()
    async with account() as given:
        listing = await given.source.list_jobs(keeper)
    assert keeper.told == sorted(set(keeper.told), key=keeper.told.index)
    assert {job.id: job.status for job in keeper.jobs.values()} == given.expected
    assert listing.complete
    assert listing.jobs == len(IDS)
    assert listing.malformed == 0
    assert 6 <= listing.pages <= len(keeper.pages)


@SOURCES
async def test_pages_come_one_by_one_while_the_listing_goes_on(account):
    keeper = Keeper()
    async with account() as given:
        await given.source.list_jobs(keeper)
    assert len(keeper.pages) >= 6
    assert max(page.length for page in keeper.pages) <= 10


@SOURCES
async def test_only_finished_jobs_have_a_link(account):
    keeper = Keeper()
    async with account() as given:
        await given.source.list_jobs(keeper)
    for job in keeper.jobs.values():
        assert (job.link is not None) == (job.status is RemoteStatus.DONE)
        if job.link:
            assert job.link.expires_at is not None
            assert job.link.expires_at > START + timedelta(hours=1)


@SOURCES
@pytest.mark.parametrize(("fault", "error"), [("key", KeyRefused), ("down", ListingFailed)])
async def test_a_listing_that_fails_says_so_and_what_was_kept_stays_kept(account, fault, error):
    keeper = Keeper()
    async with account(fault) as given:
        with pytest.raises(error):
            await given.source.list_jobs(keeper)
    assert len(keeper.jobs) in range(20, len(IDS))


@SOURCES
async def test_an_error_of_keep_ends_the_listing_as_it_is(account):
    async def refuse(page):
        raise MemoryError

    async with account() as given:
        with pytest.raises(MemoryError):
            await given.source.list_jobs(refuse)


@SOURCES
@pytest.mark.parametrize("job_id", IDS[:3])
async def test_a_look_up_gives_the_job_as_it_is_now(account, job_id):
    async with account() as given:
        job = await given.source.look_up(job_id)
    assert (job.id, job.status) == (job_id, given.expected[job_id])
    assert (job.link is not None) == (job.status is RemoteStatus.DONE)


@SOURCES
@pytest.mark.parametrize("job_id", ["nobody", "..", "a/../b", "x?y#z", "נתון", ""])
async def test_an_unknown_job_is_gone(account, job_id):
    async with account() as given:
        with pytest.raises(JobGone):
            await given.source.look_up(job_id)
        with pytest.raises(JobGone):
            await given.source.regenerate(job_id)


@SOURCES
async def test_regenerate_is_taken(account):
    async with account() as given:
        await given.source.regenerate(IDS[2])
        job = await given.source.look_up(IDS[2])
    assert job.status in (RemoteStatus.PROCESSING, RemoteStatus.DONE)


async def test_the_fake_follows_its_hooks():
    def grow(source):
        if len(source.jobs) < 5:
            source.jobs[f"new-{len(source.jobs)}"] = a_job(f"new-{len(source.jobs)}")

    source = FakeSource([a_job("a"), a_job("b")], page_size=1, between=grow)
    source.renewed["a"] = replace(a_job("a"), name="renewed")
    keeper = Keeper()
    assert (await source.list_jobs(keeper)).jobs == 5
    assert (await source.look_up("a")).name == "renewed"
    assert source.looked_up == ["a"]
