"""Jobs that VideoDB makes again in this pass, at the user's leave: asked for once each, and watched until done."""

import asyncio
import heapq
from collections.abc import Callable

from syncer.core import retry
from syncer.core.errors import JobGone, ListingFailed
from syncer.core.model import Entry, RemoteStatus
from syncer.runner.parts import Parts, Rules

MOST = 10_000
"""Jobs that one pass has made again and watches; those beyond are lost to this pass and asked for by the next."""

_FIRST = 1.0  # seconds until a job is looked up; doubled for each look-up after it
_LONGEST = 30.0


class Remakes:
    """Asks for jobs to be made again, and gives those that are done back to the pass that asked.

    One look-up at a time, so that relinking, which shares the API's pace, has its turn in between.
    """

    def __init__(self, parts: Parts, rules: Rules) -> None:
        self._parts = parts
        self._rules = rules
        self._asked: set[str] = set()
        self._waiting: list[tuple[float, str, float]] = []  # when to look, the job, and the wait before it
        self._watched = 0  # those waiting, and the one being looked up
        self._returned = False
        self._new = asyncio.Event()  # something to watch
        self._settled = asyncio.Event()  # something watched is over

    def admits(self, entry: Entry) -> bool:
        """Whether this job may be made again: once in a pass, and MOST_REGENERATIONS times in its life."""
        allowed = self._rules.regenerate and retry.may_regenerate(entry)
        return allowed and entry.id not in self._asked and len(self._asked) < MOST

    async def ask(self, entry: Entry) -> None:
        """Have it made again, and watch it from here on. Raises JobGone, ListingFailed."""
        self._asked.add(entry.id)
        await self._parts.source.regenerate(entry.id)
        self._watched += 1
        self._watch(entry.id, _FIRST)

    async def run(self, told: Callable[[list[str]], None]) -> None:
        """Look after those asked for until cancelled; `told` hears of each that is due again. Raises KeyRefused."""
        while True:
            self._new.clear()
            now = self._parts.clock.monotonic()
            if not self._waiting or self._waiting[0][0] > now:
                await self._wait(self._new, self._waiting[0][0] - now if self._waiting else None)
                continue
            _, job_id, waited = heapq.heappop(self._waiting)
            if await self._is_settled(job_id):
                self._watched -= 1
                self._settled.set()
                told([job_id])
            else:
                self._watch(job_id, min(_LONGEST, 2 * waited))

    async def bring_one(self) -> bool:
        """Wait for one to be due again, with nothing else to do; whether one is. Patience ends by the rules."""
        end = self._parts.clock.monotonic() + self._rules.remake_patience
        while True:
            self._settled.clear()
            if self._returned:
                self._returned = False
                return True
            left = end - self._parts.clock.monotonic()
            if not self._watched or left <= 0:
                return False
            await self._wait(self._settled, left)

    def _watch(self, job_id: str, wait: float) -> None:
        heapq.heappush(self._waiting, (self._parts.clock.monotonic() + wait, job_id, wait))
        self._new.set()

    async def _is_settled(self, job_id: str) -> bool:
        """Whether the watch over this job is over: it is done, or it never will be."""
        try:
            job = await self._parts.source.look_up(job_id)
        except JobGone:
            return True
        except ListingFailed:
            return False
        if job.status is RemoteStatus.PROCESSING or (job.status is RemoteStatus.DONE and job.link is None):
            return False
        if not await self._parts.ledger.remade(job):
            return False
        self._returned |= job.status is RemoteStatus.DONE
        return True

    async def _wait(self, event: asyncio.Event, seconds: float | None) -> None:
        """For the event, or for so many seconds at most."""
        told = asyncio.create_task(event.wait())
        timer = asyncio.create_task(self._parts.clock.sleep(seconds)) if seconds is not None else None
        waits: set[asyncio.Task[object]] = {told, timer} if timer else {told}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
