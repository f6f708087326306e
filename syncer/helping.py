"""A helper's own process: `python -m syncer.helping FD`, begun by `syncer.helper.process` and by nobody else."""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from syncer.core.errands import Errand
from syncer.core.errors import Declined, SyncerError
from syncer.core.model import Promise, StoredFile
from syncer.core.naming import Naming
from syncer.destination.folder import FolderDestination
from syncer.helper import wire
from syncer.helper.channel import Channel, Message
from syncer.helper.setup import Setup
from syncer.runner.clock import SystemClock
from syncer.runner.errands import Errands
from syncer.runner.parts import Rules
from syncer.transfer.fetcher import HttpFetcher


def main() -> None:
    """Runs errands until the channel ends, and is gone that moment: a helper must not outlive who keeps the ledger.

    Whoever began us decides about signals. What is left is what a kill leaves, and heals like it (I3).
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        asyncio.run(_help(socket.socket(fileno=int(sys.argv[1]))))
    finally:
        os._exit(1)


async def _help(end: socket.socket) -> None:
    channel = await Channel.over(end)
    messages = channel.messages()
    _, *said = await anext(messages)
    setup, destination_id = Setup(*said[:-1]), said[-1]
    logging.getLogger("syncer").setLevel(setup.log_level)
    logging.getLogger().addHandler(_ToChannel(channel))
    desk = _Desk(channel)
    # From here on the end is heard, even where the destination never answers.
    listening = asyncio.create_task(_listen(messages, desk))
    try:
        async with AsyncExitStack() as stack:
            desk.errands = await _errands(setup, destination_id, stack)
            gc.freeze()
            gc.set_threshold(5_000, 10, 10)
            channel.send("ready")
            await listening
    except SyncerError as error:
        channel.send("unfit", error.message)
        await channel.drain()


async def _listen(messages: AsyncIterator[Message], desk: "_Desk") -> None:
    async for kind, *said in messages:
        desk.hear(kind, said)
    # Before anything is closed in good order: that would take its time, and write.
    os._exit(0)


async def _errands(setup: Setup, destination_id: str, stack: AsyncExitStack) -> Errands:
    clock = SystemClock()
    destination = FolderDestination(Path(setup.destination), clock=clock, min_free=setup.min_free, keeps_manifest=False)
    await destination.prove(destination_id)
    fetcher = HttpFetcher(
        clock=clock,
        connect_timeout=setup.connect_timeout,
        read_timeout=setup.read_timeout,
        total_timeout=setup.total_timeout,
        connections=setup.workers,
        ca_bundle=setup.ca_bundle,
        proxy=setup.proxy,
    )
    rules = Rules(workers=setup.workers, naming=Naming(setup.naming), max_file_size=setup.max_file_size)
    return Errands(await stack.enter_async_context(fetcher), destination, clock, rules)


class _Desk:
    """Takes in what the channel brings, and gives out what becomes of it."""

    errands: Errands  # there before the first of them comes

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._running: dict[str, asyncio.Task[StoredFile]] = {}
        self._leads: dict[str, _Distant] = {}

    def hear(self, kind: str, said: list[Any]) -> None:
        match kind, said:
            case "bring", _:
                self._begin(wire.to_errand(said))
            case "answer", [job_id, is_reserved] if job_id in self._leads:
                self._leads[job_id].answer(is_reserved)
            case "stop", [job_id] if job_id in self._running:
                self._running[job_id].cancel()

    def _begin(self, errand: Errand) -> None:
        self._leads[errand.id] = lead = _Distant(self._channel, errand.id)
        self._running[errand.id] = task = asyncio.create_task(self.errands.bring(errand, lead))
        task.add_done_callback(lambda task: self._end(errand.id, task))

    def _end(self, job_id: str, task: "asyncio.Task[StoredFile]") -> None:
        """Also of one that was stopped before it began: whoever waits for it hears of each."""
        del self._leads[job_id], self._running[job_id]
        if task.cancelled():
            self._fail(job_id, Declined("It was stopped."))
        elif (error := task.exception()) is None:
            self._channel.send("stored", job_id, *wire.of_file(task.result()))
        else:
            # A bug is met again, and told of, where the errand came from.
            self._fail(job_id, error if isinstance(error, SyncerError) else Declined(f"{type(error).__name__} there."))

    def _fail(self, job_id: str, error: SyncerError) -> None:
        self._channel.send("failed", job_id, *wire.of_error(error))


class _Distant:
    """Whoever gave the errand, over the channel; a `core.ports.Lead`."""

    def __init__(self, channel: Channel, job_id: str) -> None:
        self._channel = channel
        self._job_id = job_id
        self._answer: asyncio.Future[bool | None] | None = None

    async def reserve(self, path: str, promise: Promise) -> bool:
        self._answer = asyncio.get_running_loop().create_future()
        self._channel.send("reserve", self._job_id, path, wire.of_promise(promise))
        is_reserved = await self._answer
        if is_reserved is None:
            raise Declined("It is over where it came from.")
        return is_reserved

    def answer(self, is_reserved: bool | None) -> None:  # noqa: FBT001 - as it comes
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(is_reserved)

    def arrived(self, count: int) -> None:
        self._channel.send("arrived", self._job_id, count)

    def done_with_line(self) -> None:
        self._channel.send("done_with_line", self._job_id)


class _ToChannel(logging.Handler):
    """Log records for whoever began us, where secrets are taken out of them."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            said = record.name, record.levelno, record.getMessage()
            self._loop.call_soon_threadsafe(lambda: self._channel.send("log", *said))
        except Exception:  # noqa: BLE001 - a record that cannot be told must not end what it tells of
            self.handleError(record)


if __name__ == "__main__":
    main()
