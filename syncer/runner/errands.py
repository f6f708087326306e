"""Sees errands through, in a process that was asked to: what a worker does between claiming a file and settling it."""

from dataclasses import replace
from datetime import UTC, datetime

from syncer.core.errands import Errand
from syncer.core.errors import Declined, FetchError, NameTaken, SyncerError
from syncer.core.events import BytesArrived, Event
from syncer.core.model import Claim, Entry, Link, Promise, RemoteStatus, State, StoredFile
from syncer.core.ports import Clock, Destination, Fetcher, Lead
from syncer.runner.fetch import Fetching, Gauge, Tools
from syncer.runner.lanes import Lanes
from syncer.runner.parts import Counts, Rules

_NEVER = datetime.max.replace(tzinfo=UTC)  # whoever claimed the entry sees to its lease


class Errands:
    """Brings files, any number at once, and asks those that gave the errands where a worker would ask the ledger."""

    def __init__(self, fetcher: Fetcher, destination: Destination, clock: Clock, rules: Rules) -> None:
        """`destination` is proven, and leaves the manifest to others."""
        self._leads: dict[str, Lead] = {}
        tools = Tools(fetcher, destination, self, self, clock, self._done_with_line)
        # Of several connections for one file only whoever sees all files can decide.
        self._fetching = Fetching(tools, replace(rules, segments=1), Counts(), Lanes(clock))

    async def bring(self, errand: Errand, lead: Lead) -> StoredFile:
        """As `core.ports.Helper.bring`."""
        entry = Entry(errand.id, errand.name, RemoteStatus.DONE, errand.created_at, errand.link, State.CLAIMED)
        watched = _Watched(lead)
        self._leads[errand.id] = watched
        try:
            stored = await self._fetching.fetch(Claim(entry, "", _NEVER), errand.link, Gauge(), errand.free)
        except (FetchError, NameTaken):
            raise
        except SyncerError as error:
            if error is watched.error:
                raise
            raise Declined(error.message, hint=error.hint) from None
        finally:
            del self._leads[errand.id]
        return stored.file

    async def reserve(self, claim: Claim, path: str, promise: Promise) -> bool:
        """Asked of whoever gave the errand."""
        return await self._leads[claim.entry.id].reserve(path, promise)

    async def relink(self, claim: Claim, link: Link) -> None:  # noqa: ARG002 - as the ledger has it
        """An errand has one link."""
        raise AssertionError("an errand's link was changed")

    def notify(self, event: Event) -> None:
        """Of what happens only the bytes are told: all else whoever gave the errand sees by itself."""
        if isinstance(event, BytesArrived):
            self._leads[event.id].arrived(event.count)

    def _done_with_line(self, job_id: str) -> None:
        self._leads[job_id].done_with_line()


class _Watched:
    """A lead, and the error it raised."""

    def __init__(self, lead: Lead) -> None:
        self._lead = lead
        self.error: SyncerError | None = None
        self.arrived = lead.arrived
        self.done_with_line = lead.done_with_line

    async def reserve(self, path: str, promise: Promise) -> bool:
        try:
            return await self._lead.reserve(path, promise)
        except SyncerError as error:
            self.error = error
            raise
