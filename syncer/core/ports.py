"""The seams of the house: what each part offers to the ones that use it. Real parts and fakes pass the same suites."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from syncer.core.errands import Errand
from syncer.core.events import Event
from syncer.core.ledger_ports import Inventory, Ledger
from syncer.core.model import Job, Link, Listing, Page, Promise, StoredFile
from syncer.core.resume import Answer, Ask
from syncer.core.segments import Span
from syncer.core.verify import Finding

__all__ = [
    "PAGE",
    "Archive",
    "Clock",
    "Destination",
    "Exchange",
    "Fetcher",
    "Helper",
    "Hook",
    "Inventory",
    "Lead",
    "Ledger",
    "Observer",
    "Partial",
    "Sink",
    "Source",
    "Watcher",
]

T = TypeVar("T")


class Clock(Protocol):
    """Time, so that tests and simulations can have their own."""

    def now(self) -> datetime:
        """This moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait, and let others work meanwhile."""
        ...


class Observer(Protocol):
    """Hears what happens. It must return at once and never raise; it is called on the event loop's thread."""

    def notify(self, event: Event) -> None: ...


class Hook(Protocol):
    """Something of the user's that is to follow on a stored file. It may take its time and never raises."""

    async def stored(self, job_id: str, name: str | None, file: StoredFile) -> None:
        """The file is published and settled, whatever comes of this. Cancelled, it ends within seconds."""
        ...


class Source(Protocol):
    """VideoDB, as far as syncer needs it. Raises KeyRefused and ListingFailed, never an HTTP library's error."""

    async def list_jobs(self, keep: Callable[[Page], Awaitable[frozenset[str]]]) -> Listing:
        """Read the whole list. Each page goes to `keep`, which answers the ids that are new in this listing.

        The next page may be asked for while `keep` works, but `keep` is never called twice at once.
        Raises ListingFailed where the end cannot be reached; the pages kept until then stay kept.
        """
        ...

    async def look_up(self, job_id: str) -> Job:
        """The job as the API knows it now, past any cache of ours. Raises JobGone."""
        ...

    async def regenerate(self, job_id: str) -> None:
        """Have the job made again. VideoDB may bill it. Raises JobGone."""
        ...


PAGE: Final = 4096
"""Bytes in whose multiples a Sink gets a body that comes fast: what a file system writes without a copy of its own."""


class Sink(Protocol):
    """Takes the bytes of one body, in order."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Blocking; called off the event loop, by one thread at a time. The buffer may be reused afterwards.

        Raises a FetchError to refuse the body, a DestinationError where the file system refuses.
        """
        ...


class Exchange(Protocol):
    """A storage's answer: the head read, the body waiting."""

    @property
    def answer(self) -> Answer: ...

    async def take(self) -> bytes | None:
        """All of a small body, where it comes within a moment; else None, and nothing of it is lost to `pour`."""
        ...

    async def pour(self, sink: Sink, progress: Callable[[int], None]) -> None:
        """Send the body to `sink`, telling `progress` each count of bytes on the event loop's thread.

        Returns when the body ended as its framing promised. Raises Interrupted where it broke, stalled or fell short.
        """
        ...

    async def close(self) -> None:
        """Have no more of it: a body that was not read to its end is not sent any further."""
        ...


class Fetcher(Protocol):
    """Gets bytes from a storage. Knows links and ranges; nothing of jobs, names or the ledger."""

    def open(self, link: Link, ask: Ask) -> AbstractAsyncContextManager[Exchange]:
        """Ask for bytes. Raises Interrupted where no answer came; an answer of any status is an Exchange."""
        ...

    async def probe(self, link: Link) -> Answer:
        """The head of the answer to a request for the file's first byte. Raises as `open` does."""
        ...


class Partial(Sink, Protocol):
    """The bytes of one job on their way, on the destination's file system, under no final name."""

    @property
    def size(self) -> int:
        """Bytes on disk, up to the first gap, where the front is: those that are in the digests, once it was begun."""
        ...

    @property
    def held(self) -> int:
        """Bytes on disk, those beyond gaps included."""
        ...

    def spans(self) -> tuple[Span, ...]:
        """Where they lie."""
        ...

    async def begin(
        self, keep: int, digests: frozenset[str], size: int | None = None, version: str | None = None
    ) -> None:
        """Keep the first `keep` bytes and drop the rest, reading the kept ones into `sha256` and `digests`
        (`md5`, `crc32c`); `write` goes on from there.

        `size` is the length of the whole file where it is known: raises NoRoom where that would not fit. Without one,
        `write` raises it once the room runs out. What lies beyond a gap stays only if `keep` is all up to it, and size
        and `version` are those it was written under.
        """
        ...

    async def tail(self, count: int, stop: int | None = None) -> bytes:
        """The last `count` bytes on disk up to the first gap, or up to `stop`."""
        ...

    async def spread(self, version: str, size: int) -> None:
        """From here on bytes may be written `at` any place: of this version of the file, of `size` bytes in all.

        Where they lie is remembered across restarts. What is told of it is on disk, whatever happens: a kill costs
        what came since the last `note`, or `close`.
        """
        ...

    def at(self, start: int) -> Sink:
        """For the bytes from `start` on, to be used after `spread` and until `retract`; not by two at one place."""
        ...

    async def note(self) -> None:
        """fsync what is there, and then the note of where it lies."""
        ...

    async def catch_up(self, most: int) -> None:
        """Read what lies behind the front into the digests, up to the next gap or to `most`; while others write on."""
        ...

    async def retract(self) -> None:
        """Drop what lies beyond the first gap, and the note of it. Nobody may be writing."""
        ...

    async def finish(self) -> dict[str, str]:
        """Flush and fsync; the digests of every byte on disk, by name, in lower-case hex.

        Called again before anything more is written, it only says them again.
        """
        ...

    async def publish(self, path: str, modified_at: datetime | None) -> None:
        """Make the finished file visible under `path`, atomically, and fsync the folder.

        Raises NameTaken rather than replace anything; proves the destination's identity first.
        """
        ...

    async def discard(self) -> None:
        """Close and delete."""
        ...

    async def close(self) -> None:
        """Close, and leave the bytes for another time."""
        ...


class Destination(Protocol):
    """Where files go. Every method raises DestinationError where the file system does not do its part."""

    @property
    def location(self) -> str:
        """What to call it in messages."""
        ...

    async def identify(self, ledger_id: str) -> str | None:
        """The id on the marker. None without a marker. `ledger_id` must be the marker's own: DestinationForeign."""
        ...

    async def bind(self, ledger_id: str, destination_id: str) -> None:
        """First use: make the folder if only its last part is missing, and write the marker, durably."""
        ...

    async def prove(self, destination_id: str) -> None:
        """Raises DestinationMissing or DestinationForeign unless the marker carries this id. Later calls keep to it."""
        ...

    async def in_one_go(self, work: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Await `work(*args)`, which awaits nothing but this destination and its partials.

        Where their calls go to a thread, it is one way there and back for all of them; and where it is cancelled,
        all of it is done first.
        """
        ...

    async def look(self, jobs: Sequence[tuple[str, str]]) -> Sequence[bool]:
        """For each job's id and a path: whether the job has no partial, and nothing lies at the path."""
        ...

    async def open_partial(self, job_id: str, *, is_new: bool = False) -> Partial:
        """The job's partial; one that `is_new`, since `look` found none, is there once it is begun. No one else may
        hold it."""
        ...

    async def size_of(self, path: str) -> int | None:
        """Bytes of the regular file at `path`; None where there is nothing. Something else there: -1."""
        ...

    async def digest(self, path: str, digests: frozenset[str], progress: Callable[[int], None] = ...) -> dict[str, str]:
        """`sha256` and `digests` of a published file, read back, in lower-case hex.

        `progress` hears each count of bytes on the event loop's thread.
        """
        ...

    async def flush(self) -> None:
        """Make the manifest durable."""
        ...

    async def enlist(self, job_id: str, name: str | None, file: StoredFile, *, is_durable: bool = False) -> None:
        """Add a published file to the manifest; `is_durable` says that another process fsynced it and its folder."""
        ...

    async def note_partial(self, job_id: str) -> None:
        """Another process may have left a partial of this job: where there is one, it is known from now on."""
        ...

    async def free(self) -> int | None:
        """Bytes that may be written before only the floor of free space is left; None where that cannot be told."""
        ...

    async def sweep(self, job_ids: Sequence[str]) -> None:
        """Delete the partials of jobs that need none any more."""
        ...


class Archive(Destination, Protocol):
    """A destination that was filled before, as seen by a ledger that is to take it over."""

    async def marked(self) -> str | None:
        """The id on the marker, whichever ledger's it is; None without a marker. Raises DestinationMissing."""
        ...

    async def rebind(self, ledger_id: str, destination_id: str) -> None:
        """Put a new marker in the place of the old: from here on the folder is this ledger's alone."""
        ...

    def listed(self, damaged: Callable[[int], None] = ...) -> AsyncIterator[tuple[str, str | None, StoredFile]]:
        """What the manifest says is there: id, name and file, the last word on each id.

        `damaged` hears the number of each line that cannot be read.
        """
        ...

    async def relist(self, files: AsyncIterator[tuple[str, str | None, StoredFile]]) -> int:
        """Write the manifest anew, whole or not at all; how many lines it has. No pass may write it meanwhile."""
        ...

    def walk(self) -> AsyncIterator[tuple[str, int]]:
        """Every regular file with its bytes, in no order and in bounded memory; no link is followed.

        Left out: syncer's own notes, waste bins and hidden folders, folders that may not be read.
        """
        ...

    async def set_aside(self, path: str, at: datetime) -> str | None:
        """Move what lies under `path` out of the way, durably, deleting and replacing nothing; where it is now.

        None where nothing is there. Raises NameTaken where it cannot be moved.
        """
        ...


class Watcher(Protocol):
    """Hears how reading files back gets on, on the event loop's thread. It must return at once and never raise."""

    def expect(self, files: int, size: int) -> None:
        """So many files, and about so many bytes, are to be read."""
        ...

    def read(self, count: int) -> None:
        """So many bytes more were read."""
        ...

    def looked(self, path: str) -> None:
        """One file more was looked at."""
        ...

    def found(self, finding: Finding) -> None:
        """Something a user is to hear of."""
        ...


class Lead(Protocol):
    """Whoever gave an errand, as seen by the one that runs it; on the event loop's thread."""

    async def reserve(self, path: str, promise: Promise) -> bool:
        """As `Ledger.reserve`, whose errors it raises: they end the errand. So does Declined, its own."""
        ...

    def arrived(self, count: int) -> None:
        """So many bytes more came."""
        ...

    def done_with_line(self) -> None:
        """All bytes of a small file are here: it is still to be written, proven and published."""
        ...


class Helper(Protocol):
    """Another process, with a processor and an interpreter's lock of its own, that sees files home."""

    @property
    def is_ready(self) -> bool:
        """Whether it takes errands."""
        ...

    async def start(self, destination_id: str) -> None:
        """Returns once it takes errands for the destination of this id. Raises Declined where it cannot."""
        ...

    async def bring(self, errand: Errand, lead: Lead) -> StoredFile:
        """Fetch, prove, publish; everything but the manifest. Any number at once, each file by one of them only.

        Raises FetchError and NameTaken, which the file is to blame for, what `lead` raised, and Declined for all else:
        then nobody works at the file any more, and a partial of it may lie there. So it is when cancelled.
        """
        ...

    async def end(self) -> None:
        """Returns once nothing is written any more; errands under way are Declined."""
        ...
