"""A body's way from the socket to its sink, in a thread: no copy between, and all that costs time lets others run."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import httpx

from syncer.core.ports import PAGE, Sink
from syncer.transfer.buffers import BUFFER, Buffers
from syncer.transfer.throttle import Throttle
from syncer.transfer.wire import Wire
from syncer.transfer.wire_head import Framing

ENOUGH = BUFFER // 2
"""Bytes that are handed over without waiting for more."""

FRESH = 0.25
"""Seconds after which bytes are handed over however few they are; with a TICK on top, half a second at most."""

OFTEN = 0.25
"""Seconds between two tellings of one file's progress."""

_PIECE = 64 * 1024  # bytes read at once where framing stands between them


@dataclass(frozen=True, slots=True)
class End:
    """When an answer must be over: `limit` seconds after it was asked for, at a moment of the monotonic clock."""

    limit: float
    at: float

    def check(self) -> None:
        """Raises OutOfTime once that moment has come."""
        if time.monotonic() >= self.at:
            raise OutOfTime(self)


class OutOfTime(httpx.ReadTimeout):
    """An answer took longer in all than it may. What came of it is with the sink."""

    def __init__(self, end: End) -> None:
        super().__init__("")
        self.limit = end.limit


@dataclass(frozen=True, slots=True)
class Line:
    """Where a body comes from."""

    wire: Wire
    framing: Framing
    rest: bytes  # what came in behind the head
    read_timeout: float | None  # seconds without a byte
    buffers: Buffers
    throttle: Throttle | None
    end: End | None = None
    trouble: httpx.ReadError | None = None  # what the wire said behind the last byte


class Pouring:
    """Moves one body. `run` and what it calls are the thread's; everything else is the event loop's."""

    def __init__(self, line: Line, sink: Sink, progress: Callable[[int], None]) -> None:
        self._line = line
        self._wire = line.wire
        self._framing = line.framing
        self._sink = sink
        self._progress = progress
        self._loop = asyncio.get_running_loop()
        self._halted = threading.Event()
        self._buffer: memoryview | None = None  # only while there is something for it
        self._filled = 0  # bytes of it that the sink does not have yet
        self._filling_since = 0.0
        self._silence = 0.0
        self._told_at = 0.0
        self._told = 0
        self._written = 0  # bytes that the sink has
        self._trouble: Exception | None = None  # what `progress` raised

    async def carry(self, threads: Executor) -> int:
        """Returns at the body's end, with its number of bytes.

        Raises httpx's errors where the wire broke, and then what had come is with the sink; what the sink or
        `progress` raised. However it ends, no thread is left at the wire or the sink, and all progress is told.
        """
        flight = self._loop.run_in_executor(threads, self.run)
        try:
            await asyncio.shield(flight)
        except asyncio.CancelledError:
            self._halt()
            await _seen_out(flight)
            raise
        except httpx.HTTPError:
            if self._trouble is None:  # else it is our own hanging up
                raise
        finally:
            self._tell()
        if self._trouble is not None:
            raise self._trouble
        return self._written

    def run(self) -> None:
        """Blocking, until the body's end or a halt."""
        self._told_at = time.monotonic()
        try:
            self._run()
        finally:
            self._lay_down()

    def _run(self) -> None:
        try:
            if self._line.rest:
                self._sort_out(self._line.rest)
                self._pay(self._filled)
            while not (self._framing.ended or self._halted.is_set()):
                if not self._fill():
                    if not self._wait():
                        self._hand_over()
                elif self._filled >= ENOUGH and not self._framing.ended:
                    self._hand_over(self._filled - self._filled % PAGE)
                elif time.monotonic() - self._filling_since >= FRESH:
                    self._hand_over()
        except httpx.HTTPError:
            self._hand_over()
            raise
        self._hand_over()

    def _fill(self) -> bool:
        """Bytes from the wire into the buffer; False where there are none now."""
        room = self._framing.room
        most = self._granted(min(BUFFER - self._filled, _PIECE if room is None else room))
        view = self._place()[:most]
        count = self._receive(view)
        self._give_back(most - (count or 0))
        if count is None:
            return False
        self._silence = 0.0
        if count == 0:
            self._framing.eof()
        elif room is None:
            self._sort_out(bytes(view[:count]))
        else:
            self._framing.passed(count)
            self._filled += count
        return True

    def _receive(self, view: memoryview) -> int | None:
        if self._halted.is_set():
            return None
        if self._line.trouble is not None:
            raise self._line.trouble
        if self._line.end is not None:
            self._line.end.check()
        return self._wire.receive_into(view)

    def _wait(self) -> bool:
        """False where no bytes came for a TICK. Raises httpx.ReadTimeout once the wire was silent for too long."""
        if not self._filled:
            self._lay_down()
        began = time.monotonic()
        is_ready = self._wire.wait()
        self._silence += time.monotonic() - began
        patience = self._line.read_timeout
        if patience is not None and self._silence >= patience:
            raise httpx.ReadTimeout("")
        return is_ready

    def _place(self) -> memoryview:
        """Where the next bytes belong."""
        if self._buffer is None:
            self._buffer = self._line.buffers.take()
        if not self._filled:
            self._filling_since = time.monotonic()
        return self._buffer[self._filled :]

    def _lay_down(self) -> None:
        """Let others have the buffer: a connection that waits needs none."""
        buffer, self._buffer, self._filled = self._buffer, None, 0
        if buffer is not None:
            self._line.buffers.give_back(buffer)

    def _granted(self, most: int) -> int:
        """How many bytes may be read now; waits for the leave, or a halt."""
        if self._line.throttle is None:
            return most
        grant = self._line.throttle.ask(most)
        if grant.wait:
            self._halted.wait(grant.wait)
        return grant.count

    def _pay(self, count: int) -> None:
        """For bytes that were read already."""
        while self._line.throttle is not None and count > 0 and not self._halted.is_set():
            count -= self._granted(count)

    def _give_back(self, count: int) -> None:
        if count and self._line.throttle is not None:
            self._line.throttle.give_back(count)

    def _sort_out(self, data: bytes) -> None:
        """Keep what of `data` is the body. There is room: a buffer that is half full is handed over first."""
        for piece in self._framing.take(data):
            self._place()[: len(piece)] = piece
            self._filled += len(piece)

    def _hand_over(self, count: int | None = None) -> None:
        """What is in the buffer to the sink, or the first `count` bytes of it; nothing any more after a halt."""
        if self._buffer is None or not self._filled or self._halted.is_set():
            return
        count = self._filled if count is None else count
        self._sink.write(self._buffer[:count])
        self._written += count
        rest = bytes(self._buffer[count : self._filled])
        if rest:
            self._buffer[: len(rest)] = rest
            self._filled, self._filling_since = len(rest), time.monotonic()
        else:
            self._lay_down()
        now = time.monotonic()
        if now - self._told_at >= OFTEN:
            self._told_at = now
            self._loop.call_soon_threadsafe(self._tell_at_once)

    def _halt(self) -> None:
        self._halted.set()
        self._wire.hang_up()

    def _tell_at_once(self) -> None:
        try:
            self._tell()
        except Exception as error:  # noqa: BLE001 - raised by `carry`
            self._trouble = error
            self._halt()

    def _tell(self) -> None:
        count = self._written - self._told
        if count:
            self._told += count
            self._progress(count)


async def _seen_out(flight: asyncio.Future[None]) -> None:
    """Wait for a thread, however often the wait is cancelled: it must not go on writing when its file is closed."""
    while not flight.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([flight])
    if not flight.cancelled():
        flight.exception()  # heard: whoever cancelled has a graver reason
