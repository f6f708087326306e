"""The nouns of syncer: frozen values that every part understands and none owns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final


class RemoteStatus(StrEnum):
    """What VideoDB says of a job, its synonyms folded together."""

    PROCESSING = "processing"
    DONE = "done"
    ERROR = "error"


class State(StrEnum):
    """Where an entry stands; `core.lifecycle` holds the table of allowed moves."""

    PROCESSING = "processing"  # VideoDB is still making the file
    PENDING = "pending"  # done and not archived: due, now or later
    CLAIMED = "claimed"  # a worker holds it until its lease runs out
    STORED = "stored"  # published, fsynced, settled
    REMOTE_ERROR = "remote_error"  # VideoDB failed to make the file
    LOST = "lost"  # refused by the storage, after a relink too
    FILTERED = "filtered"  # left out by the user's own filters


class Fault(StrEnum):
    """What was found wrong with a stored file when it was last looked at."""

    MISSING = "missing"  # nothing under its name
    SIZE = "wrong size"  # more or fewer bytes, or no plain file
    CHANGED = "changed"  # as many bytes, but others
    UNREADABLE = "unreadable"  # there, and the disk does not give it
    DELETED = "deleted"  # nothing under its name, and the user said that it is to be so


@dataclass(frozen=True, slots=True)
class Link:
    """A signed download_url and the moment it dies.

    The URL is a password for its file, so it stays out of `repr`.
    """

    url: str = field(repr=False)
    expires_at: datetime | None  # UTC
    estimated: bool = False  # True where the link does not say it and 24 hours are assumed


@dataclass(frozen=True, slots=True)
class Job:
    """One entry of VideoDB's list, checked and typed; every text in it is hostile."""

    id: str
    name: str | None
    status: RemoteStatus
    created_at: datetime | None  # UTC
    link: Link | None
    error: str | None = None  # VideoDB's own words, where it gave any


@dataclass(frozen=True, slots=True)
class Malformed:
    """A page entry that is no job."""

    page: int
    position: int  # within the page, from 0
    reason: str
    id: str | None = None  # where at least that was readable


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of the listing."""

    index: int
    jobs: tuple[Job, ...]  # in the server's order
    malformed: tuple[Malformed, ...] = ()

    @property
    def length(self) -> int:
        """How many entries the server sent, malformed ones included."""
        return len(self.jobs) + len(self.malformed)


@dataclass(frozen=True, slots=True)
class Listing:
    """What one whole listing amounted to."""

    pages: int = 0
    jobs: int = 0  # distinct ids
    malformed: int = 0
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """A job as this pass listed it, with the user's filters applied."""

    job: Job
    filtered: bool = False


@dataclass(frozen=True, slots=True)
class Promise:
    """What the storage said about the whole file, first answer or later: what the bytes are held against."""

    size: int | None = None  # bytes
    etag: str | None = None  # as sent, quotes and W/ included
    last_modified: str | None = None  # as sent, an HTTP date
    content_type: str | None = None
    md5: str | None = None  # lower-case hex
    crc32c: str | None = None  # lower-case hex, 8 digits


NOTHING_PROMISED: Final = Promise()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A published file, as the ledger and the manifest remember it."""

    path: str  # relative to the destination, `/` between its parts
    size: int  # bytes
    sha256: str  # lower-case hex, of the bytes on disk
    etag: str | None
    stored_at: datetime
    verified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """The ledger's row for a job: what VideoDB said of it, and what was done about it."""

    id: str
    name: str | None
    status: RemoteStatus
    created_at: datetime | None
    link: Link | None
    state: State
    attempts: int = 0  # claims, ever
    tries: int = 0  # claims in the pass that claimed it last
    not_before: datetime | None = None
    last_error: str | None = None
    regenerations: int = 0  # how often VideoDB was asked to make it again, at the user's leave
    path: str | None = None  # reserved by the first answer, kept for good
    promise: Promise = NOTHING_PROMISED
    stored: StoredFile | None = None
    fault: Fault | None = None  # of the stored file, by the last look at it
    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None

    @property
    def deadline(self) -> datetime | None:
        """When the link dies, where that is known or estimated."""
        return self.link.expires_at if self.link else None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to fetch one entry, until its lease runs out; `token` fences every write made under it."""

    entry: Entry
    token: str
    until: datetime


# --- Outcomes: how a claim ends. The ledger settles each by the table in core.lifecycle. ---


@dataclass(frozen=True, slots=True)
class Stored:
    """The file is published and fsynced."""

    file: StoredFile


@dataclass(frozen=True, slots=True)
class Retry:
    """Failed; to be tried again in this pass, not before `at`.

    `progressed` is True where the partial grew: a long file over a poor line is no hopeless one.
    """

    reason: str
    at: datetime
    progressed: bool = False


@dataclass(frozen=True, slots=True)
class Park:
    """Failed, and this pass lets it be; a later one may try from `at` on.

    `ordered` is True where the storage itself named that moment.
    """

    reason: str
    at: datetime
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Lose:
    """The storage refused the link, and the one the API gave in its place: nothing is left to ask."""

    reason: str


@dataclass(frozen=True, slots=True)
class HandBack:
    """Stopped from outside; the entry is due again as if it had not been claimed."""


@dataclass(frozen=True, slots=True)
class Follow:
    """VideoDB no longer calls the job done, or was asked to make it again; the entry follows it."""

    status: RemoteStatus
    reason: str
    regenerated: bool = False


Outcome = Stored | Retry | Park | Lose | HandBack | Follow


@dataclass(frozen=True, slots=True)
class Tally:
    """The listed jobs of one pass, by what became of them; the balance's right-hand side."""

    stored: int = 0
    pending: int = 0
    processing: int = 0
    remote_error: int = 0
    lost: int = 0
    filtered: int = 0

    @property
    def total(self) -> int:
        return self.stored + self.pending + self.processing + self.remote_error + self.lost + self.filtered


@dataclass(frozen=True, slots=True)
class Story:
    """How a pass went, for those who look back: kept with it, and deciding nothing."""

    margins: Mapping[int, int] = field(default_factory=dict)  # whole hours left on the link: files stored so
    least_margin: float | None = None  # seconds that the closest file had left
    reasons: Mapping[str, int] = field(default_factory=dict)  # kind of failure: tries that ended so


@dataclass(frozen=True, slots=True)
class Binding:
    """Which destination a ledger belongs to."""

    ledger_id: str
    destination_id: str | None  # None until first use
    location: str | None  # where it was last seen, for messages


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass would bring, as far as it can be told without asking the storage. Built entry by entry."""

    files: int = 0
    known_bytes: int = 0
    unknown_sizes: int = 0  # files whose size the storage has not told yet
    no_link: int = 0
    earliest_deadline: datetime | None = None
    dead: int = 0  # files whose link has died by its own word; a relink may still save them
    first: tuple[Entry, ...] = ()  # the most pressing ones
