"""Many pieces of work side by side, and their results written down in batches."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from syncer.core.ports import Clock

T = TypeVar("T")

BATCH = 100
"""Results written down at once, at the most."""

PATIENCE = 2.0
"""Seconds that a result waits for others: what a kill makes the next run do again."""


async def side_by_side(items: AsyncIterator[T], work: Callable[[T], Awaitable[None]], workers: int) -> None:
    """`work` on every item, on `workers` at once; none is taken from `items` before there is a hand free for it.

    The first error is raised, with nothing left running.
    """
    turn = asyncio.Lock()

    async def hand() -> None:
        while True:
            async with turn:
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
            await work(item)

    hands = [asyncio.create_task(hand()) for _ in range(workers)]
    try:
        await asyncio.gather(*hands)
    finally:
        for task in hands:
            task.cancel()
        await asyncio.gather(*hands, return_exceptions=True)


class Batches(Generic[T]):
    """Collects results and hands them on, some at a time; what is left at the end, however it ends, goes too."""

    def __init__(self, keep: Callable[[list[T]], Awaitable[None]], clock: Clock) -> None:
        self._keep = keep
        self._clock = clock
        self._items: list[T] = []
        self._lock = asyncio.Lock()
        self._timer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._timer = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            async with self._lock:  # never in the middle of a batch
                self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
        await self._hand_on(at_least=1)

    async def add(self, item: T) -> None:
        """One result more."""
        self._items.append(item)
        await self._hand_on(at_least=BATCH)

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(PATIENCE)
            await self._hand_on(at_least=1)

    async def _hand_on(self, *, at_least: int) -> None:
        async with self._lock:
            if len(self._items) >= at_least:
                batch = self._items[:]
                await self._keep(batch)
                del self._items[: len(batch)]
