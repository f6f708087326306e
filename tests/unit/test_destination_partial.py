"""Partials and publishing on a real file system: whole or not at all, over nothing, inside the destination."""

import asyncio
import hashlib
import os
import shutil
import socket
import stat
import tempfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncer.core.errors import DestinationMissing, DestinationRefused, FetchError, NameTaken
from syncer.core.model import StoredFile
from syncer.core.naming import partial_key
from syncer.destination import FolderDestination
from syncer.destination.partial import STEP
from syncer.destination.publish import split
from syncer.destination.system import place, rename_to_free
from syncer.runner.clock import SystemClock

BOTH = frozenset({"md5", "crc32c"})


@pytest.fixture
async def destination(tmp_path):
    async with FolderDestination(tmp_path / "dest", clock=SystemClock()) as opened:
        await opened.bind("ledger-1", "dest-1")
        yield opened


@pytest.fixture
def root(tmp_path):
    return tmp_path / "dest"


def handles() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def file_of(root: Path, job_id: str) -> Path:
    return root / ".syncer/partial" / f"{partial_key(job_id)}.part"


def bind_at(path: Path) -> None:
    """A socket under that name, which may be longer than an address can be."""
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/s")
    os.close(folder)
    (path.parent / "s").rename(path)


async def fill(destination, job_id: str, content: bytes):
    partial = await destination.open_partial(job_id)
    await partial.begin(0, frozenset())
    partial.write(content)
    await partial.finish()
    return partial


async def put(destination, path: str, content: bytes = b"content", job_id: str = "job") -> None:
    partial = await fill(destination, job_id, content)
    try:
        await partial.publish(path, None)
    finally:
        await partial.close()


async def test_a_partial_is_private_and_a_published_file_is_not(destination, root):
    partial = await fill(destination, "job", b"x")
    assert stat.S_IMODE(file_of(root, "job").stat().st_mode) == 0o600
    await partial.publish("a.mp4", None)
    await partial.close()
    ordinary = root / "ordinary"
    ordinary.touch()
    assert (root / "a.mp4").stat().st_mode == ordinary.stat().st_mode
    assert not file_of(root, "job").exists()
    assert (root / "a.mp4").stat().st_nlink == 1


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2025, 5, 29, 3, 12, 30, 556061, UTC),
        datetime(1960, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
    ],
)
async def test_the_file_has_the_time_of_its_job_as_far_as_can_be(destination, root, moment):
    partial = await fill(destination, "job", b"x")
    await partial.publish("a.mp4", moment)
    await partial.close()
    if 1902 < moment.year < 2038:
        assert datetime.fromtimestamp((root / "a.mp4").stat().st_mtime, UTC) == moment
    assert (root / "a.mp4").read_bytes() == b"x"


async def test_a_name_that_is_taken_stays_as_it_is_and_another_can_be_tried(destination, root):
    (root / "2026").mkdir()
    (root / "2026/a.mp4").write_bytes(b"mine")
    partial = await fill(destination, "job", b"theirs")
    with pytest.raises(NameTaken):
        await partial.publish("2026/a.mp4", None)
    await partial.publish("2026/b.mp4", None)
    await partial.close()
    assert (root / "2026/a.mp4").read_bytes() == b"mine"
    assert (root / "2026/b.mp4").read_bytes() == b"theirs"


@pytest.mark.parametrize("obstacle", ["folder", "link", "dangling"])
async def test_whatever_has_the_name_is_never_replaced(destination, root, obstacle):
    target = root / "a.mp4"
    if obstacle == "folder":
        target.mkdir()
    else:
        target.symlink_to("elsewhere" if obstacle == "dangling" else ".syncer/destination.json")
    with pytest.raises(NameTaken):
        await put(destination, "a.mp4")
    assert await destination.size_of("a.mp4") == -1
    assert not (root / "elsewhere").exists()
    assert target.is_dir() or target.is_symlink()


async def test_a_file_where_a_folder_is_needed_blocks_only_what_goes_there(destination, root):
    (root / "2026").write_bytes(b"")
    with pytest.raises(NameTaken):
        await put(destination, "2026/11/a.mp4")
    assert await destination.size_of("2026/11/a.mp4") == -1
    await put(destination, "2027/a.mp4")


async def test_no_folder_leads_out_of_the_destination(destination, root, tmp_path):
    (tmp_path / "outside").mkdir()
    (root / "2026").symlink_to(tmp_path / "outside")
    (root / "notes").symlink_to(".syncer")
    (root / "nowhere").symlink_to("nothing")
    for path in ("2026/a.mp4", "2026/11/a.mp4", "notes/a.mp4", "nowhere/a.mp4"):
        with pytest.raises(NameTaken):
            await put(destination, path)
    assert list((tmp_path / "outside").iterdir()) == []


async def test_a_folder_moved_within_the_destination_is_followed(destination, root):
    (root / "archive").mkdir()
    (root / "2026").symlink_to("archive")
    await put(destination, "2026/11/a.mp4")
    assert (root / "archive/11/a.mp4").read_bytes() == b"content"
    assert await destination.size_of("2026/11/a.mp4") == 7


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../a", "a/../../b", "a//b", "./a", ".syncer/x", ".SYNCER/x", "a\0b"]
)
async def test_paths_that_do_not_stay_inside_are_a_bug(destination, path):
    with pytest.raises(ValueError, match="inside"):
        split(path)
    with pytest.raises(ValueError, match="inside"):
        await put(destination, path)
    with pytest.raises(ValueError, match="inside"):
        await destination.size_of(path)
    with pytest.raises(ValueError, match="inside"):
        await destination.digest(path, frozenset())


async def test_a_name_too_long_for_the_file_system_is_this_files_own_trouble(destination):
    with pytest.raises(NameTaken, match="too long"):
        await put(destination, "x" * 300)
    assert await destination.size_of("x" * 300) == -1


async def test_a_partial_that_is_a_published_file_already_is_left_to_its_reader(destination, root):
    """A pass killed between link and unlink: the two names are one file, and writing to it would break I1."""
    partial = await fill(destination, "job", b"published bytes")
    await partial.close()
    os.link(file_of(root, "job"), root / "a.mp4")
    again = await destination.open_partial("job")
    assert again.size == 0
    await again.begin(0, frozenset())
    again.write(b"others")
    await again.close()
    assert (root / "a.mp4").read_bytes() == b"published bytes"


@pytest.mark.parametrize("obstacle", ["link", "fifo", "socket"])
async def test_a_partial_that_is_no_plain_file_is_replaced(destination, root, tmp_path, obstacle):
    await (await destination.open_partial("other")).close()
    target = tmp_path / "victim"
    target.write_bytes(b"victim")
    if obstacle == "link":
        file_of(root, "job").symlink_to(target)
    elif obstacle == "fifo":
        os.mkfifo(file_of(root, "job"))
    else:
        bind_at(file_of(root, "job"))
    partial = await destination.open_partial("job")
    await partial.begin(0, frozenset())
    partial.write(b"x")
    await partial.close()
    assert file_of(root, "job").read_bytes() == b"x"
    assert target.read_bytes() == b"victim"


async def test_a_folder_where_a_partial_belongs_is_the_trouble_of_that_job_alone(destination, root):
    await (await fill(destination, "other", b"x")).close()
    folder = file_of(root, "job")
    (folder / "somebody's").mkdir(parents=True)
    partial = await destination.open_partial("job")
    with pytest.raises(FetchError, match=f"A folder .* where .syncer/partial/{folder.name} belongs"):
        await partial.begin(0, frozenset())
    await partial.discard()
    await destination.sweep(["job", "other"])
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert list(folder.iterdir()) == [folder / "somebody's"]
    folder.joinpath("somebody's").rmdir()
    folder.rmdir()
    await (await fill(destination, "job", b"x")).close()
    assert folder.read_bytes() == b"x"


async def test_what_a_power_cut_left_as_a_hole_is_not_kept(destination, root):
    partial = await fill(destination, "job", b"x" * 65536)
    await partial.close()
    os.truncate(file_of(root, "job"), 1_000_000)
    again = await destination.open_partial("job")
    assert again.size == 65536
    await again.begin(again.size, frozenset())
    again.write(b"y")
    digests = await again.finish()
    await again.close()
    assert digests["sha256"] == hashlib.sha256(b"x" * 65536 + b"y").hexdigest()
    assert file_of(root, "job").read_bytes() == b"x" * 65536 + b"y"


async def test_the_order_of_calls_is_kept(destination):
    partial = await destination.open_partial("job")
    with pytest.raises(AssertionError):
        partial.write(b"x")
    with pytest.raises(AssertionError):
        await partial.finish()
    await partial.begin(0, frozenset())
    partial.write(b"x")
    with pytest.raises(AssertionError):
        await partial.publish("a", None)
    await partial.finish()
    partial.write(b"y")
    with pytest.raises(AssertionError):
        await partial.publish("a", None)
    with pytest.raises(AssertionError):
        await partial.begin(3, frozenset())
    with pytest.raises(AssertionError):
        await destination.open_partial("job")
    await partial.close()
    await partial.close()
    with pytest.raises(ValueError, match="unknown digests"):
        await (await destination.open_partial("job")).begin(0, frozenset({"sha1"}))


async def test_a_failed_fsync_spoils_the_partial(destination, root):
    """The kernel forgets what it could not write: only new bytes are to be trusted. A pipe refuses fsync for real."""
    partial = await destination.open_partial("job")
    await partial.begin(0, frozenset())
    partial.write(b"x")
    reader, writer = os.pipe()
    os.dup2(writer, partial._fd)
    with pytest.raises(DestinationRefused, match="failed"):
        await partial.finish()
    os.close(reader)
    os.close(writer)
    with pytest.raises(AssertionError):
        await partial.finish()
    with pytest.raises(AssertionError):
        await partial.publish("a", None)
    await partial.close()
    assert not file_of(root, "job").exists()


async def test_a_partial_somebody_else_cut_is_not_taken_for_whole(destination, root):
    partial = await destination.open_partial("job")
    await partial.begin(0, frozenset())
    partial.write(b"whole")
    os.truncate(file_of(root, "job"), 2)
    with pytest.raises(DestinationRefused, match="another length"):
        await partial.finish()
    await partial.close()


async def test_a_full_disk_is_told_as_such(destination, root):
    """/dev/full answers ENOSPC to every write, as a full disk does."""
    partial = await destination.open_partial("job")
    await partial.begin(0, frozenset())
    partial.write(b"kept")
    full = os.open("/dev/full", os.O_RDWR)
    os.dup2(full, partial._fd)
    os.close(full)
    with pytest.raises(DestinationRefused, match="is full") as caught:
        partial.write(b"lost")
    assert caught.value.hint
    with pytest.raises(AssertionError):
        partial.write(b"after")
    await partial.close()
    again = await destination.open_partial("job")
    assert again.size == 4
    await again.close()


@given(
    content=st.binary(min_size=1, max_size=3000),
    cuts=st.lists(st.integers(0, 3000), max_size=6),
    keep=st.integers(0, 3000),
    kind=st.sampled_from([bytes, bytearray, memoryview]),
)
@settings(max_examples=40, deadline=None)
def test_any_cutting_and_any_keep_give_the_digests_of_the_bytes_on_disk(content, cuts, keep, kind):
    keep = min(keep, len(content))

    async def run(root: Path) -> None:
        async with FolderDestination(root, clock=SystemClock()) as destination:
            await destination.bind("ledger-1", "dest-1")
            first = await destination.open_partial("job")
            await first.begin(0, frozenset())
            first.write(content[:keep] + b"to be dropped")
            await first.close()
            second = await destination.open_partial("job")
            await second.begin(keep, BOTH)
            edges = sorted({keep, len(content), *(cut for cut in cuts if keep < cut < len(content))})
            for start, stop in pairwise(edges):
                second.write(kind(content[start:stop]))
            assert await second.tail(100) == content[-100:]
            digests = await second.finish()
            assert second.size == len(content)
            await second.publish("a.mp4", None)
            await second.close()
            assert digests["sha256"] == hashlib.sha256(content).hexdigest()
            assert digests == await destination.digest("a.mp4", BOTH)
            assert (root / "a.mp4").read_bytes() == content

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder) / "dest"))


async def test_kept_bytes_are_read_in_steps(destination):
    content = os.urandom(STEP + 12345)
    await (await fill(destination, "job", content)).close()
    partial = await destination.open_partial("job")
    await partial.begin(len(content), BOTH)
    digests = await partial.finish()
    await partial.publish("a", None)
    await partial.close()
    assert digests["sha256"] == hashlib.sha256(content).hexdigest()
    assert digests == await destination.digest("a", BOTH)


async def test_many_at_once_share_new_folders(destination, root):
    await asyncio.gather(*(put(destination, f"2026/11/{n}.mp4", str(n).encode(), f"job-{n}") for n in range(40)))
    assert {path.name for path in (root / "2026/11").iterdir()} == {f"{n}.mp4" for n in range(40)}
    assert list((root / ".syncer/partial").iterdir()) == []


async def test_one_name_for_two_goes_to_one(destination, root):
    outcomes = await asyncio.gather(
        *(put(destination, "a.mp4", str(n).encode(), f"job-{n}") for n in range(8)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NameTaken"] * 7 + ["NoneType"]
    assert (root / "a.mp4").read_bytes() == str(outcomes.index(None)).encode()


async def test_a_cancelled_call_leaves_no_thread_at_the_file(destination, root):
    partial = await destination.open_partial("job")
    await partial.begin(0, frozenset())
    partial.write(b"x" * 1000)
    finishing = asyncio.create_task(partial.finish())
    await asyncio.sleep(0)
    finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing
    await partial.close()
    assert file_of(root, "job").stat().st_size == 1000


async def test_a_cancelled_opening_leaves_no_handle_open(destination):
    before = handles()
    opening = asyncio.create_task(destination.open_partial("job"))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert handles() == before
    await (await destination.open_partial("job")).close()


async def test_without_hard_links_a_look_and_a_rename_do(tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "taken").write_bytes(b"b")
    with pytest.raises(FileExistsError):
        rename_to_free(("a", folder), ("taken", folder))
    rename_to_free(("a", folder), ("free", folder))
    os.close(folder)
    assert (tmp_path / "free").read_bytes() == b"a"
    assert (tmp_path / "taken").read_bytes() == b"b"


async def test_a_link_made_though_the_answer_said_no_counts(tmp_path):
    """NFS: the server made the link, its answer was lost, and the repeated request finds the name taken (link(2))."""
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    (tmp_path / "a").write_bytes(b"a")
    os.link(tmp_path / "a", tmp_path / "b")
    place(("a", folder), ("b", folder), (tmp_path / "a").stat())
    os.close(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


async def test_enlisting_a_file_of_an_earlier_pass_needs_the_file(destination, root):
    """It is fsynced then, for its pass may have died before that (I2)."""
    await put(destination, "2026/a.mp4")
    async with FolderDestination(root, clock=SystemClock()) as later:
        await later.prove("dest-1")
        file = StoredFile("2026/a.mp4", 7, "0" * 64, None, datetime.now(UTC))
        await later.enlist("job", None, file)
        gone = StoredFile("2026/gone.mp4", 7, "0" * 64, None, datetime.now(UTC))
        with pytest.raises(DestinationMissing, match="gone"):
            await later.enlist("job", None, gone)
    assert len((root / ".syncer/manifest.jsonl").read_text().splitlines()) == 1


async def test_nothing_is_made_before_there_is_something_to_write(destination, root):
    partial = await destination.open_partial("job")
    assert (partial.size, partial.held) == (0, 0)
    assert not file_of(root, "job").exists()
    await partial.begin(0, frozenset(), 4)
    assert file_of(root, "job").exists()
    await partial.discard()
    assert not file_of(root, "job").exists()
    await (await destination.open_partial("job")).discard()


async def test_a_partial_that_nobody_knew_of_is_written_anew(destination, root):
    await (await destination.open_partial("another")).close()
    file_of(root, "job").write_bytes(b"bytes of a stranger")
    await put(destination, "2026/a.mp4", b"mine")
    assert (root / "2026/a.mp4").read_bytes() == b"mine"
    assert not file_of(root, "job").exists()


async def test_a_folder_that_somebody_deletes_is_made_again_for_the_next_file(destination, root):
    async def both() -> None:
        await put(destination, "2026/a.mp4", b"first", "one")
        shutil.rmtree(root / "2026")
        await put(destination, "2026/b.mp4", b"second", "two")

    await destination.in_one_go(both)
    assert (root / "2026/b.mp4").read_bytes() == b"second"
