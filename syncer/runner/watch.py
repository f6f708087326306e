"""Pass after pass, until asked to stop: what `syncer watch` does."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from syncer.core.cadence import Cadence, NextPass, Past, learn, next_pass
from syncer.core.events import PassPlanned
from syncer.core.ports import Clock, Observer
from syncer.core.report import ExitCode, Report
from syncer.runner.parts import Stop

SLICE = 20.0
"""Seconds of one sleep: a machine that was suspended, or whose clock was set, notices within that time."""

HOPELESS = (ExitCode.USAGE, ExitCode.LEDGER_DAMAGED)
"""What keeps the very first pass from beginning is the user's to mend, and no later pass would go better."""


@dataclass(frozen=True, slots=True)
class WatchParts:
    """What a watch is made of. `one_pass` never raises for a pass that failed: its report says so."""

    one_pass: Callable[[], Awaitable[Report]]
    observer: Observer
    clock: Clock
    rng: random.Random


class Watch:
    """Runs passes at a cadence. A failed one is followed by another, after a wait that grows while they fail."""

    def __init__(self, parts: WatchParts, cadence: Cadence, stop: Stop) -> None:
        self._parts = parts
        self._cadence = cadence
        self._stop = stop
        self._past: Past | None = None
        self._news = asyncio.Event()

    def set_cadence(self, cadence: Cadence) -> None:
        """Heed another cadence from now on; a wait under way is planned anew."""
        self._cadence = cadence
        self._news.set()

    async def run(self) -> int:
        """Returns the exit code that `stop` was asked with, or that of a first pass that could not even begin."""
        while not self._stop.is_asked():
            report = await self._parts.one_pass()
            if self._stop.is_asked():
                break
            if self._past is None and report.exit_code in HOPELESS:
                return report.exit_code
            self._past = learn(self._past, report)
            await self._wait(self._past)
        return self._stop.code

    async def _wait(self, past: Past) -> None:
        """Until the next pass is due, or a stop is asked for."""
        stop = asyncio.create_task(self._stop.asked())
        try:
            while not stop.done():
                self._news.clear()
                planned = next_pass(self._cadence, past, self._parts.rng.random())
                self._parts.observer.notify(PassPlanned(planned.at, planned.why))
                if await self._is_due(planned, stop):
                    return
        finally:
            stop.cancel()

    async def _is_due(self, planned: NextPass, stop: "asyncio.Task[None]") -> bool:
        """Sleep until then; False where a stop or another cadence comes before it."""
        clock = self._parts.clock
        news = asyncio.create_task(self._news.wait())
        # By either clock: the wall's may be set back for years, the steady one stands still while a machine sleeps.
        end = clock.monotonic() + (planned.at - clock.now()).total_seconds()
        try:
            while True:
                left = min(end - clock.monotonic(), (planned.at - clock.now()).total_seconds())
                if left <= 0:
                    return True
                nap = asyncio.create_task(clock.sleep(min(left, SLICE)))
                await asyncio.wait({stop, news, nap}, return_when=asyncio.FIRST_COMPLETED)
                nap.cancel()
                if stop.done() or news.done():
                    return False
        finally:
            news.cancel()
