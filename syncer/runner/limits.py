"""What the user lets one pass take: files, bytes, time. What is left over waits for the next pass."""

import asyncio
from dataclasses import dataclass

from syncer.core.events import BytesArrived, Event, FileStored
from syncer.core.ports import Clock, Observer

MANY = 1 << 30
"""As good as no limit on files."""


@dataclass(frozen=True, slots=True)
class Limits:
    """None is no limit. Bytes are those over the wire, and seconds count from the beginning of the pass."""

    files: int | None = None
    bytes: int | None = None
    seconds: float | None = None


class Budget:
    """Counts what a pass takes, as an observer before the others, and says when it has had enough."""

    def __init__(self, limits: Limits, inner: Observer, clock: Clock) -> None:
        """The time runs from here on."""
        self._limits = limits
        self._inner = inner
        self._clock = clock
        self._end = None if limits.seconds is None else clock.monotonic() + limits.seconds
        self._files = 0
        self._bytes = 0
        self._had = asyncio.Event()

    def notify(self, event: Event) -> None:
        match event:
            case BytesArrived(count=count):
                self._bytes += count
            case FileStored(recovered=False):
                self._files += 1
            case _:
                pass
        if self._limits.bytes is not None and self._bytes >= self._limits.bytes:
            self._had.set()
        self._inner.notify(event)

    def room(self, running: int) -> int:
        """How many more files may be begun beside the `running` ones: never more are begun than may be stored."""
        return MANY if self._limits.files is None else max(0, self._limits.files - self._files - running)

    @property
    def reached(self) -> str | None:
        """The limit that leaves no room, if one does; that of time is `spent`'s to tell."""
        if self._limits.files is not None and self._files >= self._limits.files:
            return "--max-files"
        return "--max-bytes" if self._limits.bytes is not None and self._bytes >= self._limits.bytes else None

    async def spent(self) -> str:
        """Returns once bytes or time are used up, with the limit's name: what still runs is then to be parked."""
        waits: list[asyncio.Task[object]] = [asyncio.create_task(self._had.wait())]
        if self._end is not None:
            left = max(0.0, self._end - self._clock.monotonic())
            waits.append(asyncio.create_task(self._clock.sleep(left)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
        return "--max-bytes" if self._had.is_set() else "--max-duration"
