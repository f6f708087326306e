"""The ledger's one thread: calls go there and their results come back with little ado."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Land = Callable[[Any, BaseException | None], None]
_Job = tuple[asyncio.AbstractEventLoop, Callable[[], Any], Land]


class OneThread:
    """Carries out one call after another, in the order they are given. Given to on the event loop's thread only."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def give(self, call: Callable[[], Any], land: Land) -> None:
        """Carry `call` out; its result, or what it raised, goes to `land` on the event loop."""
        if self._closed:
            raise RuntimeError("used after it was closed")
        if self._thread is None:
            self._thread = threading.Thread(target=_work, args=(self._jobs,), name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put((asyncio.get_running_loop(), call, land))

    async def do(self, call: Callable[[], T]) -> T:
        """What `call` returns or raises. Given up before it was begun, it is as if it had never been asked for."""
        caller: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def work() -> T | None:
            return None if caller.cancelled() else call()

        def land(result: Any, error: BaseException | None) -> None:
            if caller.done():
                return  # nobody waits any more
            if error is None:
                caller.set_result(result)
            else:
                caller.set_exception(error)

        self.give(work, land)
        return await caller

    def close(self) -> None:
        """Returns once everything that was given is done."""
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            thread.join()


def _work(jobs: "SimpleQueue[_Job | None]") -> None:
    while (job := jobs.get()) is not None:
        loop, call, land = job
        result, error = None, None
        try:
            result = call()
        except BaseException as caught:  # noqa: BLE001 - it is raised where the call was made
            error = caught
        with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            loop.call_soon_threadsafe(land, result, error)
        del job, loop, call, land, result, error
