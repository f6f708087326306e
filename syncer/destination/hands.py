"""Threads for what blocks, with little ado: to a small file, going to a thread and back is what costs."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]"]

_here = threading.local()  # `hands`: whose thread this is, while it goes on by itself


class Hands:
    """Threads of the destination's own: a NAS that hangs must not starve what else the program does in threads.

    Results that come close together wake the event loop once. Nobody waits for a hung thread when the program ends.
    """

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._threads = 0
        self._idle = 0  # threads that wait for a job, less jobs that wait for them
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._called = False  # the event loop knows that there is something in `_done`
        self._lock = threading.Lock()
        self._closed = False

    async def do(self, call: Callable[..., T], *args: object) -> T:
        """`call(*args)` in a thread. When cancelled meanwhile, however often, wait for it to end first.

        A thread cannot be stopped; whoever went on while it still writes would let two hands at one file.
        """
        if getattr(_here, "hands", None) is self:
            return call(*args)
        if self._closed:
            raise RuntimeError("used after it was closed")
        job: asyncio.Future[T] = _Underway(loop=asyncio.get_running_loop())
        self._see_to_a_thread()
        self._jobs.put((call, args, job))
        try:
            return await job
        except asyncio.CancelledError:
            if not job.cancelled():
                job.exception()  # heard: the cancelling counts
            raise

    async def go(self, work: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
        """Await `work(*args)` in one thread: one way there and back for all that it does with these hands.

        It must await nothing else. Cancelled like `do`.
        """
        return await self.do(self._go, work, args)

    def _go(self, work: Callable[..., Coroutine[Any, Any, T]], args: tuple[object, ...]) -> T:
        steps = work(*args)
        _here.hands = self
        try:
            steps.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            _here.hands = None
            steps.close()
        raise AssertionError("what goes by itself in a thread awaited something else")

    def close(self) -> None:
        """Let the threads end after what they have to do; none is waited for."""
        self._closed = True
        for _ in range(self._threads):
            self._jobs.put(None)

    def _see_to_a_thread(self) -> None:
        with self._lock:
            self._idle -= 1
            if self._idle >= 0 or self._threads >= self._most:
                return
            self._threads += 1
            self._idle += 1
        threading.Thread(target=self._work, name="syncer-files", daemon=True).start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, args, future = job
            result, error = None, None
            try:
                result = call(*args)
            except BaseException as caught:  # noqa: BLE001 - it is raised where the call was made
                error = caught
            self._done.append((future, result, error))
            del job, call, args, result, error
            with self._lock:
                self._idle += 1
            # Whoever sees True came before the delivery looked: it will find this one too.
            if not self._called:
                self._called = True
                with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody waits any more
                    future.get_loop().call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._called = False
        while self._done:
            future, result, error = self._done.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)


class _Underway(asyncio.Future[Any]):
    """What a thread does, which cannot be stopped: whoever awaits it and is cancelled hears so once it is done."""

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ARG002
        return False
