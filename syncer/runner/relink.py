"""Gets a living link for a job whose link died or is about to, from the API itself, or says how its claim ends."""

import asyncio
import logging
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from syncer.core import relinking
from syncer.core.errors import FetchError, JobGone, LinkRefused, ListingFailed, NoLink, StorageBusy, SyncerError
from syncer.core.events import LinkRenewed
from syncer.core.model import Claim, Follow, Job, Link, Lose, Outcome, RemoteStatus
from syncer.core.ports import Clock
from syncer.core.text import one_line
from syncer.runner.fetch import YOUNG, Gauge
from syncer.runner.parts import Counts, Parts, label_of
from syncer.runner.remake import Remakes
from syncer.runner.vigil import Call, Vigil

_log = logging.getLogger(__name__)

SILENT = 3
"""Look-ups that fail one after another before the API is left in peace for a while."""

PEACE = timedelta(seconds=60)
"""How long it then is: each failed look-up stands for several requests, and there may be a look-up for every job."""


class Relinker:
    """Asks the API for jobs again: at the client's pace, never from memory. Holds nothing of any one job."""

    def __init__(self, parts: Parts, counts: Counts, remakes: Remakes) -> None:
        self._parts = parts
        self._counts = counts
        self._remakes = remakes
        self._failures = 0  # look-ups in a row that the API did not answer
        self._peace_until: datetime | None = None
        self.vigil = Vigil(parts.clock)

    async def renew(self, claim: Claim, refused: LinkRefused | None) -> Link | Outcome:
        """A link from the API itself, or how the claim ends without one."""
        try:
            job = await self._look_up(claim.entry.id)
        except JobGone:
            if refused is None:
                raise NoLink("VideoDB lists the job but does not know it, and there is no link.") from None
            return await self.give_up(claim, f"{refused.message} VideoDB no longer knows the job.")
        if job.status is not RemoteStatus.DONE:
            return Follow(job.status, one_line(job.error, 200) or f"VideoDB now says {job.status}.")
        if job.link is None:
            raise NoLink("no link")
        return job.link

    async def ahead(self, claim: Claim, link: Link) -> Link | Outcome:
        """A link in place of one that dies too soon, or did by its own word; that very one, where there is no better.

        Clocks differ, and only the storage's refusal decides (I7).
        """
        try:
            answer = await self.renew(claim, refused=None)
        except FetchError:
            return link
        if relinking.has_died(link, self._parts.clock.now()):
            return answer
        return answer if isinstance(answer, Link) and relinking.is_better(answer, link) else link

    def switched(self, claim: Claim, old: Link | None, new: Link) -> None:
        """Counts and tells that `new` is used from here on."""
        if old is None or old.url != new.url:
            self._counts.relinked += 1
            self._parts.observer.notify(LinkRenewed(claim.entry.id, label_of(claim), new.expires_at))

    async def give_up(self, claim: Claim, reason: str) -> Outcome:
        """The link was refused after a relink (I7): lost, unless the user lets the job be made again."""
        if not self._remakes.admits(claim.entry):
            return Lose(reason)
        try:
            await self._remakes.ask(claim.entry)
        except (JobGone, ListingFailed) as error:
            return Lose(f"{reason} It could not be made again: {error.message}")
        return Follow(RemoteStatus.PROCESSING, "VideoDB was asked to make it again.", regenerated=True)

    async def _look_up(self, job_id: str) -> Job:
        now = self._parts.clock.now()
        if self._peace_until is not None and now < self._peace_until:
            raise StorageBusy("No new link could be had: the API does not answer.", retry_after=self._peace_until)
        try:
            job = await self._parts.source.look_up(job_id)
        except ListingFailed as error:
            self._failures += 1
            if self._failures >= SILENT:
                self._peace_until = self._parts.clock.now() + PEACE
            raise StorageBusy(f"No new link could be had: {error.message}") from None
        self._failures, self._peace_until = 0, None
        return job


class Guard:
    """Watches over the link of one running transfer, and has a new one in hand before the old one dies.

    The transfer itself is left alone: most storages let it end under the link it began with, and where one does not,
    `spare` is there for the rest.
    """

    def __init__(
        self, relinker: Relinker, claim: Claim, link: Link, gauge: Gauge, clock: Clock, *, fresh: bool
    ) -> None:
        """`fresh` says that the API gave the link just now: asked at once, it would give no better."""
        self._relinker = relinker
        self._claim = claim
        self._link = link
        self._gauge = gauge
        self._clock = clock
        self._fresh = fresh
        self._call: Call | None = None
        self._task: asyncio.Task[None] | None = None
        self.spare: Link | None = None

    async def __aenter__(self) -> Self:
        life = relinking.life_left(self._link, self._clock.now())
        if life is not None:
            pause = max(YOUNG, life / 2 if self._fresh else 0)
            self._call = self._relinker.vigil.after(pause, self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._call is not None:
            self._relinker.vigil.give_up(self._call)
        if self._task is None:
            return
        self._task.cancel()
        (failure,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(failure, Exception):
            _log.warning("job %s: its link could not be watched: %s", self._claim.entry.id, type(failure).__name__)

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._watch(), name=f"link of {self._claim.entry.id}")

    def _next_look(self) -> float | None:
        needed = relinking.seconds_needed(self._gauge.left, self._gauge.rate(self._clock.monotonic()))
        return relinking.next_look(self._link, self._clock.now(), needed)

    async def _watch(self) -> None:
        while wait := self._next_look():
            await self._clock.sleep(wait)
        try:
            answer = await self._relinker.ahead(self._claim, self._link)
        except SyncerError as error:
            # Whoever needs the API next meets the same trouble, and then it counts.
            _log.debug("job %s: no link ahead of time: %s", self._claim.entry.id, error.message)
            return
        if isinstance(answer, Link) and answer is not self._link:
            self.spare = answer
