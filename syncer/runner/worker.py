"""The way of one job: recover, relink where needed, fetch, prove, publish, and say how it ended."""

import itertools
import logging
from dataclasses import replace
from datetime import datetime

from syncer.core import naming, resume, retry
from syncer.core.errors import (
    FetchError,
    JobGone,
    LinkRefused,
    ListingFailed,
    NameTaken,
    NoLink,
    NotTheFile,
    StaleClaim,
    StorageBusy,
)
from syncer.core.events import (
    BytesArrived,
    EntryFollowed,
    EntryLost,
    FetchFailed,
    FetchRestarted,
    FetchStarted,
    FileStored,
    LinkRenewed,
)
from syncer.core.model import (
    Claim,
    Follow,
    HandBack,
    Link,
    Lose,
    Outcome,
    Park,
    Promise,
    RemoteStatus,
    Retry,
    Stored,
    StoredFile,
)
from syncer.core.ports import Exchange, Partial
from syncer.core.text import one_line
from syncer.runner.intake import Intake
from syncer.runner.offload import offload
from syncer.runner.parts import Counts, Parts, Rules

_log = logging.getLogger(__name__)

FRUITLESS = 3
"""Tries of a pass that got nowhere with a partial because of what the storage answered, before it is given up."""

MOST_NAMES = 100
"""Names tried for one file before it is given up for this pass: only ill will takes that many."""


class Worker:
    """Brings claimed entries home, any number of them at once. Holds no state of its own but the counts."""

    def __init__(self, parts: Parts, rules: Rules, counts: Counts) -> None:
        self._parts = parts
        self._rules = rules
        self._counts = counts

    async def work(self, claim: Claim) -> None:
        """See one claim through and settle it.

        What concerns this job alone ends in its outcome. Raises what ends the pass: DestinationError, KeyRefused,
        LedgerError; the entry is then handed back.
        """
        gauge = Gauge()
        try:
            outcome = await self._bring(claim, gauge)
        except FetchError as error:
            outcome = self._decide(claim, error, gauge)
        except StaleClaim:
            return
        except NameTaken as error:
            outcome = Park(error.message, self._parts.clock.now())
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # I8: a bug that one job brings out must not take the others with it.
            _log.exception("job %s: unexpected error", claim.entry.id)
            outcome = Park(f"internal error ({type(error).__name__})", self._parts.clock.now())
        except BaseException:
            await self._settle(claim, HandBack())
            raise
        await self._settle(claim, outcome)
        self._tell(claim, outcome, gauge)

    async def _bring(self, claim: Claim, gauge: "Gauge") -> Outcome:
        recovered = await self._recover(claim)
        if recovered is not None:
            gauge.recovered = True
            return recovered
        link, renewed, refusal = claim.entry.link, False, None
        if link is not None and _has_died(link, self._parts.clock.now()):
            answer = await self._relink_early(claim, link)
            if not isinstance(answer, Link):
                return answer
            link, renewed = answer, answer is not claim.entry.link
        while True:
            if link is None:
                answer = await self._relink(claim, refusal)
                if not isinstance(answer, Link):
                    return answer
                link, renewed = answer, True
            try:
                return await self._fetch(claim, link, gauge)
            except LinkRefused as error:
                if renewed:
                    return await self._give_up(claim, error.message)
                link, refusal = None, error

    async def _recover(self, claim: Claim) -> Stored | None:
        """A file that a pass published and did not live to settle: it lies under the name reserved for it (I3)."""
        entry, destination = claim.entry, self._parts.destination
        if entry.path is None or entry.promise.size is None:
            return None
        size = await destination.size_of(entry.path)
        if size != entry.promise.size:
            return None
        digests = await destination.digest(entry.path, _wanted_digests(entry.promise))
        if resume.check_whole(entry.promise, size, digests) is not None:
            return None
        file = self._stored_file(entry.path, size, digests["sha256"], entry.promise)
        await destination.enlist(entry.id, entry.name, file)
        await destination.sweep([entry.id])
        return Stored(file)

    async def _relink(self, claim: Claim, refused: LinkRefused | None) -> Link | Outcome:
        """A link from the API itself, or how the claim ends without one."""
        entry, parts = claim.entry, self._parts
        try:
            job = await parts.source.look_up(entry.id)
        except JobGone:
            if refused is None:
                raise NoLink("VideoDB lists the job but does not know it, and there is no link.") from None
            return await self._give_up(claim, f"{refused.message} VideoDB no longer knows the job.")
        except ListingFailed as error:
            raise StorageBusy(f"No new link could be had: {error.message}") from None
        if job.status is not RemoteStatus.DONE:
            return Follow(job.status, one_line(job.error, 200) or f"VideoDB now says {job.status}.")
        if job.link is None:
            raise NoLink("no link")
        if entry.link is None or job.link.url != entry.link.url:
            self._counts.relinked += 1
            parts.observer.notify(LinkRenewed(entry.id, _label(claim)))
        return job.link

    async def _relink_early(self, claim: Claim, dead: Link) -> Link | Outcome:
        """A link in place of one that is dead by its own word; that one, where the API has no other to give.

        Clocks differ, and only the storage's refusal decides (I7).
        """
        try:
            return await self._relink(claim, refused=None)
        except FetchError:
            return dead

    async def _give_up(self, claim: Claim, reason: str) -> Outcome:
        """The link was refused after a relink (I7): lost, unless the user lets the job be made again."""
        if not self._rules.regenerate or not retry.may_regenerate(claim.entry):
            return Lose(reason)
        try:
            await self._parts.source.regenerate(claim.entry.id)
        except (JobGone, ListingFailed) as error:
            return Lose(f"{reason} It could not be made again: {error.message}")
        return Follow(RemoteStatus.PROCESSING, "VideoDB was asked to make it again.", regenerated=True)

    async def _fetch(self, claim: Claim, link: Link, gauge: "Gauge") -> Outcome:
        partial = await self._parts.destination.open_partial(claim.entry.id)
        gauge.start(partial.size)
        try:
            promise, path = await self._fill(claim, link, partial, gauge)
            digests = await partial.finish()
            problem = resume.check_whole(promise, partial.size, digests)
            if problem is not None:
                raise problem
            path = await self._publish(claim, partial, path, promise)
            file = self._stored_file(path, partial.size, digests["sha256"], promise)
        except FetchError as error:
            gauge.stop(partial.size)
            if not error.keep_partial or self._is_hopeless(claim, error, partial.size):
                gauge.stop(0)
                await partial.discard()
            raise
        finally:
            await partial.close()
        await self._parts.destination.enlist(claim.entry.id, claim.entry.name, file)
        return Stored(file)

    def _is_hopeless(self, claim: Claim, error: FetchError, on_disk: int) -> bool:
        """Whether a storage has refused to go on with a partial for so long that only a new start can help."""
        fruitless = claim.entry.tries >= min(FRUITLESS, self._rules.policy.tries)
        return isinstance(error, NotTheFile) and on_disk > 0 and fruitless

    async def _fill(self, claim: Claim, link: Link, partial: Partial, gauge: "Gauge") -> tuple[Promise, str]:
        """Bring the partial to its full length; what was promised of it, and the path reserved for it."""
        held = claim.entry.promise
        asked = resume.ask(partial.size, held)
        async with self._parts.fetcher.open(link, asked) as exchange:
            verdict = resume.judge(asked, held, exchange.answer)
            if not isinstance(verdict, resume.AskAgain):
                return await self._pour(claim, link, partial, (exchange, verdict), gauge)
        self._restarted(claim, verdict.reason)
        async with self._parts.fetcher.open(link, resume.Ask()) as exchange:
            verdict = resume.judge(resume.Ask(), Promise(), exchange.answer)
            if isinstance(verdict, resume.AskAgain):
                raise NotTheFile(verdict.reason)
            return await self._pour(claim, link, partial, (exchange, verdict), gauge)

    async def _pour(
        self,
        claim: Claim,
        link: Link,
        partial: Partial,
        reply: tuple[Exchange, resume.Append | resume.FromStart],
        gauge: "Gauge",
    ) -> tuple[Promise, str]:
        (exchange, verdict), entry = reply, claim.entry
        promise = verdict.promise
        if link != entry.link:
            # Noted only now that it lives: a refused one must not make the listed one pass for new (I7).
            await self._parts.ledger.relink(claim, link)
        tail, keep = b"", 0
        if isinstance(verdict, resume.Append):
            tail, keep = await partial.tail(verdict.overlap), partial.size
            self._counts.resumed += 1
        elif verdict.changed:
            self._restarted(claim, "the storage sent the whole file")
        path = await self._reserve(claim, promise, naming.extension_for(promise.content_type, link.url))
        await partial.begin(keep, _wanted_digests(promise))
        room = None if promise.size is None else promise.size - keep
        intake = Intake(partial, tail=tail, room=room)
        self._parts.observer.notify(FetchStarted(entry.id, _label(claim), promise.size, keep))

        def progress(count: int) -> None:
            gauge.fetched += count
            self._counts.bytes += count
            self._parts.observer.notify(BytesArrived(entry.id, count))

        await exchange.pour(intake, progress)
        await offload(intake.finish)
        return promise, path

    async def _reserve(
        self, claim: Claim, promise: Promise, extension: str, *, after: str | None = None, reason: str = ""
    ) -> str:
        """A path that nothing else has, in the ledger and on disk; committed before the first byte is kept.

        `after` is a path that turned out to be taken, and `reason` says why.
        """
        entry, parts = claim.entry, self._parts
        new = (self._name(claim, extension, variant) for variant in range(MOST_NAMES))
        for path in itertools.chain([entry.path] if entry.path else [], new):
            if path == after or await parts.destination.size_of(path) is not None:
                continue
            if await parts.ledger.reserve(claim, path, promise):
                return path
        raise NameTaken(reason or "Every name for this file is taken in the destination, or its folder cannot be used.")

    def _name(self, claim: Claim, extension: str, variant: int) -> str:
        entry = claim.entry
        return naming.path_for(
            self._rules.naming, entry.id, entry.name, entry.created_at, extension=extension, variant=variant
        )

    async def _publish(self, claim: Claim, partial: Partial, path: str, promise: Promise) -> str:
        extension = naming.extension_for(promise.content_type, None)
        if promise.size is None:
            # Sent without a length, it has one now; were it not in the ledger, a kill from here on could not heal.
            promise = replace(promise, size=partial.size)
            await self._parts.ledger.reserve(claim, path, promise)
        reason = ""
        for _ in range(MOST_NAMES):
            try:
                await partial.publish(path, claim.entry.created_at)
            except NameTaken as taken:
                reason = taken.message
                path = await self._reserve(claim, promise, extension, after=path, reason=reason)
            else:
                return path
        raise NameTaken(reason)

    def _stored_file(self, path: str, size: int, sha256: str, promise: Promise) -> StoredFile:
        return StoredFile(path, size, sha256, promise.etag, self._parts.clock.now())

    def _restarted(self, claim: Claim, reason: str) -> None:
        self._counts.restarted += 1
        self._parts.observer.notify(FetchRestarted(claim.entry.id, _label(claim), reason))

    def _decide(self, claim: Claim, error: FetchError, gauge: "Gauge") -> Outcome:
        parts = self._parts
        return retry.decide(
            error,
            claim.entry.tries,
            parts.clock.now(),
            self._rules.policy,
            gained=gauge.gained,
            jitter=parts.rng.random(),
        )

    async def _settle(self, claim: Claim, outcome: Outcome) -> None:
        try:
            await self._parts.ledger.settle(claim, outcome, self._parts.clock.now())
        except StaleClaim:
            _log.warning("job %s: the claim ran out before it could be settled", claim.entry.id)

    def _tell(self, claim: Claim, outcome: Outcome, gauge: "Gauge") -> None:
        entry, observer, counts = claim.entry, self._parts.observer, self._counts
        label = _label(claim)
        match outcome:
            case Stored(file):
                counts.recovered += gauge.recovered
                counts.fetched += not gauge.recovered
                observer.notify(FileStored(entry.id, label, file.path, file.size, gauge.fetched, gauge.recovered))
            case Retry(reason, at):
                counts.retries += 1
                observer.notify(FetchFailed(entry.id, label, reason, entry.attempts, at))
            case Park(reason):
                observer.notify(FetchFailed(entry.id, label, reason, entry.attempts, None))
            case Lose(reason):
                counts.lost[entry.id] = None
                observer.notify(EntryLost(entry.id, label, reason))
            case Follow(status, reason):
                observer.notify(EntryFollowed(entry.id, label, status, reason))
            case HandBack():
                pass


class Gauge:
    """How far one try came: bytes over the wire, and by how much the partial grew."""

    def __init__(self) -> None:
        self.fetched = 0
        self.recovered = False
        self._before = 0
        self._after = 0

    @property
    def gained(self) -> int:
        return self._after - self._before

    def start(self, size: int) -> None:
        self._before = self._after = size

    def stop(self, size: int) -> None:
        self._after = size


def _label(claim: Claim) -> str:
    """What to call a job in front of people: its name on one line, or its id."""
    return one_line(claim.entry.name, 80) or one_line(claim.entry.id, 80)


def _has_died(link: Link, now: datetime) -> bool:
    """By the link's own word; an estimate never decides that."""
    return not link.estimated and link.expires_at is not None and link.expires_at <= now


def _wanted_digests(promise: Promise) -> frozenset[str]:
    """One of the storage's own checksums is enough: MD5 where there is one."""
    if promise.md5 is not None:
        return frozenset({"md5"})
    return frozenset({"crc32c"}) if promise.crc32c is not None else frozenset()
