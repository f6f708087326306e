"""What reading files back proves: which are due, what is wrong with one, and what may be done about it."""

import re
from dataclasses import dataclass
from enum import Enum, auto

from syncer.core.errors import UsageError
from syncer.core.model import Entry, Fault, StoredFile
from syncer.core.naming import PRIVATE

_FRACTION = re.compile(r"(\d{1,4})/(\d{1,4})")
_KEPT_APART = frozenset(
    {
        "#recycle",
        "@recycle",
        "$recycle.bin",
        "recycler",
        "#snapshot",
        "@eadir",
        "lost+found",
        "system volume information",
    },
)


@dataclass(frozen=True, slots=True)
class Sample:
    """How much of the archive one run reads: `part` of `of`.

    A run takes the files that were looked at longest ago, never those of a fixed seventh. So a night that was left out
    is made up for, a run that was stopped goes on where it was, and however many files are new, each is some day
    the oldest: none is passed over for ever. A partition by hash or by date (restic's `--read-data-subset=n/t`) has
    neither: a missed night is missed until its turn comes round, and a stopped one begins anew.
    """

    part: int = 1
    of: int = 1

    def budget(self, files: int) -> int:
        """How many of `files`, rounded up: `of / part` runs in a row reach every one of them."""
        return -(-files * self.part // self.of)


def parse_sample(text: str) -> Sample:
    """`1/7` as a sample. Raises UsageError."""
    match = _FRACTION.fullmatch(text.strip())
    part, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= of:
        raise UsageError(f"{text!r} is no part of the archive.", hint="Write 1/7 to read a seventh in each run.")
    return Sample(part, of)


class Remedy(Enum):
    """What a run may do about the faults it finds."""

    NONE = auto()  # name them
    REQUEUE = auto()  # have what is missing or changed fetched again
    ACCEPT = auto()  # take what is missing for deleted on purpose


@dataclass(frozen=True, slots=True)
class Finding:
    """What a user is to hear of one file: what is wrong with it, or where it was found."""

    id: str
    path: str  # as the ledger had it
    fault: Fault | None = None
    moved_to: str | None = None
    aside: str | None = None  # where a file that is not what it should be was put
    requeued: bool = False
    accepted: bool = False  # as deleted on purpose


def alike_first(missing: list[Entry], path: str) -> list[Entry]:
    """Entries whose missing file may be the one at `path`, all of the same bytes: those of the same name first."""
    name = path.rpartition("/")[2]
    return sorted(missing, key=lambda entry: ((entry.path or "").rpartition("/")[2] != name, entry.id))


def judge(stored: StoredFile, size: int | None, sha256: str | None) -> Fault | None:
    """What is wrong with a file of `size` bytes (None: none there) whose bytes have this sha256; None if nothing is.

    `sha256` is None where the size told enough, or where the bytes could not be read.
    """
    if size is None:
        return Fault.MISSING
    if size != stored.size:
        return Fault.SIZE
    if sha256 is None:
        return Fault.UNREADABLE
    return None if sha256 == stored.sha256 else Fault.CHANGED


def still(before: Fault | None, now: Fault | None) -> Fault | None:
    """What to note of a file that had the fault `before`: one deleted on purpose stays so while nothing is there."""
    return before if before is Fault.DELETED and now is Fault.MISSING else now


def may_requeue(fault: Fault) -> bool:
    """Whether a file with this fault may be fetched again: not what a disk fails to read tonight, for it may read it
    tomorrow, and the copy at VideoDB may be gone."""
    return fault is not Fault.UNREADABLE


def is_kept_apart(folder: str) -> bool:
    """Whether a folder's name is that of a waste bin, of snapshots or of a NAS's own notes.

    What lies there was not moved there by a user who wants to keep it in the archive. Hidden folders count as such.
    """
    folded = folder.casefold()
    return folded.startswith((".", PRIVATE)) or folded in _KEPT_APART
