"""A limit on the rate of all transfers together, shared out fairly among them."""

import asyncio
from collections.abc import Callable

from syncer.core.ports import Clock

BURST = 0.25
"""Seconds of unused rate that may be caught up on."""

_LOOK_AGAIN = 0.25  # seconds after which a waiting transfer asks for the rate anew
_SHORTEST = 0.001  # seconds: the last crumb of a debt must not become sleeps too short for the clock to notice


class Throttle:
    """A token bucket that may go into debt: whoever takes bytes lets those behind wait until they are paid for.

    `rate` gives bytes a second at this moment, None for no limit; it is asked often, so that a timetable's step
    takes hold within a quarter of a second. Over any stretch of t seconds with one rate no more than
    `rate * (t + BURST)` bytes and one take pass.
    """

    def __init__(self, rate: Callable[[], float | None], clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._turn = asyncio.Lock()  # first come, first served: transfers take turns
        self._level = 0.0  # bytes; below 0 is debt
        self._counted_at = clock.monotonic()

    async def take(self, count: int) -> None:
        """Wait for the turn of `count` bytes."""
        if self._rate() is None:
            return
        async with self._turn:
            while (rate := self._rate()) is not None:
                self._refill(rate)
                if self._level >= 0:
                    self._level -= count
                    return
                await self._clock.sleep(max(_SHORTEST, min(-self._level / rate, _LOOK_AGAIN)))
            self._level = 0.0

    def _refill(self, rate: float) -> None:
        now = self._clock.monotonic()
        self._level = min(self._level + (now - self._counted_at) * rate, rate * BURST)
        self._counted_at = now
