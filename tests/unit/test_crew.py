"""Who brings a file: a helper where one processor is the bound, and nothing else of a pass is different for it."""

import asyncio
import random
from dataclasses import replace

import pytest
from fakes.destination import FakeDestination, FakeDisk, Published
from fakes.fetcher import Cut, FakeFetcher, Hang, Refuse
from fakes.fetcher import Stored as Object
from fakes.helper import FakeHelper
from fakes.ledger import FakeLedger
from fakes.source import FakeSource, ManualClock, a_job

from syncer.core.errands import ENOUGH, LARGEST, ROOMY, SHARE, WARY
from syncer.core.errors import Declined, Interrupted, LinkRefused, StaleClaim
from syncer.core.events import BytesArrived, FetchStarted, FileStored
from syncer.core.model import Sighting
from syncer.core.retry import RetryPolicy
from syncer.runner.crew import LOOK, STRETCH, Crew
from syncer.runner.fetch import Gauge
from syncer.runner.lanes import Lanes
from syncer.runner.lookout import likely_path
from syncer.runner.one_pass import run_pass
from syncer.runner.parts import Counts, Parts, Rules

SMALL, LARGE = 1000, 300_000
WAITING = ENOUGH  # for one worker


class Ticking(ManualClock):
    """Whoever sleeps wakes at the next `tick`."""

    def __init__(self):
        super().__init__()
        self._sleepers = []

    async def sleep(self, seconds):
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append((seconds, sleeper))
        await sleeper

    async def tick(self):
        """One stretch of time passes, and what comes of it."""
        await turns()
        assert [seconds for seconds, _ in self._sleepers] == [LOOK]
        self.advance(LOOK)
        for _, sleeper in self._sleepers:
            sleeper.set_result(None)
        self._sleepers.clear()
        await turns()


async def turns(count=50):
    for _ in range(count):
        await asyncio.sleep(0)


class Hearing:
    """An observer, and a Hook, that remember."""

    def __init__(self):
        self.events = []

    def notify(self, event):
        self.events.append(event)

    async def stored(self, job_id, name, file):
        pass


class Scene:
    """A crew at work on jobs of its own, whose time and processor are in the test's hands."""

    def __init__(self, *, helpers=1, refuses="", hook=None):
        self.jobs = {job.id: job for job in (a_job(f"job-{n:02}") for n in range(20))}
        self.fetcher, self.disk, self.ledger = FakeFetcher(block=10_000), FakeDisk(), FakeLedger()
        self.destination, self.clock, self.heard = FakeDestination(self.disk), Ticking(), Hearing()
        self.helpers = tuple(
            FakeHelper(self.fetcher, FakeDestination(self.disk, keeps_manifest=False), self.clock, refuses=refuses)
            for _ in range(helpers)
        )
        self.cpu = 0.0
        for job in self.jobs.values():
            self.holds(job.id, SMALL)
        self.counts = Counts()
        self.lanes = Lanes(self.clock)
        parts = Parts(
            FakeSource(),
            self.ledger,
            self.fetcher,
            self.destination,
            self.heard,
            self.clock,
            random.Random(1),
            hook,
            self.helpers,
            lambda: self.cpu,
            lambda: self.is_limited,
        )
        self.crew = Crew(parts, Rules(workers=1), self.counts, self.lanes)
        self.waiting = WAITING
        self.is_limited = False
        self._run = None

    def holds(self, job_id, size):
        content = bytes(8) + random.Random(job_id).randbytes(size - 8)
        self.fetcher.objects[self.jobs[job_id].link.url] = Object(content)

    def url(self, job_id):
        return self.jobs[job_id].link.url

    async def __aenter__(self):
        await self.ledger.begin_pass(self.clock.now())
        await self.destination.bind("fake-ledger", "dest-1")
        await self.ledger.bind("dest-1", "memory")
        await self.ledger.record([Sighting(job) for job in self.jobs.values()], self.clock.now())
        self._run = asyncio.create_task(self.crew.run(lambda: self.waiting))
        return self

    async def __aexit__(self, *_):
        self._run.cancel()
        await asyncio.gather(self._run, return_exceptions=True)
        await self.crew.close()
        assert [helper.ends for helper in self.helpers] == [1] * len(self.helpers)

    async def look(self, busy=1.0):
        """The crew looks at a stretch in which this process had so much of a processor."""
        for _ in range(STRETCH):
            await turns()
            self.cpu += busy * LOOK
            await self.clock.tick()

    async def claim(self, job_id, *, seen=True):
        (claim,) = await self.ledger.claim([job_id], self.clock.now(), self.clock.now())
        if seen:
            self.crew.look_ahead([claim])
            await self.crew._lookout._task
        return claim

    async def fetch(self, job_id, gauge=None, **more):
        claim = await self.claim(job_id, **more)
        return await self.crew.fetch(claim, claim.entry.link, gauge or Gauge())

    @property
    def given(self):
        return [job_id for helper in self.helpers for job_id in helper.given]


async def test_a_helper_is_begun_where_the_processor_is_the_bound_and_files_wait():
    async with Scene(helpers=2) as scene:
        first, second = scene.helpers
        await scene.look(0.5)
        scene.waiting = WAITING - 1
        await scene.look()
        assert (first.starts, second.starts) == (0, 0)
        scene.waiting = WAITING
        await scene.look()
        assert (first.starts, second.starts, first.is_ready) == (1, 0, True)
        await scene.look(0.5)
        assert second.starts == 0
        await scene.look()
        await scene.look()
        assert (first.starts, second.starts) == (1, 1)


async def test_what_it_brings_is_in_the_manifest_once_and_whole():
    async with Scene() as scene:
        await scene.fetch("job-00")
        assert scene.given == []
        await scene.look()
        stored = await scene.fetch("job-01")
        assert scene.given == ["job-01"]
        assert scene.disk.files[stored.file.path].content == scene.fetcher.objects[scene.url("job-01")].content
        assert [line[0] for line in scene.disk.manifest] == ["job-00", "job-01"]
        assert scene.disk.manifest[1] == ("job-01", "job-01.mp4", stored.file)
        assert len([url for url, _ in scene.fetcher.asks if url == scene.url("job-01")]) == 1


async def test_events_counts_and_gauge_are_those_of_a_file_fetched_here():
    """Small ones, and large ones that come in pieces."""
    for size in (SMALL, LARGE):
        seen = {}
        for is_helped in (False, True):
            async with Scene() as scene:
                scene.holds("job-01", size)
                await scene.look(is_helped)
                gauge = Gauge()
                stored = await scene.fetch("job-01", gauge)
                assert scene.given == ["job-01"] * is_helped
                events = [event for event in scene.heard.events if not isinstance(event, BytesArrived)]
                pieces = [event for event in scene.heard.events if isinstance(event, BytesArrived)]
                assert sum(piece.count for piece in pieces) == size
                assert isinstance(scene.heard.events[0], FetchStarted)
                told = (gauge.fetched, gauge.gained, gauge.deadline, gauge.entry, gauge.recovered, gauge.left)
                seen[is_helped] = (stored, events, scene.counts, told, scene.lanes.finishing)
        here, away = seen[False], seen[True]
        # What a small one's partial grew by is known here, where it is; once it is stored nobody asks any more.
        assert (here[0], here[1], here[2]) == (away[0], away[1], away[2])
        assert (here[3][0], *here[3][2:5]) == (away[3][0], *away[3][2:5])
        assert here[4] == away[4] == (size == SMALL)


async def test_where_commands_run_a_small_file_keeps_its_place():
    async with Scene(hook=Hearing()) as scene:
        await scene.look()
        await scene.fetch("job-01")
        assert scene.given == ["job-01"]
        assert scene.lanes.finishing == 0


async def test_only_files_of_which_nothing_is_here_go_away():
    async with Scene() as scene:
        await scene.look()
        await scene.fetch("job-00", seen=False)
        in_the_way = likely_path(await scene.claim("job-01", seen=False), Rules().naming)
        scene.disk.files[in_the_way] = Published(b"a stranger's", None)
        claim = (await scene.ledger.claim(["job-02"], scene.clock.now(), scene.clock.now()))[0]
        renewed = replace(claim.entry.link, url=f"{claim.entry.link.url}&renewed")
        scene.fetcher.objects[renewed.url] = scene.fetcher.objects[claim.entry.link.url]
        scene.crew.look_ahead([claim])
        await scene.crew._lookout._task
        await scene.crew.fetch(claim, renewed, Gauge())
        scene.disk.partials["job-03"] = bytearray(scene.fetcher.objects[scene.url("job-03")].content[:100])
        await scene.fetch("job-03")
        await scene.ledger.note_sizes({"job-04": LARGEST + 1, "job-05": SMALL})
        await scene.fetch("job-04")
        assert scene.given == []
        await scene.fetch("job-05")
        await scene.fetch("job-06")
        assert scene.given == ["job-05", "job-06"]


async def test_files_are_shared_out():
    """Of those at once, this process has one for each few of the helper's; the next goes to who has fewest."""
    for helpers in (1, 2):
        async with Scene(helpers=helpers) as scene:
            for _ in range(helpers):
                await scene.look()
            hang = Hang()
            for job_id in scene.jobs:
                scene.holds(job_id, LARGE)
                scene.fetcher.fail_always(scene.url(job_id), hang)
            tasks = [asyncio.create_task(scene.fetch(job_id)) for job_id in list(scene.jobs)[:12]]
            async with asyncio.timeout(30):
                while scene.fetcher.open_now < 12:  # noqa: ASYNC110 - threads are what is waited for
                    await asyncio.sleep(0.001)
            away = [len(helper.given) for helper in scene.helpers]
            assert max(away) - min(away) <= 1
            assert max(away) <= SHARE * (12 - sum(away)) + 1
            assert 12 - sum(away) == {1: 3, 2: 2}[helpers]
            hang.go_on.set()
            await asyncio.gather(*tasks)
            # They have none any more: the next goes away again.
            await scene.fetch("job-12")
            assert "job-12" in scene.given


async def test_where_the_line_is_the_bound_files_stay_here():
    async with Scene() as scene:
        await scene.look()
        await scene.look(0.1)
        await scene.fetch("job-00")
        assert scene.given == []
        await scene.look(0.5)
        await scene.fetch("job-01")
        assert scene.given == ["job-01"]


async def test_under_a_limit_on_the_rate_none_is_begun_and_those_there_are_end():
    async with Scene(helpers=2) as scene:
        first, second = scene.helpers
        scene.is_limited = True
        await scene.look()
        assert (first.starts, second.starts) == (0, 0)
        scene.is_limited = False
        await scene.look()
        await scene.fetch("job-00")
        scene.is_limited = True
        await scene.look()
        await scene.fetch("job-01")
        assert (first.given, first.is_ready, second.starts) == (["job-00"], False, 0)
        first.ends = 0  # once more when the pass is over, which does nothing


async def test_without_room_for_two_files_stay_here():
    async with Scene() as scene:
        scene.disk.above_floor = ROOMY * LARGEST - 1
        await scene.look()
        assert scene.helpers[0].starts == 0
        scene.disk.above_floor = None
        await scene.look()
        await scene.fetch("job-00")
        scene.disk.above_floor = ROOMY * LARGEST - 1
        await scene.look()
        await scene.fetch("job-01")
        scene.disk.gone = True
        await scene.look()
        scene.disk.gone, scene.disk.above_floor = False, None
        await scene.look()
        await scene.fetch("job-02")
        assert scene.given == ["job-00", "job-02"]


async def test_a_file_that_turns_out_to_be_too_large_comes_back_before_a_byte_is_kept():
    """Those of unknown size stay here for a while then; one whose size is known to be small goes."""
    async with Scene() as scene:
        await scene.look()
        scene.fetcher.objects[scene.url("job-00")] = Object(bytes(LARGEST + 1))
        gauge = Gauge()
        claim = await scene.claim("job-00")
        with pytest.raises(Declined):
            await scene.crew.fetch(claim, claim.entry.link, gauge)
        assert (gauge.fetched, any(scene.disk.partials.values()), scene.heard.events) == (0, False, [])
        await scene.crew.fetch(claim, claim.entry.link, gauge)
        others = list(scene.jobs)[1 : WARY + 1]
        for job_id in others:
            await scene.fetch(job_id)
        assert scene.given == ["job-00"]
        await scene.ledger.note_sizes({"job-17": SMALL})
        await scene.fetch("job-17")
        await scene.fetch("job-18")
        assert scene.given == ["job-00", "job-17", "job-18"]


async def test_what_is_declined_is_for_this_process_and_so_is_all_that_follows():
    async with Scene() as scene:
        await scene.look()
        (helper,) = scene.helpers
        helper.declines = True
        gauge = Gauge()
        claim = await scene.claim("job-00")
        with pytest.raises(Declined):
            await scene.crew.fetch(claim, claim.entry.link, gauge)
        assert gauge.was_declined
        helper.declines = False
        await scene.crew.fetch(claim, claim.entry.link, gauge)
        await scene.look()
        await scene.fetch("job-01")
        assert (helper.given, helper.starts) == ([], 1)


async def test_a_helper_that_is_no_longer_ready_is_asked_no_more():
    async with Scene(helpers=2) as scene:
        await scene.look()
        await scene.look()
        first, second = scene.helpers
        first._is_up = False
        await scene.fetch("job-00")
        await scene.fetch("job-01")
        assert (first.given, second.given) == ([], ["job-00", "job-01"])
        second._is_up = False
        await scene.fetch("job-02")
        assert len(scene.given) == 2


async def test_one_that_cannot_be_started_is_done_without(caplog):
    async with Scene(refuses="No other process can be begun (no room).") as scene:
        with caplog.at_level("INFO", "syncer"):
            await scene.look()
        assert "no other process helps: No other process can be begun (no room)." in caplog.text
        await scene.look()
        await scene.fetch("job-00")
        assert (scene.helpers[0].starts, scene.given) == (1, [])


async def test_before_the_ledger_knows_its_destination_none_is_started():
    async with Scene() as scene:
        scene.ledger.store.binding = replace(scene.ledger.store.binding, destination_id=None)
        await scene.look()
        assert scene.helpers[0].starts == 0


async def test_what_arrived_before_a_cut_counts_and_is_gone_on_from_here():
    async with Scene() as scene:
        await scene.look()
        scene.holds("job-00", LARGE)
        scene.fetcher.fail_next(scene.url("job-00"), Cut(100_000))
        gauge = Gauge()
        claim = await scene.claim("job-00")
        with pytest.raises(Interrupted):
            await scene.crew.fetch(claim, claim.entry.link, gauge)
        assert (gauge.fetched, gauge.gained, gauge.on_disk) == (100_000, 100_000, 100_000)
        assert not gauge.was_declined
        again = replace(claim, entry=gauge.entry)
        await scene.crew.fetch(again, claim.entry.link, gauge)
        assert scene.given == ["job-00"]
        assert scene.fetcher.asks[-1][1].start > 0
        assert scene.counts.resumed == 1
        assert scene.counts.bytes < LARGE + 100_000


async def test_a_refusal_and_a_claim_that_ran_out_come_through():
    async with Scene() as scene:
        await scene.look()
        scene.fetcher.fail_always(scene.url("job-00"), Refuse(403))
        with pytest.raises(LinkRefused):
            await scene.fetch("job-00")
        claim = await scene.claim("job-01")
        scene.ledger.store.rows["job-01"].token = "another's"
        with pytest.raises(StaleClaim):
            await scene.crew.fetch(claim, claim.entry.link, Gauge())
        await scene.fetch("job-02")
        assert scene.given == ["job-00", "job-01", "job-02"]
        assert [path for path in scene.disk.files if "job-01" in path] == []


# --- whole passes ---


class Standing(ManualClock):
    """Time stands still; the crew looks at each turn, and everybody else sleeps for ever."""

    async def sleep(self, seconds):
        if seconds != LOOK:
            await asyncio.Event().wait()
        await asyncio.sleep(0)


async def whole_pass(prepare=lambda helper, fetcher, jobs: None, *, helped=True, disk=None, size=SMALL):
    """A pass over 60 files; its report, what was heard, the helper, the disk and the fetcher."""
    jobs = [a_job(f"job-{n:02}") for n in range(60)]
    fetcher, disk, heard, clock = FakeFetcher(), disk or FakeDisk(), Hearing(), Standing()
    fetcher.objects = {job.link.url: Object(bytes(8) + random.Random(job.id).randbytes(size)) for job in jobs}
    helper = FakeHelper(fetcher, FakeDestination(disk, keeps_manifest=False), clock)
    prepare(helper, fetcher, jobs)
    helpers, ledger = (helper,) if helped else (), FakeLedger()
    parts = Parts(
        FakeSource(jobs),
        ledger,
        fetcher,
        FakeDestination(disk),
        heard,
        clock,
        random.Random(1),
        None,
        helpers,
        clock.monotonic,
    )
    async with asyncio.timeout(20):
        report = await run_pass(parts, Rules(workers=2, policy=RetryPolicy(tries=3, base=0.0)))
    assert report.balanced
    assert helper.ends == helped
    assert [line[0] for line in sorted(disk.manifest)] == sorted({line[0] for line in disk.manifest})
    assert {line[2].path for line in disk.manifest} == set(disk.files)
    return report, heard.events, helper, disk, fetcher


def of(report):
    """What does not tell of time."""
    return report.transfer, report.jobs, report.exit_code, report.failures


async def test_a_pass_that_is_helped_ends_as_one_that_is_not():
    report, events, helper, disk, fetcher = await whole_pass()
    alone, alone_events, idle, alone_disk, _ = await whole_pass(helped=False)
    assert len(helper.given) > 10
    assert idle.given == []
    assert of(report) == of(alone)
    assert report.jobs.stored == 60
    assert disk.files == alone_disk.files
    for kind in (FetchStarted, FileStored):
        told, wanted = ([one for one in all_ if isinstance(one, kind)] for all_ in (events, alone_events))
        assert sorted(told, key=lambda one: one.id) == sorted(wanted, key=lambda one: one.id)
    assert sorted(url for url, _ in fetcher.asks) == sorted(fetcher.objects)


async def test_files_that_fail_do_so_in_the_same_way():
    def prepare(helper, fetcher, jobs):
        for job in jobs[::3]:
            fetcher.fail_always(job.link.url, Refuse(503))
        for job in jobs[1::3]:
            fetcher.fail_next(job.link.url, Cut(500))

    def first_of(events, kind):
        return sorted({one.id for one in events if isinstance(one, kind)})

    report, events, helper, disk, _ = await whole_pass(prepare)
    alone, alone_events, _, alone_disk, _ = await whole_pass(prepare, helped=False)
    assert helper.given
    assert (report.jobs, report.exit_code, report.failures) == (alone.jobs, alone.exit_code, alone.failures)
    assert report.transfer == alone.transfer
    assert disk.files.keys() == alone_disk.files.keys()
    assert first_of(events, FileStored) == first_of(alone_events, FileStored)


async def test_one_that_declines_everything_costs_a_pass_nothing():
    report, _, helper, _, _ = await whole_pass(lambda helper, *_: setattr(helper, "declines", True))
    assert (report.jobs.stored, report.exit_code, helper.given) == (60, 0, [])


async def test_what_it_published_and_did_not_tell_of_is_taken_in_and_not_fetched_again():
    report, _, helper, disk, fetcher = await whole_pass(lambda helper, *_: setattr(helper, "loses", True))
    assert (report.jobs.stored, report.exit_code) == (60, 0)
    assert helper.given
    assert sorted(url for url, _ in fetcher.asks) == sorted(fetcher.objects)
    assert len(disk.files) == 60


async def test_a_destination_that_runs_full_ends_the_pass_as_ever():
    disk = FakeDisk(room=20 * SMALL)
    report, _, helper, _, _ = await whole_pass(disk=disk)
    assert report.exit_code == 5
    assert helper.given
    assert all(len(file.content) == SMALL + 8 for file in disk.files.values())
