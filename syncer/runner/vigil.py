"""One sleeper for many who want to be woken: most of them are gone again before their moment comes."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from syncer.core.ports import Clock

_SPARE = 64
"""Calls that nobody waits for any more, and are kept none the less until their moment comes."""


@dataclass(slots=True, order=True)
class Call:
    """Something to be called at a moment of the monotonic clock."""

    moment: float
    number: int  # first come, first called
    call: Callable[[], None] | None = field(compare=False)


class Vigil:
    """Calls back at the moments asked for. On the event loop's thread only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: list[Call] = []  # a heap
        self._numbers = itertools.count()
        self._live = 0
        self._sleeper: asyncio.Task[None] | None = None
        self._until = 0.0  # when it wakes

    def after(self, seconds: float, call: Callable[[], None]) -> Call:
        """Call it after so many seconds, unless that is given up before; it must return at once."""
        one = Call(self._clock.monotonic() + seconds, next(self._numbers), call)
        heapq.heappush(self._calls, one)
        self._live += 1
        if self._sleeper is None or one.moment < self._until:
            self._sleep()
        return one

    def give_up(self, one: Call) -> None:
        """Not to be called any more; without effect on what was."""
        if one.call is None:
            return
        one.call = None
        self._live -= 1
        if not self._live:
            self._wake()
            self._calls.clear()
        elif len(self._calls) > 2 * self._live + _SPARE:
            self._calls = [kept for kept in self._calls if kept.call is not None]
            heapq.heapify(self._calls)

    def _sleep(self) -> None:
        self._wake()
        self._until = self._calls[0].moment
        self._sleeper = asyncio.create_task(self._run(), name="vigil")

    def _wake(self) -> None:
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None

    async def _run(self) -> None:
        while self._calls:
            self._until = self._calls[0].moment
            await self._clock.sleep(max(0.0, self._until - self._clock.monotonic()))
            while self._calls and (self._calls[0].call is None or self._calls[0].moment <= self._until):
                one = heapq.heappop(self._calls)
                if one.call is not None:
                    call, one.call = one.call, None
                    self._live -= 1
                    call()
        self._sleeper = None
