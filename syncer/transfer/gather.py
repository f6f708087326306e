"""Carries the small pieces of a body to a blocking sink in large blocks, beside the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from syncer.core.ports import Sink

BLOCK = 1024 * 1024
"""Bytes handed to the sink at once, where the line gives that many in time."""

FRESH = 0.5
"""Seconds after which bytes are handed over however few they are: a kill costs no more, and progress is seen."""


class Gather:
    """One body's way to its sink. While one block is written the next one fills; `add` waits when both are full.

    Every byte added reaches the sink if `end` is awaited. The sink is never called twice at once, nor after `end`
    or `abandon` returned.
    """

    def __init__(self, sink: Sink, progress: Callable[[int], None], pool: Executor) -> None:
        """Starts at once; needs a running event loop."""
        self._sink = sink
        self._progress = progress
        self._pool = pool
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._some = asyncio.Event()  # there is something, or the end
        self._full = asyncio.Event()  # there is a whole block, or the end
        self._room = asyncio.Event()
        self._carrier = asyncio.create_task(self._carry())

    async def add(self, piece: bytes) -> None:
        """Take in a piece. Raises what the sink or `progress` raised on an earlier one."""
        self._pieces.append(piece)
        self._size += len(piece)
        self._some.set()
        if self._size >= BLOCK:
            self._room.clear()
            self._full.set()
            if not self._carrier.done():
                await self._room.wait()
        if self._carrier.done():
            self._carrier.result()

    async def end(self) -> None:
        """Hand over what is left and wait until it is written. Raises what the sink or `progress` raised."""
        self._ended = True
        self._some.set()
        self._full.set()
        try:
            await asyncio.shield(self._carrier)
        except asyncio.CancelledError:
            await self.abandon()
            raise

    async def abandon(self) -> None:
        """Forget what the sink does not have yet; returns once it is no longer being called."""
        self._carrier.cancel()
        await asyncio.wait([self._carrier])
        if not self._carrier.cancelled():
            self._carrier.exception()  # heard: whoever abandons has a graver reason

    async def _carry(self) -> None:
        try:
            while await self._filled():
                pieces, count = self._pieces, self._size
                self._pieces, self._size = [], 0
                if not self._ended:
                    self._some.clear()
                    self._full.clear()
                self._room.set()
                await self._write(pieces)
                self._progress(count)
        finally:
            self._room.set()

    async def _filled(self) -> bool:
        """Wait for a block, or for half a second's worth; False when nothing is left and nothing will come."""
        await self._some.wait()
        if not self._full.is_set():
            try:
                async with asyncio.timeout(FRESH):
                    await self._full.wait()
            except TimeoutError:
                pass
        return self._size > 0

    async def _write(self, pieces: list[bytes]) -> None:
        """One hop to a thread. A thread cannot be stopped, so a cancelled write is waited for."""
        flight = asyncio.get_running_loop().run_in_executor(self._pool, _pour, self._sink, pieces)
        try:
            await asyncio.shield(flight)
        except asyncio.CancelledError:
            await asyncio.wait([flight])
            flight.exception()  # heard
            raise


def _pour(sink: Sink, pieces: list[bytes]) -> None:
    sink.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
