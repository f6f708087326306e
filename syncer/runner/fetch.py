"""One file from its link to its final name: ask, judge, pour, prove, publish."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from syncer.core import naming, resume
from syncer.core.errands import Free
from syncer.core.errors import FetchError, NameTaken, NoRoom, NotTheFile
from syncer.core.events import BytesArrived, FetchRestarted, FetchStarted
from syncer.core.model import Claim, Entry, Link, Promise, Stored, StoredFile
from syncer.core.ports import Clock, Destination, Exchange, Fetcher, Observer, Partial
from syncer.runner.intake import Intake
from syncer.runner.lanes import Lanes
from syncer.runner.lookout import free_for, is_fresh, likely_path
from syncer.runner.offload import offload
from syncer.runner.parts import Counts, Rules, label_of
from syncer.runner.segmented import Means, Segments, SegmentsEnded

FRUITLESS = 3
"""Tries of a pass that got nowhere with a partial because of what the storage answered, before it is given up."""

YOUNG = 1.0
"""Seconds of a body from which its rate is not judged yet."""

MOST_NAMES = 100
"""Names tried for one file before it is given up for this pass: only ill will takes that many."""


@dataclass(frozen=True, slots=True)
class _Body:
    """All of a small body, still to be written through its intake; `progress` is to hear of it then."""

    data: bytes
    intake: Intake
    progress: Callable[[int], None]


class Gauge:
    """How far the tries under one claim came: bytes over the wire, and by how much the partial grew."""

    def __init__(self) -> None:
        self.fetched = 0
        self.recovered = False
        self.was_declined = False  # by another process that was to bring the file
        self.deadline: datetime | None = None  # of the link the bytes came under
        self._noted: Callable[[], Entry] | None = None
        self._before: int | None = None
        self._after = 0
        self._lacking: int | None = None  # bytes the running body is to bring; None where that is not known
        self._poured = 0  # of them
        self._since: float | None = None  # when the body began, by the monotonic clock

    @property
    def entry(self) -> Entry | None:
        """With what was noted of it since it was claimed; put together when it is asked for, which is seldom."""
        return None if self._noted is None else self._noted()

    @entry.setter
    def entry(self, entry: Entry) -> None:
        self._noted = lambda: entry

    def note(self, noted: Callable[[], Entry]) -> None:
        """How to put it together from now on."""
        self._noted = noted

    @property
    def gained(self) -> int:
        return self._after - (self._before or 0)

    @property
    def on_disk(self) -> int:
        """Bytes of the partial, as far as a try has looked at it."""
        return self._after

    @property
    def left(self) -> int | None:
        """Bytes the running body has still to bring; None while that is not known."""
        return None if self._lacking is None else max(0, self._lacking - self._poured)

    def rate(self, now: float) -> float | None:
        """Bytes a second of the running body; None where it is too young to tell."""
        if self._since is None or now - self._since < YOUNG:
            return None
        return self._poured / (now - self._since)

    def start(self, size: int) -> None:
        self._before = size if self._before is None else self._before
        self._after = size

    def begin(self, lacking: int | None, now: float) -> None:
        """A body begins that is to bring so many bytes."""
        self._lacking, self._poured, self._since = lacking, 0, now

    def pour(self, count: int) -> None:
        self.fetched += count
        self._poured += count

    def stop(self, size: int) -> None:
        """The body is over, and the partial has this size."""
        self._after = size
        self._lacking = self._since = None


class Notes(Protocol):
    """What is noted of an entry on its file's way: as `core.ports.Ledger` has it, errors included."""

    async def reserve(self, claim: Claim, path: str, promise: Promise) -> bool: ...

    async def relink(self, claim: Claim, link: Link) -> None: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What files are fetched with. `done_with_line` is told the id of a small file whose bytes are all here: it needs
    its connection no longer, and is still to be written."""

    fetcher: Fetcher
    destination: Destination
    notes: Notes
    observer: Observer
    clock: Clock
    done_with_line: Callable[[str], object]


class Fetching:
    """Fetches claimed entries, any number at once; holds no state of its own but the counts."""

    def __init__(self, tools: Tools, rules: Rules, counts: Counts, lanes: Lanes) -> None:
        self._tools = tools
        self._rules = rules
        self._counts = counts
        self._segments = Segments(
            Means(tools.fetcher, tools.clock, lanes, most=rules.segments, least=rules.segment_size)
        )

    async def fetch(self, claim: Claim, link: Link, gauge: Gauge, free: Free | None) -> Stored:
        """Bring the file. `free` where it is known that there is no partial, and which path is free.

        Raises FetchError, NameTaken, StaleClaim, DestinationError, LedgerError.
        """
        destination, opened = self._tools.destination, list[Partial]()
        try:
            if free is None:
                free = await destination.in_one_go(self._open, claim, opened)
            else:
                opened.append(await destination.open_partial(claim.entry.id, is_new=True))
            (partial,) = opened
            gauge.start(partial.held)
            try:
                promise, path, body = await self._fill(claim, link, partial, gauge, free)
            except SegmentsEnded:
                claim = replace(claim, entry=gauge.entry or claim.entry)
                promise, path, body = await self._fill(claim, link, partial, gauge, free)
            return Stored(await self._conclude(claim, partial, promise, path, body))
        except FetchError as error:
            for partial in opened:
                gauge.stop(partial.held)
                if not error.keep_partial:
                    gauge.stop(0)
                    await partial.discard()
            raise
        finally:
            for partial in opened:
                await partial.close()

    async def _open(self, claim: Claim, opened: list[Partial]) -> Free | None:
        """Open the partial into `opened`, and look whether the name that the file is likely to get is free.

        In the destination only. Were it cancelled, what it returned would be lost; what is opened must not be.
        """
        entry, destination = claim.entry, self._tools.destination
        opened.append(await destination.open_partial(entry.id))
        path = likely_path(claim, self._rules.naming)
        if await destination.size_of(path) is not None:
            return None
        return free_for(claim, path, self._tools.clock.monotonic())

    def _judge(self, claim: Claim, asked: resume.Ask, answer: resume.Answer) -> resume.Verdict:
        """What the answer is good for. A storage that never gets a range right is asked for the whole file in the end.

        The partial makes way only for a good answer to that: a page that comes to everything costs no byte.
        """
        try:
            return resume.judge(asked, claim.entry.promise, answer)
        except NotTheFile as error:
            if asked.is_whole or claim.entry.tries < min(FRUITLESS, self._rules.policy.tries):
                raise
            return resume.AskAgain(error.message)

    async def _fill(
        self, claim: Claim, link: Link, partial: Partial, gauge: Gauge, free: Free | None
    ) -> "tuple[Promise, str, _Body | None]":
        """Bring the partial to its full length; what was promised of it, and the path reserved for it.

        A small body that was here at once is returned too: it is still to be written.
        """
        asked = resume.ask(partial.size, claim.entry.promise)
        async with self._tools.fetcher.open(link, asked) as exchange:
            verdict = self._judge(claim, asked, exchange.answer)
            if not isinstance(verdict, resume.AskAgain):
                return await self._pour(claim, link, partial, (exchange, verdict), gauge, free)
        reason = verdict.reason
        async with self._tools.fetcher.open(link, resume.Ask()) as exchange:
            verdict = resume.judge(resume.Ask(), Promise(), exchange.answer)
            if isinstance(verdict, resume.AskAgain):
                raise NotTheFile(f"{exchange.answer.host}: {verdict.reason}.")
            self._restarted(claim, reason)
            return await self._pour(claim, link, partial, (exchange, verdict), gauge, free)

    async def _pour(
        self,
        claim: Claim,
        link: Link,
        partial: Partial,
        reply: tuple[Exchange, resume.Append | resume.FromStart | resume.Complete],
        gauge: Gauge,
        free: Free | None,
    ) -> "tuple[Promise, str, _Body | None]":
        (exchange, verdict), entry = reply, claim.entry
        promise, gauge.deadline = verdict.promise, link.expires_at
        resume.refuse_too_large(promise, self._rules.max_file_size)
        data = await exchange.take() if isinstance(verdict, resume.FromStart) else None
        if data is not None:
            self._tools.done_with_line(entry.id)
        if link != entry.link:
            # Noted only now that it lives: a refused one must not make the listed one pass for new (I7).
            await self._tools.notes.relink(claim, link)
        tail, keep = await self._kept(claim, partial, verdict)
        extension = naming.extension_for(promise.content_type, link.url)
        path = await self._reserve(claim, promise, extension, free=free)
        gauge.note(lambda: replace(entry, link=link, path=path, promise=promise))
        most = self._rules.max_file_size

        def progress(count: int) -> None:
            gauge.pour(count)
            self._counts.bytes += count
            self._tools.observer.notify(BytesArrived(entry.id, count))

        if data is not None:
            self._tools.observer.notify(FetchStarted(entry.id, label_of(claim), promise.size, 0))
            gauge.begin(promise.size, self._tools.clock.monotonic())
            intake = Intake(partial, room=promise.size, most=most, declared=promise.content_type)
            return promise, path, _Body(data, intake, progress)
        version = self._segments.version_of(entry.id, partial, promise, exchange.answer)
        await partial.begin(keep, wanted_digests(promise), promise.size, version)
        held = partial.held
        self._tools.observer.notify(FetchStarted(entry.id, label_of(claim), promise.size, held))
        if isinstance(verdict, resume.Complete):
            return promise, path, None
        room = None if promise.size is None else promise.size - keep
        segmented = None if version is None else self._segments.of(entry.id, link, partial, promise)
        sink = partial if segmented is None else segmented.front
        intake = Intake(
            sink, tail=tail, room=room, most=None if most is None else most - keep, declared=promise.content_type
        )
        gauge.begin(None if promise.size is None else promise.size - held + len(tail), self._tools.clock.monotonic())
        try:
            if segmented is not None:
                await segmented.pour(exchange, intake, progress)
            else:
                await exchange.pour(intake, progress)
                if intake.holds_back:
                    await offload(intake.finish)
        except NoRoom:
            # Nobody said how large it is, and it may never end: kept, it would take the room of every other file (I8).
            await partial.discard()
            raise
        return promise, path, None

    async def _kept(
        self, claim: Claim, partial: Partial, verdict: resume.Append | resume.FromStart | resume.Complete
    ) -> tuple[bytes, int]:
        """What the body must begin with, and how many bytes of the partial stay."""
        match verdict:
            case resume.FromStart(changed=changed):
                if changed:
                    self._restarted(claim, "the storage sent the whole file")
                return b"", 0
            case resume.Append(overlap):
                self._counts.resumed += 1
                return await partial.tail(overlap), partial.size
        self._counts.resumed += 1
        return b"", partial.size

    async def _reserve(
        self,
        claim: Claim,
        promise: Promise,
        extension: str,
        *,
        free: Free | None = None,
        after: str | None = None,
        reason: str = "",
    ) -> str:
        """A path that nothing else has, in the ledger and on disk; committed before the first byte is kept.

        `free` is one that nothing had a moment ago; `after` one that turned out to be taken, and `reason` says why.
        """
        entry, tools = claim.entry, self._tools
        first = entry.path or (free.path if free is not None and free.is_final else None)
        new = (self._name(claim, extension, variant) for variant in range(MOST_NAMES))
        for path in itertools.chain([first] if first else [], new):
            if path == after:
                continue
            seen = free is not None and free.path == path and is_fresh(free, self._tools.clock)
            if not seen and await tools.destination.size_of(path) is not None:
                continue
            if await tools.notes.reserve(claim, path, promise):
                return path
        raise NameTaken(reason or "Every name for this file is taken in the destination, or its folder cannot be used.")

    def _name(self, claim: Claim, extension: str, variant: int) -> str:
        entry = claim.entry
        return naming.path_for(
            self._rules.naming, entry.id, entry.name, entry.created_at, extension=extension, variant=variant
        )

    async def _conclude(
        self, claim: Claim, partial: Partial, promise: Promise, path: str, body: "_Body | None"
    ) -> StoredFile:
        """Take in a body that is still to be written, prove the partial and publish it, under another name where
        somebody was quicker."""
        destination = self._tools.destination
        if promise.size is None:
            # Sent without a length, it has one now; were it not in the ledger, a kill from here on could not heal.
            await destination.in_one_go(self._prove, partial, promise)
            promise = replace(promise, size=partial.size)
            await self._tools.notes.reserve(claim, path, promise)
        reason = ""
        for _ in range(MOST_NAMES):
            try:
                return await destination.in_one_go(self._bring_out, claim, partial, promise, path, body)
            except NameTaken as taken:
                reason = taken.message
            finally:
                if body is not None and partial.size:
                    body.progress(partial.size)
                body = None
            extension = naming.extension_for(promise.content_type, None)
            path = await self._reserve(claim, promise, extension, after=path, reason=reason)
        raise NameTaken(reason)

    async def _bring_out(
        self, claim: Claim, partial: Partial, promise: Promise, path: str, body: "_Body | None"
    ) -> StoredFile:
        """Write what is still to be written, prove, publish, note in the manifest: in the destination only.

        Raises NameTaken, and may be called again then, without a body.
        """
        entry, tools = claim.entry, self._tools
        if body is not None:
            await partial.begin(0, wanted_digests(promise), promise.size)
            body.intake.write(body.data)
            if body.intake.holds_back:
                body.intake.finish()
        digests = await self._prove(partial, promise)
        await partial.publish(path, entry.created_at)
        file = stored_file(path, partial.size, digests["sha256"], promise, tools.clock.now())
        await tools.destination.enlist(entry.id, entry.name, file)
        return file

    async def _prove(self, partial: Partial, promise: Promise) -> dict[str, str]:
        digests = await partial.finish()
        problem = resume.check_whole(promise, partial.size, digests)
        if problem is not None:
            raise problem
        return digests

    def _restarted(self, claim: Claim, reason: str) -> None:
        self._counts.restarted += 1
        self._tools.observer.notify(FetchRestarted(claim.entry.id, label_of(claim), reason))


def stored_file(path: str, size: int, sha256: str, promise: Promise, at: datetime) -> StoredFile:
    """What ledger and manifest remember of a file published at `at`."""
    return StoredFile(path, size, sha256, promise.etag, at)


def wanted_digests(promise: Promise) -> frozenset[str]:
    """One of the storage's own checksums is enough: MD5 where there is one."""
    if promise.md5 is not None:
        return frozenset({"md5"})
    return frozenset({"crc32c"}) if promise.crc32c is not None else frozenset()
