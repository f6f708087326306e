"""`syncer run --catch-up`: sizes first, the most saved, and how it stands told all along."""

import re
from datetime import UTC, datetime, timedelta

from helpers.site import jobs
from helpers.timed import Told

from syncer.core.events import FetchStarted, Standing
from syncer.sandbox.faults import Kind, Op, When
from syncer.sandbox.faults_wire import Slow, Status
from syncer.sandbox.model import LinkOrigin, LinkRules, Rules, SandboxJob
from syncer.sandbox.scenarios import Scenario

KIB = 1024
HOUR = timedelta(hours=1)
FIRST_BYTE = "bytes=0-0"


def probes(here):
    return [seen for seen in here.storage_requests() if seen.range == FIRST_BYTE]


def asked_for(here):
    return [seen for seen in here.storage_requests() if seen.range != FIRST_BYTE]


async def test_sizes_are_asked_for_first_one_byte_a_file_and_once_only(site):
    here = site(jobs(30, size=20 * KIB))
    told = Told()
    report = await here.sync(told, catch_up=True)
    assert (report.exit_code, report.jobs.stored) == (0, 30)
    seen = here.storage_requests()
    assert [one.range for one in seen[:30]] == [FIRST_BYTE] * 30
    assert sum(one.body_bytes for one in probes(here)) == len(probes(here)) == 30
    assert len(asked_for(here)) == 30
    assert {event.size for event in told.of(FetchStarted)} == {20 * KIB}
    await here.check_whole()
    here.sandbox.add(SandboxJob("new", "New.mp4", 20 * KIB, created_at=datetime.now(UTC)))
    again = await here.sync(catch_up=True)
    assert (again.exit_code, len(probes(here))) == (0, 31)


async def test_without_pressure_nobody_is_asked(site):
    here = site(jobs(30, size=20 * KIB))
    report = await here.sync()
    assert (report.exit_code, probes(here)) == (0, [])


async def test_a_size_is_asked_for_once_even_if_the_pass_dies_before_the_file(site):
    busy = Status(status=503, when=When(ranged=False))
    here = site(jobs(5, size=20 * KIB), Scenario("t", storage=(busy,)), tries="1")
    assert (await here.sync(catch_up=True)).exit_code == 6
    sizes = {entry.promise.size for entry in (await here.entries("pending")).values()}
    assert (sizes, len(probes(here))) == ({20 * KIB}, 5)
    await here.sync(catch_up=True)
    assert len(probes(here)) == 5


async def test_a_link_that_is_refused_to_a_probe_goes_straight_to_relinking(site):
    refused = Status(status=403, when=When(jobs=frozenset({"job-001"}), first=1))
    # A list that signed anew would bring another link at its second look, and nothing would be left to relink.
    rules = Rules(links=LinkRules(origin=LinkOrigin.LOOKUP))
    made = jobs(3, size=20 * KIB, completed_at=datetime.now(UTC))
    here = site(made, Scenario("t", rules=rules, storage=(refused,)))
    report = await here.sync(catch_up=True)
    assert (report.exit_code, report.jobs.stored, report.transfer.retries) == (0, 3, 0)
    assert [seen.status for seen in here.storage_requests() if seen.job_id == "job-001"] == [403, 200]
    assert len(here.sandbox.log.requests(Kind.API, Op.GET)) == 1


async def test_probes_that_fail_change_nothing(site):
    here = site(jobs(6, size=20 * KIB), Scenario("t", storage=(Status(status=500, when=When(ranged=True)),)))
    report = await here.sync(catch_up=True)
    assert (report.exit_code, report.jobs.stored, report.transfer.retries) == (0, 6, 0)
    assert len(probes(here)) == 6


async def test_how_it_stands_is_told_from_beginning_to_end(site):
    gone = Status(status=403, when=When(jobs=frozenset({"job-000"})))
    here = site(jobs(8, size=200 * KIB), Scenario("t", storage=(gone, Slow(rate=800 * KIB, shared=True))))
    told = Told()
    report = await here.sync(told, catch_up=True)
    assert report.exit_code == 7
    standings = told.of(Standing)
    assert standings[0].saved == 0
    assert standings[0].nearest > datetime.now(UTC)
    assert (standings[-1].saved, standings[-1].lost, standings[-1].waiting) == (7, 1, 0)


def test_elsewhere_than_on_a_terminal_it_is_told_in_lines(site):
    here = site(jobs(4, size=100 * KIB))
    done = here.command("run", here.dest, "--catch-up")
    assert done.returncode == 0, done.stderr
    assert re.search(r"saved 0, at risk 0, lost 0; .* to the nearest deadline", done.stderr)
    assert "saved 4, at risk 0, lost 0" in done.stderr
    assert "\r" not in done.stderr
