"""Writes past the page cache: where the disk is quick, never at the price of a byte; given up where they do not pay."""

import asyncio
import hashlib
import mmap
import os
import re
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncer.core.errors import FetchError
from syncer.core.ports import PAGE
from syncer.destination import FolderDestination
from syncer.destination.direct import LEAST, PATIENCE, QUICK, REFUSALS, Direct, Writer
from syncer.runner.clock import SystemClock

ROOT = Path(__file__).parents[2]
STRACE = shutil.which("strace")
MIB = 1024 * 1024

# A file of 3 MiB and a bit out of a buffer such as transfers have; before it, if asked, one that begins amid a page.
SCRIPT = """
import asyncio, mmap, sys
from pathlib import Path
from syncer.destination import FolderDestination
from syncer.runner.clock import SystemClock

async def main(root, *odd):
    buffer = memoryview(mmap.mmap(-1, 1 << 20))
    async with FolderDestination(Path(root), clock=SystemClock(), threads=1) as destination:
        await destination.bind("ledger-1", "dest-1")
        if odd:
            partial = await destination.open_partial("odd")
            await partial.begin(0, frozenset())
            memory = memoryview(mmap.mmap(-1, 2 << 20))[100:][:1 << 20]
            partial.write(memory)
            partial.write(memory)
            await partial.finish()
            await partial.publish("odd.mp4", None)
            await partial.close()
        partial = await destination.open_partial("job")
        await partial.begin(0, frozenset())
        for _ in range(3):
            partial.write(buffer)
        partial.write(buffer[:100])
        await partial.finish()
        await partial.publish("a.mp4", None)
        await partial.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def traced(tmp_path):
    """Do that under strace; what it told of opening and writing."""
    assert STRACE is not None, "install strace, as .ci/run does"

    def trace(*odd: str) -> str:
        log = tmp_path / "strace.log"
        command = [STRACE, "-f", "-y", "-s", "0", "-e", "trace=openat,pwrite64", "-o", str(log)]
        command += [sys.executable, "-c", SCRIPT, str(tmp_path / "dest"), *odd]
        subprocess.run(command, cwd=ROOT, check=True, timeout=100)
        return log.read_text()

    return trace


@pytest.fixture
def fd(tmp_path):
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def buffer():
    """A whole number of pages, and more than one write is worth."""
    memory = memoryview(mmap.mmap(-1, 2 * LEAST))
    memory[:] = os.urandom(len(memory))
    return memory


def lasting(*seconds: float):
    """A clock by which the writes last so long, one after the other; the last for ever."""
    ticks = (tick for each in count() for tick in (0.0, seconds[min(each, len(seconds) - 1)]))
    return lambda: next(ticks)


def takes_direct_writes(folder: Path) -> bool:
    """Whether the system can do that there, as asked by hand."""
    path = folder / "probe"
    path.write_bytes(b"")
    try:
        probe = os.open(path, os.O_WRONLY | os.O_DIRECT)
    except OSError:
        return False
    try:
        return bool(os.major(os.fstat(probe).st_dev)) and os.pwrite(probe, mmap.mmap(-1, PAGE), 0) == PAGE
    except OSError:
        return False
    finally:
        os.close(probe)


@contextmanager
def limited(handles: int):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (handles, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_whole_pages_go_directly_where_the_file_system_can_and_the_rest_does_not(traced, tmp_path):
    text = traced()
    direct = re.findall(r"openat\(.*/proc/self/fd/.*O_DIRECT.*\) = (\d+)<", text)
    writes = re.findall(r"pwrite64\((\d+)<.*\.part>, .*, (\d+), (\d+)\) = (\d+)\n", text)
    assert len(direct) == takes_direct_writes(tmp_path)
    assert [(int(asked), int(at), int(got)) for _, asked, at, got in writes] == [
        *((MIB, at * MIB, MIB) for at in range(3)),
        (100, 3 * MIB, 100),
    ]
    assert [handle in direct for handle, *_ in writes] == [bool(direct)] * 3 + [False]
    assert (tmp_path / "dest/a.mp4").read_bytes() == bytes(3 * MIB + 100)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([LEAST, LEAST - 1, LEAST + 1, MIB, MIB - PAGE, PAGE, 1]), st.integers(1, MIB), st.just(-1)
        ),
        max_size=8,
    ),
    st.integers(0, 3),
)
def test_whatever_comes_in_whichever_pieces_the_file_is_that(tmp_path_factory, pieces, shift):
    """Pieces of all sizes, a look back at the end (-1) between them, and memory that begins somewhere in a page."""
    root = tmp_path_factory.mktemp("direct")
    source = memoryview(mmap.mmap(-1, 2 * MIB))
    source[:] = bytes(range(251)) * (2 * MIB // 251) + bytes(2 * MIB % 251)

    async def write() -> bytes:
        sent = bytearray()
        async with FolderDestination(root, clock=SystemClock()) as destination:
            await destination.bind("ledger-1", "dest-1")
            partial = await destination.open_partial("job")
            await partial.begin(0, frozenset())
            for size in pieces:
                if size < 0:
                    assert await partial.tail(100) == bytes(sent[-100:])
                    continue
                start = shift * 512
                partial.write(source[start : start + size])
                sent += source[start : start + size]
            digests = await partial.finish()
            assert digests["sha256"] == hashlib.sha256(sent).hexdigest()
            await partial.publish("a.mp4", None)
            await partial.close()
        return bytes(sent)

    assert asyncio.run(write()) == (root / "a.mp4").read_bytes()
    shutil.rmtree(root)


def test_memory_that_the_disk_cannot_read_from_goes_through_the_page_cache(fd, buffer):
    direct = Direct(lambda: 0.0)
    writer, data = Writer(direct), buffer[1 : LEAST + 1]
    written = 0
    while written < len(data):
        written += writer.write(fd, data[written:], written)
    writer.close()
    assert os.pread(fd, len(data) + 1, 0) == data


def test_a_file_system_that_refuses_file_after_file_is_not_asked_again(fd, buffer):
    direct = Direct(lambda: 0.0)
    for _ in range(REFUSALS):
        assert direct.pays
        assert direct.write(fd, buffer, -1) == 0  # EINVAL, as of memory that is not aligned
    assert not direct.pays


def test_one_file_that_is_refused_is_no_reason_not_to_try_the_next(fd, buffer):
    direct = Direct(lambda: 0.0)
    assert direct.write(fd, buffer, 0) == len(buffer)
    for _ in range(2 * REFUSALS):
        assert direct.write(fd, buffer, -1) == 0
    assert direct.pays


def test_a_body_that_goes_on_in_odd_memory_is_refused_once_and_the_next_one_is_not(traced, tmp_path):
    text = traced("odd")
    assert (tmp_path / "dest/odd.mp4").read_bytes() == bytes(2 * MIB)
    assert (tmp_path / "dest/a.mp4").read_bytes() == bytes(3 * MIB + 100)
    assert len(re.findall(r"pwrite64.*= -1 EINVAL", text)) <= 1
    assert len(re.findall(r"openat\(.*/proc/self/fd/.*O_DIRECT.*\) = \d+<", text)) == 2 * takes_direct_writes(tmp_path)


def test_another_error_is_told(fd, buffer):
    direct = Direct(lambda: 0.0)
    reading = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    with pytest.raises(OSError, match="Bad file descriptor"):
        direct.write(reading, buffer, 0)
    os.close(reading)


def test_a_file_beyond_what_may_be_written_is_that_files_trouble(fd, buffer):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LEAST, before[1]))
    writer = Writer(Direct(lambda: 0.0))
    try:
        with pytest.raises(FetchError, match="larger than"):
            writer.write(fd, buffer, 2 * LEAST)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        writer.close()


def test_memory_of_its_own_is_no_disk(buffer):
    fd = os.memfd_create("file")
    direct = Direct(lambda: 0.0)
    writer = Writer(direct)
    assert writer.write(fd, buffer, 0) == len(buffer)
    assert not direct.pays
    assert os.pread(fd, len(buffer), 0) == buffer
    writer.close()
    os.close(fd)


def test_no_handle_is_taken_from_those_who_need_one(fd):
    held = [os.dup(fd) for _ in range(60)]
    with limited(2 * max(held) - 20):
        assert Direct(lambda: 0.0).open(fd) == -1
    freed = os.dup(fd)
    assert freed == max(held) + 1
    for each in (*held, freed):
        os.close(each)


def test_a_slow_disk_is_left_to_the_page_cache(fd, buffer):
    direct = Direct(lasting(1.5 * len(buffer) / QUICK))
    for number in range(PATIENCE):
        assert direct.pays, number
        direct.write(fd, buffer, 0)
    assert not direct.pays


def test_a_quick_disk_that_hesitates_is_forgiven(fd, buffer):
    quick, slow = 0.5 * len(buffer) / QUICK, 100.0
    direct = Direct(lasting(*([slow] * (PATIENCE - 1) + [quick] * PATIENCE) * 4, quick))
    for _ in range(8 * PATIENCE):
        direct.write(fd, buffer, 0)
    assert direct.pays
