"""What any core.ports.Helper must do: the process of its own, and the fake within this one, at a sandbox's storage."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from fakes.helper import FakeHelper
from helpers.site import CREATED

from syncer.core.errands import Errand, Free
from syncer.core.errors import (
    ChecksumMismatch,
    Declined,
    FetchError,
    Interrupted,
    LedgerError,
    LinkRefused,
    NameTaken,
    NotTheFile,
    StaleClaim,
    StorageBusy,
    SyncerError,
    TooLarge,
)
from syncer.core.model import Link, Promise, StoredFile
from syncer.core.naming import Naming, path_for
from syncer.core.ports import Helper
from syncer.destination import FolderDestination
from syncer.helper import HelperProcess, Setup
from syncer.runner.clock import SystemClock
from syncer.runner.fetch import MOST_NAMES
from syncer.runner.parts import Rules
from syncer.sandbox import (
    HEALTHY,
    Cut,
    ErrorPage,
    Kind,
    Sandbox,
    SandboxJob,
    Slow,
    Stall,
    Status,
    When,
    WrongChecksum,
    running,
)
from syncer.transfer import HttpFetcher

SMALL, LARGE, TOO_LARGE = 20_000, 5_000_000, 9_000_000
CLOCK = SystemClock()
PATIENCE = 60.0


@dataclass
class Place:
    """A folder, a storage, and helpers that bring files from one to the other."""

    root: Path
    sandbox: Sandbox
    folder: FolderDestination  # of whoever gives the errands
    make: Callable[[], Helper]

    def add(self, job_id: str, size: int = SMALL) -> Errand:
        self.sandbox.add(SandboxJob(job_id, f"{job_id}.mp4", size=size, created_at=CREATED))
        return self.errand(job_id)

    def errand(self, job_id: str) -> Errand:
        job = self.sandbox.store.get(job_id)
        link = Link(self.sandbox.link(job), CREATED + timedelta(days=1))
        path = path_for(Naming(), job.id, job.name, job.created_at, extension="")
        return Errand(job.id, job.name, job.created_at, link, Free(path, CLOCK.monotonic()))

    def fail(self, *faults) -> None:
        self.sandbox.set_scenario(replace(HEALTHY, storage=faults))

    def files(self) -> dict[str, Path]:
        return {
            path.relative_to(self.root).as_posix(): path
            for path in self.root.rglob("*")
            if path.is_file() and ".syncer" not in path.relative_to(self.root).parts
        }

    def partials(self) -> list[Path]:
        return sorted((self.root / ".syncer" / "partial").glob("*"))

    def check(self, errand: Errand, file: StoredFile) -> None:
        """It is the file, byte for byte, and there is no partial of it."""
        job = self.sandbox.store.get(errand.id)
        content = self.sandbox.content(job.id).read(0, job.size)
        assert (self.root / file.path).read_bytes() == content
        assert (file.size, file.sha256) == (job.size, self.sandbox.digests(job.id).sha256)


@dataclass
class Giver:
    """A Lead that remembers, says yes to the names that are not in `taken`, and raises where told."""

    place: Place
    taken: Callable[[str], bool] = lambda path: False
    error: Exception | None = None
    reserved: list[tuple[str, Promise]] = field(default_factory=list)
    bytes: int = 0
    here: int = 0
    some: asyncio.Event = field(default_factory=asyncio.Event)

    async def reserve(self, path: str, promise: Promise) -> bool:
        await asyncio.sleep(0)
        assert path not in self.place.files(), "it has its name already"
        self.reserved.append((path, promise))
        if self.error is not None:
            raise self.error
        return not self.taken(path)

    def arrived(self, count: int) -> None:
        self.bytes += count
        self.some.set()

    def done_with_line(self) -> None:
        self.here += 1


def _process(place_root: Path) -> Helper:
    return HelperProcess(
        Setup(
            destination=str(place_root),
            min_free=0,
            naming=Naming().template,
            workers=4,
            max_file_size=TOO_LARGE - 1,
            connect_timeout=15.0,
            read_timeout=60.0,
            total_timeout=None,
            ca_bundle=None,
            proxy=None,
            log_level=logging.WARNING,
        )
    )


@pytest.fixture(params=["process", "fake"])
async def place(request, tmp_path) -> AsyncIterator[Place]:
    sandbox, root = Sandbox(), tmp_path / "dest"
    folder = FolderDestination(root, clock=CLOCK)
    await folder.bind("ledger-1", "dest-1")
    made: list[Helper] = []
    folders = [folder]
    async with running(sandbox), HttpFetcher(clock=CLOCK, read_timeout=60.0) as fetcher:

        def make() -> Helper:
            if request.param == "process":
                made.append(_process(root))
            else:
                folders.append(FolderDestination(root, clock=CLOCK, keeps_manifest=False))
                made.append(FakeHelper(fetcher, folders[-1], CLOCK, Rules(max_file_size=TOO_LARGE - 1)))
            return made[-1]

        yield Place(root, sandbox, folder, make)
        for helper in made:
            await helper.end()
    for each in folders:
        with suppress(SyncerError):
            await each.close()


@pytest.fixture
async def helper(place) -> Helper:
    made = place.make()
    await made.start("dest-1")
    return made


async def bring(helper: Helper, errand: Errand, giver: Giver) -> StoredFile:
    async with asyncio.timeout(PATIENCE):
        return await helper.bring(errand, giver)


async def test_files_come_home_whole_many_at_once(place, helper):
    """Each is reserved before it has its name, and told of as its bytes come."""
    assert helper.is_ready
    small, large = place.add("small"), place.add("large", LARGE)
    for errand, size, leaves_its_line in ((small, SMALL, True), (large, LARGE, False)):
        giver = Giver(place)
        file = await bring(helper, errand, giver)
        place.check(errand, file)
        ((path, promise),) = giver.reserved
        assert (path, promise.size, promise.etag, giver.bytes) == (file.path, size, file.etag, size)
        assert giver.here <= leaves_its_line  # it is told where all came within a moment
    errands = [place.add(f"many-{n}", SMALL + n) for n in range(40)]
    files = await asyncio.gather(*(bring(helper, errand, Giver(place)) for errand in errands))
    for errand, file in zip(errands, files, strict=True):
        place.check(errand, file)
    assert place.partials() == []
    assert not (place.root / ".syncer" / "manifest.jsonl").exists()


async def test_a_small_file_leaves_its_line_as_soon_as_its_bytes_are_here(place, helper):
    """Where they take longer than a moment they come as those of a large one: so one of these many is enough."""
    givers = []
    for n in range(20):
        givers.append(Giver(place))
        await bring(helper, place.add(f"small-{n}", 1000), givers[-1])
        if givers[-1].here:
            break
    assert {giver.here for giver in givers} <= {0, 1}
    assert givers[-1].here == 1


async def test_a_name_that_is_taken_leads_to_another(place, helper):
    """In the ledger, or by what came to lie there since it was looked; and where all are, that is said."""
    first, second, third = place.add("first"), place.add("second"), place.add("third")
    giver = Giver(place, taken=lambda path: path == first.free.path)
    place.check(first, file := await bring(helper, first, giver))
    assert [path for path, _ in giver.reserved] == [first.free.path, file.path]

    stranger = place.root / second.free.path
    stranger.parent.mkdir(parents=True, exist_ok=True)
    stranger.write_bytes(b"a stranger's")
    giver = Lenient(place)
    place.check(second, file := await bring(helper, second, giver))
    assert [path for path, _ in giver.reserved] == [second.free.path, file.path]
    assert stranger.read_bytes() == b"a stranger's"

    giver = Giver(place, taken=lambda path: True)
    with pytest.raises(NameTaken):
        await bring(helper, third, giver)
    assert len(giver.reserved) == MOST_NAMES
    assert len(place.files()) == 3
    assert place.partials() == []


class Lenient(Giver):
    """Says yes to names under which something lies."""

    async def reserve(self, path: str, promise: Promise) -> bool:
        self.reserved.append((path, promise))
        return True


FAULTS = {
    "refused": (Status(status=403, when=When(jobs=frozenset({"refused"}))), LinkRefused, 0),
    "busy": (Status(status=429, retry_after=7, when=When(jobs=frozenset({"busy"}))), StorageBusy, 0),
    "unwell": (Status(status=503, when=When(jobs=frozenset({"unwell"}))), StorageBusy, 0),
    "page": (ErrorPage(when=When(jobs=frozenset({"page"}))), NotTheFile, 0),
    "cut": (Cut(after=1_200_000, when=When(jobs=frozenset({"cut"}))), Interrupted, 1_200_000),
    "other": (WrongChecksum(when=When(jobs=frozenset({"other"}))), ChecksumMismatch, None),
}


async def test_what_a_file_is_to_blame_for_comes_through_as_it_was_raised(place, helper):
    """Held against the same errands run in this process; what arrived can be gone on from by whoever comes next."""
    place.fail(*(fault for fault, _, _ in FAULTS.values()))
    errands = {name: place.add(name, LARGE) for name in FAULTS}
    errands["large"] = place.add("large", TOO_LARGE)
    began = CLOCK.now()
    raised = dict(zip(errands, await asyncio.gather(*map(failing(helper, place), errands.values())), strict=True))
    ended = CLOCK.now()
    async with HttpFetcher(clock=CLOCK) as fetcher:
        other = FolderDestination(place.root, clock=CLOCK, keeps_manifest=False)
        await other.prove("dest-1")
        for name, (_, kind, kept) in FAULTS.items():
            partial = await other.open_partial(name)
            assert (type(raised[name]), partial.size) == (kind, kept or 0), name
            await partial.discard()
        local = FakeHelper(fetcher, other, CLOCK, Rules(max_file_size=TOO_LARGE - 1))
        await local.start("dest-1")
        for name, errand in errands.items():
            wanted = await failing(local, place)(errand)
            assert (type(raised[name]), raised[name].message, raised[name].hint) == (
                type(wanted),
                wanted.message,
                wanted.hint,
            )
            assert raised[name].kind == wanted.kind
        await local.end()
        await other.close()
    assert isinstance(raised["large"], TooLarge)
    asked = raised.pop("busy").retry_after - timedelta(seconds=7)
    assert began - timedelta(seconds=1) <= asked <= ended + timedelta(seconds=1)
    assert {error.retry_after for error in raised.values()} == {None}
    assert place.files() == {}


def failing(helper: Helper, place: Place):
    async def run(errand: Errand) -> FetchError:
        with pytest.raises(FetchError) as caught:
            await bring(helper, errand, Giver(place))
        return caught.value

    return run


async def test_a_partial_that_was_left_is_gone_on_from_by_the_next(place, helper):
    place.fail(FAULTS["cut"][0])
    errand = place.add("cut", LARGE)
    giver = Giver(place)
    with pytest.raises(Interrupted):
        await bring(helper, errand, giver)
    assert giver.bytes == 1_200_000
    (partial,) = place.partials()
    assert partial.stat().st_size == 1_200_000
    await place.folder.note_partial("cut")
    opened = await place.folder.open_partial("cut")
    content = place.sandbox.content("cut").read(0, LARGE)
    assert await opened.tail(LARGE) == content[:1_200_000]
    await opened.begin(opened.size, frozenset(), LARGE)
    opened.write(content[opened.size :])
    assert (await opened.finish())["sha256"] == place.sandbox.digests("cut").sha256
    await opened.discard()


@pytest.mark.parametrize("kind", [StaleClaim, LedgerError])
async def test_what_reserving_raises_is_raised_itself(place, helper, kind):
    for number in range(2):  # and the helper is none the worse for it
        error = kind("It ran out.")
        with pytest.raises(kind) as caught:
            await bring(helper, place.add(f"job-{number}"), Giver(place, error=error))
        assert caught.value is error
    assert place.files() == {}
    errand = place.add("another")
    place.check(errand, await bring(helper, errand, Giver(place)))


async def declined(place: Place, helper: Helper) -> None:
    """Every errand is, as soon as a look at the destination that was taken before is no longer good."""
    for number in range(1000):
        errand = place.add(f"job-{number}")
        with suppress(Declined):
            await bring(helper, errand, Lenient(place))
            continue
        return
    pytest.fail("none was declined")


async def test_a_destination_that_is_gone_or_another_is_no_files_fault(place, helper, tmp_path):
    place.root.rename(tmp_path / "away")
    await declined(place, helper)
    assert not place.root.exists()
    foreign = FolderDestination(place.root, clock=CLOCK)
    await foreign.bind("ledger-2", "dest-2")
    await foreign.close()
    before = sorted(place.root.rglob("*"))
    with pytest.raises(Declined):
        await bring(helper, place.add("later"), Giver(place))
    assert sorted(place.root.rglob("*")) == before
    with pytest.raises(Declined):
        await place.make().start("dest-1")


async def test_a_destination_that_refuses_is_no_files_fault(place, helper):
    (place.root / ".syncer" / "partial").mkdir(exist_ok=True)
    (place.root / ".syncer" / "partial").rmdir()
    (place.root / ".syncer" / "partial").write_bytes(b"in the way")
    await declined(place, helper)


async def test_cancelled_it_is_heard_when_nothing_is_written_any_more(place, helper):
    place.fail(Slow(rate=1_000_000, when=When(jobs=frozenset({"slow"}))))
    errand, giver = place.add("slow", LARGE), Giver(place)
    task = asyncio.create_task(bring(helper, errand, giver))
    await asyncio.wait_for(giver.some.wait(), PATIENCE)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (partial,) = place.partials()
    seen, told = partial.stat(), giver.bytes
    other = place.add("other", LARGE)
    place.check(other, await bring(helper, other, Giver(place)))
    now = partial.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (seen.st_size, seen.st_mtime_ns, seen.st_ino)
    assert giver.bytes == told <= LARGE
    await place.folder.note_partial("slow")
    opened = await place.folder.open_partial("slow")
    assert place.sandbox.content("slow").read(0, opened.size) == await opened.tail(LARGE)
    await opened.discard()


async def test_cancelled_before_it_began_it_leaves_nothing(place, helper):
    errand = place.add("job")
    task = asyncio.create_task(helper.bring(errand, Giver(place)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, PATIENCE)
    assert (place.files(), place.partials(), place.sandbox.log.requests(Kind.STORAGE)) == ({}, [], [])
    place.check(errand, await bring(helper, errand, Giver(place)))


async def test_ended_amid_files_it_writes_nothing_any_more(place, helper):
    place.fail(Stall(after=1_500_000))
    errands = [place.add(f"job-{n}", LARGE) for n in range(3)]
    givers = [Giver(place) for _ in errands]
    tasks = [asyncio.create_task(bring(helper, *pair)) for pair in zip(errands, givers, strict=True)]
    for giver in givers:
        await asyncio.wait_for(giver.some.wait(), PATIENCE)
    await asyncio.wait_for(helper.end(), PATIENCE)
    assert not helper.is_ready
    raised = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in raised] == [Declined] * 3
    seen = {path: path.stat().st_mtime_ns for path in place.partials()}
    assert len(seen) == 3
    place.fail()
    with pytest.raises(Declined):
        await bring(helper, place.add("late"), Giver(place))
    another = place.make()
    await another.start("dest-1")
    other = place.add("other", LARGE)
    place.check(other, await bring(another, other, Giver(place)))
    assert {path: path.stat().st_mtime_ns for path in place.partials()} == seen


async def test_one_that_was_not_started_declines_and_ends(place):
    idle = place.make()
    assert not idle.is_ready
    with pytest.raises(Declined):
        await bring(idle, place.add("job"), Giver(place))
    await asyncio.wait_for(idle.end(), PATIENCE)
    foreign = place.make()
    with pytest.raises(Declined):
        await asyncio.wait_for(foreign.start("another-destination"), PATIENCE)
    assert not foreign.is_ready
    await asyncio.wait_for(foreign.end(), PATIENCE)
    assert place.files() == {}
