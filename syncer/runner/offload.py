"""Runs what blocks in a thread, and does not leave it alone there."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def offload(call: Callable[[], T]) -> T:
    """Run `call` in a thread. When cancelled meanwhile, however often, wait for it to end first.

    A thread cannot be stopped; to go on while it still writes to a partial would let two hands at one file.
    """
    task = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # heard: the cancelling counts
        raise
