"""Threads for what blocks, with little ado: to a small file, going to a thread and back is what costs."""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from syncer.destination.abreast import Pause, Want, go_abreast

T = TypeVar("T")


class Job(NamedTuple):
    """A call, or a coroutine that goes by itself, and who waits for it."""

    call: Callable[..., Any]
    args: tuple[Any, ...]
    future: "asyncio.Future[Any]"
    goes: bool


FEW = 1
"""Threads where the file system is quick: more of them trip over the interpreter's lock at every system call."""

PATIENCE = 0.05
"""Seconds that a job may wait before one more thread is put to work: then the file system is what it waits for."""

CALM = 100
"""Times in a row that all went quickly before a thread too many goes: to start one costs as much as some jobs."""

STRETCH = 0.04
"""Seconds that those which go side by side may take: then each goes in a thread of its own."""

MOST = 64
"""Jobs that one thread goes through side by side."""

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
        self._pace = PATIENCE  # seconds that a job takes, the last ones counting most
        self._lock = threading.Lock()
        self._closed = False

    async def do(self, call: Callable[..., T], *args: object) -> T:
        """`call(*args)` in a thread. When cancelled meanwhile, however often, wait for it to end first.

        A thread cannot be stopped; whoever went on while it still writes would let two hands at one file.
        """
        if getattr(_here, "hands", None) is self:
            return call(*args)
        result: T = await self._put(call, args, goes=False)
        return result

    async def _put(self, call: Callable[..., Any], args: tuple[object, ...], *, goes: bool) -> Any:
        if self._closed:
            raise RuntimeError("used after it was closed")
        loop = asyncio.get_running_loop()
        job = _Underway(loop=loop)
        with self._lock:
            self._idle -= 1
            is_short = self._idle < 0
        self._since.append(time.monotonic())
        self._jobs.put(Job(call, args, job, goes))
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
        """Await `work(*args)` in one thread: one way there and back for all it does with these hands.

        It must await nothing else. Where the file system is quick, those that wait for a thread at the same time go
        side by side in it: each up to its next `together` or `after_you`, then on. Cancelled like `do`.
        """
        if getattr(_here, "hands", None) is self:
            return await work(*args)
        result: T = await self._put(work, args, goes=True)
        return result

    async def together(self, call: Callable[[list[T]], object], item: T) -> None:
        """`call` with `item`, and with those of all who go side by side and want the same call at the same time.

        What it raises, it raises for all of them.
        """
        if getattr(_here, "hands", None) is self:
            await Pause(Want(call, item))
        else:
            await self.do(call, [item])

    async def after_you(self) -> None:
        """Let those that go side by side come this far first."""
        if getattr(_here, "hands", None) is self:
            await Pause(Want(None, None))

    def _go(self, jobs: list[Job]) -> None:
        _here.hands = self
        try:
            go_abreast((job.call(*job.args), partial(self._over, job.future)) for job in jobs)
        finally:
            _here.hands = None

    def _do(self, job: Job) -> None:
        result, error = None, None
        try:
            result = job.call(*job.args)
        except BaseException as caught:  # noqa: BLE001 - it is raised where the call was made
            error = caught
        self._over(job.future, result, error)

    def _over(self, future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
        self._done.append((future, result, error))

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
        calm = 0  # times in a row that nothing took long
        while (job := self._jobs.get()) is not None:
            begun = time.monotonic()
            waited = begun - self._since.popleft()
            jobs = [job, *self._company(job)]
            for one in jobs:
                if not one.goes:
                    self._do(one)
            if job.goes:
                self._go([one for one in jobs if one.goes])
            loop = job.future.get_loop()
            took = time.monotonic() - begun
            if job.goes:
                self._pace += (took / len(jobs) - self._pace) / 8
            del job, one
            calm = calm + 1 if max(waited, took) < PATIENCE else 0
            with self._lock:
                may_go = calm >= CALM and self._threads > self._few
                self._threads -= may_go
                self._idle += len(jobs) - may_go
            jobs.clear()
            # Whoever sees True came before the delivery looked: it will find this one too.
            if not self._called:
                self._called = True
                with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(self._deliver)
            if may_go:
                return

    def _company(self, job: Job) -> list[Job]:
        """Those that wait as well, as many as are done in a moment: where each takes long, each is to have a thread."""
        company: list[Job] = []
        while job.goes and (len(company) + 2) * self._pace <= STRETCH and len(company) + 1 < MOST:
            try:
                more = self._jobs.get_nowait()
            except Empty:
                break
            if more is None:  # the threads are to end
                self._jobs.put(more)
                break
            self._since.popleft()
            company.append(more)
        return company

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
