"""What the planner knows of one due entry, and what it foretells of all of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Prefer(StrEnum):
    """What counts where not everything can be saved."""

    FILES = "files"  # the most files
    BYTES = "bytes"  # the most bytes


@dataclass(frozen=True, slots=True)
class Task:
    """One due entry, as far as its order and its chances depend on it. Sizes in bytes, times in UTC."""

    id: str
    deadline: datetime | None = None  # when the link dies, said or estimated; None: no link, or one that never dies
    has_link: bool = True
    estimated: bool = False  # the deadline is an estimate
    size: int | None = None  # of the whole file; None: the storage has not told it yet
    on_disk: int = 0  # bytes of it that are here already
    created_at: datetime | None = None
    not_before: datetime | None = None  # no try before this moment
    ordered: bool = False  # `not_before` is the storage's wish: a pass does not sit and wait for it


@dataclass(frozen=True, slots=True)
class Outlook:
    """What becomes of the due entries if all goes on as measured. Files and bytes; estimated sizes included."""

    files: int = 0
    bytes: int = 0  # still to come over the wire
    unknown_sizes: int = 0  # files whose size is estimated in `bytes`
    saved: int = 0  # files that arrive in time
    at_risk: int = 0  # of those saved, the ones lost if the line were slower by its spread
    at_risk_ids: tuple[str, ...] = ()  # the first of them by deadline, up to a bound
    lost: int = 0  # files whose link dies first; a relink may still save them
    lost_bytes: int = 0
    lost_ids: tuple[str, ...] = ()  # the first of them by deadline, up to a bound
    earliest: datetime | None = None  # the nearest deadline that is still ahead
    seconds: float | None = None  # until everything saved is here; None without a measured rate

    @property
    def fits(self) -> bool:
        """Whether every link outlives its file's turn."""
        return self.lost == 0
