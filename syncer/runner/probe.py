"""Asks the storage how large files are, a byte each, where knowing it decides which links are saved."""

import asyncio
import logging
from collections.abc import Sequence

from syncer.core import relinking, resume
from syncer.core.errors import FetchError, LinkRefused
from syncer.core.model import Entry
from syncer.core.ports import Clock, Fetcher

_log = logging.getLogger(__name__)

AT_ONCE = 8
"""Probes under way at the same time: each is a round trip and a byte, so that few fill a list quickly."""

MOST_NOTED = 10_000
"""Refused links a pass keeps in mind; those beyond are found out about when their turn comes."""


class Prober:
    """Asks for sizes. What fails changes nothing, except that a refused link is remembered as refused."""

    def __init__(self, fetcher: Fetcher, clock: Clock) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._refused: dict[str, str] = {}  # by id, the link

    async def sizes(self, entries: Sequence[Entry]) -> dict[str, int]:
        """Bytes by id, as far as the storage tells them. Nobody is asked under a link that died by its own word."""
        found: dict[str, int] = {}
        left = iter(entries)

        async def ask_on() -> None:
            for entry in left:
                size = await self._size(entry)
                if size is not None:
                    found[entry.id] = size

        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(entries))):
                group.create_task(ask_on())
        return found

    def refusal(self, entry: Entry) -> LinkRefused | None:
        """What the storage said of the link this entry has, where it refused it to a probe."""
        link = entry.link
        if link is None or self._refused.get(entry.id) != link.url:
            return None
        return LinkRefused("The storage refused the link when it was asked for the file's size.")

    async def _size(self, entry: Entry) -> int | None:
        link = entry.link
        if link is None or relinking.has_died(link, self._clock.now()):
            return None
        try:
            return resume.size_told(await self._fetcher.probe(link))
        except LinkRefused:
            if len(self._refused) < MOST_NOTED:
                self._refused[entry.id] = link.url
        except FetchError as error:
            _log.debug("job %s: its size could not be told: %s", entry.id, error.message)
        return None
