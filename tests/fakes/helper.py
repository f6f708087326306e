"""A helper within this process: errands run by the same code, with no process and no channel between."""

import asyncio

from syncer.core.errands import Errand
from syncer.core.errors import Declined, DestinationError, SyncerError
from syncer.core.model import StoredFile
from syncer.core.ports import Clock, Destination, Fetcher, Lead
from syncer.runner.errands import Errands
from syncer.runner.parts import Rules


class FakeHelper:
    """`core.ports.Helper`. `given` are the ids of the errands it was asked for; `refuses` has it decline to start."""

    def __init__(
        self, fetcher: Fetcher, destination: Destination, clock: Clock, rules: Rules | None = None, *, refuses: str = ""
    ) -> None:
        """`destination` leaves the manifest to others."""
        self.given: list[str] = []
        self.starts = self.ends = 0
        self.declines = False  # from now on every errand
        self.loses = False  # from now on it is gone before it tells of what it stored
        self._destination = destination
        self._errands = Errands(fetcher, destination, clock, rules or Rules())
        self._refuses = refuses
        self._running: set[asyncio.Task[StoredFile]] = set()
        self._is_up = False

    @property
    def is_ready(self) -> bool:
        return self._is_up

    async def start(self, destination_id: str) -> None:
        self.starts += 1
        if self._refuses:
            raise Declined(self._refuses)
        try:
            await self._destination.prove(destination_id)
        except DestinationError as error:
            raise Declined(error.message) from None
        self._is_up = True

    async def bring(self, errand: Errand, lead: Lead) -> StoredFile:
        if not self._is_up or self.declines:
            raise Declined("It has ended.")
        self.given.append(errand.id)
        task = asyncio.create_task(self._run(errand, lead))
        self._running.add(task)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise
        finally:
            self._running.discard(task)
        if task.cancelled() or self.loses:
            self._is_up = self._is_up and not self.loses
            raise Declined("It has ended.")
        return task.result()

    async def end(self) -> None:
        self.ends += 1
        self._is_up = False
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def _run(self, errand: Errand, lead: Lead) -> StoredFile:
        try:
            return await self._errands.bring(errand, lead)
        except SyncerError:
            raise
        except Exception as error:  # noqa: BLE001 - as a process has it
            raise Declined(f"{type(error).__name__} there.") from None
