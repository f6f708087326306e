"""One large file over several ranges at once, while slots are free and another connection carries more."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from threading import Lock
from typing import Any

from syncer.core import resume, segments
from syncer.core.errors import (
    FetchError,
    FileChanged,
    Interrupted,
    LengthMismatch,
    LinkRefused,
    NotTheFile,
    StorageBusy,
)
from syncer.core.model import Link, Promise
from syncer.core.ports import Clock, Exchange, Fetcher, Partial, Sink
from syncer.core.resume import Answer
from syncer.core.segments import Span
from syncer.runner.intake import Intake
from syncer.runner.lanes import Lanes
from syncer.runner.offload import offload

_log = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks at whether another connection pays, and at what can be hashed."""

NOTED = 3.0
"""Seconds of work that a kill costs at the most: so often it is noted what lies where."""

FRUITLESS = 3
"""Times in a row that one stretch breaks without a byte before it is left to others, or to the next try."""


class SegmentsEnded(FetchError):
    """The storage's ranges are not to be trusted any more: the file comes over one connection from here on."""


class _Enough(FetchError):
    """The body goes on where another connection has begun."""


class Reach:
    """A Sink before a Sink that ends where it may be told to while it writes."""

    def __init__(self, sink: Sink, stretch: Span) -> None:
        self.start = stretch.start
        self._sink = sink
        self._at = stretch.start
        self._stop = stretch.stop
        self._lock = Lock()
        self.untold = 0  # bytes written by the call that had enough: whoever made it takes none of them for written

    @property
    def at(self) -> int:
        """Where the next byte goes."""
        return self._at

    @property
    def stop(self) -> int:
        """Where it ends."""
        return self._stop

    @property
    def span(self) -> Span:
        """All it is for."""
        return Span(self.start, self._stop)

    def cut(self, stop: int) -> bool:
        """End there; False where bytes beyond were let through."""
        with self._lock:
            if stop < self._at:
                return False
            self._stop = stop
            return True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Raises _Enough behind the last byte that is wanted."""
        view = memoryview(data)
        with self._lock:
            mine = view[: self._stop - self._at]
            self._at += len(mine)
        if mine:
            self._sink.write(mine)
        if len(mine) < len(view):
            self.untold = len(mine)
            raise _Enough("enough")


@dataclass(frozen=True, slots=True)
class Means:
    """What files are fetched with, and what the user lets one have."""

    fetcher: Fetcher
    clock: Clock
    lanes: Lanes
    most: int = 1  # connections of one file
    least: int = segments.LEAST  # bytes of a segment


class Segments:
    """Says which files may come in parts; holds nothing but the ids of those that no longer may, in this pass."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._barred = set[str]()

    def version_of(self, job_id: str, partial: Partial, promise: Promise, answer: Answer) -> str | None:
        """Under which validator the file may come in parts. None where it may not, or is too small to; what a partial
        holds already goes by its map, whatever the user has set since."""
        least = segments.MANY * self._means.least
        large = self._means.most > 1 and promise.size is not None and promise.size >= least
        if not (large or partial.held > partial.size) or job_id in self._barred:
            return None
        return segments.version_of(promise, answer)

    def of(self, job_id: str, link: Link, partial: Partial, promise: Promise) -> "Segmented":
        """One file, whose partial was begun under its version."""
        return Segmented(self._means, link, partial, promise, lambda: self._barred.add(job_id))


class Segmented:
    """Fetches one file. It begins with one connection, as any does; others join it, and leave, while it runs.

    Each takes the next stretch that nobody has, so that all work close to the front: what is hashed there is hashed as
    it is written, and what others wrote ahead of it is read back, once, from memory as a rule. (SHA-256 takes bytes in
    order and knows no other way; no byte is read a second time after the last has come.)
    """

    def __init__(self, means: Means, link: Link, partial: Partial, promise: Promise, bar: Callable[[], None]) -> None:
        """`promise` has a size and a strong entity tag. `bar` is called where ranges turn out not to be trusted."""
        assert promise.size is not None and promise.etag is not None  # noqa: S101, PT018 - see `core.segments.version_of`
        self._means = means
        self._link = link
        self._partial = partial
        self._promise = promise
        self._size, self._version = promise.size, promise.etag
        self._bar = bar
        ahead = [span for span in partial.spans() if span.start > partial.size]
        self._unproven = {span.stop: span for span in ahead}  # of an earlier try; compared with what follows
        self._spread = bool(ahead)
        self.front = Reach(partial, Span(partial.size, ahead[0].start if ahead else self._size))
        self._flying = {self.front}
        self._running = set[asyncio.Task[None]]()
        self._ended: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()
        self._moved = asyncio.Event()  # a stretch has ended
        self._refused = False  # nobody else is to be sent
        self._trouble: FetchError | None = None
        self._progress: Callable[[int], None] = lambda _: None

    async def pour(self, exchange: Exchange, intake: Intake, progress: Callable[[int], None]) -> None:
        """Bring the whole file; `exchange` gives the rest from the front on, through `intake` to `front`.

        Raises SegmentsEnded, and then the partial holds what came in order and nothing else; else as `Exchange.pour`
        does, once nothing more can be had, and LinkRefused never: the link was honoured. However it ends, no
        connection is left open.
        """
        self._progress = progress
        beside = [self._begin(self._note_now_and_then(), "notes"), self._begin(self._catch_up(), "hashes")]
        self._running.add(self._begin(self._first(exchange, intake), "front"))
        try:
            await self._see_through()
        except SegmentsEnded as error:
            await self._stop(beside)
            _log.info("%s", error.message)
            self._bar()
            await self._partial.retract()
            raise
        finally:
            await self._stop(beside)
        await self._partial.catch_up(self._size)

    # --- those who bring ---

    async def _first(self, exchange: Exchange, intake: Intake) -> None:
        """The connection that a file begins with: for all the rest, until others have begun."""
        try:
            await exchange.pour(intake, self._progress)
            if intake.holds_back:
                await offload(intake.finish)
        except _Enough:
            self._progress(self.front.untold)
        except Interrupted:
            if self._is_alone or self.front.at == self.front.start:
                raise
        finally:
            self._let_go(self.front)
        await exchange.close()
        await self._lane()

    async def _lane(self) -> None:
        """One connection's work: stretch by stretch, until nobody lacks one."""
        broken = 0
        while (stretch := self._next()) is not None:
            reach = Reach(self._partial.at(stretch.start), stretch)
            self._flying.add(reach)
            try:
                await self._fetch(reach)
            except Interrupted:
                broken = 0 if reach.at > reach.start else broken + 1
                if self._is_alone or broken >= FRUITLESS:
                    raise
            finally:
                self._let_go(reach)
            if broken:
                await self._means.clock.sleep(broken * TICK)

    async def _fetch(self, reach: Reach) -> None:
        """One stretch. Raises SegmentsEnded where the answer is not exactly that."""
        start = reach.start
        before = self._unproven.get(start)
        asked = segments.ask_for(reach.span, self._version, 0 if before is None else before.length)
        try:
            async with self._means.fetcher.open(self._link, asked) as exchange:
                resume.judge_segment(asked, self._promise, exchange.answer)
                if not asked.overlap:
                    await exchange.pour(reach, self._progress)
                    return
                intake = Intake(reach, tail=await self._partial.tail(asked.overlap, start))
                await exchange.pour(intake, self._progress)
                if intake.holds_back:
                    intake.finish()
        except (NotTheFile, FileChanged, LengthMismatch) as error:
            raise SegmentsEnded(error.message) from None
        except _Enough:
            raise SegmentsEnded("The storage sent more bytes than the range has that it was asked for.") from None
        finally:
            if reach.at > start:
                self._unproven.pop(start, None)

    def _next(self) -> Span | None:
        gaps, means = self._gaps(), self._means
        lacking = sum(gap.length for gap in gaps)
        length = segments.length_of(means.least, means.lanes.line, lacking, len(self._running))
        return segments.next_stretch(gaps, length, means.least)

    def _gaps(self) -> tuple[Span, ...]:
        """What is not here, and nobody is bringing."""
        return segments.missing(self._size, [*(reach.span for reach in self._flying), *self._partial.spans()])

    def _let_go(self, reach: Reach) -> None:
        self._flying.discard(reach)
        self._moved.set()

    @property
    def _is_alone(self) -> bool:
        return len(self._running) <= 1

    # --- those who see to it ---

    async def _see_through(self) -> None:
        while self._running:
            task = await self._ended.get()
            self._means.lanes.give_back(task)
            self._running.discard(task)
            if task.cancelled():
                continue  # its slot was taken back, and what it had begun is somebody else's
            try:
                task.result()
            except (Interrupted, StorageBusy) as error:
                self._refused, self._trouble = True, error
            except LinkRefused as error:
                self._refused, self._trouble = True, Interrupted(error.message)
        if self._gaps():
            raise self._trouble or Interrupted("The connection was needed for another file.")

    async def _note_now_and_then(self) -> None:
        clock = self._means.clock
        noted = clock.monotonic()
        while True:
            await clock.sleep(TICK)
            if self._spread and clock.monotonic() - noted >= NOTED:
                await self._partial.note()
                noted = clock.monotonic()
            while await self._send_another():
                pass

    async def _send_another(self) -> bool:
        """One connection more, if there is something for it to do and it pays; whether there was."""
        lanes, front = self._means.lanes, self.front
        gaps, left = self._gaps(), (front.stop - front.at if front in self._flying else 0)
        proven = front not in self._flying or front.at > front.start
        useful = bool(gaps) or segments.is_worth_parting(self._means.least, lanes.line, left)
        if self._refused or len(self._running) >= self._means.most or not (useful and proven):
            lanes.withdraw(self)
            return False
        if not lanes.ask(self, self._link.expires_at):
            return False
        await self._partial.spread(self._version, self._size)
        self._spread = True
        length = segments.length_of(self._means.least, lanes.line, front.stop - front.at, 2)
        if not gaps and not (front in self._flying and front.cut(min(front.at + length, front.stop))):
            return False
        if not lanes.ask(self, self._link.expires_at):  # time has passed
            return False
        task = self._begin(self._lane(), "segment")
        self._running.add(task)
        lanes.lend(task, lambda: _cancel(task))
        return True

    async def _catch_up(self) -> None:
        while True:
            self._moved.clear()
            if self._spread:
                # No further than to what is proven: that is what is kept where ranges turn out not to be trusted.
                await self._partial.catch_up(min((span.start for span in self._unproven.values()), default=self._size))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._moved.wait()

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended.put_nowait)
        return task

    async def _stop(self, beside: list[asyncio.Task[None]]) -> None:
        """All connections closed, and no thread left at the partial; however often it is cancelled meanwhile."""
        self._means.lanes.withdraw(self)
        left, again = {*self._running, *beside}, False
        for task in left:
            self._means.lanes.give_back(task)
            task.cancel()
        while left:
            try:
                _, left = await asyncio.wait(left)
            except asyncio.CancelledError:
                again = True
        for task in {*self._running, *beside}:
            if not task.cancelled():
                task.exception()  # heard: the first one counts
        self._running.clear()
        if again:
            raise asyncio.CancelledError


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
