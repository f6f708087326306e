"""The limit on the rate over real connections: true to five percent over ten seconds.

pytest -m long -s tests/soak/test_rate.py
"""

import asyncio
import time

import pytest
from helpers.site import jobs

import syncer
from syncer.core.events import BytesArrived
from syncer.runner.parts import Stop


class Meter:
    """What came, told once `files` files have told of themselves: what comes along with the head of an answer is paid
    for bit by bit and told at once."""

    def __init__(self, files):
        self.seen = []
        self.begun = asyncio.Event()
        self._files = files
        self._told = set()

    def notify(self, event):
        if isinstance(event, BytesArrived):
            self._told.add(event.id)
            if len(self._told) >= self._files:
                self.seen.append((time.monotonic(), event.count))
                self.begun.set()

    def passed(self, begin, end):
        return sum(count for at, count in self.seen if begin <= at < end)


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("limit", "rate", "workers"),
    [("200k", 200 << 10, 8), ("2M", 2 << 20, 1), ("2M", 2 << 20, 32), ("20M", 20 << 20, 8)],
)
async def test_ten_seconds_hold_their_bytes(site, limit, rate, workers):
    here = site(jobs(32, size=40_000_000))
    meter, stop = Meter(workers), Stop()
    passing = asyncio.create_task(
        syncer.sync(here.settings(bwlimit=limit, workers=str(workers)), observer=meter, stop=stop)
    )
    await meter.begun.wait()
    await asyncio.sleep(12)
    stop.ask(143)
    await passing
    begin = meter.seen[0][0] + 1
    passed = meter.passed(begin, begin + 10)
    print(f"{limit}, {workers} workers: {passed / 10 / rate:.1%} of the limit over ten seconds")
    assert passed == pytest.approx(rate * 10, rel=0.05)
