"""Threads for what blocks, with little ado: to a small file, going to a thread and back is what costs."""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]"]

FEW = 4
"""Threads where the file system is quick: more of them trip over the interpreter's lock at every system call."""

PATIENCE = 0.01
"""Seconds that a job may wait before one more thread is put to work: then the file system is what it waits for."""

_here = threading.local()  # `hands`: whose thread this is, while it goes on by itself


class Hands:
    """Threads of the destination's own: a NAS that hangs must not starve what else the program does in threads.

    A few where jobs are done in no time, more while jobs wait, and those go again when none does. Results that come
    close together wake the event loop once. Nobody waits for a hung thread when the program ends.
    """

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._few = min(threads, FEW)
        self._watched = False  # a look at how long jobs wait is due
        self._threads = 0
        self._idle = 0  # threads that wait for a job, less jobs that wait for them
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._since: deque[float] = deque()  # when each job that waits was given
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
        loop = asyncio.get_running_loop()
        job: asyncio.Future[T] = _Underway(loop=loop)
        with self._lock:
            self._idle -= 1
            is_short = self._idle < 0
        self._since.append(time.monotonic())
        self._jobs.put((call, args, job))
        if is_short and self._threads < self._few:
            self._hire()
        elif is_short and not self._watched:
            self._watched = True
            loop.call_later(PATIENCE, self._look, loop)
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
        with self._lock:
            threads = self._threads
        for _ in range(threads):
            self._jobs.put(None)

    def _hire(self) -> None:
        with self._lock:
            self._threads += 1
            self._idle += 1
        threading.Thread(target=self._work, name="syncer-files", daemon=True).start()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """One thread more where a job has waited for too long; and as long as any waits, another look."""
        self._watched = bool(self._since) and self._threads < self._most and not self._closed
        if self._watched:
            with contextlib.suppress(IndexError):  # taken this moment
                if time.monotonic() - self._since[0] >= PATIENCE:
                    self._hire()
            loop.call_later(PATIENCE, self._look, loop)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, args, future = job
            result, error = None, None
            begun = time.monotonic()
            waited = begun - self._since.popleft()
            try:
                result = call(*args)
            except BaseException as caught:  # noqa: BLE001 - it is raised where the call was made
                error = caught
            loop = future.get_loop()
            self._done.append((future, result, error))
            del job, call, args, future, result, error
            is_quick = waited < PATIENCE and time.monotonic() - begun < PATIENCE
            with self._lock:
                may_go = is_quick and self._threads > self._few
                self._threads -= may_go
                self._idle += not may_go
            # Whoever sees True came before the delivery looked: it will find this one too.
            if not self._called:
                self._called = True
                with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(self._deliver)
            if may_go:
                return

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
