"""From small pieces to large blocks: nothing lost, nothing reordered, memory bounded, failures handed on."""

import asyncio
import hashlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncer.core.errors import DestinationRefused
from syncer.transfer.gather import BLOCK, Gather


class Taker:
    """A sink that remembers, and fails or waits where told."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.blocks: list[int] = []
        self.hash = hashlib.sha256()
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.called = threading.Event()
        self.busy = 0
        self._fail_at = fail_at

    def write(self, data) -> None:
        self.busy += 1
        assert self.busy == 1, "called twice at once"
        self.called.set()
        self.gate.wait(20)
        self.threads.add(threading.get_ident())
        if self._fail_at is not None and sum(self.blocks) + len(data) > self._fail_at:
            self.busy -= 1
            raise DestinationRefused("full")
        self.blocks.append(len(data))
        self.hash.update(data)
        self.busy -= 1


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as threads:
        yield threads


async def test_small_pieces_arrive_as_large_blocks_off_the_loop(pool):
    taker, told = Taker(), []
    gather = Gather(taker, told.append, pool)
    piece = bytes(range(256)) * 256
    for _ in range(160):
        await gather.add(piece)
    await gather.end()
    assert taker.blocks == [BLOCK] * 10 == told
    assert threading.get_ident() not in taker.threads
    assert taker.hash.hexdigest() == hashlib.sha256(piece * 160).hexdigest()


@given(st.lists(st.integers(0, 700_000), max_size=12), st.integers())
@settings(max_examples=30, deadline=None)
def test_any_cutting_gives_the_same_bytes(cuts, seed):
    rng = random.Random(seed)
    pieces = [rng.randbytes(cut) for cut in cuts]

    async def run(threads: ThreadPoolExecutor) -> tuple[Taker, list[int]]:
        taker, told = Taker(), []
        gather = Gather(taker, told.append, threads)
        for piece in pieces:
            await gather.add(piece)
        await gather.end()
        return taker, told

    with ThreadPoolExecutor(1) as threads:
        taker, told = asyncio.run(run(threads))
    assert taker.hash.digest() == hashlib.sha256(b"".join(pieces)).digest()
    assert told == taker.blocks
    assert sum(told) == sum(cuts)


async def test_a_trickle_is_handed_over_while_the_line_is_silent(pool):
    taker, told = Taker(), []
    gather = Gather(taker, told.append, pool)
    await gather.add(b"few")
    assert await asyncio.to_thread(taker.called.wait, 10)
    await gather.end()
    assert told == [3]


async def test_memory_holds_two_blocks_at_most_while_the_sink_is_slow(pool):
    taker, added = Taker(), 0
    taker.gate.clear()
    gather = Gather(taker, lambda count: None, pool)

    async def feed() -> None:
        nonlocal added
        for _ in range(10):
            await gather.add(bytes(BLOCK // 2))
            added += BLOCK // 2

    feeding = asyncio.create_task(feed())
    assert await asyncio.to_thread(taker.called.wait, 10)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not feeding.done()
    assert added <= 2 * BLOCK
    taker.gate.set()
    await feeding
    await gather.end()
    assert sum(taker.blocks) == 5 * BLOCK


async def test_what_the_sink_raises_reaches_whoever_adds_or_ends(pool):
    gather = Gather(Taker(fail_at=0), lambda count: None, pool)

    async def feed() -> None:
        for _ in range(5):
            await gather.add(bytes(BLOCK))

    with pytest.raises(DestinationRefused):
        await feed()
    with pytest.raises(DestinationRefused):
        await gather.end()
    last = Gather(Taker(fail_at=0), lambda count: None, pool)
    await last.add(b"x")
    with pytest.raises(DestinationRefused):
        await last.end()


async def test_progress_is_told_on_the_loop_after_the_write(pool):
    taker = Taker()
    seen = []
    gather = Gather(taker, lambda count: seen.append((threading.get_ident(), sum(taker.blocks), count)), pool)
    await gather.add(b"abc")
    await gather.end()
    assert seen == [(threading.get_ident(), 3, 3)]


async def test_abandoning_waits_for_the_thread_that_writes(pool):
    taker = Taker()
    taker.gate.clear()
    gather = Gather(taker, lambda count: None, pool)
    await gather.add(bytes(BLOCK - 1))
    await gather.add(b"x")
    assert await asyncio.to_thread(taker.called.wait, 10)
    leaving = asyncio.create_task(gather.abandon())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not leaving.done()
    taker.gate.set()
    await leaving
    assert taker.busy == 0
    assert taker.blocks == [BLOCK]


async def test_a_cancelled_end_leaves_no_writer_behind(pool):
    taker = Taker()
    taker.gate.clear()
    gather = Gather(taker, lambda count: None, pool)
    await gather.add(b"x")
    ending = asyncio.create_task(gather.end())
    assert await asyncio.to_thread(taker.called.wait, 10)
    ending.cancel()
    taker.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert taker.busy == 0
