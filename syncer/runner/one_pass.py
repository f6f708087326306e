"""One pass: prove the destination, list, fetch while listing, account for everything, report."""

import asyncio
import contextlib
import logging
import uuid
from dataclasses import replace
from datetime import datetime, timedelta

from syncer.core.errors import (
    DestinationError,
    DestinationForeign,
    DestinationMissing,
    KeyRefused,
    LedgerError,
    ListingFailed,
    SyncerError,
)
from syncer.core.events import ListingEnded, PageListed, PassEnded, PassStarted
from syncer.core.model import Entry, Listing, Page, RemoteStatus, Sighting, State, Tally
from syncer.core.report import MOST_NAMED, Deadlines, Failure, Loss, Report, judge_pass
from syncer.runner.crew import Crew
from syncer.runner.dispatch import Dispatcher, Overhear
from syncer.runner.lanes import Lanes
from syncer.runner.limits import Budget
from syncer.runner.pace import Pace
from syncer.runner.parts import Counts, Parts, Rules, Stop
from syncer.runner.probe import Prober
from syncer.runner.relink import Relinker
from syncer.runner.remake import Remakes
from syncer.runner.scout import Scout
from syncer.runner.worker import Worker

_log = logging.getLogger(__name__)

AT_RISK = timedelta(hours=24)
"""A pending entry whose link dies within this is at risk: the next nightly pass may come too late."""


async def run_pass(parts: Parts, rules: Rules, stop: Stop | None = None) -> Report:
    """Bring everything that is due. Returns the report, whose exit code says how it went.

    Raises LedgerHeld and other LedgerErrors from before the pass began: then there is nothing to report on.
    """
    return await Pass(parts, rules, stop or Stop()).run()


class Pass:
    """The state of one pass while it runs."""

    def __init__(self, parts: Parts, rules: Rules, stop: Stop) -> None:
        self._budget = Budget(rules.limits, parts.observer, parts.clock)
        overhear, pace = Overhear(self._budget), Pace()
        parts = replace(parts, observer=overhear)
        self._parts = parts
        self._rules = rules
        self._stop = stop
        self._limit: str | None = None  # the one that was reached
        self._counts = Counts()
        self._remakes = Remakes(parts, rules)
        relinker, prober = Relinker(parts, self._counts, self._remakes), Prober(parts.fetcher, parts.clock)
        lanes = Lanes(parts.clock)
        self._crew = Crew(parts, rules, self._counts, lanes)
        worker = Worker(parts, rules, self._counts, relinker, pace, prober, self._crew)
        self._dispatcher = overhear.dispatcher = Dispatcher(parts, rules, worker, pace, lanes, self._budget.room)
        self._scout = Scout(parts, rules, self._counts, pace, self._dispatcher, prober, relinker)
        self._begun = asyncio.Event()  # the list has brought something, or ended
        self._listing = Listing()
        self._error: SyncerError | None = None

    async def run(self) -> Report:
        parts = self._parts
        started = parts.clock.now()
        number = await parts.ledger.begin_pass(started)
        try:
            await prove_destination(parts)
            await relist(parts)
            parts.observer.notify(PassStarted(number, parts.destination.location))
            await self._work_until_stopped()
        except LedgerError:
            raise
        except SyncerError as error:
            self._error = error
        return await self._close(started)

    async def _work_until_stopped(self) -> None:
        work = asyncio.create_task(self._work(), name="pass")
        stop = asyncio.create_task(self._stop.asked(), name="stop")
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not work.done():
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
        if not work.cancelled():
            work.result()

    async def _work(self) -> None:
        """List and fetch side by side. The first error that ends the pass cancels the rest and is raised."""
        tasks = [
            asyncio.create_task(self._list(), name="listing"),
            asyncio.create_task(self._fetch_within_limits(), name="dispatcher"),
        ]
        beside = [
            # A lease that cannot be renewed ends the pass: another one may hold the ledger by now.
            asyncio.create_task(self._keep_lease(), name="lease"),
            asyncio.create_task(self._remakes.run(self._dispatcher.wake), name="remakes"),
            asyncio.create_task(self._scout.run(), name="scout"),
        ]
        crew = []
        if self._parts.helpers:
            crew.append(asyncio.create_task(self._crew.run(self._dispatcher.waiting), name="crew"))
        try:
            await _all_or_first_error(tasks, [*beside, *crew])
        finally:
            try:
                await _cancelled([*tasks, *beside])
            finally:
                await _cancelled(crew)  # last: helpers are told to stop by those that wait for them

    async def _fetch_within_limits(self) -> None:
        """Fetch, until the user's limit on a pass is reached: what runs is parked then, and the list is still read."""
        fetch, spent = asyncio.create_task(self._fetch()), asyncio.create_task(self._budget.spent())
        try:
            await asyncio.wait({fetch, spent}, return_when=asyncio.FIRST_COMPLETED)
            self._limit = self._budget.reached if fetch.done() else spent.result()
        finally:
            fetch.cancel()
            spent.cancel()
            await asyncio.gather(fetch, spent, return_exceptions=True)
        if not fetch.cancelled():
            fetch.result()

    async def _fetch(self) -> None:
        """Fetch what is due, and what is made again, as far as that comes in time."""
        if self._rules.catch_up:
            await self._begun.wait()
            await self._scout.first_look()
        await self._dispatcher.run()
        while self._budget.room(0) and await self._remakes.bring_one():
            await self._dispatcher.run()
        self._scout.tell()

    async def _list(self) -> None:
        parts, reason = self._parts, None
        try:
            self._listing = await parts.source.list_jobs(self._keep)
        except ListingFailed as error:
            # What is known is still worth fetching: links die whether or not the list can be read.
            self._error, reason = error, error.message
        self._begun.set()
        if self._rules.regenerate:
            await self._regenerate_failed()
        tally = await parts.ledger.tally()
        parts.observer.notify(ListingEnded(self._listing, due=tally.pending, reason=reason))
        self._dispatcher.listing_ended()

    async def _keep(self, page: Page) -> frozenset[str]:
        """One page into the ledger, and the workers told."""
        sightings = [Sighting(job, filtered=not self._rules.jobs.admits(job)) for job in page.jobs]
        fresh = await self._parts.ledger.record(sightings, self._parts.clock.now())
        seen = self._listing
        self._listing = Listing(
            pages=seen.pages + bool(fresh),
            jobs=seen.jobs + len(fresh),
            malformed=seen.malformed + len(page.malformed),
        )
        self._parts.observer.notify(PageListed(page.index, self._listing.jobs))
        self._begun.set()
        self._dispatcher.wake(job.id for job in page.jobs if job.status is RemoteStatus.DONE)
        return fresh

    async def _regenerate_failed(self) -> None:
        """Have the jobs made again that VideoDB failed to make; the user allowed it."""
        parts = self._parts
        async for entry in parts.ledger.entries([State.REMOTE_ERROR], this_pass=True):
            if not self._remakes.admits(entry):
                continue
            try:
                await self._remakes.ask(entry)
            except KeyRefused:
                raise
            except SyncerError as error:
                _log.warning("job %s could not be made again: %s", entry.id, error.message)
                continue
            await parts.ledger.regenerated(entry.id)

    async def _keep_lease(self) -> None:
        parts, lease = self._parts, self._rules.lease
        while True:
            await parts.clock.sleep(lease.total_seconds() / 3)
            await parts.ledger.renew(parts.clock.now() + lease)

    async def _close(self, started: datetime) -> Report:
        parts, now = self._parts, self._parts.clock.now()
        await self._end_destination()
        tally = await parts.ledger.tally()
        failures, deadlines, unfinished = await self._look_back(now)
        exit_code = self._exit_code(tally, unfinished)
        transfer = self._counts.transfer(failed=sum(1 for f in failures if f.attempts))
        counts = {name: getattr(transfer, name) for name in type(transfer).__dataclass_fields__}
        losses = await self._losses()
        await parts.ledger.end_pass(now, exit_code, self._listing, tally, counts, self._counts.story())
        parts.observer.notify(PassEnded(exit_code))
        return Report(
            started_at=started,
            finished_at=now,
            exit_code=exit_code,
            listing=self._listing,
            jobs=tally,
            transfer=transfer,
            deadlines=deadlines,
            failures=tuple(failures),
            losses=losses,
            reason=self._reason(unfinished),
            limited=self._limit is not None and unfinished > 0,
        )

    def _reason(self, unfinished: int) -> str | None:
        """Why the pass ended early, if it did."""
        if self._error is not None:
            return str(self._error)
        if self._limit is None or not unfinished:
            return None
        return f"{self._limit} was reached; what is left waits for the next pass."

    async def _end_destination(self) -> None:
        """What the destination still has to say; it is graver than a list that could not be read."""
        found: SyncerError | None = self._counts.no_room
        try:
            await self._parts.destination.flush()
        except DestinationError as error:
            found = error
        if found is not None and (self._error is None or isinstance(self._error, ListingFailed)):
            self._error = found

    async def _losses(self) -> tuple[Loss, ...]:
        """What was lost in this pass; a size nobody told is taken to be the mean of those the ledger knows."""
        losses = tuple(self._counts.lost.values())[:MOST_NAMED]
        if all(one.bytes is not None for one in losses):
            return losses
        mean = await self._parts.ledger.mean_size()
        guess = None if mean is None else round(mean)
        return tuple(
            one if one.bytes is not None else replace(one, bytes=guess, estimated=guess is not None) for one in losses
        )

    def _exit_code(self, tally: Tally, unfinished: int) -> int:
        return judge_pass(
            self._listing,
            tally,
            lost_now=len(self._counts.lost),
            unfinished=unfinished,
            error_code=self._stop.code or (self._error.exit_code if self._error else None),
        )

    async def _look_back(self, now: datetime) -> tuple[list[Failure], Deadlines, int]:
        """What is still pending, named up to a bound, and how much it is."""
        failures: list[Failure] = []
        at_risk: list[str] = []
        earliest: datetime | None = None
        count = 0
        async for entry in self._parts.ledger.entries([State.PENDING]):
            count += 1
            if entry.last_error is not None and len(failures) < MOST_NAMED:
                failures.append(_failure(entry, now))
            if entry.deadline is None:
                continue
            earliest = entry.deadline if earliest is None else min(earliest, entry.deadline)
            if entry.deadline <= now + AT_RISK and len(at_risk) < MOST_NAMED:
                at_risk.append(entry.id)
        lost = tuple(self._counts.lost)[:MOST_NAMED]
        return failures, Deadlines(earliest, tuple(at_risk), lost), count


def _failure(entry: Entry, now: datetime) -> Failure:
    return Failure(
        id=entry.id,
        name=entry.name,
        reason=entry.last_error or "",
        attempts=entry.attempts,
        next_attempt_at=entry.not_before or now,
    )


async def prove_destination(parts: Parts) -> None:
    """No marker, no work (I5). The first pass of a ledger binds it to its destination."""
    ledger, destination = parts.ledger, parts.destination
    binding = await ledger.binding()
    if binding.destination_id is not None:
        try:
            await destination.prove(binding.destination_id)
        except (DestinationForeign, DestinationMissing) as error:
            raise _elsewhere(error, binding.location, destination.location) from None
        if binding.location != destination.location:
            await ledger.bind(binding.destination_id, destination.location)
        return
    # A pass may have died between writing the marker and noting it: a marker that names this ledger is this ledger's.
    found = await destination.identify(binding.ledger_id)
    if found is None:
        found = uuid.UUID(int=parts.rng.getrandbits(128), version=4).hex
    await destination.bind(binding.ledger_id, found)
    await destination.prove(found)
    await ledger.bind(found, destination.location)


async def relist(parts: Parts) -> None:
    """The manifest is not fsynced file by file: what a pass stored that did not end is put in once more (I3)."""
    async for entry in parts.ledger.unlisted():
        file = entry.stored
        if file is not None and await parts.destination.size_of(file.path) == file.size:
            await parts.destination.enlist(entry.id, entry.name, file)


def _elsewhere(
    error: DestinationForeign | DestinationMissing, known: str | None, given: str
) -> DestinationForeign | DestinationMissing:
    """The error, with the place the ledger knows in its hint where another one was given: most likely a slip."""
    if known is None or known == given:
        return error
    hint = f"This ledger belongs to {known}: give that folder, or another ledger by --ledger or --profile."
    return type(error)(error.message, hint=f"{hint} {error.hint}")


async def _all_or_first_error(tasks: list[asyncio.Task[None]], beside: list[asyncio.Task[None]]) -> None:
    """Returns when all of `tasks` are done; raises the first error, those of `beside`, which never end, among them."""
    pending = {*tasks, *beside}
    while not all(task.done() for task in tasks):
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    """Returns once all of them have ended, however they did."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
