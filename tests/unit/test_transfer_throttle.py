"""The limit on the rate: accurate, fair, and quick to follow a timetable; on a clock of the test's own."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from syncer.transfer.throttle import BURST, QUANTUM, Throttle

CHUNK = 64 * 1024


async def take(throttle, count):
    """Move `count` bytes, as far at once as the throttle lets us; the number of grants it took."""
    grants = 0
    while count > 0:
        count -= await throttle.grant(count)
        grants += 1
    assert count == 0
    return grants


class HandClock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept = 0
        self.ends: list[float] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Whoever sleeps wakes at its own moment, in the order of those moments."""
        assert seconds > 0
        self.slept += 1
        end = self.time + seconds
        self.ends.append(end)
        while self.time < end:
            await asyncio.sleep(0)
            self.time = max(self.time, min(self.ends))
        self.ends.remove(end)


async def test_without_a_limit_nobody_waits():
    clock = HandClock()
    throttle = Throttle(lambda: None, clock)
    for _ in range(1000):
        await take(throttle, CHUNK)
    assert clock.slept == 0


@pytest.mark.parametrize("workers", [1, 7])
@pytest.mark.parametrize("rate", [10 * 1024, 1024 * 1024, 300 * 1024 * 1024])
async def test_all_together_keep_the_rate(workers, rate):
    clock = HandClock()
    throttle = Throttle(lambda: rate, clock)
    start, takes = clock.time, 40

    async def worker() -> None:
        for _ in range(takes):
            await take(throttle, CHUNK)

    await asyncio.gather(*(worker() for _ in range(workers)))
    passed = workers * takes * CHUNK
    assert clock.time - start == pytest.approx(passed / rate, abs=QUANTUM + 1e-6)


@pytest.mark.parametrize("workers", [1, 64])
@pytest.mark.parametrize("read", [1000, 64 * 1024, 4 * 1024 * 1024])
@pytest.mark.parametrize("rate", [20 * 1024, 2 * 1024 * 1024])
async def test_ten_seconds_hold_their_bytes_to_five_percent(rate, read, workers):
    clock = HandClock()
    throttle = Throttle(lambda: rate, clock)
    start, moved = clock.time, []

    async def worker() -> None:
        while clock.time < start + 21:
            count = await throttle.grant(read)
            moved.append((clock.time, count))

    await asyncio.gather(*(worker() for _ in range(workers)))
    for begin in (start, start + 3.33, start + 10.9):
        passed = sum(count for at, count in moved if begin <= at < begin + 10)
        assert passed == pytest.approx(rate * 10, rel=0.05)


async def test_an_idle_time_is_caught_up_on_for_a_quarter_of_a_second_only():
    clock = HandClock()
    throttle = Throttle(lambda: 1000.0, clock)
    clock.time += 3600
    start, passed = clock.time, 0
    while clock.time < start + 2:
        await take(throttle, 10)
        passed += 10
    assert 2000 <= passed <= 1000 * (2 + BURST) + 20


async def test_transfers_take_turns():
    clock = HandClock()
    throttle = Throttle(lambda: 1000.0, clock)
    shares = [0, 0, 0]

    async def worker(number: int) -> None:
        for _ in range(100):
            await take(throttle, 50)
            shares[number] += 1
            assert max(shares) - min(shares) <= 2

    await asyncio.gather(*(worker(number) for number in range(3)))


async def test_a_step_of_the_timetable_takes_hold_at_once():
    clock = HandClock()
    started = clock.time
    throttle = Throttle(lambda: 1.0 if clock.time < started + 10 else None, clock)
    await take(throttle, 1_000_000)  # eleven days at the old rate
    await take(throttle, 1)
    assert clock.time == pytest.approx(started + 10, abs=0.3)


async def test_a_limit_that_begins_holds_from_then_on():
    clock = HandClock()
    limits = [None]
    throttle = Throttle(lambda: limits[0], clock)
    await take(throttle, 10**9)
    limits[0] = 100.0
    clock.time += 1000
    start = clock.time
    for _ in range(11):
        await take(throttle, 100)
    assert clock.time - start == pytest.approx(11, abs=BURST + QUANTUM + 0.01)


async def test_a_cancelled_wait_costs_nothing():
    clock = HandClock()
    throttle = Throttle(lambda: 10.0, clock)
    await take(throttle, 100)
    waiting = asyncio.create_task(take(throttle, 1_000_000))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    clock.ends.clear()
    start = clock.time
    await take(throttle, 1)
    assert clock.time - start <= 10.5


async def test_what_was_granted_and_not_moved_is_for_others():
    clock = HandClock()
    throttle = Throttle(lambda: 1000.0, clock)
    start = clock.time
    for _ in range(100):
        assert await throttle.grant(20) == 20
        throttle.give_back(15)
    assert clock.time - start == pytest.approx(0.5, abs=QUANTUM + 1e-6)


async def test_threads_share_the_rate_with_everybody_else():
    clock = HandClock()
    throttle = Throttle(lambda: 1000.0, clock)
    waits = []

    def worker() -> None:
        waits.extend(throttle.ask(20).wait for _ in range(50))

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == pytest.approx([i * 0.02 for i in range(400)], abs=1e-6)
    assert throttle.ask(20).wait == pytest.approx(8.0)
