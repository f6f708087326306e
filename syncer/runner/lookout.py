"""Looks into the destination for files whose turn is about to come: for many at once, it is one way into a thread."""

import asyncio
from collections.abc import Iterable

from syncer.core import naming
from syncer.core.errands import Free
from syncer.core.errors import DestinationError
from syncer.core.model import Claim
from syncer.core.naming import Naming
from syncer.core.ports import Clock, Destination

LATELY = 1.0
"""Seconds for which a name that was free counts as free."""


def is_fresh(free: Free, clock: Clock) -> bool:
    """Whether what was free then counts as free now."""
    return clock.monotonic() - free.at < LATELY


def likely_path(claim: Claim, names: Naming) -> str:
    """The one reserved for its file, or the one that its job's name alone gives."""
    entry = claim.entry
    return entry.path or naming.path_for(names, entry.id, entry.name, entry.created_at, extension="")


def free_for(claim: Claim, path: str, at: float) -> Free:
    """Nothing lay under the claim's likely path then."""
    return Free(path, at, is_final=claim.entry.path is not None or naming.names_itself(claim.entry.name))


class Lookout:
    """Knows of some claims that their job has no partial, and that the name their file is likely to get is free."""

    def __init__(self, destination: Destination, clock: Clock, names: Naming) -> None:
        self._destination = destination
        self._clock = clock
        self._names = names
        self._wanted: dict[str, Claim] = {}  # by the id; nobody has begun with them
        self._known: dict[str, Free] = {}
        self._task: asyncio.Task[None] | None = None

    def look(self, claims: Iterable[Claim]) -> None:
        """Begin to look for them; nobody waits for it, and who comes before it is done looks for himself."""
        self._wanted |= {claim.entry.id: claim for claim in claims}
        if self._wanted and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._look(), name="lookout")

    def take(self, claim: Claim) -> Free | None:
        """What is known of a claim's file; None where that is nothing, or too long ago. What a look still under way
        finds is of no use from here on: there may be a partial by then."""
        self._wanted.pop(claim.entry.id, None)
        free = self._known.pop(claim.entry.id, None)
        return free if free is not None and is_fresh(free, self._clock) else None

    async def close(self) -> None:
        """No look is under way any more."""
        self._wanted.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _look(self) -> None:
        try:
            while self._wanted:
                at = self._clock.monotonic()
                claims = list(self._wanted.values())
                paths = [likely_path(claim, self._names) for claim in claims]
                jobs = [(claim.entry.id, path) for claim, path in zip(claims, paths, strict=True)]
                are_free = await self._destination.look(jobs)
                self._known = {job_id: free for job_id, free in self._known.items() if free.at > at - LATELY}
                for claim, path, is_free in zip(claims, paths, are_free, strict=True):
                    if self._wanted.get(claim.entry.id) is not claim:
                        continue  # begun with meanwhile
                    del self._wanted[claim.entry.id]
                    if is_free:
                        self._known[claim.entry.id] = free_for(claim, path, at)
        except DestinationError:  # whoever has something to write there meets it
            self._wanted.clear()
