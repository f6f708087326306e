"""What any core.ports.Destination must do: the folder on a real file system, and the fake in memory."""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import google_crc32c
import pytest
from fakes.destination import FakeDestination, FakeDisk

from syncer.core.errors import DestinationError, DestinationForeign, DestinationMissing, NameTaken, NoRoom
from syncer.core.model import StoredFile
from syncer.core.ports import Destination, Partial
from syncer.core.segments import Span
from syncer.destination import FolderDestination
from syncer.runner.clock import SystemClock

AT = datetime(2026, 11, 5, 12, tzinfo=UTC)
BOTH = frozenset({"md5", "crc32c"})


@dataclass
class Place:
    """Somewhere to open destinations on, to unmount, and to run down to its floor of free space."""

    make: Callable[..., Destination]  # told `keeps_manifest`, or not
    vanish: Callable[[], None]
    come_back: Callable[[], None]
    crowd: Callable[[], Destination]


def _folder(tmp_path: Path, opened: list[FolderDestination]) -> Place:
    root, away = tmp_path / "dest", tmp_path / "away"

    def make(**more: bool) -> FolderDestination:
        opened.append(FolderDestination(root, clock=SystemClock(), **more))
        return opened[-1]

    def crowd() -> FolderDestination:
        opened.append(FolderDestination(root, clock=SystemClock(), min_free=10**18))
        return opened[-1]

    return Place(make, lambda: root.rename(away), lambda: away.rename(root), crowd)


def _memory() -> Place:
    disk = FakeDisk()

    def crowd() -> FakeDestination:
        disk.above_floor = 0
        return FakeDestination(disk)

    return Place(
        lambda **more: FakeDestination(disk, **more),
        lambda: setattr(disk, "gone", True),
        lambda: setattr(disk, "gone", False),
        crowd,
    )


@pytest.fixture(params=["folder", "fake"])
async def place(request, tmp_path) -> AsyncIterator[Place]:
    opened: list[FolderDestination] = []
    yield _folder(tmp_path, opened) if request.param == "folder" else _memory()
    for destination in opened:
        await destination.close()


@pytest.fixture
async def destination(place) -> Destination:
    made = place.make()
    await made.bind("ledger-1", "dest-1")
    await made.prove("dest-1")
    return made


def digests_of(content: bytes, *names: str) -> dict[str, str]:
    found = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "crc32c": google_crc32c.value(content).to_bytes(4, "big").hex(),
    }
    return {name: found[name] for name in ("sha256", *names)}


async def filled(destination: Destination, job_id: str, content: bytes) -> Partial:
    partial = await destination.open_partial(job_id)
    await partial.begin(0, frozenset())
    partial.write(content)
    return partial


async def put(destination: Destination, path: str, content: bytes, job_id: str = "job") -> None:
    partial = await filled(destination, job_id, content)
    try:
        await partial.finish()
        await partial.publish(path, AT)
    finally:
        await partial.close()


async def test_identity(place):
    first = place.make()
    assert first.location
    assert await first.identify("ledger-1") is None
    await first.bind("ledger-1", "dest-1")
    await first.bind("ledger-1", "dest-1")
    assert await first.identify("ledger-1") == "dest-1"
    with pytest.raises(DestinationForeign):
        await first.identify("ledger-2")
    with pytest.raises(DestinationForeign):
        await first.bind("ledger-2", "dest-2")
    await place.make().prove("dest-1")
    with pytest.raises(DestinationForeign):
        await place.make().prove("dest-2")
    with pytest.raises(AssertionError):
        await place.make().open_partial("job")


async def test_what_was_bound_can_be_used_at_once(place):
    made = place.make()
    await made.bind("ledger-1", "dest-1")
    await put(made, "a.mp4", b"x")


async def test_one_file_from_partial_to_published(destination):
    partial = await destination.open_partial("job")
    assert partial.size == 0
    assert await partial.tail(10) == b""
    await partial.begin(0, BOTH)
    for piece in (b"some ", bytearray(b"bytes "), memoryview(b"of a film"), b""):
        partial.write(piece)
    content = b"some bytes of a film"
    assert partial.size == len(content)
    assert await partial.tail(4) == b"film"
    assert await partial.tail(1000) == content
    assert await partial.finish() == digests_of(content, "md5", "crc32c")
    assert await destination.size_of("2026/11/a.mp4") is None
    await partial.publish("2026/11/a.mp4", AT)
    assert partial.size == len(content)
    await partial.close()
    assert await destination.size_of("2026/11/a.mp4") == len(content)
    assert await destination.size_of("2026/11") == -1
    assert await destination.digest("2026/11/a.mp4", frozenset()) == digests_of(content)
    assert await destination.digest("2026/11/a.mp4", BOTH) == digests_of(content, "md5", "crc32c")
    await destination.enlist("job", None, StoredFile("2026/11/a.mp4", len(content), "0" * 64, None, AT))
    again = await destination.open_partial("job")
    assert again.size == 0
    await again.discard()


async def test_an_empty_file_is_a_file(destination):
    await put(destination, "empty.mp4", b"")
    assert await destination.size_of("empty.mp4") == 0
    assert await destination.digest("empty.mp4", BOTH) == digests_of(b"", "md5", "crc32c")


@pytest.mark.parametrize("keep", [0, 1, 999, 1000])
async def test_a_partial_waits_for_another_pass(place, destination, keep):
    content = bytes(range(250)) * 4
    first = await filled(destination, "job", content)
    await first.close()
    later = place.make()
    await later.prove("dest-1")
    second = await later.open_partial("job")
    assert second.size == 1000
    assert await second.tail(300) == content[-300:]
    await second.begin(keep, BOTH)
    assert second.size == keep
    second.write(b"the rest")
    whole = content[:keep] + b"the rest"
    assert await second.finish() == digests_of(whole, "md5", "crc32c")
    await second.publish("a.mp4", None)
    await second.close()
    assert await later.digest("a.mp4", frozenset()) == digests_of(whole)


async def test_beginning_again_forgets_what_was_written(destination):
    partial = await filled(destination, "job", b"an error page")
    await partial.begin(0, frozenset())
    partial.write(b"film")
    assert await partial.finish() == digests_of(b"film")
    await partial.close()


async def test_discarded_is_gone(destination):
    partial = await filled(destination, "job", b"bytes")
    await partial.discard()
    await partial.close()
    again = await destination.open_partial("job")
    assert again.size == 0
    await again.close()


async def test_swept_is_gone_and_the_rest_is_not(destination):
    for job_id in ("a", "b"):
        await (await filled(destination, job_id, b"bytes")).close()
    await destination.sweep(["a", "never there"])
    await destination.sweep([])
    sizes = []
    for job_id in ("a", "b"):
        partial = await destination.open_partial(job_id)
        sizes.append(partial.size)
        await partial.close()
    assert sizes == [0, 5]


async def test_many_steps_in_one_go_are_those_steps(destination):
    async def bring(content: bytes, path: str) -> dict[str, str]:
        partial = await destination.open_partial("job")
        try:
            await partial.begin(0, BOTH)
            partial.write(content)
            digests = await partial.finish()
            assert await partial.finish() == digests
            await partial.publish(path, AT)
        finally:
            await partial.close()
        return digests

    assert await destination.in_one_go(bring, b"film", "2026/a.mp4") == digests_of(b"film", "md5", "crc32c")
    assert await destination.digest("2026/a.mp4", frozenset()) == digests_of(b"film")
    with pytest.raises(NameTaken):
        await destination.in_one_go(bring, b"another", "2026/a.mp4")
    assert await destination.in_one_go(destination.size_of, "2026/a.mp4") == 4


async def test_a_look_ahead_says_what_has_neither_a_partial_nor_a_file(destination):
    await put(destination, "2026/a.mp4", b"first", "a")
    await (await filled(destination, "held", b"bytes")).close()
    jobs = [("a", "2026/a.mp4"), ("b", "2026/b.mp4"), ("held", "2026/c.mp4"), ("c", "2026/a.mp4/c.mp4"), ("d", "2026")]
    assert list(await destination.look(jobs)) == [False, True, False, False, False]
    assert list(await destination.look([])) == []
    with pytest.raises(ValueError, match="inside the destination"):
        await destination.look([("b", "../b.mp4")])
    partial = await destination.open_partial("b", is_new=True)
    with pytest.raises(AssertionError):
        await destination.open_partial("b", is_new=True)
    assert (partial.size, partial.held, partial.spans()) == (0, 0, ())
    await partial.begin(0, frozenset(), 5)
    partial.write(b"bytes")
    await partial.finish()
    await partial.publish("2026/b.mp4", AT)
    await partial.close()
    assert await destination.size_of("2026/b.mp4") == 5
    await (await destination.open_partial("c", is_new=True)).discard()
    await (await destination.open_partial("d", is_new=True)).close()
    assert list(await destination.look([("b", "2026/x.mp4"), ("c", "2026/c.mp4")])) == [True, True]
    await (await filled(destination, "c", b"bytes that came since")).close()
    partial = await destination.open_partial("c", is_new=True)
    assert partial.size == 21
    await partial.close()


async def test_nothing_is_replaced(destination):
    await put(destination, "2026/a.mp4", b"first", "one")
    partial = await filled(destination, "two", b"second")
    await partial.finish()
    for path in ("2026/a.mp4", "2026", "2026/a.mp4/b.mp4"):
        with pytest.raises(NameTaken):
            await partial.publish(path, None)
    await partial.publish("2026/b.mp4", None)
    await partial.close()
    assert await destination.digest("2026/a.mp4", frozenset()) == digests_of(b"first")
    assert await destination.digest("2026/b.mp4", frozenset()) == digests_of(b"second")


async def test_only_the_finished_is_published(destination):
    partial = await destination.open_partial("job")
    with pytest.raises(AssertionError):
        partial.write(b"x")
    with pytest.raises(AssertionError):
        await partial.finish()
    with pytest.raises(AssertionError):
        await partial.publish("a", None)
    await partial.begin(0, frozenset())
    partial.write(b"x")
    await partial.finish()
    partial.write(b"y")
    with pytest.raises(AssertionError):
        await partial.publish("a", None)
    with pytest.raises(AssertionError):
        await partial.begin(3, frozenset())
    await partial.close()
    assert await destination.size_of("a") is None


async def test_one_hand_at_a_partial(destination):
    partial = await destination.open_partial("job")
    with pytest.raises(AssertionError):
        await destination.open_partial("job")
    await partial.close()
    await partial.close()
    await (await destination.open_partial("job")).close()


@pytest.mark.parametrize("path", ["", "/a", "../a", "a/../b", "a//b", ".syncer/a", ".Syncer/a"])
async def test_no_path_leads_out(destination, path):
    partial = await filled(destination, "job", b"x")
    await partial.finish()
    with pytest.raises(ValueError, match="inside"):
        await partial.publish(path, None)
    with pytest.raises(ValueError, match="inside"):
        await destination.size_of(path)
    await partial.close()


VERSION = '"v1"'


async def parted(destination: Destination, front: bytes, ahead: dict[int, bytes], size: int) -> Partial:
    """A partial with bytes in order, and some that came before their turn."""
    partial = await destination.open_partial("job")
    await partial.begin(0, BOTH, size, VERSION)
    partial.write(front)
    await partial.spread(VERSION, size)
    for start, piece in ahead.items():
        partial.at(start).write(piece)
    return partial


async def test_bytes_may_come_from_several_threads_at_once(destination):
    """None of them forgets what another wrote meanwhile."""
    block, blocks, lanes = b"x" * 16, 150, 4
    size = len(block) * blocks * lanes
    partial = await parted(destination, b"", {}, size)

    def write(lane):
        sink = partial.at(lane * blocks * len(block))
        for _ in range(blocks):
            sink.write(block)

    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        await asyncio.gather(*(asyncio.to_thread(write, lane) for lane in range(lanes)))
    finally:
        sys.setswitchinterval(often)
    assert partial.spans() == (Span(0, size),)
    await partial.catch_up(size)
    assert await partial.finish() == digests_of(block * blocks * lanes, "md5", "crc32c")
    await partial.close()


async def test_bytes_may_come_before_their_turn(destination):
    content = bytes(range(256)) * 40
    partial = await parted(destination, content[:1000], {5000: content[5000:6000]}, len(content))
    assert (partial.size, partial.held) == (1000, 2000)
    assert partial.spans() == (Span(0, 1000), Span(5000, 6000))
    middle = partial.at(1000)
    middle.write(content[1000:1500])
    middle.write(memoryview(content)[1500:5000])
    await partial.catch_up(5100)
    assert (partial.size, partial.held) == (5100, 6000)
    await partial.catch_up(len(content))
    assert (partial.size, partial.held) == (6000, 6000)
    assert await partial.tail(10) == content[5990:6000]
    assert await partial.tail(10, 20) == content[10:20]
    last = partial.at(6000)
    last.write(content[6000:])
    await partial.catch_up(len(content))
    assert await partial.finish() == digests_of(content, "md5", "crc32c")
    await partial.publish("a.mp4", AT)
    await partial.close()
    assert await destination.digest("a.mp4", frozenset()) == digests_of(content)


async def test_what_came_before_its_turn_outlives_a_restart(place, destination):
    content = bytes(range(256)) * 40
    partial = await parted(destination, content[:1000], {5000: content[5000:6000]}, len(content))
    await partial.close()
    later = place.make()
    await later.prove("dest-1")
    again = await later.open_partial("job")
    assert again.spans() == (Span(0, 1000), Span(5000, 6000))
    await again.begin(1000, BOTH, len(content), VERSION)
    assert again.spans() == (Span(0, 1000), Span(5000, 6000))
    assert await again.tail(5, 6000) == content[5995:6000]
    again.at(1000).write(content[1000:5000])
    again.at(6000).write(content[6000:])
    await again.catch_up(len(content))
    assert await again.finish() == digests_of(content, "md5", "crc32c")
    await again.discard()


async def test_the_last_byte_of_the_file_is_asked_for_again(place, destination):
    partial = await parted(destination, b"front", {90: b"0123456789"}, 100)
    await partial.close()
    later = place.make()
    await later.prove("dest-1")
    again = await later.open_partial("job")
    assert again.spans() == (Span(0, 5), Span(90, 99))
    assert again.held == 14
    await again.discard()


async def test_a_kill_costs_what_came_since_the_last_note(place, destination):
    partial = await parted(destination, b"front", {50: b"noted"}, 100)
    await partial.note()
    partial.at(70).write(b"not noted")
    later = place.make()  # the first one never closed anything
    await later.prove("dest-1")
    again = await later.open_partial("job")
    assert again.spans() == (Span(0, 5), Span(50, 55))
    await again.close()
    await partial.close()


@pytest.mark.parametrize("how", [(5, 100, '"v2"'), (5, 101, VERSION), (4, 100, VERSION), (5, 100, None)])
async def test_another_version_or_another_size_drops_what_lies_ahead(place, destination, how):
    keep, size, version = how
    partial = await parted(destination, b"front", {50: b"ahead"}, 100)
    await partial.close()
    again = await destination.open_partial("job")
    await again.begin(keep, frozenset(), size, version)
    assert again.spans() == (Span(0, keep),)
    assert (again.size, again.held) == (keep, keep)
    again.write(b"s")
    await again.close()
    last = await destination.open_partial("job")
    assert last.spans() == (Span(0, keep + 1),)
    await last.discard()


async def test_one_can_go_back_to_the_bytes_in_order(destination):
    partial = await parted(destination, b"front", {50: b"ahead"}, 100)
    await partial.retract()
    assert partial.spans() == (Span(0, 5),)
    await partial.begin(5, frozenset(), 100)
    partial.write(b"s")
    assert await partial.finish() == digests_of(b"fronts")
    await partial.discard()


async def test_a_partial_with_a_gap_is_never_finished(destination):
    partial = await parted(destination, b"front", {50: b"ahead"}, 55)
    with pytest.raises(AssertionError):
        await partial.finish()
    await partial.close()


async def test_nothing_of_a_parted_partial_is_left_over(destination):
    partial = await parted(destination, b"front", {50: b"ahead"}, 100)
    await partial.close()
    await destination.sweep(["job"])
    again = await destination.open_partial("job")
    assert (again.size, again.held) == (0, 0)
    await again.begin(0, frozenset(), 100, VERSION)
    again.write(b"front")
    await again.spread(VERSION, 100)
    await again.discard()
    last = await destination.open_partial("job")
    assert (last.size, last.held) == (0, 0)
    with pytest.raises(AssertionError):
        last.at(5)
    await last.discard()


@pytest.mark.parametrize("job_id", ["../../etc/passwd", "a/b", "\0", "", "x" * 5000, "\ud800", "CON"])
async def test_any_id_has_a_partial(destination, job_id):
    partial = await filled(destination, job_id, b"x")
    await partial.close()
    again = await destination.open_partial(job_id)
    assert again.size == 1
    await again.discard()


async def test_what_vanished_is_missed_and_what_came_back_is_there(place, destination):
    partial = await filled(destination, "job", b"bytes")
    await partial.finish()
    place.vanish()
    for attempt in (
        lambda: partial.publish("a.mp4", None),
        lambda: destination.open_partial("other"),
        lambda: destination.size_of("a.mp4"),
        lambda: destination.look([("other", "a.mp4")]),
        lambda: destination.digest("a.mp4", frozenset()),
        lambda: destination.enlist("job", None, StoredFile("a.mp4", 5, "0" * 64, None, AT)),
        lambda: destination.enlist("job", None, StoredFile("a.mp4", 5, "0" * 64, None, AT), is_durable=True),
        lambda: destination.sweep(["job"]),
        lambda: destination.prove("dest-1"),
    ):
        with pytest.raises(DestinationMissing) as caught:
            await attempt()
        assert caught.value.hint
    assert await destination.identify("ledger-1") is None
    place.come_back()
    await partial.publish("a.mp4", None)
    await partial.close()
    assert await destination.size_of("a.mp4") == 5


async def test_reading_what_is_not_there_is_an_error_of_the_destination(destination):
    with pytest.raises(DestinationError):
        await destination.digest("nothing.mp4", frozenset())


async def test_every_visible_file_is_walked(destination):
    for path in ("a.mp4", "2026/11/b.mp4", "2026/11/deep/er/c.mp4", ".hidden/d.mp4", "#recycle/e.mp4"):
        await put(destination, path, path.encode())
    found = sorted([each async for each in destination.walk()])
    assert found == [("2026/11/b.mp4", 13), ("2026/11/deep/er/c.mp4", 21), ("a.mp4", 5)]


async def test_what_is_set_aside_leaves_its_name_free_and_is_kept(destination):
    kept = []
    for content in (b"first", b"second"):
        await put(destination, "2026/a.mp4", content)
        kept.append(await destination.set_aside("2026/a.mp4", AT))
        assert await destination.size_of("2026/a.mp4") is None
    assert len(set(kept)) == 2
    assert all(path.startswith(".syncer/aside/20261105T120000Z") for path in kept)
    assert await destination.set_aside("2026/a.mp4", AT) is None
    assert [each async for each in destination.walk()] == []


async def test_a_manifest_is_written_anew(destination):
    file = StoredFile("a.mp4", 1, "0" * 64, None, AT)
    await put(destination, "a.mp4", b"x")
    await destination.enlist("a", None, file)

    async def lines():
        for n in range(2500):
            yield f"job-{n}", "Film", file

    assert await destination.relist(lines()) == 2500
    await destination.enlist("later", None, file)
    listed = [job_id async for job_id, _, _ in destination.listed()]
    assert listed == [*(f"job-{n}" for n in range(2500)), "later"]


async def test_a_manifest_that_cannot_be_finished_leaves_the_old_one(destination):
    file = StoredFile("a.mp4", 1, "0" * 64, None, AT)
    await put(destination, "a.mp4", b"x")
    await destination.enlist("a", None, file)

    async def lines():
        yield "b", None, file
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await destination.relist(lines())
    assert [job_id async for job_id, _, _ in destination.listed()] == ["a"]


async def test_reading_tells_how_far_it_is(destination):
    await put(destination, "a.mp4", b"x" * 3_000_000)
    counts = []
    await destination.digest("a.mp4", frozenset(), counts.append)
    assert sum(counts) == 3_000_000


async def test_a_marker_may_change_hands(place, destination):
    assert await destination.marked() == "dest-1"
    await destination.rebind("ledger-2", "dest-2")
    assert await place.make().marked() == "dest-2"
    with pytest.raises(DestinationForeign):
        await place.make().prove("dest-1")
    await destination.size_of("a.mp4")


async def test_at_the_floor_no_file_is_begun_and_none_without_a_length_goes_on(place):
    await place.make().bind("ledger-1", "dest-1")
    crowded = place.crowd()
    await crowded.prove("dest-1")
    sized = await crowded.open_partial("sized")
    with pytest.raises(NoRoom):
        await sized.begin(0, frozenset(), 10)
    await sized.begin(0, frozenset(), 0)
    await sized.close()
    endless = await crowded.open_partial("endless")
    await endless.begin(0, frozenset())
    with pytest.raises(NoRoom):
        endless.write(b"x")
    assert endless.size == 0
    await endless.discard()


async def test_the_manifest_is_flushed_at_any_time(destination):
    await destination.flush()
    await put(destination, "a.mp4", b"x")
    await destination.enlist("job", "a", StoredFile("a.mp4", 1, digests_of(b"x")["sha256"], None, AT))
    await destination.flush()
    await destination.flush()


async def test_what_another_published_and_made_durable_is_enlisted(place, destination):
    """As by a second process at the same folder: it publishes, and the one that keeps the manifest enlists."""
    other = place.make(keeps_manifest=False)
    await other.prove("dest-1")
    file = StoredFile("2026/a.mp4", 4, digests_of(b"film")["sha256"], '"v1"', AT)
    await put(other, "2026/a.mp4", b"film")
    await other.enlist("job", "Film", file)
    await other.flush()
    assert [each async for each in destination.listed()] == []
    await destination.enlist("job", "Film", file, is_durable=True)
    await destination.flush()
    assert [each async for each in destination.listed()] == [("job", "Film", file)]
    assert await destination.digest("2026/a.mp4", frozenset()) == digests_of(b"film")


async def test_a_partial_that_another_left_is_known_once_it_is_noted(place, destination):
    assert list(await destination.look([("job", "a.mp4"), ("other", "b.mp4")])) == [True, True]
    other = place.make(keeps_manifest=False)
    await other.prove("dest-1")
    await (await filled(other, "job", b"bytes")).close()
    await destination.note_partial("job")
    assert list(await destination.look([("job", "a.mp4"), ("other", "b.mp4")])) == [False, True]
    partial = await destination.open_partial("job", is_new=True)
    assert partial.size == 5
    await partial.discard()
    assert list(await destination.look([("job", "a.mp4")])) == [True]


async def test_a_partial_that_is_not_there_is_not_noted(destination):
    await destination.note_partial("job")
    assert list(await destination.look([("job", "a.mp4")])) == [True]


async def test_what_is_free_above_the_floor_is_told(place, destination):
    told = await destination.free()
    assert told is not None
    assert told > 0
    crowded = place.crowd()
    await crowded.prove("dest-1")
    assert await crowded.free() < told
