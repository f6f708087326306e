"""Links that die: renewed before, during and after, the same bytes going on; asked for at the API, never too often."""

import json
from datetime import timedelta

import pytest
from helpers.site import CREATED, jobs
from helpers.timed import Told, timed_pass

from syncer.core.events import BytesArrived, FileStored, LinkRenewed
from syncer.core.retry import RetryPolicy
from syncer.runner.relink import SILENT
from syncer.sandbox.answers import Ending
from syncer.sandbox.faults import Kind, Op, When
from syncer.sandbox.faults_storage import EndsWithLink
from syncer.sandbox.faults_wire import Cut, Slow, Status
from syncer.sandbox.model import LinkOrigin, LinkRules, Rules
from syncer.sandbox.scenarios import HEALTHY, Scenario

DAY = timedelta(hours=24)


def dying(origin=LinkOrigin.LOOKUP, *storage, api=()):
    return Scenario("dying", rules=Rules(links=LinkRules(origin=origin, ttl=DAY)), storage=storage, api=api)


def at(site, moment=CREATED):
    """The sandbox's clock, set to a moment."""
    site.sandbox.advance(moment - site.sandbox.now())


def served(site):
    return sum(seen.body_bytes for seen in site.storage_requests())


def statuses(site):
    return [seen.status for seen in site.storage_requests()]


def look_ups(site, job_id=None):
    return site.sandbox.log.requests(Kind.API, Op.GET, job_id)


class TestInMidBody:
    """One file of 3 MB on a thin line, and a clock that jumps when the first megabyte is here."""

    SIZE = 3_000_000

    async def run(self, here, *jumps):
        """A pass; each time another 700 kB have come, the next jump of time is made. Its report, and what was told."""
        arrived, ahead = 0, list(jumps)

        def then(event):
            nonlocal arrived
            if isinstance(event, BytesArrived):
                arrived += event.count
                while ahead and arrived > 700_000 * (1 + len(jumps) - len(ahead)):
                    here.sandbox.advance(ahead.pop(0))

        told = Told(then)
        return await timed_pass(here, told, read_timeout=1.0), told

    @pytest.mark.parametrize("ending", [Ending.CUT, Ending.STALL])
    async def test_a_new_link_is_in_hand_before_the_old_one_dies_and_the_same_partial_goes_on(self, site, ending):
        here = site(jobs(1, self.SIZE), dying(LinkOrigin.LOOKUP, EndsWithLink(ending=ending), Slow(rate=1_500_000)))
        at(here)
        report, told = await self.run(here, timedelta(hours=23, minutes=50), timedelta(minutes=20))
        assert (report.exit_code, report.transfer.relinked, report.transfer.resumed) == (0, 1, 1)
        assert (report.transfer.restarted, report.transfer.retries) == (0, 0)
        assert statuses(here) == [200, 206]
        assert served(here) < 1.1 * self.SIZE
        assert len(look_ups(here)) == len(told.of(LinkRenewed)) == 1
        await here.check_whole()

    async def test_where_the_storage_lets_it_end_the_transfer_is_left_alone(self, site):
        here = site(jobs(1, self.SIZE), dying(LinkOrigin.LOOKUP, Slow(rate=1_500_000)))
        at(here)
        report, _ = await self.run(here, timedelta(hours=23, minutes=50), timedelta(minutes=20))
        assert (report.exit_code, report.transfer.relinked, report.transfer.resumed) == (0, 0, 0)
        assert (statuses(here), served(here), len(look_ups(here))) == ([200], self.SIZE, 1)
        await here.check_whole()

    async def test_a_link_that_dies_unforeseen_is_renewed_at_once_and_the_same_partial_goes_on(self, site):
        here = site(jobs(1, self.SIZE), dying(LinkOrigin.LOOKUP, EndsWithLink(), Slow(rate=1_500_000)))
        at(here)
        report, _ = await self.run(here, timedelta(hours=25))
        assert (report.exit_code, report.transfer.relinked, report.transfer.resumed) == (0, 1, 1)
        assert report.transfer.retries == 0
        assert statuses(here) == [200, 206]
        assert served(here) < 1.1 * self.SIZE
        await here.check_whole()


async def test_a_link_that_would_die_before_its_transfer_ends_is_renewed_before_any_refusal(site):
    """Links live 20 s when the pass begins, and 15 of these are gone with the first file: too few for a thin line."""
    here = site(jobs(4, size=1_500_000), dying(LinkOrigin.LOOKUP, Slow(rate=1_000_000, shared=True)))
    at(here, CREATED + DAY - timedelta(seconds=20))

    def then(event):
        if isinstance(event, FileStored) and not told.of(FileStored)[1:]:
            here.sandbox.advance(timedelta(seconds=15))

    told = Told(then)
    report = await timed_pass(here, told, workers=1)
    assert (report.exit_code, report.jobs.stored, report.transfer.relinked) == (0, 4, 3)
    # No refusal; what is no whole file is the byte that a size costs, for links press here.
    assert [seen.status for seen in here.storage_requests() if seen.range is None] == [200] * 4
    assert set(statuses(here)) <= {200, 206}
    await here.check_whole()


class TestTheSameDeadLinkAgain:
    async def test_each_job_costs_one_look_up_and_one_refusal(self, site):
        here = site(jobs(30, size=1000), dying(LinkOrigin.COMPLETION))
        at(here, CREATED + 2 * DAY)
        report = await timed_pass(here)
        assert (report.exit_code, report.jobs.lost) == (7, 30)
        assert (len(look_ups(here)), statuses(here)) == (30, [403] * 30)
        again = await timed_pass(here)
        assert (again.exit_code, again.jobs.lost, again.deadlines.lost) == (0, 30, ())
        assert (len(look_ups(here)), len(statuses(here))) == (30, 30)

    async def test_an_api_that_does_not_answer_is_left_in_peace(self, site):
        silent = Status(status=500, when=When(ops=frozenset({Op.GET})))
        here = site(jobs(40, size=1000), dying(LinkOrigin.COMPLETION, Status(status=403), api=(silent,)))
        at(here, CREATED + 2 * DAY)
        report = await timed_pass(here, policy=RetryPolicy(tries=1), workers=4)
        assert (report.exit_code, report.jobs.pending, report.jobs.lost) == (6, 40, 0)
        assert SILENT <= len(look_ups(here)) <= 3 * (SILENT + 4)


async def test_the_pace_of_the_api_holds_while_everything_is_relinked(site):
    here = site(jobs(40, size=1000), dying(LinkOrigin.LOOKUP))
    at(here, CREATED + 2 * DAY)
    begun = here.sandbox.now()
    report = await timed_pass(here, api_rate=20.0, workers=16)
    assert (report.exit_code, report.jobs.stored, report.transfer.relinked) == (0, 40, 40)
    assert set(statuses(here)) == {200}
    asked = sorted(seen.at for seen in here.sandbox.log.requests(Kind.API))
    assert len(asked) == 43
    for nth, moment in enumerate(asked):
        assert (moment - begun).total_seconds() >= nth / 20 - 0.001


class TestLost:
    def refused(self, *jobs, after=0):
        return Status(status=403, when=When(jobs=frozenset(jobs), after=after))

    def test_the_damage_is_told_by_name_and_size_with_the_way_out(self, site):
        faults = (
            Cut(when=When(jobs=frozenset({"job-002"}), first=1)),
            self.refused("job-002", after=1),
            self.refused("job-001"),
        )
        here = site(jobs(3, size=300 * 1024), Scenario("t", storage=faults))
        done = here.command("run", here.dest, "--report", "-")
        assert done.returncode == 7
        report = json.loads(done.stdout)
        assert sorted(report["deadlines"]["lost"]) == ["job-001", "job-002"]
        losses = {one["id"]: (one["name"], one["bytes"], one["estimated"]) for one in report["losses"]}
        # The one was begun, so its size is known; the other's is the mean of those that are.
        assert losses == {
            "job-001": ("Film 1.mp4", 300 * 1024, True),
            "job-002": ("Film 2.mp4", 300 * 1024, False),
        }
        assert report["lost_bytes"] == 600 * 1024
        assert "Lost in this pass: 2 files, about 600.0 KiB." in done.stderr
        assert "Film 2.mp4 [job-002], 300.0 KiB: " in done.stderr
        assert "Film 1.mp4 [job-001], about 300.0 KiB: " in done.stderr
        assert "--regenerate" in done.stderr
        here.sandbox.set_scenario(HEALTHY)
        here.sandbox.advance(timedelta(minutes=1))
        back = here.command("run", here.dest, "--report", "-")
        assert back.returncode == 0
        report = json.loads(back.stdout)
        assert (report["jobs"]["stored"], report["losses"], report["lost_bytes"]) == (3, [], 0)
        assert report["transfer"]["resumed"] == 1

    def test_where_nothing_tells_a_size_none_is_made_up(self, site):
        here = site(jobs(1), Scenario("t", storage=(self.refused("job-000"),)))
        done = here.command("run", here.dest, "--report", "-")
        report = json.loads(done.stdout)
        assert (done.returncode, report["lost_bytes"], report["losses"][0]["bytes"]) == (7, None, None)
        assert "1 file of unknown size" in done.stderr
