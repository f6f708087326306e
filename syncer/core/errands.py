"""Files that another process is to bring, and whether there is any use in asking one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from syncer.core.model import Claim, Link, Promise

BOUND: Final = 0.9
"""Of a processor: from so much on it is the processor that a pass waits for, and not line or disk."""

IDLE: Final = 0.25
"""Of a processor, where others help: below it, the line or the disk is what bounds all of them."""

ENOUGH: Final = 4
"""Files that wait for each worker before a process is begun for them: it takes a while to start."""

SHARE: Final = 4
"""Files that each helper has for one here: who asks for them also keeps the ledger."""

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a file that another process brings: a larger one may want several connections, and more than one process
could set aside for it without the other's knowledge."""

ROOMY: Final = 4
"""Times what the files of all workers may have that is to be free above the destination's floor: then two processes do
not get into each other's way there."""

WARY: Final = 16
"""Files of unknown size that stay here after one turned out to be too large: to ask for it was for nothing."""


@dataclass(frozen=True, slots=True)
class Free:
    """A path under which nothing lay at a moment of the monotonic clock."""

    path: str
    at: float
    is_final: bool = False  # the file's first choice, whatever the storage says of it


@dataclass(frozen=True, slots=True)
class Errand:
    """A file to be brought from its first byte to its final name; there is no partial of it."""

    id: str
    name: str | None
    created_at: datetime | None
    link: Link
    free: Free


@dataclass(frozen=True, slots=True)
class Load:
    """What a stretch of a pass was busy with."""

    seconds: float
    cpu: float  # seconds of processor that this process had in them
    waiting: int  # files that are due and not begun, those put off among them
    workers: int
    is_limited: bool  # the user set a limit on the rate, which is kept in one place


def calls_for_help(load: Load) -> bool:
    """Whether a further process would bring more home: the processor is the bound, and there is enough to do."""
    is_bound = load.cpu >= BOUND * load.seconds and load.waiting >= ENOUGH * load.workers
    return is_bound and not load.is_limited


def is_helped(load: Load) -> bool:
    """Whether processes that help already still have a use: where the line is the bound, files are best kept here,
    since only here one can have several connections."""
    return load.cpu >= IDLE * load.seconds and not load.is_limited


def is_roomy(free: int | None, workers: int) -> bool:
    """Whether the destination has room for two who do not know of each other; `free` is in bytes above its floor."""
    return free is not None and free >= ROOMY * workers * LARGEST


def is_small(size: int | None) -> bool:
    """Whether another process may bring a file of so many bytes; one whose length nobody told may never end."""
    return size is not None and size <= LARGEST


def errand_of(claim: Claim, link: Link, free: Free | None) -> Errand | None:
    """The errand that a claim amounts to; None where something of its file may be here, or more than its size is known
    of it, or that is too large."""
    entry, size = claim.entry, claim.entry.promise.size
    if free is None or entry.path is not None or link != entry.link:
        return None
    if entry.promise != Promise(size) or (size is not None and not is_small(size)):
        return None
    return Errand(entry.id, entry.name, entry.created_at, link, free)


def goes_away(here: int, away: int) -> bool:
    """Whether the next file goes to a helper that has `away` of them, where this process has `here`."""
    return away <= SHARE * here
