"""The destination's own list of what it holds: `DEST/.syncer/manifest.jsonl`, one line a published file."""

import asyncio
import hashlib
import json
import os
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

import aiofiles

from syncer.core.model import StoredFile
from syncer.core.naming import PRIVATE
from syncer.destination.lastlines import LastLines
from syncer.destination.marker import Site
from syncer.destination.publish import split
from syncer.destination.system import NEVER_FOLLOW, closing, sync_folder, translated, write_all

MANIFEST = "manifest.jsonl"
_DRAFT = f"{MANIFEST}.tmp"

LONGEST = 1024 * 1024
"""Bytes of a line that are taken into memory; a longer one is none that syncer wrote."""

_HUNK = 256 * 1024  # bytes read in one go
_BATCH = 500  # lines looked up in one go
_NAME = 50_000  # characters of a name that are written down: in any script far below LONGEST
_LARGEST = 2**63 - 1  # bytes of a file, as far as any file system counts


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """One published file, as the manifest remembers it. Holds no link and no secret."""

    id: str
    name: str | None
    file: StoredFile


def manifest_of(root: Path) -> Path:
    """Where the manifest of a destination lies."""
    return root / PRIVATE / MANIFEST


class Manifest:
    """Appends lines, one or some in one write. Not fsynced line by line: the ledger, which is, can rebuild it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = Lock()
        self._fd = -1
        self._torn = False

    def extend(self, lines: list[ManifestLine]) -> None:
        """Blocking. A torn line, a killed program's last, is left behind and a fresh one begun."""
        data = b"".join(map(_written, lines))
        with self._lock, self._site.translated:
            self._open()
            data = b"\n" + data if self._torn else data
            self._torn = True
            write_all(self._fd, data)
            self._torn = False

    def draft(self) -> int:
        """A handle of an empty manifest-to-be. Blocking."""
        with self._site.opened() as here:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NEVER_FOLLOW
            return os.open(_DRAFT, flags, 0o666, dir_fd=self._site.private(here))

    def write_draft(self, fd: int, lines: list[ManifestLine]) -> None:
        """Add lines to the draft. Blocking."""
        with self._site.translated:
            write_all(fd, b"".join(map(_written, lines)))

    def put_draft(self, fd: int) -> None:
        """Make the draft the manifest, durably and at once; its handle is closed. Blocking."""
        with self._lock, self._site.opened() as here:
            private = self._site.private(here)
            with closing(fd):
                os.fsync(fd)
            os.rename(_DRAFT, MANIFEST, src_dir_fd=private, dst_dir_fd=private)
            sync_folder(private)

    def close(self) -> None:
        """fsync and close. Blocking."""
        with self._lock, self._site.translated:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                with closing(fd):
                    os.fsync(fd)

    def _open(self) -> None:
        if self._fd >= 0:
            if os.fstat(self._fd).st_nlink:
                return
            fd, self._fd = self._fd, -1  # deleted under our hands: begin another
            os.close(fd)
        with self._site.opened() as here:
            private = self._site.private(here)
            fd = os.open(MANIFEST, os.O_RDWR | os.O_APPEND | os.O_CREAT | NEVER_FOLLOW, 0o666, dir_fd=private)
        self._fd = fd
        size = os.fstat(fd).st_size
        self._torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"


async def read_manifest(
    path: Path, damaged: Callable[[int], None] = lambda _: None
) -> AsyncGenerator[ManifestLine, None]:
    """The last line of every id, in the order of the file; torn and foreign lines are passed over.

    `damaged` hears the number of each line that is passed over, from 1. A missing file has no lines. The file is read
    twice, in bounded memory. Raises DestinationError where it cannot be read.
    """
    with LastLines() as last:
        async with aclosing(_batched(path, damaged)) as batches:
            async for batch in batches:
                await asyncio.to_thread(last.note, [(_key(line.id), number) for number, line in batch])
        async with aclosing(_batched(path, lambda _: None)) as batches:
            async for batch in batches:
                keys = [(_key(line.id), number) for number, line in batch]
                are_last = await asyncio.to_thread(last.are_last, keys)
                for (_, line), is_last in zip(batch, are_last, strict=True):
                    if is_last:
                        yield line


async def _batched(path: Path, damaged: Callable[[int], None]) -> AsyncGenerator[list[tuple[int, ManifestLine]], None]:
    """The lines that can be read with their numbers, some at a time."""
    batch: list[tuple[int, ManifestLine]] = []
    async with aclosing(_numbered(path)) as lines:
        async for number, line in lines:
            if line is None:
                damaged(number)
                continue
            batch.append((number, line))
            if len(batch) >= _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


async def _numbered(path: Path) -> AsyncGenerator[tuple[int, ManifestLine | None], None]:
    """Every line that is not blank with its number; None for one that cannot be read."""
    number, rest, is_too_long = 0, b"", False
    with translated(path.parent.parent):
        try:
            file = await aiofiles.open(path, "rb")
        except FileNotFoundError:
            return
        try:
            while hunk := await file.read(_HUNK):
                *whole, rest = (rest + hunk).split(b"\n")
                for text in whole:
                    number += 1
                    if is_too_long or text.strip():
                        yield number, None if is_too_long else parse_line(text)
                    is_too_long = False
                if len(rest) > LONGEST:
                    rest, is_too_long = b"", True
            if is_too_long or rest.strip():
                yield number + 1, None if is_too_long else parse_line(rest)
        finally:
            await file.close()


def parse_line(text: bytes) -> ManifestLine | None:
    """A line of the manifest; None where it is torn or is none that syncer wrote."""
    try:
        said: dict[str, Any] = json.loads(text)
        job_id, name, path, size, sha256, etag, at = (said[field] for field in _FIELDS)
        split(path)
        path.encode()  # a name that is no UTF-8 is none that syncer gave
        stored_at = datetime.fromisoformat(at)
        texts = isinstance(job_id, str) and all(word is None or isinstance(word, str) for word in (name, etag))
        numbers = type(size) is int and 0 <= size <= _LARGEST and stored_at.tzinfo is not None
        if texts and numbers and _SHA256.fullmatch(sha256):
            return ManifestLine(job_id, name, StoredFile(path, size, sha256, etag, stored_at.astimezone(UTC)))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError):
        pass
    return None


_FIELDS = ("id", "name", "path", "size", "sha256", "etag", "stored_at")
_SHA256 = re.compile("[0-9a-f]{64}")


def _key(job_id: str) -> bytes:
    return hashlib.blake2b(job_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _written(line: ManifestLine) -> bytes:
    file = line.file
    said = {
        "id": line.id,
        "name": line.name[:_NAME] if line.name is not None else None,
        "path": file.path,
        "size": file.size,
        "sha256": file.sha256,
        "etag": file.etag,
        "stored_at": file.stored_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    # ASCII only: a name may hold what UTF-8 does not, and no byte of a line may be a line's end.
    return (json.dumps(said) + "\n").encode("ascii")
