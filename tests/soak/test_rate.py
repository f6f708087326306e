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
    def __init__(self):
        self.seen = []

    def notify(self, event):
        if isinstance(event, BytesArrived):
            self.seen.append((time.monotonic(), event.count))

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
    meter, stop = Meter(), Stop()
    passing = asyncio.create_task(
        syncer.sync(here.settings(bwlimit=limit, workers=str(workers)), observer=meter, stop=stop)
    )
    while not meter.seen:
        await asyncio.sleep(0.05)
    await asyncio.sleep(15)
    stop.ask(143)
    await passing
    # Progress is told four times a second and file: begin behind the first telling of all of them.
    begin = meter.seen[0][0] + 2
    passed = meter.passed(begin, begin + 10)
    print(f"{limit}, {workers} workers: {passed / 10 / rate:.1%} of the limit over ten seconds")
    assert passed == pytest.approx(rate * 10, rel=0.05)
