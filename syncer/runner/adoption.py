"""Takes a destination that is filled already into a ledger that does not know it: the deliberate act of `adopt`."""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from syncer.core.errors import DestinationForeign
from syncer.core.model import StoredFile
from syncer.core.ports import Archive, Clock, Ledger

Listed = tuple[str, str | None, StoredFile]

BATCH = 500
"""Files taken into the ledger in one transaction."""


@dataclass(slots=True)
class Adoption:
    """What came of it. A file is adopted only when its bytes are read back and found to be those of the manifest."""

    adopted: int = 0
    bytes: int = 0
    known: int = 0  # in the ledger before
    missing: list[str] = field(default_factory=list)  # paths the manifest names and that are not there
    changed: list[str] = field(default_factory=list)  # paths whose bytes are others than the manifest says


async def adopt(
    ledger: Ledger, archive: Archive, clock: Clock, rng: random.Random, told: Callable[[str], None], *, dry_run: bool
) -> Adoption:
    """Read every file of the manifest back, take in those that are whole, and bind ledger and folder to each other.

    With `dry_run` only the reading is done. `told` hears each path as its turn comes. Raises DestinationForeign where
    the ledger belongs to another destination, DestinationMissing where the folder is not there, LedgerHeld.
    """
    binding = await ledger.binding()
    marked = await archive.marked()
    if binding.destination_id is not None and binding.destination_id != marked:
        raise DestinationForeign(
            f"This ledger belongs to {binding.location} already.", hint="Name a new ledger with --ledger."
        )
    identity = marked or _new_id(rng)
    if marked is None and dry_run:
        raise DestinationForeign(
            f"There is no marker in {archive.location}.",
            hint="Without --dry-run, adopt writes one and reads the files the manifest names.",
        )
    if marked is None:
        await archive.rebind(binding.ledger_id, identity)
    await archive.prove(identity)
    found = Adoption()
    batch: list[Listed] = []
    async for line in archive.listed():
        told(line[2].path)
        if await _is_whole(archive, line[2], found):
            batch.append(_verified(line, clock))
        if len(batch) >= BATCH:
            await _take_in(ledger, batch, found, dry_run=dry_run)
            batch = []
    await _take_in(ledger, batch, found, dry_run=dry_run)
    if not dry_run:
        # Last, so that a kill before leaves the folder to the ledger it had; under a new id, so that one is told.
        identity = _new_id(rng)
        await archive.rebind(binding.ledger_id, identity)
        await ledger.bind(identity, archive.location)
    return found


async def _is_whole(archive: Archive, file: StoredFile, found: Adoption) -> bool:
    size = await archive.size_of(file.path)
    if size is None:
        found.missing.append(file.path)
        return False
    if size == file.size and (await archive.digest(file.path, frozenset()))["sha256"] == file.sha256:
        return True
    found.changed.append(file.path)
    return False


async def _take_in(ledger: Ledger, batch: list[Listed], found: Adoption, *, dry_run: bool) -> None:
    if not batch:
        return
    new = {job_id for job_id, _, _ in batch} if dry_run else set(await ledger.adopt(batch))
    found.adopted += len(new)
    found.known += len(batch) - len(new)
    found.bytes += sum(file.size for job_id, _, file in batch if job_id in new)


def _verified(line: Listed, clock: Clock) -> Listed:
    """The line, verified now."""
    job_id, name, file = line
    return job_id, name, replace(file, verified_at=clock.now())


def _new_id(rng: random.Random) -> str:
    return uuid.UUID(int=rng.getrandbits(128), version=4).hex
