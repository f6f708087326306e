"""What observers hear while a pass goes on. Events carry names and numbers, never links or keys."""

from dataclasses import dataclass
from datetime import datetime

from syncer.core.model import Listing, Malformed


@dataclass(frozen=True, slots=True)
class PassStarted:
    """A pass holds the ledger and the destination."""

    pass_id: int
    location: str  # of the destination


@dataclass(frozen=True, slots=True)
class PageListed:
    """One page is in the ledger."""

    index: int
    jobs: int  # distinct ids so far


@dataclass(frozen=True, slots=True)
class EntryMalformed:
    """A page entry could not be read and was left out."""

    entry: Malformed


@dataclass(frozen=True, slots=True)
class ListingEnded:
    """The list was read to its end, or could not be."""

    listing: Listing
    due: int = 0  # listed entries still to be fetched
    reason: str | None = None  # why it is not complete


@dataclass(frozen=True, slots=True)
class FetchStarted:
    """The storage answered, and bytes are about to flow."""

    id: str
    name: str
    size: int | None  # bytes of the whole file
    offset: int  # bytes of it on disk already


@dataclass(frozen=True, slots=True)
class BytesArrived:
    """More of a file is on disk."""

    id: str
    count: int


@dataclass(frozen=True, slots=True)
class FetchRestarted:
    """Bytes on disk were given up, and the file is fetched from its start."""

    id: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class LinkRenewed:
    """The API was asked for the job again, and its answer is used from here on."""

    id: str
    name: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FetchYielded:
    """A transfer makes way for others; what arrived of it is kept, and its turn may come again."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class FileStored:
    """The file is published, fsynced and settled."""

    id: str
    name: str
    path: str
    size: int
    fetched: int  # bytes that came over the wire for it in this try
    recovered: bool = False  # found published by a pass that did not live to settle it


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A try failed. `next_attempt_at` is None where this pass does not try again."""

    id: str
    name: str
    reason: str
    attempts: int
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class EntryLost:
    """The storage refused the link after a relink: the file is lost unless VideoDB gives a living link again."""

    id: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class EntryFollowed:
    """VideoDB no longer calls the job done, or makes it again."""

    id: str
    name: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class RequestRetried:
    """A request to the API is about to be repeated."""

    reason: str
    wait: float  # seconds


@dataclass(frozen=True, slots=True)
class Standing:
    """How a catch-up stands, in files: `saved` and `lost` by this pass, `waiting` or on their way, and of those
    `at_risk`, because their turn may come too late. `nearest` is when the next of their links dies.
    """

    saved: int
    at_risk: int
    lost: int
    waiting: int
    nearest: datetime | None
    left: float | None = None  # seconds until then


@dataclass(frozen=True, slots=True)
class PassEnded:
    """The pass is over; the report follows from its caller."""

    exit_code: int


@dataclass(frozen=True, slots=True)
class HookFailed:
    """A command of the user's, run because a file was stored, did not end well. The file is none the worse for it."""

    option: str
    reason: str  # as the end of a sentence
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class PassPlanned:
    """A watch waits for its next pass."""

    at: datetime
    why: str  # what asks for it, as the end of a sentence


@dataclass(frozen=True, slots=True)
class SettingsReread:
    """A watch read its configuration again. With a `problem` the old one stays in force."""

    problem: str | None = None


Event = (
    PassStarted
    | PageListed
    | EntryMalformed
    | ListingEnded
    | FetchStarted
    | BytesArrived
    | FetchRestarted
    | LinkRenewed
    | FetchYielded
    | FileStored
    | FetchFailed
    | EntryLost
    | EntryFollowed
    | RequestRetried
    | Standing
    | PassEnded
    | HookFailed
    | PassPlanned
    | SettingsReread
)
