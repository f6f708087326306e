"""Reads files of the destination back, several side by side: the eyes of `verify` and `adopt`."""

from collections.abc import AsyncIterator, Awaitable, Callable

from syncer.core.errors import DestinationError
from syncer.core.model import Entry, Fault, StoredFile
from syncer.core.ports import Archive, Clock, Watcher
from syncer.core.verify import judge, still
from syncer.runner.pool import Batches, side_by_side

Look = tuple[Entry, Fault | None]


class Reader:
    """Holds files against what is known of them; counts what it read."""

    def __init__(self, archive: Archive, watcher: Watcher, clock: Clock, workers: int) -> None:
        self._archive = archive
        self._watcher = watcher
        self._clock = clock
        self._workers = workers
        self.files = 0
        self.bytes = 0

    async def read(
        self, due: AsyncIterator[Entry], keep: Callable[[list[Look]], Awaitable[None]], destination_id: str
    ) -> None:
        """Look at the file of every entry that is due; `keep` gets what was seen, some at a time."""
        async with Batches(keep, self._clock) as looks:

            async def look(entry: Entry) -> None:
                if entry.stored is not None:
                    fault = await self._look(entry.stored, destination_id)
                    await looks.add((entry, still(entry.fault, fault)))
                    self.files += 1
                    self._watcher.looked(entry.stored.path)

            await side_by_side(due, look, self._workers)

    async def sha256(self, path: str) -> str | None:
        """Of a file that is there, read back; None where it cannot be read, and the destination is to blame no further.

        Raises DestinationError where the destination itself went.
        """
        try:
            return (await self._archive.digest(path, frozenset(), self._heard))["sha256"]
        except DestinationError:
            await self._archive.marked()
            return None

    async def _look(self, stored: StoredFile, destination_id: str) -> Fault | None:
        archive = self._archive
        try:
            size = await archive.size_of(stored.path)
            if size != stored.size:
                return judge(stored, size, None)
            digests = await archive.digest(stored.path, frozenset(), self._heard)
        except DestinationError:
            # One bad file (I8), unless it is the destination that went.
            await archive.prove(destination_id)
            return Fault.UNREADABLE
        return judge(stored, size, digests["sha256"])

    def _heard(self, count: int) -> None:
        self.bytes += count
        self._watcher.read(count)
