"""The way of one job: recover, relink where needed, fetch, prove, publish, and say how it ended."""

import logging
from collections.abc import Iterable
from dataclasses import replace

from syncer.core import relinking, resume, retry
from syncer.core.errors import (
    Declined,
    FetchError,
    Interrupted,
    LinkRefused,
    NameTaken,
    NoRoom,
    StaleClaim,
)
from syncer.core.events import (
    EntryFollowed,
    EntryLost,
    FetchFailed,
    FileStored,
)
from syncer.core.model import (
    Claim,
    Follow,
    HandBack,
    Link,
    Lose,
    Outcome,
    Park,
    Retry,
    Stored,
)
from syncer.core.report import Loss
from syncer.runner.crew import Crew
from syncer.runner.fetch import Gauge, stored_file, wanted_digests
from syncer.runner.pace import Pace
from syncer.runner.parts import Counts, Parts, Rules, label_of
from syncer.runner.probe import Prober
from syncer.runner.relink import Guard, Relinker

_log = logging.getLogger(__name__)


MOST_CROWDED = 20
"""Files that found no room in the destination before a pass stops looking for one that does."""


class Worker:
    """Brings claimed entries home, any number of them at once. Holds no state of its own but the counts."""

    def __init__(
        self, parts: Parts, rules: Rules, counts: Counts, relinker: Relinker, pace: Pace, prober: Prober, crew: Crew
    ) -> None:
        self._parts = parts
        self._rules = rules
        self._counts = counts
        self._pace = pace
        self._relinker = relinker
        self._prober = prober
        self._crew = crew

    def look_ahead(self, claims: Iterable[Claim]) -> None:
        """These come next."""
        self._crew.look_ahead(claims)

    async def close(self) -> None:
        """No further claims come, and none is worked on."""
        await self._crew.close()

    async def work(self, claim: Claim) -> Outcome | None:
        """See one claim through and settle it; how it ended, None where the claim ran out meanwhile.

        What concerns this job alone ends in its outcome. Raises what ends the pass: DestinationError, KeyRefused,
        LedgerError; the entry is then handed back.
        """
        gauge = Gauge()
        try:
            outcome = await self._bring(claim, gauge)
        except FetchError as error:
            self._counts.reasons[error.kind] += 1
            outcome = self._decide(claim, error, gauge)
        except StaleClaim:
            return None
        except NoRoom as error:
            self._counts.no_room, self._counts.crowded = error, self._counts.crowded + 1
            outcome = Park(error.message, self._parts.clock.now())
        except NameTaken as error:
            outcome = Park(error.message, self._parts.clock.now())
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # I8: a bug that one job brings out must not take the others with it.
            _log.exception("job %s: unexpected error", claim.entry.id)
            outcome = Park(f"internal error ({type(error).__name__})", self._parts.clock.now())
        except BaseException:
            await self._settle(claim, HandBack())
            raise
        settled = await self._settle(claim, outcome)
        self._tell(claim, outcome, gauge)
        if isinstance(outcome, Stored) and self._parts.hook is not None:
            await self._parts.hook.stored(claim.entry.id, claim.entry.name, outcome.file)
        if self._counts.no_room is not None and self._counts.crowded >= MOST_CROWDED:
            raise self._counts.no_room
        return outcome if settled else None

    async def _bring(self, claim: Claim, gauge: Gauge) -> Outcome:
        recovered = await self._recover(claim)
        if recovered is not None:
            gauge.recovered = True
            return recovered
        link = claim.entry.link
        fresh = False  # the API gave the link, and the storage has not honoured it yet
        refusal = self._prober.refusal(claim.entry)
        while True:
            answer = await self._living(claim, link, refusal, gauge)
            if not isinstance(answer, Link):
                return answer
            if answer is not link:
                self._relinker.switched(claim, link, answer)
                link, fresh = answer, True
            before, refusal = gauge.gained, None
            guard = Guard(self._relinker, claim, link, gauge, self._parts.clock, fresh=fresh)
            try:
                async with guard:
                    return await self._fetch(claim, link, gauge)
            except LinkRefused as error:
                if fresh:
                    return await self._relinker.give_up(claim, error.message)
                refusal = error
            except Interrupted:
                died = guard.spare is not None or relinking.has_died(link, self._parts.clock.now())
                if not died or gauge.gained <= before:
                    raise
                # Cut off with its link: the same partial goes on at once, held to what was promised of it.
                claim, fresh = replace(claim, entry=gauge.entry or claim.entry), False
                if guard.spare is not None:
                    self._relinker.switched(claim, link, guard.spare)
                    link = guard.spare

    async def _fetch(self, claim: Claim, link: Link, gauge: Gauge) -> Stored:
        """Have the file fetched, here or by another process; what that one left undone is done here."""
        try:
            return await self._crew.fetch(claim, link, gauge)
        except Declined:
            claim = replace(claim, entry=gauge.entry or claim.entry)
            return await self._recover(claim) or await self._crew.fetch(claim, link, gauge)

    async def _living(
        self, claim: Claim, link: Link | None, refusal: LinkRefused | None, gauge: Gauge
    ) -> Link | Outcome:
        """The link to go on with: the one there is where it lives long enough, else one from the API."""
        if link is None or refusal is not None:
            return await self._relinker.renew(claim, refusal)
        needed = self._pace.seconds_for(claim.entry, gauge.on_disk)
        if relinking.dies_too_soon(link, self._parts.clock.now(), needed):
            return await self._relinker.ahead(claim, link)
        return link

    async def _recover(self, claim: Claim) -> Stored | None:
        """A file that a pass published and did not live to settle: it lies under the name reserved for it (I3)."""
        entry, destination = claim.entry, self._parts.destination
        if entry.path is None or entry.promise.size is None:
            return None
        size = await destination.size_of(entry.path)
        if size != entry.promise.size:
            return None
        digests = await destination.digest(entry.path, wanted_digests(entry.promise))
        if resume.check_whole(entry.promise, size, digests) is not None:
            return None
        file = stored_file(entry.path, size, digests["sha256"], entry.promise, self._parts.clock.now())
        await destination.enlist(entry.id, entry.name, file)
        await destination.sweep([entry.id])
        return Stored(file)

    def _decide(self, claim: Claim, error: FetchError, gauge: Gauge) -> Outcome:
        parts = self._parts
        return retry.decide(
            error,
            claim.entry.tries,
            parts.clock.now(),
            self._rules.policy,
            gained=gauge.gained,
            jitter=parts.rng.random(),
        )

    async def _settle(self, claim: Claim, outcome: Outcome) -> bool:
        try:
            await self._parts.ledger.settle(claim, outcome, self._parts.clock.now())
        except StaleClaim:
            _log.warning("job %s: the claim ran out before it could be settled", claim.entry.id)
            return False
        return True

    def _tell(self, claim: Claim, outcome: Outcome, gauge: Gauge) -> None:
        entry, observer, counts = claim.entry, self._parts.observer, self._counts
        label = label_of(claim)
        match outcome:
            case Stored(file):
                counts.recovered += gauge.recovered
                counts.fetched += not gauge.recovered
                if gauge.deadline is not None:
                    counts.saved(gauge.deadline - file.stored_at)
                observer.notify(FileStored(entry.id, label, file.path, file.size, gauge.fetched, gauge.recovered))
            case Retry(reason, at):
                counts.retries += 1
                observer.notify(FetchFailed(entry.id, label, reason, entry.attempts, at))
            case Park(reason):
                observer.notify(FetchFailed(entry.id, label, reason, entry.attempts, None))
            case Lose(reason):
                size = (gauge.entry or entry).promise.size
                counts.lost[entry.id] = Loss(entry.id, entry.name, reason, size)
                counts.reasons["lost"] += 1
                observer.notify(EntryLost(entry.id, label, reason))
            case Follow(status, reason):
                observer.notify(EntryFollowed(entry.id, label, status, reason))
            case HandBack():
                pass
