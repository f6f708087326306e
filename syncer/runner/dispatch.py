"""Hands due entries to workers, the most pressing first, for as long as the pass has any."""

import asyncio
from collections import deque

from syncer.core.model import Claim, HandBack
from syncer.runner.parts import Parts, Rules
from syncer.runner.worker import Worker


class Dispatcher:
    """Keeps `workers` claims under way and as many waiting, claimed in bulk: never more in memory than that."""

    def __init__(self, parts: Parts, rules: Rules, worker: Worker) -> None:
        self._parts = parts
        self._rules = rules
        self._worker = worker
        self._backlog: deque[Claim] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._over = asyncio.Event()  # a worker has ended
        self._listing_ended = False

    def wake(self) -> None:
        """There may be new due entries."""
        self._news.set()

    def listing_ended(self) -> None:
        """No further entries will come; `run` returns once those there are have had their turn."""
        self._listing_ended = True
        self._news.set()

    async def run(self) -> None:
        """Returns when nothing is due, running, or to be tried again in this pass.

        Raises what a worker raised to end the pass. However it ends, no worker is left running and no claim held.
        """
        try:
            while True:
                # Asked for before looking, so that news that come between looking and waiting are not missed.
                self._news.clear()
                ended = self._listing_ended
                await self._refill()
                self._start()
                if self._running:
                    await self._await_change()
                    continue
                soonest = await self._until_next_due()
                if ended and soonest is None:
                    return
                await self._await_news(soonest)
        finally:
            await self._wind_up()

    async def _refill(self) -> None:
        room = 2 * self._rules.workers - len(self._running) - len(self._backlog)
        if room < self._rules.workers:
            return
        now = self._parts.clock.now()
        due = await self._parts.ledger.due(now, room)
        if due:
            claims = await self._parts.ledger.claim([e.id for e in due], now, now + self._rules.lease)
            self._backlog.extend(claims)

    def _start(self) -> None:
        while self._backlog and len(self._running) < self._rules.workers:
            claim = self._backlog.popleft()
            task = asyncio.create_task(self._worker.work(claim), name=f"job {claim.entry.id}")
            task.add_done_callback(lambda _: self._over.set())
            self._running.add(task)

    async def _await_change(self) -> None:
        """Until a worker is done, there is news for an idle worker, or an entry becomes due again."""
        if len(self._running) < self._rules.workers:
            await self._await_change_idly()
        else:
            await self._over.wait()
        self._over.clear()
        done = {task for task in self._running if task.done()}
        self._running -= done
        for task in done:
            task.result()

    async def _await_change_idly(self) -> None:
        waits: list[asyncio.Task[object]] = [
            asyncio.create_task(self._over.wait()),
            asyncio.create_task(self._news.wait()),
        ]
        try:
            soonest = await self._until_next_due()
            if soonest is not None:
                waits.append(asyncio.create_task(self._parts.clock.sleep(soonest)))
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    async def _until_next_due(self) -> float | None:
        """Seconds until the next entry of this pass becomes due; None if none will."""
        now = self._parts.clock.now()
        if await self._parts.ledger.due(now, 1):
            return 0.0
        moment = await self._parts.ledger.next_due(now)
        return None if moment is None else max(0.0, (moment - now).total_seconds())

    async def _await_news(self, seconds: float | None) -> None:
        news = asyncio.create_task(self._news.wait())
        timer = asyncio.create_task(self._parts.clock.sleep(seconds)) if seconds is not None else None
        waits: set[asyncio.Task[object]] = {news, timer} if timer else {news}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    async def _wind_up(self) -> None:
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        for task in self._running:
            if not task.cancelled():
                task.exception()  # heard; the one that ended the pass is on its way already
        self._running.clear()
        now = self._parts.clock.now()
        while self._backlog:
            await self._parts.ledger.settle(self._backlog.popleft(), HandBack(), now)
