"""What goes ahead of the transfers: links renewed before their files' turns, sizes asked for where that pays."""

import asyncio
import random
from datetime import timedelta

import pytest
from fakes.fetcher import FakeFetcher, Refuse
from fakes.fetcher import Stored as Object
from fakes.ledger import FakeLedger
from fakes.source import START, FakeSource, ManualClock, a_job

from syncer.core.events import LinkRenewed, Standing
from syncer.core.model import Link, Sighting, State
from syncer.core.planner import Outlook
from syncer.runner.pace import Pace
from syncer.runner.parts import Counts, Parts, Rules
from syncer.runner.probe import AT_ONCE, Prober
from syncer.runner.relink import Relinker
from syncer.runner.remake import Remakes
from syncer.runner.scout import BATCH, IN_VAIN, Scout

HOUR = timedelta(hours=1)


def link(job_id, *, sig="1", life=HOUR):
    return Link(f"https://storage.example/{job_id}?sig={sig}", START + life)


class StandingClock(ManualClock):
    """Time that does not pass: no patience ends."""

    async def sleep(self, seconds):
        await asyncio.Event().wait()


class Planned:
    """A planner that was told what to say, and a dispatcher around it."""

    def __init__(self):
        self.planner = self
        self.foreseen = Outlook(lost=1)
        self.on_learning = None
        self.lost_causes, self.unknown = [], []
        self.learnt, self.woken = {}, []

    def __len__(self):
        return len(self.unknown)

    def given_up(self, now, limit):
        named, self.lost_causes = self.lost_causes[:limit], self.lost_causes[limit:]
        return tuple(named)

    def unmeasured(self, limit):
        return tuple(job_id for job_id in self.unknown if job_id not in self.learnt)[:limit]

    def learn(self, job_id, size):
        self.learnt[job_id] = size
        self.foreseen = self.on_learning or self.foreseen

    def outlook(self, line, now):
        return self.foreseen

    def wake(self, ids):
        self.woken += ids


class Scene:
    """A scout in a pass that has listed some jobs."""

    def __init__(self, jobs, rules):
        self.clock, self.source, self.ledger = StandingClock(), FakeSource(jobs), FakeLedger()
        self.fetcher, self.planned, self.told = FakeFetcher(), Planned(), []
        self.jobs = jobs
        parts = Parts(self.source, self.ledger, self.fetcher, None, self, self.clock, random.Random(1))
        counts = Counts()
        relinker = Relinker(parts, counts, Remakes(parts, rules))
        prober = Prober(self.fetcher, self.clock)
        self.scout = Scout(parts, rules, counts, Pace(), self.planned, prober, relinker)
        self.counts = counts

    def notify(self, event):
        self.told.append(event)

    async def entry(self, job_id):
        (entry,) = await self.ledger.find([job_id])
        return entry


@pytest.fixture
async def scene():
    async def make(jobs, **rules):
        made = Scene(jobs, Rules(**rules))
        await made.ledger.begin_pass(START)
        await made.ledger.record([Sighting(job) for job in jobs], START)
        return made

    return make


class TestLinks:
    async def test_what_was_given_up_gets_a_new_link_and_competes_again(self, scene):
        here = await scene([a_job("a", link=link("a"))])
        better = link("a", sig="2", life=24 * HOUR)
        here.source.renewed["a"] = a_job("a", link=better)
        here.planned.lost_causes = ["a"]
        await here.scout.look()
        entry = await here.entry("a")
        assert (entry.link, entry.state, entry.attempts) == (better, State.PENDING, 0)
        assert [event for event in here.told if isinstance(event, LinkRenewed)] == [
            LinkRenewed("a", "a.mp4", better.expires_at)
        ]
        assert (here.planned.woken, here.counts.relinked) == (["a"], 1)

    async def test_an_account_whose_links_are_never_renewed_is_not_asked_for_each(self, scene):
        ids = [f"job-{n:03}" for n in range(100)]
        here = await scene([a_job(i, link=link(i)) for i in ids])
        here.planned.lost_causes = list(ids)
        for _ in range(100):
            await here.scout.look()
        assert len(here.source.looked_up) == IN_VAIN
        assert (await here.entry(ids[0])).link == link(ids[0])

    async def test_one_that_is_dead_already_is_left_to_its_worker(self, scene):
        here = await scene([a_job("a", link=link("a", life=-HOUR))])
        here.planned.lost_causes = ["a"]
        await here.scout.look()
        assert here.source.looked_up == []
        assert (await here.entry("a")).state is State.PENDING

    async def test_one_that_a_worker_holds_is_left_to_it(self, scene):
        here = await scene([a_job("a", link=link("a"))])
        await here.ledger.claim(["a"], START, START + HOUR)
        here.planned.lost_causes = ["a"]
        await here.scout.look()
        assert (here.source.looked_up, (await here.entry("a")).state) == ([], State.CLAIMED)


class TestSizes:
    async def some(self, scene, count=10, **rules):
        jobs = [a_job(f"job-{n:03}", link=link(f"job-{n:03}")) for n in range(count)]
        here = await scene(jobs, **rules)
        for job in jobs:
            here.fetcher.objects[job.link.url] = Object(b"x" * 1000)
        here.planned.unknown = [job.id for job in jobs]
        return here

    async def test_where_files_are_at_risk_sizes_are_asked_for_and_kept(self, scene):
        here = await self.some(scene)
        here.planned.foreseen = Outlook(at_risk=1, earliest=START + HOUR)
        await here.scout.look()
        assert here.planned.learnt == dict.fromkeys(here.planned.unknown, 1000)
        assert (await here.entry("job-003")).promise.size == 1000
        assert len(here.fetcher.asks) == here.fetcher.served == 10

    @pytest.mark.parametrize(
        "outlook",
        [
            Outlook(earliest=START + HOUR),  # all arrive in time, as it looks
            Outlook(lost=1),  # nothing says when any link dies
        ],
    )
    async def test_where_it_decides_nothing_nobody_is_asked(self, scene, outlook):
        here = await self.some(scene)
        here.planned.foreseen = outlook
        await here.scout.look()
        assert here.fetcher.asks == []

    async def test_what_was_given_up_by_a_guess_is_asked_for_its_size_and_needs_no_link_if_it_fits(self, scene):
        here = await self.some(scene)
        here.planned.lost_causes, here.planned.unknown = list(here.planned.unknown), []
        here.planned.foreseen = Outlook(lost=10, earliest=START + HOUR)
        here.planned.on_learning = Outlook(earliest=START + HOUR)
        await here.scout.look()
        assert len(here.planned.learnt) == 10
        assert here.source.looked_up == []

    async def test_a_storage_that_tells_none_is_asked_once_a_file(self, scene):
        here = await self.some(scene)
        for job in here.jobs:
            here.fetcher.fail_always(job.link.url, Refuse(500))
        here.planned.foreseen = Outlook(lost=1, earliest=START + HOUR)
        for _ in range(5):
            await here.scout.look()
        assert (len(here.fetcher.asks), here.planned.learnt) == (10, {})

    async def test_few_are_asked_for_at_once(self, scene):
        here = await self.some(scene, count=3 * BATCH)
        here.planned.foreseen = Outlook(lost=1, earliest=START + HOUR)
        await here.scout.look()
        assert len(here.planned.learnt) == BATCH
        assert AT_ONCE < BATCH

    async def test_a_catch_up_begins_with_the_sizes_and_says_how_it_stands(self, scene):
        here = await self.some(scene, catch_up=True)
        await here.scout.first_look()
        assert (await here.entry("job-009")).promise.size == 1000
        assert here.told == [Standing(0, 0, 0, 10, START + HOUR, 3600.0)]
