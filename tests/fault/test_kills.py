"""SIGKILL at every step, power cuts at every step, and SIGKILL at any moment: the next pass heals them all."""

import hashlib
import json
import random
import shutil
import signal

import pytest
from helpers.mounted import ailing
from helpers.powercut import cuts, lay_out
from helpers.site import CREATED, Site
from helpers.zygote import zygote

from syncer.sandbox.model import SandboxJob

pytestmark = pytest.mark.needs("mounts")

SIZE = 1_500_000
ONE = {"workers": "1"}
FLAGS = ("--workers", "1", "-q")


@pytest.fixture
def forked(tmp_path):
    with zygote(tmp_path / "told") as made:
        yield made


def film(number, size=SIZE):
    return SandboxJob(f"film-{number:03}", f"Film {number}.mp4", size=size, created_at=CREATED)


def body_bytes(here, job_id):
    return sum(seen.body_bytes for seen in here.storage_requests() if seen.job_id == job_id)


async def heals(here, job):
    """After a kill: a published file is not fetched again, the job is stored whole, and nothing is left over."""
    before, published = body_bytes(here, job.id), [path for path in here.files() if f"[{job.id}]" in path]
    report = await here.sync(**ONE)
    assert report.exit_code == 0, report
    again = body_bytes(here, job.id) - before
    if published:
        assert again == 0
    await here.check_whole(job.id)
    assert again <= job.size + 100_000
    assert {path.name for path in (here.dest / ".syncer").iterdir()} == {
        "destination.json",
        "manifest.jsonl",
        "partial",
    }


def kinds(steps):
    """Steps by what they do to what, the hash of a partial and the number of a film left out."""
    found = set()
    for step in steps:
        op, path = step.split(" ", 1)
        name = path.rsplit("/", 1)[-1]
        part = next((p for p in (".part", "-wal", ".db", "manifest.jsonl", ".mp4") if name.endswith(p)), name)
        found.add(f"{op} {part}")
    return found


EVERY_KIND = {
    "create .part", "write .part", "fsync .part", "chmod .part", "utime .part", "link .mp4", "fsyncdir 11",
    "unlink .part", "write manifest.jsonl", "fsync manifest.jsonl", "write -wal", "fsync -wal",
}  # fmt: skip
"""What lies between claim and settle; a step that a kill was never tried at would be missing here."""


async def kill_at_every_step(site, forked, *, bursts):
    """The command is killed as it asks for its first, second, third … change to destination or ledger."""
    here, tried, number = site([film(0)]), [], 0
    with ailing(here.folder) as disk:
        assert forked.run(here, "run", here.dest, *FLAGS) == 0, forked.told.read_text()

        async def kill(job, **when):
            here.sandbox.add(job)
            disk.watch(**when)
            ended = forked.run(here, "run", here.dest, *FLAGS)
            steps, killed = disk.steps, disk.killed
            disk.heal()
            assert ended == (-signal.SIGKILL if killed else 0)
            if killed:
                tried.append(steps[-1])
                await heals(here, job)
            return killed

        while await kill(film(number + 1), kill_at=number + 1, bursts=bursts):
            number += 1
        # Two passes need not take the very same steps: what was slipped past is met by its name.
        for missed in sorted(EVERY_KIND - kinds(tried)):
            number += 1
            assert await kill(film(number + 1), kill_on=missed.split()), missed
        assert kinds(tried) >= EVERY_KIND
        # How many steps there are is the scheduler's affair: what is written at once is one step, and may be two.
        assert number >= 2 * len(EVERY_KIND)
        await here.check_whole()


@pytest.mark.timeout(600)
async def test_a_kill_at_every_step_of_a_pass_heals(site, forked):
    """Writes to the ledger in a row are one transaction, and one step."""
    await kill_at_every_step(site, forked, bursts=True)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_kill_at_every_single_write_heals(site, forked):
    await kill_at_every_step(site, forked, bursts=False)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_kill_at_every_step_of_the_very_first_pass_heals(site, forked):
    """Ledger, schema, marker and binding are made; each kill meets a machine that never ran syncer before."""
    number = 0
    while True:
        number += 1
        here = site([film(0)])
        with ailing(here.folder) as disk:
            disk.watch(number, bursts=True)
            ended = forked.run(here, "run", here.dest, *FLAGS)
            killed = disk.killed
            disk.heal()
            await heals(here, film(0))
        if not killed:
            break
        assert ended == -signal.SIGKILL
    assert number > 40


def whole_or_absent(here, entries):
    """I1 and I2, before anybody heals: what has a final name is whole, and what is stored is there."""
    known = {job.id: here.sandbox.digests(job.id).sha256 for job in here.sandbox.store.all()}
    for path, place in here.files().items():
        job_id = path.rpartition("[")[2].partition("]")[0]
        assert hashlib.sha256(place.read_bytes()).hexdigest() == known[job_id], path
    for entry in entries.values():
        place = here.dest / entry.stored.path
        assert hashlib.sha256(place.read_bytes()).hexdigest() == entry.stored.sha256 == known[entry.id]


class Survivor(Site):
    """A machine after a power cut; in its manifest zeros may stand where a line was lost."""

    def manifest(self):
        text = (self.dest / ".syncer" / "manifest.jsonl").read_text(encoding="utf-8")
        return {line["id"]: line for line in (json.loads(t) for t in text.splitlines() if t.strip("\0"))}


async def cut_the_power(site, tmp_path, sample, *, refuse=None):
    """One pass is recorded; then the power is cut at `sample` of its moments, and a pass looks at what is left."""
    here = site([film(0)])
    record = tmp_path / "record"
    with ailing(here.folder) as disk:
        if refuse:
            disk.fail(*refuse)
        assert (await here.sync(**ONE)).exit_code == 0
        here.sandbox.add(film(1), film(2, size=70_000))
        with disk.recording(record) as recorded:
            assert (await here.sync(**ONE)).exit_code == 0
        folders, files, steps = recorded()
    states = list(cuts(folders, files, steps))
    chosen = states if sample is None else random.Random(1).sample(states, sample)
    for number, (name, tree, contents) in enumerate(chosen):
        after = Survivor(tmp_path / f"cut-{number}", here.sandbox, {})
        after.folder.mkdir()
        lay_out(after.folder, tree, contents)
        try:
            whole_or_absent(after, await after.entries("stored"))
            report = await after.sync(**ONE)
            assert report.exit_code == 0, report
            await after.check_whole()
        except Exception as error:
            raise AssertionError(f"power cut after {name}") from error
        shutil.rmtree(after.folder)
    return len(states)


@pytest.mark.timeout(600)
async def test_a_power_cut_at_any_moment_heals(site, tmp_path):
    """Twenty moments and ways to lose what was not fsynced, drawn from all there are."""
    assert await cut_the_power(site, tmp_path, 20) > 100


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("refuse", [None, ("link", "EPERM")], ids=["hard links", "rename"])
async def test_a_power_cut_at_every_moment_heals(site, tmp_path, refuse):
    """Every moment, and every way the disk may have kept or lost what was not fsynced by then."""
    assert await cut_the_power(site, tmp_path, None, refuse=refuse) > 100
