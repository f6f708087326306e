"""Files in the destination that no entry owns: which of them are files that an entry misses, moved there by a user."""

from collections.abc import AsyncIterator

from syncer.core.model import Entry, Fault
from syncer.core.ports import Archive, Inventory
from syncer.core.verify import alike_first
from syncer.runner.reading import Reader

BATCH = 500
"""Files looked up in the ledger in one go."""

Found = tuple[str, int]


async def strays(archive: Archive, ledger: Inventory) -> AsyncIterator[list[Found]]:
    """Files that are nobody's, with their bytes, some at a time; what lies where a missing file should be in another
    case or Unicode form is among them."""
    batch: list[Found] = []
    async for found in archive.walk():
        batch.append(found)
        if len(batch) >= BATCH:
            yield await _unowned(ledger, batch)
            batch = []
    if batch:
        yield await _unowned(ledger, batch)


async def _unowned(ledger: Inventory, batch: list[Found]) -> list[Found]:
    owned = await ledger.owned([path for path, _ in batch])
    return [(path, size) for path, size in batch if path not in owned or owned[path].fault is Fault.MISSING]


async def moved_among(reader: Reader, ledger: Inventory, batch: list[Found]) -> AsyncIterator[tuple[str, list[Entry]]]:
    """Those of `batch` with the bytes of files that are missing: the path, and the entries, the likeliest first.

    Only files of a missing one's size are read. One that cannot be read is passed over.
    """
    sizes = await ledger.missing_sizes([size for _, size in batch]) if batch else frozenset()
    for path, size in batch:
        sha256 = await reader.sha256(path) if size in sizes else None
        entries = alike_first(await ledger.missing(size, sha256), path) if sha256 is not None else []
        if entries:
            yield path, entries
