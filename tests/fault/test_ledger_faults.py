"""The ledger under faults: network file systems, failing disks, damage, locks, two passes, clocks that jump."""

import os
import sqlite3
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.mounted import ailing, tmpfs
from helpers.postgres import cluster
from helpers.site import CREATED, jobs
from helpers.zygote import zygote

from syncer.core.errors import LedgerHeld, StaleClaim
from syncer.core.model import Job, Link, Listing, Promise, RemoteStatus, Sighting, State, Stored, StoredFile
from syncer.ledger import open_ledger
from syncer.ledger.lock import PassLock
from syncer.sandbox.faults import Kind
from syncer.sandbox.faults_wire import Slow
from syncer.sandbox.model import JobStatus, Rules, SandboxJob
from syncer.sandbox.scenarios import HEALTHY, Scenario

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
QUIET = ("-q",)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """`syncer run` at a site: its exit code and what it said."""
    with zygote(tmp_path_factory.mktemp("zygote") / "told") as forked:

        def run_at(here, *argv):
            return SimpleNamespace(
                returncode=forked.run(here, "run", here.dest, *QUIET, *argv), stderr=forked.told.read_text()
            )

        yield run_at


def mode_of(ledger):
    """The journal that the file itself names, in bytes 18 and 19: 2 for WAL (sqlite.org/fileformat.html)."""
    return {1: "delete", 2: "wal"}[ledger.read_bytes()[18]]


@pytest.mark.needs("mounts")
async def test_a_ledger_on_a_network_file_system_is_warned_of_and_does_without_wal(site, run):
    here = site(jobs(2, size=1000))
    assert "network file system" not in run(here).stderr
    assert mode_of(here.ledger) == "wal"
    before = here.ledger.read_bytes()
    here.sandbox.add(SandboxJob("late", "Late.mp4", size=1000, created_at=CREATED))
    with ailing(here.folder / "state", "fuse.sshfs") as share:
        here.ledger.write_bytes(before)
        share.watch()
        done = run(here)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("is on a network file system") == 1
        assert mode_of(here.ledger) == "delete"
        assert [step for step in share.steps if step.endswith("ledger.db-journal")]
        assert [step for step in share.steps if step == "fsync /ledger.db"]
        assert not (here.folder / "state" / "ledger.db-wal").exists()
        await here.check_whole()


def grow(point, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", point], check=True)


@pytest.mark.needs("mounts")
async def test_a_disk_full_under_the_ledger(site, run):
    held = [
        *jobs(2, size=1000),
        *(SandboxJob(f"p{n:05}", f"{n}" * 50, 1, status=JobStatus.PROCESSING, created_at=CREATED) for n in range(3000)),
    ]
    here = site(held)
    with tmpfs(here.folder / "state", "400k"):
        done = run(here)
        assert done.returncode == 9, done.stderr
        assert "cannot grow: its disk is full" in done.stderr
        assert "Traceback" not in done.stderr
        grow(here.folder / "state", "64m")
        assert run(here).returncode == 0
        await here.check_whole()


@pytest.mark.needs("mounts")
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("skip", [0, 3, 6])
async def test_an_fsync_of_the_ledger_that_fails(site, run, error, skip):
    """What was settled stays settled; what was not is recovered from the file, not fetched a second time."""
    here = site(jobs(1, size=1000))
    with ailing(here.folder) as disk:
        assert (await here.sync()).exit_code == 0
        here.sandbox.add(SandboxJob("late", "Late.mp4", size=300_000, created_at=CREATED))
        disk.fail("fsync", error, name="ledger.db-wal", skip=skip, count=1)
        done = run(here, "--workers", "1")
        assert done.returncode == 9, done.stderr
        assert "Traceback" not in done.stderr
        disk.heal()
        published = any("Late" in path for path in here.files())
        asked = len(here.storage_requests())
        assert (await here.sync()).exit_code == 0
        await here.check_whole()
        assert len(here.storage_requests()) - asked == (0 if published else 1)


DAMAGE = {
    "no database": lambda data: b"not a database, but a note" + data[26:],
    "truncated": lambda data: data[: len(data) // 2],
    "a page of rubbish": lambda data: data[:4096] + b"\xa5" * 4096 + data[8192:],
    "zeros": lambda data: data[:100] + bytes(len(data) - 100),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_ledger_is_refused_and_left_as_it_is(site, run, damage):
    here = site(jobs(1, size=1000))
    assert run(here).returncode == 0
    spoiled = damage(here.ledger.read_bytes())
    here.ledger.write_bytes(spoiled)
    done = run(here)
    assert done.returncode == 9, done.stderr
    assert str(here.ledger) in done.stderr
    assert "syncer adopt" in done.stderr or "backup" in done.stderr
    assert here.ledger.read_bytes() == spoiled
    assert len(here.storage_requests()) == 1


@pytest.mark.timeout(300)
def test_a_ledger_that_another_program_keeps_locked(site, run):
    here = site(jobs(1, size=1000))
    assert run(here).returncode == 0
    other = sqlite3.connect(here.ledger, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        done = run(here)
    finally:
        other.close()
    assert done.returncode == 8, done.stderr
    assert "kept locked by another program" in done.stderr
    assert run(here).returncode == 0


@pytest.mark.timeout(300)
async def test_two_passes_at_once_the_second_leaves_with_8(site, run):
    here = site(jobs(1, size=4_000_000), Scenario("slow", "", Rules(), (), (Slow(rate=50_000),)))
    first = here.start("run", here.dest, *QUIET)
    try:
        here.until(here.storage_requests, 90)
        second = run(here)
        assert second.returncode == 8, second.stderr
        assert "Another syncer works on this ledger" in second.stderr
        assert len(here.storage_requests()) == 1
        first.terminate()
        assert first.wait(90) == 143
    finally:
        first.kill()
        first.communicate()
    here.sandbox.set_scenario(HEALTHY)
    assert run(here).returncode == 0
    await here.check_whole()


NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
LEASE = timedelta(minutes=10)


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request, tmp_path):
    """Where two hosts find one ledger."""
    if request.param == "sqlite":
        yield tmp_path / "ledger.db"
        return
    with cluster() as database:
        yield database()


async def unlocked(place):
    """A handle without the lock, as another host has it: there only leases keep two passes apart."""
    ledger = await open_ledger(place)
    ledger._lock = PassLock(None)
    return ledger


@pytest.mark.needs("postgres")
async def test_a_whole_pass_with_its_ledger_in_postgresql(site):
    with cluster() as database:
        here = site(jobs(3, size=1000), ledger=database())
        assert (await here.sync()).exit_code == 0
        assert sorted(here.manifest()) == ["job-000", "job-001", "job-002"]
        again = await here.sync()
        assert (again.exit_code, again.jobs.stored, again.transfer.fetched) == (0, 3, 0)


async def test_two_hosts_the_lease_keeps_them_apart_and_a_dead_ones_claims_pass_on(shared):
    path = shared
    link = Link("https://storage.example/v", NOW + timedelta(days=1))
    job = Job("a", "A.mp4", RemoteStatus.DONE, NOW, link)
    one, two = await unlocked(path), await unlocked(path)
    try:
        await one.begin_pass(NOW)
        await one.record([Sighting(job)], NOW)
        (stale,) = await one.claim(["a"], NOW, NOW + LEASE)
        with pytest.raises(LedgerHeld):
            await two.begin_pass(NOW + LEASE / 2)
        await one.renew(NOW + 2 * LEASE)
        with pytest.raises(LedgerHeld):
            await two.begin_pass(NOW + 1.5 * LEASE)
        # The first host sleeps; its lease runs out, and the second takes over.
        late = NOW + 3 * LEASE
        await two.begin_pass(late)
        (fresh,) = await two.claim(["a"], late, late + LEASE)
        for write in (
            one.reserve(stale, "a.mp4", Promise(3)),
            one.relink(stale, link),
            one.settle(stale, Stored(StoredFile("a.mp4", 3, "00" * 32, None, late)), late),
        ):
            with pytest.raises(StaleClaim):
                await write
        assert await two.reserve(fresh, "a.mp4", Promise(3))
        await two.settle(fresh, Stored(StoredFile("a.mp4", 3, "11" * 32, None, late)), late)
        (entry,) = [entry async for entry in two.entries([State.STORED])]
        assert entry.stored.sha256 == "11" * 32
        await two.end_pass(late, 0, Listing(), await two.tally(), {})
    finally:
        await one.close()
        await two.close()


def clock(here, **more):
    assert FAKETIME is not None, "install faketime, as .ci/run does"
    return here.environ(LD_PRELOAD=str(FAKETIME), FAKETIME_DONT_FAKE_MONOTONIC="1", **more)


@pytest.mark.needs("faketime")
@pytest.mark.timeout(300)
async def test_a_clock_that_is_days_off_between_passes(site):
    """Two days ahead every link looks dead and every claim old; two days behind, none was ever made."""
    here = site(jobs(2, size=1000))
    for number, offset in enumerate(["+2d", "-2d", "+0"]):
        here.sandbox.add(SandboxJob(f"late-{number}", "Late.mp4", size=1000, created_at=CREATED))
        done = here.command("run", here.dest, *QUIET, environ=clock(here, FAKETIME=offset))
        assert done.returncode == 0, done.stderr
        await here.check_whole()


@pytest.mark.needs("faketime")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("before", "after"), [("+0", "+3h"), ("+3h", "-3h")])
async def test_a_clock_that_jumps_in_mid_pass(site, tmp_path, before, after):
    here = site(jobs(3, size=2_000_000), Scenario("slow", "", Rules(), (), (Slow(rate=1_000_000),)))
    stamp = tmp_path / "stamp"
    stamp.write_text(before)
    environ = clock(here, FAKETIME_TIMESTAMP_FILE=str(stamp), FAKETIME_NO_CACHE="1")
    process = here.start("run", here.dest, *QUIET, "--workers", "2", environ=environ)
    try:
        here.until(lambda: sum(seen.body_bytes for seen in here.storage_requests()) > 500_000, 100)
        (tmp_path / "new").write_text(after)
        os.replace(tmp_path / "new", stamp)  # noqa: PTH105 - at once, or an empty file would be read
        here.sandbox.set_scenario(HEALTHY)
        assert process.wait(90) == 0
    finally:
        process.kill()
        process.communicate()
    await here.check_whole()
    assert len(here.sandbox.log.requests(Kind.STORAGE)) == 3
