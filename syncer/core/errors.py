"""Every error syncer raises on purpose, in one tree, each with its exit code.

    SyncerError                     anything a user should read as one sentence
    ├── UsageError              2   flags, environment or configuration cannot be used
    ├── KeyRefused              3   the API answered 401 or 403
    ├── ListingFailed           4   the list of jobs could not be read to its end
    │   └── ApiRefused          4   the API said no for good (400, 402, 404, a redirect)
    ├── JobGone                 -   the API no longer knows the job
    ├── DestinationError        5   the destination cannot be used
    │   ├── DestinationMissing  5   not there: not mounted, moved, or mistyped
    │   ├── DestinationForeign  5   no marker, or another ledger's
    │   └── DestinationRefused  5   full, read-only, or failing
    │       └── NoRoom          5   this one file would take the free space below its floor
    ├── LedgerError             9   the ledger is damaged or newer than this program
    │   └── LedgerHeld          8   another pass holds it
    ├── FetchError              6   one file did not arrive; the others go on
    │   ├── LinkRefused         -   the storage refused the link (401, 403, 404, 410, expired token)
    │   ├── Interrupted         -   the connection broke, stalled, or ended early
    │   ├── StorageBusy         -   429 or 5xx, perhaps with Retry-After
    │   ├── NotTheFile          -   an error page, a foreign encoding, a range nobody asked for
    │   ├── FileChanged         -   the storage now has another version than the bytes on disk
    │   ├── LengthMismatch      -   more or fewer bytes than promised
    │   ├── TooLarge            -   more bytes than the user allows a file
    │   ├── ChecksumMismatch    -   the storage's own checksum says otherwise
    │   └── NoLink              -   the job is done, and the API gives no link
    ├── NameTaken               -   something else lies where the file should go
    ├── Declined                -   another process cannot see to a file: it is seen to here
    └── StaleClaim              -   the claim ran out and somebody else holds the entry

Messages never carry a key or a link's query string: whoever raises puts in host names and status codes only.
"""

from datetime import datetime

from syncer.core.text import one_line

LONGEST = 1000
"""Columns of a message."""


class SyncerError(Exception):
    """Base of all. `hint` says what to do next; `exit_code` is the process's when nothing graver happened."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        # A server's words may be among them, and what it sends must not speak to the terminal.
        self.message = one_line(message, LONGEST)
        self.hint = one_line(hint, LONGEST)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(SyncerError):
    """A flag, an environment variable or the configuration file cannot be used as given."""

    exit_code = 2


class KeyRefused(SyncerError):
    """The API refused the key: 401 or 403."""

    exit_code = 3


class ListingFailed(SyncerError):
    """The API did not give the whole list, retries included."""

    exit_code = 4


class ApiRefused(ListingFailed):
    """The API said no in a way that asking again does not change."""


class JobGone(SyncerError):
    """The API does not know the job any more."""


class DestinationError(SyncerError):
    """The destination cannot be used; no entry is to blame, and the pass ends."""

    exit_code = 5


class DestinationMissing(DestinationError):
    """The folder is not there."""


class DestinationForeign(DestinationError):
    """The folder is there, but is not the one this ledger knows."""


class DestinationRefused(DestinationError):
    """The file system refuses: full, over quota, read-only, or an IO error."""


class NoRoom(DestinationRefused):
    """One file would take the destination's free space below its floor; a smaller one may still fit."""


class LedgerError(SyncerError):
    """The ledger is damaged, unreadable, or written by a newer program."""

    exit_code = 9


class LedgerHeld(LedgerError):
    """Another pass works on this ledger right now."""

    exit_code = 8


class FetchError(SyncerError):
    """One file did not arrive whole.

    `retry_after` is the storage's own wish (RFC 9110 §10.2.3), as a moment; None where it said nothing.
    `keep_partial` is False where the bytes on disk cannot be trusted to belong to the file. `kind` is what such
    failures are counted under.
    """

    exit_code = 6
    keep_partial = True
    kind = "fetch failed"

    def __init__(self, message: str, *, hint: str = "", retry_after: datetime | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class LinkRefused(FetchError):
    """The storage refused the link itself: it died, or was withdrawn."""

    kind = "link refused"


class Interrupted(FetchError):
    """The connection failed, stalled, or ended before the last byte."""

    kind = "connection broke"


class StorageBusy(FetchError):
    """The storage answered 429 or 5xx."""

    kind = "storage busy"


class NotTheFile(FetchError):
    """What came back is not the file, or not the part of it that was asked for."""

    kind = "not the file"


class FileChanged(FetchError):
    """The storage's file is not the one whose first bytes are on disk."""

    kind = "file changed"
    keep_partial = False


class LengthMismatch(FetchError):
    """The bytes on disk are more or fewer than the storage promised."""

    kind = "wrong length"
    keep_partial = False


class TooLarge(FetchError):
    """The file is larger than the user allows one to be, or does not end before it is."""

    keep_partial = False


class ChecksumMismatch(FetchError):
    """The bytes on disk differ from the checksum the storage sent."""

    kind = "wrong checksum"
    keep_partial = False


class NoLink(FetchError):
    """The job is done, and neither the list nor the job itself carries a link."""

    kind = "no link"


class NameTaken(SyncerError):
    """Something that this entry did not put there lies under its final name."""


class Declined(SyncerError):
    """Another process that was asked for a file leaves it to the one that asked; the file is not to blame."""


class StaleClaim(SyncerError):
    """The lease ran out, and the entry may be somebody else's by now."""
