"""Destination faults on real file systems: tmpfs, bind mounts, and one of the tests' own that ails on demand."""

import asyncio
import os
import subprocess
from dataclasses import replace

import pytest
from helpers.mounted import ailing, require_mounts, tmpfs, unmount
from helpers.site import CREATED, jobs

from syncer.core.events import BytesArrived
from syncer.sandbox.faults import When
from syncer.sandbox.faults_wire import Frame, Slow
from syncer.sandbox.model import ChecksumForm, Rules, SandboxJob
from syncer.sandbox.scenarios import HEALTHY, Scenario

pytestmark = pytest.mark.needs("mounts")

SIZE = 3_000_000
ONE = {"workers": "1", "min_free": "0"}


def storage(*faults):
    return Scenario("test", "", Rules(), (), faults)


@pytest.fixture
def sick(site):
    """A site whose destination is the file system that ails."""
    mounts = []

    def make(held, scenario=HEALTHY, *options, **more):
        here = site(held, scenario, **{**ONE, **more})
        mount = ailing(here.dest, "fuse.ailing", *options)
        mounts.append(mount)
        return here, mount.__enter__()

    yield make
    for mount in mounts:
        mount.__exit__(None, None, None)


async def nothing_wrong(here):
    """Whatever lies under a final name is whole."""
    by_size = {here.sandbox.digests(job.id).sha256 for job in here.sandbox.store.all()}
    for path in here.files().values():
        digest = await asyncio.to_thread(subprocess.check_output, ["sha256sum", path])
        assert digest.split()[0].decode() in by_size


PART, FILM = ".part", ".mp4"
REFUSALS = {
    # what refuses: how, where, what is said, bytes of the first file kept
    "full while writing": ("write", "ENOSPC", {"name": PART, "skip": 1}, "is full", True),
    "full at fsync": ("fsync", "ENOSPC", {"name": PART}, "is full", False),
    "full at link": ("link", "ENOSPC", {"name": FILM}, "is full", True),
    "full for folders": ("mkdir", "ENOSPC", {"name": "2026"}, "is full", True),
    "full for partials": ("create", "ENOSPC", {"name": PART}, "is full", False),
    "full for the manifest": ("write", "ENOSPC", {"name": "manifest"}, "is full", False),
    "over quota while writing": ("write", "EDQUOT", {"name": PART, "skip": 1}, "is full", True),
    "over quota at fsync": ("fsync", "EDQUOT", {"name": PART}, "is full", False),
    "read-only": ("create", "EROFS", {"name": PART}, "cannot be written: read-only", False),
    "EIO while writing": ("write", "EIO", {"name": PART, "skip": 1}, "failed: input/output error", True),
    "EIO at fsync": ("fsync", "EIO", {"name": PART}, "failed: input/output error", False),
    "EIO at close": ("flush", "EIO", {"name": PART}, "failed: input/output error", False),
    "EIO at link": ("link", "EIO", {"name": FILM}, "failed: input/output error", True),
    "EIO at fsync of the folder": ("fsyncdir", "EIO", {"name": "2026/11"}, "failed: input/output error", True),
    "EIO at fsync of the manifest": ("fsync", "EIO", {"name": "manifest"}, "failed: input/output error", True),
    "the server is gone": ("write", "EHOSTDOWN", {"name": PART, "skip": 1}, "is gone", True),
    "a stale handle": ("create", "ESTALE", {"name": PART}, "is gone", False),
}


@pytest.mark.parametrize(("op", "error", "when", "said", "kept"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refusal_ends_the_pass_in_5_and_the_next_one_heals(sick, op, error, when, said, kept):
    here, disk = sick(jobs(2, size=SIZE))
    disk.fail(op, error, **when)
    report = await here.sync()
    assert report.exit_code == 5, report
    assert said in report.reason
    assert str(here.dest) in report.reason
    await nothing_wrong(here)
    disk.heal()
    served = sum(request.body_bytes for request in here.storage_requests())
    healed = await here.sync()
    assert healed.exit_code == 0, healed
    await here.check_whole()
    again = sum(request.body_bytes for request in here.storage_requests()) - served
    assert again < 2 * SIZE + (-1 if kept else 100_000)


async def test_a_failed_fsync_is_never_retried_as_if_it_had_worked(sick):
    """Once only: a second fsync of the same bytes would succeed, and prove nothing."""
    here, disk = sick(jobs(1, size=SIZE))
    await here.sync()
    here.sandbox.add(SandboxJob("late", "Late.mp4", size=SIZE, created_at=CREATED))
    disk.watch()
    disk.fail("fsync", "EIO", name=PART, count=1)
    report = await here.sync()
    assert report.exit_code == 5
    assert [step for step in disk.steps if step.startswith("fsync ") and PART in step] == disk.steps[-2:-1]
    assert disk.steps[-1].startswith("unlink")
    assert not [step for step in disk.steps if step.startswith(("link", "rename"))]
    assert here.partials() == []
    healed = await here.sync()
    assert (healed.exit_code, healed.transfer.resumed) == (0, 0)
    await here.check_whole()


async def test_eio_at_rename_where_there_are_no_hard_links(sick):
    here, disk = sick(jobs(2, size=SIZE))
    disk.fail("link", "EPERM")
    disk.fail("rename", "EIO", name=FILM)
    report = await here.sync()
    assert report.exit_code == 5
    assert here.files() == {}
    disk.heal()
    disk.fail("link", "EPERM")
    assert (await here.sync()).exit_code == 0
    await here.check_whole()


MANNERS = {
    "utime": ("utime", "EPERM"),
    "chmod": ("chmod", "EPERM"),
    "fsync of a folder": ("fsyncdir", "EINVAL"),
    "fsync of a folder, unsupported": ("fsyncdir", "ENOTSUP"),
    "hard links": ("link", "EPERM"),
    "hard links, unknown": ("link", "ENOSYS"),
}


@pytest.mark.parametrize(("op", "error"), MANNERS.values(), ids=MANNERS.keys())
async def test_a_file_system_that_lacks_a_thing_is_lived_with(sick, op, error):
    here, disk = sick(jobs(2, size=1000))
    disk.fail(op, error)
    disk.watch()
    report = await here.sync()
    assert report.exit_code == 0, report
    assert [step for step in disk.steps if step.startswith(op)]
    await here.check_whole()


async def test_a_case_insensitive_file_system(sick):
    """Names that differ in case alone arrive as files of their own, a stranger's file is not touched."""
    held = [SandboxJob(f"n{n}", name, size=1000 + n, created_at=CREATED) for n, name in enumerate(["A.mp4", "a.mp4"])]
    here, _ = sick(held, HEALTHY, "fold", name_template="{stem}{ext}")
    (here.dest / "A.MP4").write_bytes(b"mine")
    report = await here.sync()
    assert report.exit_code == 0, report
    assert (here.dest / "A.MP4").read_bytes() == b"mine"
    stored = [entry.stored for entry in (await here.entries("stored")).values()]
    assert len({file.path.casefold() for file in stored} | {"a.mp4"}) == 3
    for file in stored:
        assert (here.dest / file.path).stat().st_size == file.size


async def test_names_of_255_bytes_and_a_file_system_that_takes_fewer(sick):
    held = [
        SandboxJob("long", "ö" * 300 + ".mp4", size=1000, created_at=CREATED),
        SandboxJob("short", "Film.mp4", size=1000, created_at=CREATED),
    ]
    here, disk = sick(held, name_template="{stem}{stem} [{id}]{ext}")
    assert (await here.sync()).exit_code == 0
    await here.check_whole()
    assert 250 <= max(len(os.fsencode(path.name)) for path in here.files().values()) <= 255
    here.sandbox.add(SandboxJob("other", "Ü" * 300 + ".mp4", size=1000, created_at=CREATED))
    disk.fail("lookup", "ENAMETOOLONG", name="Ü")
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored, report.jobs.pending) == (6, 2, 1)
    disk.heal()
    assert (await here.sync()).exit_code == 0
    await here.check_whole()


NUMBERS = {
    "nothing at all": {"blocks": 0, "bfree": 0, "bavail": 0},
    "free without a total": {"blocks": 0, "bfree": 5, "bavail": 5},
    "minus one": {"blocks": 100, "bfree": 2**64 - 1, "bavail": 2**64 - 1},
}


@pytest.mark.parametrize("told", NUMBERS.values(), ids=NUMBERS.keys())
async def test_absurd_numbers_of_free_space_bar_nothing(sick, told):
    here, disk = sick(jobs(2, size=1000), min_free="10G")
    disk.numbers(**told)
    report = await here.sync()
    assert report.exit_code == 0, report
    await here.check_whole()


async def test_a_destination_that_answers_slowly_does_not_hold_up_the_rest(sick):
    """While one write takes its time, the list is read on and other work has its turn."""
    here, disk = sick(jobs(40, size=1000), workers="2", page_size="2")
    disk.slow("write", 3, name=PART, count=1)
    ticks, heard = [], []

    class Watch:
        def notify(self, event):
            heard.append((type(event).__name__, len(ticks)))

    async def tick():
        while True:
            await asyncio.sleep(0.01)
            ticks.append(None)

    ticking = asyncio.create_task(tick())
    report = await here.sync(Watch())
    ticking.cancel()
    assert report.exit_code == 0
    first = next(at for name, at in heard if name == "FetchStarted")
    stored = next(at for name, at in heard if name == "FileStored")
    assert stored - first >= 20  # of three hundred
    assert [at for name, at in heard if name == "PageListed" and first < at < stored]
    await here.check_whole()


def bind(real, point):
    point.mkdir(exist_ok=True)
    subprocess.run(["mount", "--bind", real, point], check=True)


@pytest.fixture
def nas(site, tmp_path):
    """A site whose destination is a mount that comes and goes: (site, mount, unmount)."""
    require_mounts()
    points = []

    def make(*given, **options):
        here = site(*given, **{**ONE, **options})
        real = tmp_path / f"nas-{len(points)}"
        real.mkdir()
        points.append(here.dest)
        bind(real, here.dest)
        return here, lambda: bind(real, here.dest), lambda: unmount(here.dest)

    yield make
    for point in points:
        unmount(point)


async def test_a_destination_that_is_not_mounted_is_not_written_to(nas):
    here, mount, leave = nas(jobs(2, size=1000))
    assert (await here.sync()).exit_code == 0
    here.sandbox.add(SandboxJob("late", "Late.mp4", size=1000, created_at=CREATED))
    leave()
    for _ in range(2):
        report = await here.sync()
        assert report.exit_code == 5
        assert f"There is no marker {here.dest}/.syncer/destination.json" in report.reason
        assert list(here.dest.iterdir()) == []
    mount()
    healed = await here.sync()
    assert (healed.exit_code, healed.transfer.fetched) == (0, 1)
    await here.check_whole()


@pytest.mark.parametrize("how", ["unmounted", "renamed away"])
async def test_a_destination_that_vanishes_in_mid_pass_is_not_written_under(nas, how):
    here, mount, leave = nas(jobs(3, size=4_000_000), storage(Slow(rate=2_000_000)), workers="3")
    away = here.folder / "away"
    if how == "renamed away":  # a plain folder; a mount cannot be
        leave()
        here.dest.rmdir()

    class Leave:
        done = False

        def notify(self, event):
            if isinstance(event, BytesArrived) and not self.done:
                self.done = True
                leave() if how == "unmounted" else here.dest.rename(away)
                here.dest.mkdir(exist_ok=True)

    report = await here.sync(Leave())
    assert report.exit_code == 5
    assert list(here.dest.iterdir()) == []
    here.sandbox.set_scenario(HEALTHY)
    if how == "unmounted":
        mount()
    else:
        here.dest.rmdir()
        away.rename(here.dest)
    healed = await here.sync()
    assert healed.exit_code == 0
    await here.check_whole()


def test_a_destination_of_another_ledger(nas):
    here, _, _ = nas(jobs(1, size=1000))
    assert here.command("run", here.dest).returncode == 0
    before = sorted(here.dest.rglob("*"))
    other = here.environ(SYNCER_LEDGER=str(here.folder / "other.db"))
    done = here.command("run", here.dest, environ=other)
    assert done.returncode == 5
    assert "belongs to another ledger" in done.stderr
    assert "syncer adopt" in done.stderr
    assert sorted(here.dest.rglob("*")) == before


def grow(point, size):
    subprocess.run(["mount", "-o", f"remount,size={size}", point], check=True)


async def test_a_disk_that_runs_full_in_mid_file(site):
    here = site(jobs(3, size=1_500_000), **ONE)
    with tmpfs(here.dest, "4m"):
        report = await here.sync()
        assert report.exit_code == 5
        assert f"The destination {here.dest} is full" in report.reason
        assert report.jobs.stored == 2
        grow(here.dest, "8m")
        healed = await here.sync()
        assert (healed.exit_code, healed.transfer.fetched, healed.transfer.resumed) == (0, 1, 1)
        await here.check_whole()


async def test_what_would_go_below_the_floor_is_not_begun_and_the_rest_comes(site):
    sizes = {"large": 4_000_000, "small": 1_000_000, "smaller": 500_000}
    held = [SandboxJob(i, f"{i}.mp4", size=size, created_at=CREATED) for i, size in sizes.items()]
    here = site(held, **{**ONE, "min_free": "3M"})
    with tmpfs(here.dest, "6m"):
        report = await here.sync()
        assert (report.exit_code, report.jobs.stored, report.jobs.pending) == (5, 2, 1)
        assert "has no room for this file: 4000000 bytes are to come" in report.reason
        assert "--min-free" in report.reason
        assert report.transfer.bytes <= 1_500_000
        free = os.statvfs(here.dest)
        assert free.f_bavail * free.f_frsize >= 3 * 1024 * 1024
        grow(here.dest, "12m")
        assert (await here.sync()).exit_code == 0
        await here.check_whole()


async def test_an_endless_body_stops_at_the_floor_and_gives_the_room_back(site):
    """Without a length nobody knows that it is endless; a body of 40 MB on a disk of 16 is as good as one."""
    held = [
        SandboxJob("endless", "Endless.mp4", size=40_000_000, created_at=CREATED),
        SandboxJob("film", "Film.mp4", size=1_000_000, created_at=CREATED),
    ]
    unproven = replace(HEALTHY.rules, storage=replace(HEALTHY.rules.storage, checksum=ChecksumForm.NONE))
    unsaid = Frame(when=When(jobs=frozenset({"endless"})))
    here = site(held, replace(storage(unsaid), rules=unproven), **{**ONE, "min_free": "4M"})
    with tmpfs(here.dest, "16m"):
        report = await here.sync()
        assert (report.exit_code, report.jobs.stored, report.jobs.pending) == (5, 1, 1)
        assert "does not say how large this file is" in report.reason
        assert here.partials() == []
        await here.check_whole("film")


async def test_at_the_floor_a_pass_stops_asking(site):
    """With no room for anything a backlog is left alone, not asked for file by file."""
    here = site(jobs(60, size=3_000_000), **{**ONE, "min_free": "1M"})
    with tmpfs(here.dest, "3m"):
        report = await here.sync()
        assert report.exit_code == 5
        assert len(here.storage_requests()) <= 25
        assert report.jobs.pending == 60
