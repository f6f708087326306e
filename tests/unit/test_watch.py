"""Pass after pass on a clock of the test's own: years of nights in no time."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from syncer.core.cadence import Cadence
from syncer.core.events import PassPlanned
from syncer.core.model import Listing, Tally
from syncer.core.report import Deadlines, Report, Transfer
from syncer.runner.parts import Stop
from syncer.runner.watch import Watch, WatchParts

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


class HandClock:
    """Time that passes only where somebody sleeps; the wall's may be moved alone."""

    def __init__(self):
        self.steady = 0.0
        self.wall = START

    def now(self):
        return self.wall

    def monotonic(self):
        return self.steady

    async def sleep(self, seconds):
        await asyncio.sleep(0)
        self.steady += seconds
        self.wall += timedelta(seconds=seconds)


class Nights:
    """A watch whose passes end as the test says; it is stopped when the test has said enough."""

    def __init__(self, codes, cadence=Cadence(3600.0, 0.0), **more):  # noqa: B008 - frozen
        self.clock, self.stop = HandClock(), Stop()
        self.codes, self.more = list(codes), more
        self.begun, self.planned = [], []
        self.watch = Watch(WatchParts(self.one_pass, self, self.clock, random.Random(1)), cadence, self.stop)

    async def one_pass(self):
        self.begun.append((self.clock.now() - START).total_seconds())
        code = self.codes.pop(0)
        if not self.codes:
            self.stop.ask(143)
        now = self.clock.now()
        listing = Listing(complete=True)
        return Report(now, now, code, listing, self.more.get("jobs", Tally()), Transfer(), Deadlines())

    def notify(self, event):
        if isinstance(event, PassPlanned):
            self.planned.append(event)


async def test_pass_follows_pass_after_the_interval():
    nights = Nights([0] * 5)
    assert await nights.watch.run() == 143
    assert nights.begun == pytest.approx([0, 3600, 7200, 10800, 14400])
    assert [event.why for event in nights.planned] == ["the interval"] * 4


async def test_jitter_takes_some_of_each_wait_off():
    nights = Nights([0] * 200, Cadence(3600.0, 0.25))
    await nights.watch.run()
    waits = [b - a for a, b in zip(nights.begun, nights.begun[1:], strict=False)]
    assert 2700 <= min(waits) < 2800
    assert 3500 < max(waits) <= 3600


async def test_failures_back_off_and_a_good_pass_ends_that():
    nights = Nights([0, 4, 4, 3, 5, 0, 0])
    await nights.watch.run()
    waits = [b - a for a, b in zip(nights.begun, nights.begun[1:], strict=False)]
    assert waits == pytest.approx([3600, 60, 120, 240, 480, 3600])


async def test_a_held_ledger_is_waited_for():
    nights = Nights([8, 8, 0, 0])
    await nights.watch.run()
    assert nights.begun == pytest.approx([0, 30, 60, 3660])


@pytest.mark.parametrize("code", [2, 9])
async def test_what_the_user_must_mend_ends_the_watch_at_its_first_pass_only(code):
    assert await Nights([code, 0]).watch.run() == code
    later = Nights([0, code, 0])
    assert await later.watch.run() == 143
    assert len(later.begun) == 3


async def test_a_wall_clock_set_back_does_not_put_the_next_pass_off():
    nights = Nights([0, 0])
    sleep = nights.clock.sleep

    async def set_back(seconds):
        nights.clock.sleep = sleep
        nights.clock.wall -= timedelta(days=365)
        await sleep(seconds)

    nights.clock.sleep = set_back
    await nights.watch.run()
    assert nights.clock.steady == pytest.approx(3600)


async def test_a_machine_that_was_suspended_goes_on_at_once():
    nights = Nights([0, 0])
    sleep = nights.clock.sleep

    async def suspended(seconds):
        nights.clock.sleep = sleep
        await sleep(seconds)
        nights.clock.wall += timedelta(days=3)

    nights.clock.sleep = suspended
    await nights.watch.run()
    assert nights.clock.steady < 60


async def test_another_cadence_takes_hold_while_waiting():
    nights = Nights([0, 0])
    sleep, slept = nights.clock.sleep, []

    async def told(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            nights.watch.set_cadence(Cadence(120.0, 0.0))
        await sleep(seconds)

    nights.clock.sleep = told
    await nights.watch.run()
    assert nights.clock.steady == pytest.approx(120)


async def test_a_stop_ends_the_wait():
    nights = Nights([0, 0, 0])

    async def never(_):
        nights.stop.ask(130)
        await asyncio.Event().wait()

    nights.clock.sleep = never
    assert await asyncio.wait_for(nights.watch.run(), 10) == 130
    assert len(nights.begun) == 1
