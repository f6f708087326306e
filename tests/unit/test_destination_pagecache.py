"""What is written, or read back, leaves the system's memory; what is to be read back yet does not.

What the kernel is asked for is seen by strace: whether it complies is the file system's business (tmpfs does not), and
what is in memory changes with whatever else the machine does.
"""

import errno
import os
import re
import shutil
import subprocess
import sys
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.destination.pagecache import STRETCH, Trail, let_go

ROOT = Path(__file__).parents[2]
STRACE = shutil.which("strace")
MIB = 1024 * 1024

# One file of 26 MiB, in order or with bytes ahead, published and read back.
SCRIPT = """
import asyncio, sys
from pathlib import Path
from syncer.destination import FolderDestination
from syncer.runner.clock import SystemClock

MIB = 1024 * 1024

def pour(sink, count):
    for _ in range(count):
        sink.write(b"x" * MIB)

async def main(root, way):
    async with FolderDestination(Path(root), clock=SystemClock(), threads=1) as destination:
        await destination.bind("ledger-1", "dest-1")
        partial = await destination.open_partial("job")
        await partial.begin(0, frozenset(), 26 * MIB, "v1")
        if way == "in order":
            pour(partial, 26)
        else:
            pour(partial, 9)
            await partial.spread("v1", 26 * MIB)
            pour(partial.at(16 * MIB), 10)
            await partial.note()
            pour(partial.at(9 * MIB), 7)
            await partial.catch_up(26 * MIB)
        await partial.finish()
        await partial.publish("a.mp4", None)
        await partial.close()
        await destination.digest("a.mp4", frozenset())
        print("read back")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def traced(tmp_path):
    """Do that under strace with these options: for each call on the file its name, and the bytes it is about."""
    assert STRACE is not None, "install strace, as .ci/run does"

    def trace(way: str, *options: str) -> list[tuple[str, range]]:
        log = tmp_path / "strace.log"
        what = "trace=/^(fadvise64(_64)?|fsync|linkat|pwrite64|pread64|read)$"
        before = [STRACE, "-f", "-y", "-s", "0", "-e", what, *options, "-o", str(log)]
        command = [*before, sys.executable, "-c", SCRIPT, str(tmp_path / "dest"), way]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
        assert done.stdout == "read back\n", done.stderr
        found = re.findall(r"^\d+ +(\w+)\((.*(?:\.part|a\.mp4)\b.*)$", log.read_text(), re.MULTILINE)
        return [(name, about(name, text)) for name, text in found]

    return trace


def about(name: str, text: str) -> range:
    if name.startswith("fadvise"):
        assert "POSIX_FADV_DONTNEED" in text
        start, count = map(int, re.search(r">, (\d+), (\d+), ", text).groups())
        return range(start, start + (count or sys.maxsize))
    if name in ("pwrite64", "pread64"):
        count, start = map(int, re.search(r", (\d+), (\d+)\) += ", text).groups())
        return range(start, start + count)
    return range(0)


def named(calls) -> list[range]:
    return [span for name, span in calls if name.startswith("fadvise")]


def at(calls, name: str) -> int:
    return next(number for number, call in enumerate(calls) if call[0] == name)


def times(spans, byte: int) -> int:
    return sum(byte in span for span in spans)


def test_it_goes_as_it_is_written_and_all_of_it_once_it_is_on_disk(traced):
    calls = traced("in order")
    on_disk = at(calls, "fsync")
    early = named(calls[:on_disk])
    assert [times(early, byte * MIB) for byte in (0, 8, 16, 24)] == [2, 2, 1, 1]
    for number, (_, span) in enumerate(calls[:on_disk]):
        assert span.stop <= max(each.stop for name, each in calls[: number + 1] if name == "pwrite64")
    assert range(26 * MIB) in named(calls[on_disk : at(calls, "linkat")])


def test_what_lies_ahead_stays_until_it_is_hashed(traced):
    calls = traced("ahead")
    back = [number for number, (name, _) in enumerate(calls) if name == "pread64"]
    assert calls[back[0]][1].start == 16 * MIB
    for number, (name, span) in enumerate(calls[: back[-1]]):
        if name.startswith("fadvise"):
            hashed = [each.stop for what, each in calls[:number] if what == "pread64"]
            assert span.stop <= max(hashed, default=16 * MIB)
    # With the fsync for the map, too, what was written in order goes.
    noted = at(calls, "fsync")
    assert calls[noted + 1][0].startswith("fadvise")
    assert range(26 * MIB) in named(calls[back[-1] : at(calls, "linkat")])


def test_reading_back_asks_the_disk_and_leaves_nothing_in_memory(traced):
    calls = traced("in order")
    back = calls[at(calls, "linkat") + 1 :]
    assert [name == "read" for name, _ in back[:2]] == [False, True]
    first, *others = named(back)
    assert first.stop > 26 * MIB
    assert sorted((span.start // MIB, span.stop // MIB) for span in others) == [(0, 8), (8, 16), (16, 24), (24, 26)]


def test_a_system_that_does_not_take_the_advice_is_none_the_worse(traced):
    calls = traced("ahead", "-e", "inject=/^fadvise64(_64)?$:error=EIO")
    assert named(calls)


def test_nor_is_one_that_has_no_such_call(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "posix_fadvise")
    with (tmp_path / "file").open("wb") as file:
        let_go(file.fileno())


def test_a_handle_that_cannot_be_advised_on_is_no_error():
    reading, writing = os.pipe()
    try:
        with pytest.raises(OSError, match=os.strerror(errno.ESPIPE)):
            os.posix_fadvise(reading, 0, 0, os.POSIX_FADV_DONTNEED)
        let_go(reading)
    finally:
        os.close(reading)
        os.close(writing)


def test_nothing_at_all_is_not_taken_for_all_there_is(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(os, "posix_fadvise", lambda *words: asked.append(words[1:3]))
    with (tmp_path / "file").open("wb") as file:
        let_go(file.fileno(), 0, 0)
        let_go(file.fileno(), 5, 7)
        let_go(file.fileno(), 5)
    assert asked == [(5, 2), (5, 0)]


@given(st.lists(st.integers(0, 3 * STRETCH), min_size=1, max_size=12))
def test_all_but_the_last_stretches_are_named_twice_and_nothing_too_early(steps):
    spans = []
    trail = Trail(lambda _, start, stop: spans.append((start, stop)))
    for front in accumulate(steps):
        trail.reached(3, front)
        assert all(stop <= front for _, stop in spans)
        last = max((stop for _, stop in spans), default=0)
        assert front - last < STRETCH
        ends = sorted({0, *(stop for _, stop in spans)})
        for begin, end in pairwise(ends):
            count = sum(start <= begin and end <= stop for start, stop in spans)
            assert count == (1 if end == last else 2)


@given(st.integers(0, 5 * STRETCH), st.integers(0, 5 * STRETCH))
def test_a_file_begun_again_is_named_again(first, keep):
    spans = []
    trail = Trail(lambda _, start, stop: spans.append((start, stop)))
    trail.reached(3, first)
    trail.reached(3, min(keep, first))
    spans.clear()
    trail.reached(3, min(keep, first) + STRETCH)
    ((start, stop),) = spans
    assert start <= min(keep, first)
    assert stop == min(keep, first) + STRETCH
