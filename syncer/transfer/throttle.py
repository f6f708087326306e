"""A limit on the rate of all transfers together, shared out fairly among them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from syncer.core.ports import Clock

BURST = 0.25
"""Seconds of unused rate that may be caught up on."""

QUANTUM = 0.02
"""Seconds of the rate handed out at once: what a limit can be off by, and how long one transfer makes others wait."""


@dataclass(frozen=True, slots=True)
class Grant:
    """`count` bytes may be moved once `wait` seconds have passed; the caller waits in its own way."""

    count: int
    wait: float


class Throttle:
    """Hands out the rate in slots, one behind the other: first come, first served, and nothing is moved unpaid.

    `rate` gives bytes a second at this moment, None for no limit; it is asked at every grant, so that a change takes
    hold as soon as the slots already given are over (a fiftieth of a second for each running transfer). Over any
    stretch of t seconds with one rate at most `rate * (t + BURST + QUANTUM)` bytes pass, however many transfers there
    are and however large their reads.

    `ask` and `give_back` may be called from any thread and never block on anything but each other.
    """

    def __init__(self, rate: Callable[[], float | None], clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock.monotonic()  # when the next slot begins

    @property
    def is_on(self) -> bool:
        """Whether there is a limit at this moment."""
        return self._rate() is not None

    def ask(self, most: int) -> Grant:
        """Leave to move up to `most` bytes: at least one, and no more than a quantum's worth. `most` is above 0."""
        rate = self._rate()
        with self._lock:
            now = self._clock.monotonic()
            if rate is None:
                self._free_at = now
                return Grant(most, 0.0)
            count = max(1, min(most, int(rate * QUANTUM)))
            begin = max(self._free_at, now - BURST)
            self._free_at = begin + count / rate
            return Grant(count, max(0.0, begin - now))

    def give_back(self, count: int) -> None:
        """`count` granted bytes were not moved after all; others may have them."""
        rate = self._rate()
        if rate is not None:
            with self._lock:
                self._free_at -= count / rate

    async def grant(self, most: int) -> int:
        """Wait for leave to move bytes; how many, between 1 and `most`. A cancelled wait costs nothing."""
        grant = self.ask(most)
        if grant.wait > 0:
            try:
                await self._clock.sleep(grant.wait)
            except BaseException:
                self.give_back(grant.count)
                raise
        return grant.count
