"""Connections kept alive between requests, by origin: never more of them than told, idle ones included."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from syncer.transfer.dial import Origin
from syncer.transfer.wire import Wire

IDLE = 30.0
"""Seconds that an unused connection is kept; servers close theirs after five and more."""


@dataclass(frozen=True, slots=True)
class _Idle:
    origin: Origin
    wire: Wire
    since: float


class Pool:
    """Every connection taken is either kept or closed by whoever took it, and then `leave` called."""

    def __init__(self, most: int, dial: Callable[[Origin, float | None], Awaitable[Wire]]) -> None:
        """`most` connections at once."""
        self._most = most
        self._dial = dial
        self._turns = asyncio.Semaphore(most)
        self._active = 0
        self._idle: list[_Idle] = []  # the longest unused first

    async def enter(self, timeout: float | None) -> None:  # noqa: ASYNC109
        """Wait for leave to have one connection. Raises httpx.PoolTimeout."""
        if self._turns.locked():
            try:
                async with asyncio.timeout(timeout):
                    await self._turns.acquire()
            except TimeoutError:
                raise httpx.PoolTimeout("") from None
        else:
            await self._turns.acquire()  # at once
        self._active += 1

    def leave(self) -> None:
        """The connection is kept or closed; the next one may enter."""
        self._active -= 1
        self._turns.release()

    def idle(self, origin: Origin) -> Wire | None:
        """The connection to this origin that was used last and still lives."""
        for place in reversed(range(len(self._idle))):
            if self._idle[place].origin == origin:
                kept = self._idle.pop(place)
                if time.monotonic() - kept.since < IDLE and not kept.wire.is_stale():
                    return kept.wire
                kept.wire.close()
        return None

    async def new(self, origin: Origin, timeout: float | None) -> Wire:  # noqa: ASYNC109
        """A new connection, for which an idle one to somewhere else may have to go."""
        while self._idle and self._active + len(self._idle) > self._most:
            self._idle.pop(0).wire.close()
        return await self._dial(origin, timeout)

    def keep(self, origin: Origin, wire: Wire) -> None:
        """The connection is unused from now on, and fit to be used again."""
        self._idle.append(_Idle(origin, wire, time.monotonic()))

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().wire.close()
