"""The seams of the ledger: what a pass asks of it, and what reading files back does. `core.ports` has all seams."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from syncer.core.model import (
    Binding,
    Claim,
    Entry,
    Fault,
    Job,
    Link,
    Listing,
    Outcome,
    Promise,
    Sighting,
    State,
    StoredFile,
    Story,
    Tally,
)
from syncer.core.planner import Task


class Inventory(Protocol):
    """The ledger's stored files, to be held against those on disk; every method may be used beside a pass.

    What is written about a file reaches its entry only while that still stands for this very file.
    """

    async def binding(self) -> Binding: ...

    async def bind(self, destination_id: str, location: str) -> None: ...

    async def stored_totals(self) -> tuple[int, int]:
        """How many files are stored, and their bytes."""
        ...

    def unchecked(self, run: datetime) -> AsyncIterator[Entry]:
        """Stored files without a fault, those looked at longest ago first, in bounded memory.

        Those that `note` stamped with `run` are not met again; those stamped later, by a clock that ran ahead, are
        the first.
        """
        ...

    def faulty(self) -> AsyncIterator[Entry]:
        """Stored files that have a fault, by id."""
        ...

    async def note(self, looks: Sequence[tuple[Entry, Fault | None]], run: datetime) -> None:
        """What the run that began at `run` found; without a fault a file counts as verified."""
        ...

    async def owned(self, paths: Sequence[str]) -> dict[str, Entry]:
        """Those of `paths` that are an entry's own, stored there or reserved, and whose."""
        ...

    async def missing_sizes(self, sizes: Sequence[int]) -> frozenset[int]:
        """Those of `sizes` that files noted as missing have."""
        ...

    async def missing(self, size: int, sha256: str) -> list[Entry]:
        """Files noted as missing that have these bytes, by id."""
        ...

    async def moved(self, entry: Entry, file: StoredFile) -> bool:
        """Note that the entry's file lies elsewhere now; False where it changed meanwhile or the path is another's."""
        ...

    async def requeue(self, entry: Entry) -> bool:
        """Make the entry due again, its path kept; False where it changed meanwhile."""
        ...

    async def find(self, ids: Sequence[str]) -> list[Entry]:
        """Those of `ids` that are known, in the order asked for."""
        ...

    def entries(self, states: Sequence[State] = (), *, this_pass: bool = False) -> AsyncIterator[Entry]:
        """As `Ledger.entries`."""
        ...

    async def adopt(self, files: Sequence[tuple[str, str | None, StoredFile]]) -> list[str]:
        """As `Ledger.adopt`."""
        ...

    def hold(self) -> AbstractAsyncContextManager[None]:
        """Keep passes away meanwhile: they are refused, or wait. Raises LedgerHeld."""
        ...


class Ledger(Protocol):
    """The memory. Every method is one transaction; what it returned is committed."""

    async def binding(self) -> Binding: ...

    async def bind(self, destination_id: str, location: str) -> None: ...

    async def begin_pass(self, at: datetime) -> int:
        """Open a pass and hold the ledger for it; claims of passes that died are taken back. Raises LedgerHeld."""
        ...

    async def record(self, sightings: Sequence[Sighting], at: datetime) -> frozenset[str]:
        """Take in one page in bulk; the ids that this pass had not listed before."""
        ...

    def waiting(self, ids: Sequence[str] | None = None) -> AsyncIterator[list[Task]]:
        """What this pass may try, now or from a moment on, by deadline and in chunks; only those of `ids`, if given."""
        ...

    async def sizes(self, limit: int) -> list[int]:
        """Sizes in bytes, as far as they are known, of up to so many files."""
        ...

    async def due(self, at: datetime, limit: int) -> list[Entry]:
        """Pending entries that this pass may try at `at`, the earliest deadline first."""
        ...

    async def next_due(self, at: datetime) -> datetime | None:
        """When the next entry that this pass still means to try becomes due; None if there is none."""
        ...

    async def claim(self, ids: Sequence[str], at: datetime, until: datetime) -> list[Claim]:
        """Claim those of `ids` that are still pending. Committed before it returns."""
        ...

    async def renew(self, until: datetime) -> None:
        """Extend the lease of every claim this pass holds."""
        ...

    async def relink(self, claim: Claim, link: Link) -> None:
        """Remember a renewed link. Raises StaleClaim."""
        ...

    async def reserve(self, claim: Claim, path: str, promise: Promise) -> bool:
        """Note the final path and what the storage promised; False where another entry has that path.

        Raises StaleClaim.
        """
        ...

    async def settle(self, claim: Claim, outcome: Outcome, at: datetime) -> None:
        """Write how a claim ended. Raises StaleClaim."""
        ...

    async def regenerated(self, job_id: str) -> None:
        """Note that VideoDB makes again a job that it had failed to make."""
        ...

    async def remade(self, job: Job) -> bool:
        """Note what became of a job that was being made again: due, under its new link, or failed.

        False, and nothing noted, where the entry is not in the making.
        """
        ...

    async def find(self, ids: Sequence[str]) -> list[Entry]:
        """Those of `ids` that are known, in the order asked for."""
        ...

    async def note_sizes(self, sizes: Mapping[str, int]) -> None:
        """Note what the storage told of whole files, in bytes by id, where the ledger knows no size yet."""
        ...

    async def mean_size(self) -> float | None:
        """The mean of the sizes that are known, in bytes; None where none is."""
        ...

    async def tally(self) -> Tally:
        """The jobs this pass listed, by state; claimed ones count as pending."""
        ...

    async def end_pass(
        self,
        at: datetime,
        exit_code: int,
        listing: Listing,
        tally: Tally,
        counts: dict[str, int],
        story: Story | None = None,
    ) -> None:
        """Close the pass with its counts and its story, and let go of the ledger."""
        ...

    def unlisted(self) -> AsyncIterator[Entry]:
        """What was stored since a pass last ended well: the manifest may have lost it in a power cut."""
        ...

    def entries(self, states: Sequence[State] = (), *, this_pass: bool = False) -> AsyncIterator[Entry]:
        """Entries in the order of their ids, in bounded memory."""
        ...

    async def adopt(self, files: Sequence[tuple[str, str | None, StoredFile]]) -> list[str]:
        """Take files that are there already into the ledger as stored: (id, name, file); the ids that were new."""
        ...

    async def close(self) -> None: ...
