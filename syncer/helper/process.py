"""The Helper port by a process of our own: begins it, gives it errands, and sees to it that it does not outlive us."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from typing import Any

from syncer.children import Child
from syncer.core.environment import clean
from syncer.core.errands import Errand
from syncer.core.errors import Declined
from syncer.core.model import Promise, StoredFile
from syncer.core.ports import Lead
from syncer.helper import wire
from syncer.helper.channel import Channel, Message
from syncer.helper.setup import Setup

MODULE = "syncer.helping"
"""What the process runs."""

GRACE = 8.0
"""Seconds that it gets to end by itself, or to leave off what it was told to stop, before it is killed."""


class HelperProcess:
    """`core.ports.Helper`. The process ends when its channel does: when we say so, or when this process is no more."""

    def __init__(self, setup: Setup, *, grace: float = GRACE) -> None:
        """`grace` is in seconds: see GRACE."""
        self._setup = setup
        self._grace = grace
        self._child: Child | None = None
        self._channel: Channel | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._why = ""  # what ended it
        self._errands: dict[str, _Underway] = {}

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set() and self._channel is not None

    async def start(self, destination_id: str) -> None:
        try:
            await self._begin(destination_id)
        except Exception as error:  # noqa: BLE001 - a pass goes on without help, whatever it is that keeps it from it
            what = error.strerror if isinstance(error, OSError) else type(error).__name__
            raise Declined(f"No other process can be begun ({what}).") from None
        await self._ready.wait()
        if self._channel is None:
            raise Declined(self._why)

    async def _begin(self, destination_id: str) -> None:
        ours, theirs = socket.socketpair()
        try:
            channel = self._channel = await Channel.over(ours)
        except BaseException:
            ours.close()
            theirs.close()
            raise
        child = self._child = _spawn(theirs)
        channel.send("setup", *astuple(self._setup), destination_id)
        self._listening = asyncio.create_task(self._listen(channel, child), name="helper")

    async def bring(self, errand: Errand, lead: Lead) -> StoredFile:
        channel = self._channel
        if channel is None:
            raise Declined(self._why or "The other process is not there.")
        underway = self._errands[errand.id] = _Underway(lead, _End(lambda: self._stop(channel, errand.id)))
        channel.send("bring", *wire.of_errand(errand))
        try:
            return await underway.end
        except asyncio.CancelledError:
            underway.end.exception()  # heard: the cancelling counts
            raise
        finally:
            del self._errands[errand.id]
            if underway.asking:  # what the lead was asked is not to take effect behind the errand's end
                await asyncio.wait(underway.asking)

    async def end(self) -> None:
        channel, self._channel = self._channel, None
        child = self._child
        if child is None:
            return
        if channel is not None:
            channel.finish()
        try:
            await child.ends(within=self._grace)
        finally:
            self._kill()
            if channel is not None and not child.is_begun:
                channel.close()  # its other end is still here, and nobody at it
            await child.ends()
            if self._listening is not None:
                await asyncio.wait([self._listening])

    def _stop(self, channel: Channel, job_id: str) -> None:
        """Whoever waits for the errand waits until it has left off; so one that does not hear is killed."""
        channel.send("stop", job_id)
        underway = self._errands[job_id]
        asyncio.get_running_loop().call_later(self._grace, lambda: None if underway.end.done() else self._kill())

    def _kill(self) -> None:
        """Its channel ends then, and what it had is Declined; without effect where it is no more."""
        if self._child is not None:
            self._child.signal(signal.SIGKILL)

    async def _listen(self, channel: Channel, child: Child) -> None:
        """Until the process is no more; then, and not before, errands that it had are over: nobody writes any more."""
        try:
            async for message in channel.messages():
                self._hear(channel, message)
        except Exception as error:
            logging.getLogger(__name__).exception("another process was misunderstood")
            self._why = f"The other process was misunderstood ({type(error).__name__})."
        finally:
            self._channel = None
            channel.close()
            self._kill()  # it has nothing to live for without its channel, and mostly is no more
            await child.ends()
            self._why = self._why or _ending(child.outcome)
            self._ready.set()
            for underway in self._errands.values():
                underway.fail(Declined(self._why))

    def _hear(self, channel: Channel, message: Message) -> None:
        kind, *said = message
        match kind, said:
            case "ready", _:
                self._ready.set()
            case "unfit", [why]:
                self._why = why
            case "log", [name, level, text]:
                logging.getLogger(name).log(level, "%s", text)
            case _, [job_id, *_] if job_id in self._errands:
                self._heed(channel, self._errands[job_id], kind, said)

    def _heed(self, channel: Channel, underway: "_Underway", kind: str, said: list[Any]) -> None:
        match kind, said:
            case "arrived", [_, count]:
                underway.lead.arrived(count)
            case "done_with_line", _:
                underway.lead.done_with_line()
            case "reserve", [job_id, path, promise]:
                underway.ask(path, wire.to_promise(promise), lambda answer: channel.send("answer", job_id, answer))
            case "stored", [_, *file]:
                underway.succeed(wire.to_file(file))
            case "failed", [_, *error]:
                underway.fail(wire.to_error(error))
            case _:
                raise AssertionError(f"a helper said {kind}")


class _End(asyncio.Future[StoredFile]):
    """How an errand ends. Cancelled, it has the helper stop, and whoever awaits it hears so once nothing is written."""

    def __init__(self, stop: Callable[[], None]) -> None:
        super().__init__()
        self._stop = stop
        self._is_stopped = False

    def cancel(self, msg: Any | None = None) -> bool:  # noqa: ARG002
        if not self._is_stopped:
            self._is_stopped = True
            self._stop()
        return False


@dataclass(slots=True)
class _Underway:
    """One errand: who gave it, how it ends, and what went wrong on this side of it."""

    lead: Lead
    end: _End
    error: Exception | None = None
    asking: set[asyncio.Task[None]] = field(default_factory=set)

    def succeed(self, file: StoredFile) -> None:
        if not self.end.done():
            self.end.set_result(file)

    def fail(self, error: Exception) -> None:
        if not self.end.done():
            self.end.set_exception(self.error or error)

    def ask(self, path: str, promise: Promise, answer: Callable[[bool | None], None]) -> None:
        """Have the lead asked to reserve the path."""
        task = asyncio.create_task(self._reserve(path, promise, answer))
        self.asking.add(task)
        task.add_done_callback(self.asking.discard)

    async def _reserve(self, path: str, promise: Promise, answer: Callable[[bool | None], None]) -> None:
        """Answered by None, the errand is over: what the lead raised is told once the helper has left off."""
        try:
            answer(await self.lead.reserve(path, promise))
        except Exception as error:  # noqa: BLE001 - it is raised where the errand was given
            self.error = error
            answer(None)


def _spawn(theirs: socket.socket) -> Child:
    """The process, at the other end of the channel, which is closed here. It says nothing by itself; -P keeps the
    folder we are in out of what it loads."""
    argv = (sys.executable, "-P", "-m", MODULE, str(theirs.fileno()))
    return Child(argv, clean(os.environ), lent=theirs)


def _ending(outcome: int | OSError) -> str:
    if isinstance(outcome, OSError):
        return f"No other process can be begun ({outcome.strerror})."
    return f"The other process has ended ({outcome})."
