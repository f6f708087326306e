"""Who brings a file: this process, or another that was asked to help because one processor is not enough."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from syncer.core import errands
from syncer.core.errands import Errand, Load
from syncer.core.errors import Declined, DestinationError, FetchError
from syncer.core.events import BytesArrived, FetchStarted
from syncer.core.model import Claim, Link, Promise, Stored
from syncer.core.ports import Helper
from syncer.runner.fetch import Fetching, Gauge, Tools
from syncer.runner.lanes import Lanes
from syncer.runner.lookout import Lookout
from syncer.runner.parts import Counts, Parts, Rules, label_of

_log = logging.getLogger(__name__)

LOOK = 0.0625
"""Seconds between two looks at what bounds the pass."""

STRETCH = 4
"""Looks that each of them reaches back: less than a quarter of a second tells of the moment, and not of the pass."""


class Crew:
    """Fetches claimed entries, here or by helpers. Ledger, manifest and decisions stay here in either case."""

    def __init__(self, parts: Parts, rules: Rules, counts: Counts, lanes: Lanes) -> None:
        # Of the user's commands, no more at once than workers: a file keeps its place until its own has ended.
        done_with: Callable[[str], object] = lanes.done_with if parts.hook is None else lambda _: None
        tools = Tools(parts.fetcher, parts.destination, parts.ledger, parts.observer, parts.clock, done_with)
        self._parts = parts
        self._rules = rules
        self._counts = counts
        self._lanes = lanes
        self._tools = tools
        self._fetching = Fetching(tools, rules, counts, lanes)
        self._lookout = Lookout(parts.destination, parts.clock, rules.naming)
        self._here = 0  # files that are being fetched in this process
        self._away: dict[Helper, int] = {}  # by those that take errands
        self._are_helped = False
        self._wary = 0  # files of unknown size that are to stay here

    def look_ahead(self, claims: Iterable[Claim]) -> None:
        """These come next: what lies in the destination for them is looked up meanwhile."""
        self._lookout.look(claims)

    async def close(self) -> None:
        """Nothing is looked up any more."""
        await self._lookout.close()

    # --- whether there is help ---

    async def run(self, waiting: Callable[[], int]) -> None:
        """Ask for help as long as it pays; does not end by itself. `waiting` says how many files are not begun.

        Cancelled, it returns once no helper writes any more.
        """
        parts, helpers = self._parts, self._parts.helpers
        idle = list(helpers)
        seen = deque[tuple[float, float]](maxlen=STRETCH)
        try:
            while True:
                seen.append((parts.clock.monotonic(), parts.cpu_seconds()))
                await parts.clock.sleep(LOOK)
                before, spent = seen[0]
                seconds, cpu = parts.clock.monotonic() - before, parts.cpu_seconds() - spent
                load = Load(seconds, cpu, waiting(), self._rules.workers, parts.is_limited())
                if load.is_limited and self._away:
                    await _end_all(self._dismissed())  # what they were at goes on here, as slowly as it is to
                if len(seen) < STRETCH:
                    continue
                calls = bool(idle) and errands.calls_for_help(load)
                is_of_use = calls or (bool(self._away) and errands.is_helped(load))
                self._are_helped = is_of_use and await self._is_roomy()
                if calls and self._are_helped:
                    await self._start(idle.pop(0))
                    seen.clear()  # whether another one is needed shows with this one at work
        finally:
            self._dismissed()
            await _end_all(helpers)

    async def _is_roomy(self) -> bool:
        try:
            return errands.is_roomy(await self._parts.destination.free(), self._rules.workers)
        except DestinationError:  # whoever has something to write there meets it
            return False

    async def _start(self, helper: Helper) -> None:
        destination_id = (await self._parts.ledger.binding()).destination_id
        if destination_id is None:
            return
        try:
            await helper.start(destination_id)
        except Declined as error:
            _log.info("no other process helps: %s", error.message)
        else:
            self._away[helper] = 0

    def _dismissed(self) -> tuple[Helper, ...]:
        """Those that took errands until now, and get no more."""
        away, self._away, self._are_helped = tuple(self._away), {}, False
        return away

    # --- one file ---

    async def fetch(self, claim: Claim, link: Link, gauge: Gauge) -> Stored:
        """As `Fetching.fetch`. Raises Declined, too, where a helper could not: then it is to be called once more, with
        what is known of the entry by then, since the file may have been published."""
        free = self._lookout.take(claim)
        errand = None if gauge.was_declined else errands.errand_of(claim, link, free)
        helper = None if errand is None else self._helper_for(claim)
        if errand is not None and helper is not None:
            return await self._send(helper, errand, _Lead(self._parts, self._counts, self._tools, claim, gauge))
        self._here += 1
        try:
            return await self._fetching.fetch(claim, link, gauge, free)
        finally:
            self._here -= 1

    def _helper_for(self, claim: Claim) -> Helper | None:
        """The one with the least to do; None where the file is best kept here."""
        for gone in [helper for helper in self._away if not helper.is_ready]:
            self._dismiss(gone, "it has ended")
        if not self._away or not self._are_helped:
            return None
        if self._wary and claim.entry.promise.size is None:
            self._wary -= 1
            return None
        helper = min(self._away, key=self._away.__getitem__)
        return helper if errands.goes_away(self._here, self._away[helper]) else None

    def _dismiss(self, helper: Helper, why: str) -> None:
        if self._away.pop(helper, None) is not None:
            _log.info("another process brings no more files, this one does: %s", why)

    async def _send(self, helper: Helper, errand: Errand, lead: "_Lead") -> Stored:
        destination, gauge = self._parts.destination, lead.gauge
        self._away[helper] += 1
        gauge.start(0)
        try:
            file = await helper.bring(errand, lead)
        except BaseException as error:
            is_kept = isinstance(error, FetchError) and error.keep_partial
            gauge.stop(gauge.fetched if is_kept else 0)
            self._lanes.ended(errand.id)  # fetched here, it needs a connection again
            if isinstance(error, Declined):
                gauge.was_declined = True
                if lead.is_too_large:
                    self._wary = errands.WARY
                else:  # what keeps it from one file is likely to keep it from the next
                    self._dismiss(helper, error.message)
            with suppress(DestinationError):  # whoever has something to write there meets it
                await destination.note_partial(errand.id)
            raise
        finally:
            if helper in self._away:
                self._away[helper] -= 1
        await destination.enlist(errand.id, errand.name, file, is_durable=True)
        return Stored(file)


async def _end_all(helpers: Iterable[Helper]) -> None:
    """At the same time; one that fails to end in good order keeps no other from it."""
    for failed in await asyncio.gather(*(helper.end() for helper in helpers), return_exceptions=True):
        if isinstance(failed, Exception):
            _log.warning("another process could not be ended in good order: %s", type(failed).__name__)


@dataclass(slots=True)
class _Lead:
    """What this process does for a file that a helper brings, and tells of it as it does of its own."""

    parts: Parts
    counts: Counts
    tools: Tools
    claim: Claim
    gauge: Gauge
    is_too_large: bool = False
    _has_begun: bool = False

    async def reserve(self, path: str, promise: Promise) -> bool:
        claim, gauge, parts = self.claim, self.gauge, self.parts
        entry = claim.entry
        if not errands.is_small(promise.size):
            self.is_too_large = True
            raise Declined("The file is too large.")
        if not await parts.ledger.reserve(claim, path, promise):
            return False
        gauge.entry = replace(entry, path=path, promise=promise)
        if not self._has_begun:
            self._has_begun, gauge.deadline = True, entry.deadline
            parts.observer.notify(FetchStarted(entry.id, label_of(claim), promise.size, 0))
            gauge.begin(promise.size, parts.clock.monotonic())
        return True

    def arrived(self, count: int) -> None:
        self.gauge.pour(count)
        self.counts.bytes += count
        self.parts.observer.notify(BytesArrived(self.claim.entry.id, count))

    def done_with_line(self) -> None:
        self.tools.done_with_line(self.claim.entry.id)
