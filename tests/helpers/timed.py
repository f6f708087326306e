"""Passes whose clock is the sandbox's: what dies when, and who notices, is decided by `advance` and not by load."""

import asyncio
import random
from contextlib import asynccontextmanager

from syncer.core.retry import RetryPolicy
from syncer.destination.folder import FolderDestination
from syncer.ledger import open_ledger
from syncer.reporting.observers import Observers
from syncer.runner.one_pass import run_pass
from syncer.runner.parts import Parts, Rules
from syncer.transfer.fetcher import HttpFetcher
from syncer.videodb.client import ApiClient
from syncer.videodb.lister import VideoDb


class SandboxClock:
    """`core.ports.Clock` that shows the sandbox's time; whoever sleeps wakes up when that has passed."""

    def __init__(self, sandbox):
        self._sandbox = sandbox

    def now(self):
        return self._sandbox.now()

    def monotonic(self):
        return self._sandbox.now().timestamp()

    async def sleep(self, seconds):
        end = self.monotonic() + seconds
        while (left := end - self.monotonic()) > 0:  # noqa: ASYNC110 - `advance` is called from anywhere
            await asyncio.sleep(min(left, 0.02))


class Told:
    """An observer that remembers events, and calls `then` with each."""

    def __init__(self, then=None):
        self.events = []
        self._then = then

    def notify(self, event):
        self.events.append(event)
        if self._then is not None:
            self._then(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def parts_of(site, observer=None, *, api_rate=1000.0, read_timeout=20.0, clock=None):
    """The real parts on the sandbox's time, or on another clock's."""
    clock, watching = clock or SandboxClock(site.sandbox), Observers([] if observer is None else [observer])
    client = ApiClient(
        site.sandbox.base_url,
        site.sandbox.api_key,
        clock=clock,
        rng=random.Random(1),
        requests_per_second=api_rate,
        observer=watching,
        policy=RetryPolicy(tries=3, base=0.01),
    )
    site.ledger.parent.mkdir(exist_ok=True)
    ledger = await open_ledger(site.ledger)
    destination = FolderDestination(site.dest, clock=clock)
    try:
        async with client, HttpFetcher(clock=clock, read_timeout=read_timeout) as fetcher:
            source = VideoDb(client, clock=clock, observer=watching)
            yield Parts(source, ledger, fetcher, destination, watching, clock, random.Random(1))
    finally:
        await destination.close()
        await ledger.close()


async def timed_pass(site, observer=None, *, api_rate=1000.0, read_timeout=20.0, **rules):
    """One whole pass on the sandbox's time; its report."""
    async with parts_of(site, observer, api_rate=api_rate, read_timeout=read_timeout) as parts:
        report = await run_pass(parts, Rules(**rules))
    assert site.sandbox.token_leaks == 0
    assert report.balanced
    return report
