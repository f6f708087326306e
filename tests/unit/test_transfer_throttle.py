"""The limit on the rate: accurate, fair, and quick to follow a timetable; on a clock of the test's own."""

import asyncio
from datetime import UTC, datetime

import pytest

from syncer.transfer.throttle import BURST, Throttle

CHUNK = 64 * 1024


class HandClock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept = 0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept += 1
        await asyncio.sleep(0)
        self.time += seconds


async def test_without_a_limit_nobody_waits():
    clock = HandClock()
    throttle = Throttle(lambda: None, clock)
    for _ in range(1000):
        await throttle.take(CHUNK)
    assert clock.slept == 0


@pytest.mark.parametrize("workers", [1, 7])
@pytest.mark.parametrize("rate", [10 * 1024, 1024 * 1024, 300 * 1024 * 1024])
async def test_all_together_keep_the_rate(workers, rate):
    clock = HandClock()
    throttle = Throttle(lambda: rate, clock)
    start, takes = clock.time, 40

    async def worker() -> None:
        for _ in range(takes):
            await throttle.take(CHUNK)

    await asyncio.gather(*(worker() for _ in range(workers)))
    passed = workers * takes * CHUNK
    # The last take is free of waiting, its debt is the next one's.
    assert clock.time - start == pytest.approx((passed - CHUNK) / rate, rel=1e-3, abs=2e-3)


async def test_an_idle_time_is_caught_up_on_for_a_quarter_of_a_second_only():
    clock = HandClock()
    throttle = Throttle(lambda: 1000.0, clock)
    clock.time += 3600
    start, passed = clock.time, 0
    while clock.time < start + 2:
        await throttle.take(10)
        passed += 10
    assert passed <= 1000 * (2 + BURST) + 20


async def test_transfers_take_turns():
    clock = HandClock()
    throttle = Throttle(lambda: 1000.0, clock)
    shares = [0, 0, 0]

    async def worker(number: int) -> None:
        for _ in range(100):
            await throttle.take(50)
            shares[number] += 1
            assert max(shares) - min(shares) <= 2

    await asyncio.gather(*(worker(number) for number in range(3)))


async def test_a_step_of_the_timetable_takes_hold_at_once():
    clock = HandClock()
    started = clock.time
    throttle = Throttle(lambda: 1.0 if clock.time < started + 10 else None, clock)
    await throttle.take(1_000_000)
    await throttle.take(1)  # eleven days of debt, forgiven when the limit ends
    assert clock.time == pytest.approx(started + 10, abs=0.3)


async def test_a_limit_that_begins_holds_from_then_on():
    clock = HandClock()
    limits = [None]
    throttle = Throttle(lambda: limits[0], clock)
    await throttle.take(10**9)
    limits[0] = 100.0
    clock.time += 1000
    start = clock.time
    for _ in range(11):
        await throttle.take(100)
    assert clock.time - start == pytest.approx(10, abs=BURST + 0.01)


async def test_a_cancelled_wait_costs_nothing():
    clock = HandClock()
    throttle = Throttle(lambda: 10.0, clock)
    await throttle.take(100)
    waiting = asyncio.create_task(throttle.take(1_000_000))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    start = clock.time
    await throttle.take(1)
    assert clock.time - start <= 10.5
