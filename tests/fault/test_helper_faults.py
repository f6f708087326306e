"""What befalls a second process, or the first one while it has one: every file comes home once, and nothing is left."""

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import replace

import pytest
from helpers.crewed import PACED, SIZE, amid_files, faulty, films, helped_pass, helpers_of, is_alive, start_busy
from helpers.mounted import tmpfs
from helpers.site import CREATED

from syncer.core.events import BytesArrived
from syncer.core.retry import RetryPolicy
from syncer.sandbox import HEALTHY, Cut, ErrorPage, Refused, Slow, Status, When, WrongChecksum
from syncer.sandbox.model import SandboxJob

TWO = pytest.mark.needs("processors")


async def at_rest(here):
    """Everything is stored once and whole, nobody holds the ledger, and another pass finds nothing to do."""
    report = await here.sync()
    assert (report.exit_code, report.transfer.fetched, report.transfer.recovered) == (0, 0, 0)
    await here.check_whole()
    assert helpers_of(os.getpid()) == []


def ended(process, code):
    """What the command said."""
    said, _ = process.communicate(timeout=100)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return said


@pytest.fixture
def begun():
    """Commands that were begun: none of them, nor a helper of theirs, outlives the test."""
    processes = []
    yield processes.append
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@TWO
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV], ids=["SIGKILL", "SIGSEGV"])
async def test_a_helper_that_is_killed_amid_files_costs_nothing(site, begun, how):
    here = site(films())
    process = start_busy(here, "run", here.dest)
    begun(process)
    helper = amid_files(here, process.pid)
    os.kill(helper, how)
    here.sandbox.set_scenario(HEALTHY)
    ended(process, 0)
    assert not is_alive(helper)
    await at_rest(here)


@TWO
async def test_a_helper_does_not_outlive_a_pass_that_is_killed(site, begun):
    here = site(films())
    process = start_busy(here, "run", here.dest)
    begun(process)
    helper = amid_files(here, process.pid)
    process.kill()
    process.communicate()
    here.until(lambda: not is_alive(helper))
    here.sandbox.set_scenario(HEALTHY)
    assert (await here.sync()).exit_code == 0
    await at_rest(here)


@TWO
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
async def test_a_signal_to_all_of_them_ends_a_pass_cleanly(site, begun, number, code):
    """As Ctrl-C at a terminal: the helper leaves it to the pass what becomes of it."""
    here = site(films())
    process = start_busy(here, "run", here.dest)
    begun(process)
    helper = amid_files(here, process.pid)
    os.killpg(process.pid, number)
    ended(process, code)
    assert not is_alive(helper)
    assert any(path.stat().st_size for path in here.partials())
    here.sandbox.set_scenario(HEALTHY)
    report = await here.sync()
    assert (report.exit_code, report.transfer.resumed > 0) == (0, True)
    await at_rest(here)


@TWO
async def test_a_helper_that_is_told_to_end_by_itself_goes_on(site, begun):
    here = site(films())
    process = start_busy(here, "run", here.dest)
    begun(process)
    helper = amid_files(here, process.pid)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(helper, number)
    before = len(here.files())
    here.sandbox.set_scenario(faulty(*PACED))
    here.until(lambda: len(here.files()) > before + 20)
    assert is_alive(helper)
    here.sandbox.set_scenario(HEALTHY)
    ended(process, 0)
    await at_rest(here)


@TWO
@pytest.mark.parametrize("python", ["/nonexistent/python", "/bin/false", "/"])
async def test_where_no_helper_can_be_started_a_pass_goes_on_without(site, begun, python):
    here = site(films(), faulty(*PACED))
    process = start_busy(here, "run", here.dest, "-v", BUSY_PYTHON=python)
    begun(process)
    said = []
    while line := process.stdout.readline():
        said.append(line)
        if "no other process helps" in line:
            break
    assert "no other process helps" in said[-1], said
    here.sandbox.set_scenario(HEALTHY)
    ended(process, 0)
    await at_rest(here)


@TWO
async def test_none_is_begun_where_the_user_wants_none_or_limits_the_rate(site, begun):
    here = site([])
    called = here.folder / "called"
    python = here.folder / "python"
    python.write_text(f"#!/bin/sh\n: > {called}\nexit 1\n")
    python.chmod(0o755)
    for number, options in enumerate((("--processes", 1), ("--bwlimit", "100M"), ())):
        fresh = [replace(job, id=f"{job.id}-{number}") for job in films(60)]
        here.sandbox.add(*fresh)
        here.sandbox.set_scenario(faulty(Slow(rate=40 * SIZE, shared=True)))
        process = start_busy(here, "run", here.dest, *options, BUSY_PYTHON=str(python))
        begun(process)
        ended(process, 0)
        assert called.exists() == (options == ()), options
    await at_rest(here)


HOSTILE = [
    "../../etc/passwd",
    "a/b",
    "\u202egnp",
    "x" * 300,
    "CON",
    "naïve ☃",
    "nul\0byte",
    "a\nb",
    '"],["stored"',
    "..",
]


def mixed():
    """Jobs of which some are refused, some break off, some are pages, and some are called what no file can be."""
    made = [SandboxJob(f"job-{n:03}", f"Film {n}.mp4", size=20_000, created_at=CREATED) for n in range(150)]
    made += [SandboxJob(f"id {name}", f"{name}.mp4", size=20_000, created_at=CREATED) for name in HOSTILE]

    def every(nth, **more):
        return When(jobs=frozenset(job.id for job in made[nth::10]), **more)

    faults = (
        Refused(when=every(1)),
        Cut(when=every(2, first=1)),
        Status(status=503, when=every(3)),
        WrongChecksum(when=every(4, first=1)),
        ErrorPage(when=every(5)),
        Status(status=429, retry_after=600, when=every(6)),
        Slow(rate=2_000_000, shared=True),
    )
    return made, faults


async def test_what_fails_does_so_in_the_same_way_wherever_it_is_fetched(site):
    made, faults = mixed()
    seen = []
    for helped in (True, False):
        here = site([])
        assert (await here.sync()).exit_code == 0
        here.sandbox.add(*made)
        here.sandbox.set_scenario(faulty(*faults))
        policy = RetryPolicy(tries=3, base=0.01)
        report, helper = await helped_pass(here, helped=helped, policy=policy)
        assert bool(helper.given) == helped
        stored = {job_id: entry.stored.path for job_id, entry in (await here.entries("stored")).items()}
        assert set(stored.values()) == set(here.files())
        assert {line["path"] for line in here.manifest().values()} == set(stored.values())
        failures = sorted((one.id, one.reason, one.attempts) for one in report.failures)
        seen.append((report.jobs, report.exit_code, report.transfer, failures, stored, len(here.partials())))
        here.sandbox.set_scenario(HEALTHY)
        await here.sync()
        here.sandbox.set_scenario(HEALTHY)
    assert len({str(part) for part in zip(*seen, strict=True)}) == len(seen[0])
    for with_help, alone in zip(*seen, strict=True):
        assert with_help == alone
    assert seen[0][1] == 7


class Killer:
    """An observer that kills the helper as the pass has heard of so many of its bytes."""

    def __init__(self, after):
        self._after = after
        self.killed = []

    def notify(self, event):
        self._after -= isinstance(event, BytesArrived)
        if self._after <= 0 and not self.killed:
            self.killed = helpers_of(os.getpid())
            for helper in self.killed:
                os.kill(helper, signal.SIGKILL)


async def test_a_helper_killed_in_a_pass_is_replaced_by_the_pass_itself(site):
    """Many times, each at another moment: whatever it had under way is whole in the end, and there once."""
    here = site([])
    assert (await here.sync()).exit_code == 0
    for number, after in enumerate((1, 7, 23)):
        here.sandbox.add(*(replace(job, id=f"{job.id}-{number}") for job in films(60, 20_000)))
        here.sandbox.set_scenario(faulty(Slow(rate=2_000_000, shared=True)))
        killer = Killer(after)
        report, _ = await helped_pass(here, killer)
        assert (report.exit_code, report.jobs.stored) == (0, 60 * (number + 1))
        assert killer.killed
        await here.check_whole()
    await at_rest(here)


@pytest.mark.needs("mounts")
async def test_a_disk_without_room_for_two_is_left_to_one_process_and_ends_in_5_when_full(site):
    here = site([])
    with tmpfs(here.dest, "4m"):
        assert (await here.sync(min_free="0")).exit_code == 0
        here.sandbox.add(*films(150))
        here.sandbox.set_scenario(faulty(Slow(rate=6_000_000, shared=True)))
        report, helper = await helped_pass(here)
        assert report.exit_code == 5, report
        assert "is full" in report.reason
        assert helper.given == []
        for path in here.files().values():
            assert path.stat().st_size == SIZE
        await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,size=64m", here.dest], check=True)
        here.sandbox.set_scenario(HEALTHY)
        assert (await here.sync(min_free="0")).exit_code == 0
        await at_rest(here)
