"""The map beside a partial on a real file system: what is found there, whoever left it."""

import asyncio
import hashlib
import os
import threading
from itertools import pairwise

import pytest

from syncer.core.errors import DestinationRefused
from syncer.core.naming import partial_key
from syncer.core.segments import Map, Span, dump, load
from syncer.destination import FolderDestination
from syncer.runner.clock import SystemClock

VERSION = '"v1"'
CONTENT = bytes(range(251)) * 4000
SIZE = len(CONTENT)


@pytest.fixture
async def destination(tmp_path):
    async with FolderDestination(tmp_path / "dest", clock=SystemClock()) as opened:
        await opened.bind("ledger-1", "dest-1")
        yield opened


@pytest.fixture
def place(tmp_path):
    """Where the partial and its map lie, by their ending."""
    return lambda ending: tmp_path / "dest/.syncer/partial" / f"{partial_key('job')}{ending}"


async def parted(destination, front=10_000, ahead=(50_000, 60_000)):
    partial = await destination.open_partial("job")
    await partial.begin(0, frozenset(), SIZE, VERSION)
    partial.write(CONTENT[:front])
    await partial.spread(VERSION, SIZE)
    partial.at(ahead[0]).write(CONTENT[slice(*ahead)])
    return partial


async def test_the_map_says_what_is_there(destination, place):
    await (await parted(destination)).close()
    assert load(place(".map").read_bytes()) == Map(VERSION, SIZE, (Span(0, 10_000), Span(50_000, 60_000)))
    assert place(".map").stat().st_mode & 0o777 == 0o600
    assert not place(".map~").exists()


@pytest.mark.parametrize(
    "found", [b"", b"{}", b"\0" * 100, dump(Map(VERSION, SIZE, (Span(0, 10_000),)))[:-2]], ids=["", "no", "0", "torn"]
)
async def test_a_damaged_map_goes_and_what_it_alone_could_vouch_for(destination, place, found):
    await (await parted(destination)).close()
    place(".map").write_bytes(found)
    partial = await destination.open_partial("job")
    assert (partial.size, partial.held) == (0, 0)
    assert place(".part").stat().st_size == 0
    assert not place(".map").exists()
    await partial.close()


async def test_a_map_that_is_a_link_is_not_followed(destination, place, tmp_path):
    await (await parted(destination)).close()
    elsewhere = tmp_path / "elsewhere"
    place(".map").rename(elsewhere)
    place(".map").symlink_to(elsewhere)
    partial = await destination.open_partial("job")
    assert partial.held == 0
    assert elsewhere.exists()
    assert not place(".map").is_symlink()
    await partial.close()


async def test_bytes_beyond_the_last_span_are_vouched_for_by_nobody(destination, place):
    await (await parted(destination)).close()
    with place(".part").open("ab") as file:
        file.write(b"whatever")
    partial = await destination.open_partial("job")
    assert (partial.size, partial.held) == (10_000, 20_000)
    assert place(".part").stat().st_size == 60_000
    await partial.close()


async def test_a_draft_of_a_map_is_no_map_and_goes(destination, place):
    partial = await destination.open_partial("job")
    await partial.begin(0, frozenset(), SIZE)
    partial.write(CONTENT[:10_000])
    await partial.close()
    place(".map~").write_bytes(b"half a m")
    partial = await destination.open_partial("job")
    assert partial.size == 10_000
    assert not place(".map~").exists()
    await partial.close()


async def test_a_fresh_partial_is_opened_without_a_look_for_a_map(destination, place):
    """And a map that somebody put there alone does no harm."""
    await destination.sweep(["job"])
    place(".map").write_bytes(dump(Map(VERSION, SIZE, (Span(0, 10_000),))))
    partial = await destination.open_partial("job")
    await partial.begin(0, frozenset(), SIZE)
    partial.write(CONTENT[:5000])
    await partial.close()
    partial = await destination.open_partial("job")
    assert partial.size == 0  # the map tells of more than there is
    assert not place(".map").exists()
    await partial.discard()


async def test_a_failed_fsync_of_a_note_spoils_the_partial_for_all_who_write(destination, place):
    """The kernel forgets what it could not write. A pipe refuses fsync for real."""
    partial = await parted(destination)
    sink, kept = partial.at(70_000), os.dup(partial._fd)
    sink.write(CONTENT[70_000:71_000])
    reader, writer = os.pipe()
    os.dup2(writer, partial._fd)
    with pytest.raises(DestinationRefused, match="failed"):
        await partial.note()
    os.dup2(kept, partial._fd)
    with pytest.raises(DestinationRefused):
        sink.write(b"more")
    with pytest.raises(DestinationRefused):
        partial.write(b"more")
    with pytest.raises(AssertionError):
        await partial.finish()
    await partial.close()
    for fd in (reader, writer, kept):
        os.close(fd)
    assert list(place(".part").parent.iterdir()) == []


async def test_many_write_while_one_reads_behind_them(destination):
    """Each byte is hashed once and in order, whoever wrote it and whenever."""
    partial = await destination.open_partial("job")
    await partial.begin(0, frozenset({"md5", "crc32c"}), SIZE, VERSION)
    await partial.spread(VERSION, SIZE)
    bounds = [0, 100_000, 333_333, 500_000, 800_000, SIZE]
    begun = threading.Barrier(len(bounds) - 1)

    def bring(start, stop):
        begun.wait(30)
        sink = partial.at(start)
        for at in range(start, stop, 997):
            sink.write(CONTENT[at : min(at + 997, stop)])

    async def behind():
        while partial.size < SIZE:
            await partial.catch_up(SIZE)
            await asyncio.sleep(0)

    await asyncio.gather(behind(), *(asyncio.to_thread(bring, *pair) for pair in pairwise(bounds)))
    digests = await partial.finish()
    assert digests["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert digests["md5"] == hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    await partial.discard()
