"""Faults of a file that comes over several ranges: none of them glues together what does not belong together."""

import hashlib
import json
import shutil
import signal
from dataclasses import replace

import pytest
from helpers.mounted import ailing
from helpers.powercut import cuts, lay_out
from helpers.site import jobs
from helpers.zygote import zygote

from syncer.core.segments import load, missing
from syncer.destination import FolderDestination
from syncer.runner.clock import SystemClock
from syncer.sandbox import (
    HEALTHY,
    Changed,
    ChecksumForm,
    Cut,
    ErrorPage,
    Gzip,
    IgnoredRange,
    MultipartRange,
    Refused,
    Slow,
    Status,
    StorageRules,
    UnknownTotal,
    Unsatisfied,
    ValidatorForm,
    Validators,
    When,
    WrongChecksum,
    WrongRange,
)

SIZE = 400_000
FRONT, AHEAD = 100_000, (200_000, 300_000)
ONE = "job-000"
ETAG = '"v1"'


def faulty(*faults, storage=None):
    rules = HEALTHY.rules if storage is None else replace(HEALTHY.rules, storage=storage)
    return replace(HEALTHY, rules=rules, storage=faults)


async def parted(here, **more):
    """A pass that ended with bytes of a file in order, and some ahead of them."""
    here.sandbox.add(*jobs(1, size=SIZE))
    here.sandbox.set_scenario(faulty(Cut(after=FRONT), **more))
    assert (await here.sync(tries="1")).exit_code == 6
    entry = (await here.entries())[ONE]
    content = here.sandbox.content(ONE).read(0, SIZE)
    async with FolderDestination(here.dest, clock=SystemClock()) as destination:
        await destination.prove(marker_of(here))
        partial = await destination.open_partial(ONE)
        await partial.begin(FRONT, frozenset(), SIZE, entry.promise.etag)
        await partial.spread(entry.promise.etag, SIZE)
        partial.at(AHEAD[0]).write(content[slice(*AHEAD)])
        await partial.close()
    assert len(here.partials()) == 2
    here.sandbox.log.clear()
    here.sandbox.set_scenario(faulty(**more))


def marker_of(here):
    return json.loads((here.dest / ".syncer" / "destination.json").read_text())["id"]


def asked(here):
    return [seen.range for seen in here.storage_requests()]


THE_REST = f"bytes={FRONT - 65536}-"
THE_SECOND = f"bytes={AHEAD[1] - 65536}-{SIZE - 1}"


def flip(here, place, suffix=".part"):
    (path,) = [path for path in here.partials() if path.suffix == suffix]
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


async def test_what_lies_ahead_is_not_fetched_again(site):
    here = site([], tries="1")
    await parted(here)
    report = await here.sync()
    assert (report.exit_code, report.transfer.resumed, report.transfer.restarted) == (0, 1, 0)
    assert asked(here) == [THE_REST, THE_SECOND]
    assert {seen.if_range for seen in here.storage_requests()} == {here.storage_requests()[0].if_range}
    await here.check_whole()


SECOND = When(ranged=True, after=1, first=1)
MISMATCHES = {
    "200 for a range": IgnoredRange(when=SECOND),
    "a part that begins elsewhere": WrongRange(when=SECOND),
    "a part of a file of another length": WrongRange(when=SECOND, shift=0, total=5000),
    "a part without a total": UnknownTotal(when=SECOND),
    "multipart/byteranges": MultipartRange(when=SECOND),
    "416": Unsatisfied(when=SECOND),
    "a page": ErrorPage(when=SECOND),
    "an encoding": Gzip(when=SECOND),
    "a checksum of another file": WrongChecksum(when=SECOND),
    "no validator": Validators(when=SECOND),
    "a weak validator": Validators(when=SECOND, form=ValidatorForm.WEAK),
}


@pytest.mark.parametrize("fault", MISMATCHES.values(), ids=MISMATCHES.keys())
async def test_an_answer_that_is_not_the_range_ends_in_one_connection(site, fault):
    here = site([], tries="1")
    await parted(here)
    here.sandbox.set_scenario(faulty(fault))
    report = await here.sync()
    assert (report.exit_code, report.transfer.restarted, report.transfer.retries) == (0, 0, 0)
    assert asked(here) == [THE_REST, THE_SECOND, f"bytes={AHEAD[0] - 65536}-"]
    await here.check_whole()


async def test_another_version_between_two_ranges_is_fetched_whole(site):
    here = site([], tries="1")
    await parted(here)
    here.sandbox.set_scenario(faulty(Changed(when=When(after=1, first=1))))
    report = await here.sync()
    assert (report.exit_code, report.transfer.restarted) == (0, 1)
    assert [seen.status for seen in here.storage_requests()] == [206, 200, 200]
    await here.check_whole()


async def test_a_refusal_for_now_keeps_all_there_is(site):
    here = site([], tries="1")
    await parted(here)
    here.sandbox.set_scenario(faulty(Status(status=503, when=SECOND)))
    report = await here.sync()
    assert (report.exit_code, report.failures[0].reason) == (6, "127.0.0.1 answered 503.")
    here.sandbox.log.clear()
    here.sandbox.set_scenario(faulty())
    assert (await here.sync()).exit_code == 0
    assert asked(here) == [f"bytes={AHEAD[1] - 65536}-"]  # there is no gap any more
    await here.check_whole()


async def test_a_link_refused_to_a_later_range_is_not_taken_for_a_lost_file(site):
    here = site([], tries="1")
    await parted(here)
    here.sandbox.set_scenario(faulty(Refused(when=SECOND)))
    report = await here.sync(tries="4")
    assert (report.exit_code, report.transfer.retries) == (0, 1)
    await here.check_whole()


async def test_a_fresh_link_refused_to_a_later_range_loses_no_file(site):
    """The link came from the API just now, and the storage honoured it: the file is not lost by a second word."""
    here = site([], tries="4")
    await parted(here)
    here.sandbox.set_scenario(faulty(Refused(when=When(first=1)), Refused(when=When(after=2, first=1))))
    report = await here.sync()
    assert [seen.status for seen in here.storage_requests()][:3] == [403, 206, 403]
    assert (report.exit_code, report.deadlines.lost) == (0, ())
    await here.check_whole()


async def test_a_range_that_breaks_goes_on_where_it_broke(site):
    here = site([], tries="1")
    await parted(here)
    here.sandbox.set_scenario(faulty(Cut(when=SECOND, after=65536 + 60_000)))
    report = await here.sync(tries="4")
    assert (report.exit_code, report.transfer.retries) == (0, 1)
    assert asked(here)[2] in (f"bytes={AHEAD[0] - 65536}-", f"bytes={AHEAD[1] + 60_000 - 65536}-")
    assert report.transfer.bytes < SIZE
    await here.check_whole()


SILENT = StorageRules(checksum=ChecksumForm.NONE)


async def test_bytes_ahead_that_changed_on_disk_are_found_by_the_overlap(site):
    here = site([], tries="1")
    await parted(here, storage=SILENT)
    flip(here, AHEAD[1] - 1)
    report = await here.sync()
    assert (report.exit_code, report.transfer.restarted) == (0, 0)
    assert asked(here) == [THE_REST, THE_SECOND, f"bytes={AHEAD[0] - 65536}-"]
    await here.check_whole()


async def test_bytes_ahead_that_changed_on_disk_are_found_by_the_checksum(site):
    here = site([], tries="1")
    await parted(here)
    flip(here, AHEAD[0])
    report = await here.sync(tries="4")
    assert (report.exit_code, report.transfer.retries) == (0, 1)
    await here.check_whole()


async def test_a_map_that_is_damaged_costs_the_partial(site):
    here = site([], tries="1")
    await parted(here)
    flip(here, 20, ".map")
    report = await here.sync()
    assert (report.exit_code, asked(here)) == (0, [None])
    await here.check_whole()


async def test_a_map_that_tells_of_more_than_there_is_costs_what_lies_ahead(site):
    here = site([], tries="1")
    await parted(here)
    (part,) = [path for path in here.partials() if path.suffix == ".part"]
    with part.open("r+b") as file:
        file.truncate(AHEAD[0] + 10)
    report = await here.sync()
    assert (report.exit_code, asked(here)) == (0, [THE_REST])
    await here.check_whole()


# --- over a thin line, several at once ---

M = 1024 * 1024
LARGE = 32 * M
SEVERAL = {"segments": "4", "segment_size": "1M"}
FLAGS = ("--segments", "4", "--segment-size", "1M", "-q")
THIN = Slow(rate=2 * M)


def the_map(here):
    """What the map on disk tells of, if there is one."""
    found = [path for path in here.partials() if path.suffix == ".map"]
    return load(found[0].read_bytes()) if found else None


def sent(here):
    return sum(seen.body_bytes for seen in here.storage_requests())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_killed_or_stopped_it_goes_on_with_all_that_was_noted(site, how):
    here = site(jobs(1, size=LARGE), faulty(THIN))
    process = here.start("run", here.dest, *FLAGS)
    here.until(lambda: (told := the_map(here)) is not None and len(told.spans) > 1)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143}[how]
    told = the_map(here)
    noted = sum(span.length for span in told.spans)
    assert noted > M
    if how == signal.SIGTERM:
        assert noted > 0.8 * sent(here)
    before = sent(here)
    here.sandbox.set_scenario(faulty())
    report = await here.sync(**SEVERAL)
    assert (report.exit_code, report.transfer.restarted) == (0, 0)
    # What the front's open request is sent beyond the first gap, before it is hung up on, is in buffers on the way.
    assert report.transfer.bytes <= LARGE - noted + 4 * 65536 + len(told.spans)
    assert before < LARGE
    await here.check_whole()


async def test_another_version_while_several_ranges_come_is_fetched_whole(site):
    thin = Slow(rate=2 * M, when=When(first=2))
    here = site(jobs(1, size=LARGE), faulty(thin, Changed(when=When(after=2, first=1))), **SEVERAL)
    report = await here.sync()
    assert (report.exit_code, report.transfer.restarted) == (0, 1)
    await here.check_whole()


async def test_a_link_withdrawn_while_several_ranges_come_is_renewed_and_all_is_kept(site):
    withdrawn = Refused(until_relinked=True, when=When(after=2))
    here = site(jobs(1, size=LARGE), faulty(THIN, withdrawn), **SEVERAL)
    report = await here.sync()
    assert (report.exit_code, report.transfer.relinked, report.transfer.restarted) == (0, 1, 0)
    assert 403 in [seen.status for seen in here.storage_requests()]
    assert sent(here) < 1.1 * LARGE
    await here.check_whole()


async def test_a_storage_that_takes_no_second_connection_is_left_with_one(site):
    thin = Slow(rate=2 * M)
    here = site(jobs(1, size=LARGE), faulty(Status(status=429, when=When(after=1, first=1)), thin), **SEVERAL)
    report = await here.sync()
    assert (report.exit_code, report.transfer.retries) == (0, 0)
    assert 429 in [seen.status for seen in here.storage_requests()]
    assert sent(here) < 1.1 * LARGE
    await here.check_whole()


# --- a kill at every step, and a power cut ---

STEPS = {
    "going on with a map to the end": (
        (),
        "write .part", "fsync .part", "unlink .map", "fsyncdir partial", "chmod .part", "link .mp4", "unlink .part",
    ),
    "noting what is there": (
        (Status(status=503, when=SECOND),),
        "create .map~", "write .map~", "fsync .map~", "rename .map",
    ),
    "going back to the bytes in order": (
        (IgnoredRange(when=SECOND),),
        "truncate .part", "fsync .part", "unlink .map",
    ),
}  # fmt: skip


async def kill_at(site, tmp_path, faults, names):
    """A pass that goes on from a map is killed as it asks for each of these; the next one heals."""
    with zygote(tmp_path / "told") as forked:
        for name in names:
            here = site([])
            with ailing(here.folder) as disk:
                await parted(here)
                here.sandbox.set_scenario(faulty(*faults))
                disk.watch(kill_on=name.split())
                assert forked.run(here, "run", here.dest, "--tries", "1", "-q") == -signal.SIGKILL, name
                disk.heal()
                here.sandbox.set_scenario(faulty())
                published = bool(here.files())
                here.sandbox.log.clear()
                assert (await here.sync()).exit_code == 0
                assert not (published and sent(here))
                await here.check_whole()


@pytest.mark.needs("mounts")
@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS.keys())
async def test_a_kill_as_the_map_changes_heals(site, tmp_path, steps):
    faults, *names = steps
    await kill_at(site, tmp_path, faults, [name for name in names if name in ("unlink .map", "rename .map")])


@pytest.mark.long
@pytest.mark.needs("mounts")
@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS.keys())
async def test_a_kill_at_any_step_heals(site, tmp_path, steps):
    faults, *names = steps
    await kill_at(site, tmp_path, faults, names)


@pytest.mark.needs("mounts")
async def test_a_power_cut_at_any_moment_leaves_no_map_that_claims_too_much(tmp_path):
    """Every moment of a parted partial's life, and every way to lose what was not fsynced."""
    content = bytes(range(251)) * 1000
    disk_at, record = tmp_path / "disk", tmp_path / "record"
    with ailing(disk_at) as disk:
        async with FolderDestination(disk_at / "dest", clock=SystemClock()) as destination:
            await destination.bind("ledger-1", "dest-1")
            with disk.recording(record) as recorded:
                await lead_a_parted_life(destination, content)
        folders, files, steps = recorded()
    states = list(cuts(folders, files, steps))
    assert len(states) > 40
    for number, (name, tree, contents) in enumerate(states):
        after = tmp_path / f"cut-{number}"
        after.mkdir()
        lay_out(after, tree, contents)
        async with FolderDestination(after / "dest", clock=SystemClock()) as destination:
            await destination.prove("dest-1")
            partial = await destination.open_partial(ONE)
            with_map = any(path.suffix == ".map" for path in (after / "dest/.syncer/partial").iterdir())
            if with_map:
                for span in partial.spans():
                    assert await partial.tail(span.length, span.stop) == content[span.start : span.stop], name
            await complete(partial, content)
            digests = await partial.finish()
            assert digests["sha256"] == hashlib.sha256(content).hexdigest(), name
            await partial.discard()
            assert list((after / "dest/.syncer/partial").iterdir()) == [], name
        shutil.rmtree(after)


async def lead_a_parted_life(destination, content):
    """From the first byte to the last, with notes in between, a restart, and a change of mind."""
    size = len(content)
    partial = await destination.open_partial(ONE)
    await partial.begin(0, frozenset(), size, ETAG)
    partial.write(content[:10_000])
    await partial.spread(ETAG, size)
    partial.at(100_000).write(content[100_000:150_000])
    await partial.note()
    partial.write(content[10_000:20_000])
    partial.at(200_000).write(content[200_000:])
    await partial.close()
    partial = await destination.open_partial(ONE)
    await partial.begin(20_000, frozenset(), size, ETAG)
    partial.at(20_000).write(content[20_000:100_000])
    await partial.catch_up(size)
    await partial.note()
    await partial.retract()
    partial.write(content[150_000:160_000])
    await partial.spread(ETAG, size)
    partial.at(170_000).write(content[170_000:])
    partial.at(160_000).write(content[160_000:170_000])
    await partial.catch_up(size)
    await partial.finish()
    await partial.discard()


async def complete(partial, content):
    """As a try does: what is there is compared at its end, and dropped where it differs; what lacks comes by ranges."""
    size, front = len(content), partial.size
    tail = await partial.tail(min(65536, front)) if front else b""
    keep = front if content[front - len(tail) : front] == tail else 0
    await partial.begin(keep, frozenset(), size, ETAG)
    await partial.spread(ETAG, size)
    for gap in missing(size, partial.spans()):
        partial.at(gap.start).write(content[gap.start : gap.stop])
    await partial.catch_up(size)
