"""Goes ahead of the transfers: asks for sizes and for new links where that decides what is saved, and tells of it."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from syncer.core import relinking
from syncer.core.errors import StaleClaim
from syncer.core.events import Standing
from syncer.core.model import Claim, Entry, HandBack, Link
from syncer.core.planner import Outlook
from syncer.runner.dispatch import Dispatcher
from syncer.runner.pace import Pace
from syncer.runner.parts import Counts, Parts, Rules
from syncer.runner.probe import MOST_NOTED, Prober
from syncer.runner.relink import Relinker

_log = logging.getLogger(__name__)

ROUND = 1.0
"""Seconds between two looks at how things stand."""

BATCH = 64
"""Sizes asked for between two looks, at the most."""

FIRST_LOOK = 5.0
"""Seconds that a catch-up gives the first sizes before it begins to fetch without them."""

FIRST = 512
"""Files that are looked at before the first one is fetched."""

FEW = 3
"""Links asked for between two looks: those that are about to be used have their turn at the API in between."""

MOST_QUEUED = 1000
"""Files that wait for another link at once; further ones stay with the planner."""

IN_VAIN = 10
"""Look-ups in a row that gave no better link, after which no further link is asked for before its file's turn."""


class Scout:
    """Beside the dispatcher of a pass: what it finds out, the planner is told."""

    def __init__(
        self,
        parts: Parts,
        rules: Rules,
        counts: Counts,
        pace: Pace,
        dispatcher: Dispatcher,
        prober: Prober,
        relinker: Relinker,
    ) -> None:
        self._parts = parts
        self._rules = rules
        self._counts = counts
        self._pace = pace
        self._dispatcher = dispatcher
        self._prober = prober
        self._relinker = relinker
        self._silent: set[str] = set()  # ids whose size the storage does not tell
        self._in_vain = 0
        self._lost_causes: deque[str] = deque()  # ids that were given up and wait for another link

    async def first_look(self) -> None:
        """A catch-up knows the sizes of the most pressing files before it fetches any, as far as they come in time."""
        now = self._parts.clock.now()
        due = await self._parts.ledger.due(now, FIRST)
        ahead = [entry.deadline for entry in due if entry.deadline is not None and entry.deadline > now]
        dead = sum(entry.link is not None and relinking.has_died(entry.link, now) for entry in due)
        self._notify(Outlook(lost=dead, earliest=min(ahead, default=None)), len(due))
        looking = asyncio.create_task(self._first_sizes(due), name="first sizes")
        patience = asyncio.create_task(self._parts.clock.sleep(FIRST_LOOK))
        try:
            await asyncio.wait({looking, patience}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            patience.cancel()
            looking.cancel()
            await asyncio.gather(looking, patience, return_exceptions=True)
        if not looking.cancelled():
            looking.result()

    async def run(self) -> None:
        """Look, ask and tell until cancelled."""
        while True:
            if len(self._dispatcher.planner):
                self.tell()
            if not await self.look():
                await self._parts.clock.sleep(ROUND)

    async def look(self) -> bool:
        """Ask for what is worth knowing now, a little at a time; whether sizes were asked for."""
        outlook = self._outlook()
        room = MOST_QUEUED - len(self._lost_causes)
        causes = self._dispatcher.planner.given_up(self._parts.clock.now(), min(BATCH, room))
        self._lost_causes.extend(causes)
        # Sizes first: what was given up by a guess may be small, and then needs no other link.
        asked = self._pays(outlook) and await self._ask_sizes(causes)
        await self._ask_links()
        return asked

    def tell(self) -> None:
        """How it stands, where the user wants to hear it."""
        if not self._rules.catch_up:
            return
        self._notify(self._outlook(), len(self._dispatcher.planner))

    def _notify(self, outlook: Outlook, waiting: int) -> None:
        counts, nearest = self._counts, outlook.earliest
        saved, at_risk = counts.fetched + counts.recovered, outlook.lost + outlook.at_risk
        left = None if nearest is None else (nearest - self._parts.clock.now()).total_seconds()
        self._parts.observer.notify(Standing(saved, at_risk, len(counts.lost), waiting, nearest, left))

    def _outlook(self) -> Outlook:
        return self._dispatcher.planner.outlook(self._pace.line, self._parts.clock.now())

    def _pays(self, outlook: Outlook) -> bool:
        """Whether knowing sizes may save a file: links press, or the user says that they do."""
        if outlook.earliest is None or len(self._silent) >= MOST_NOTED:
            return False
        return self._rules.catch_up or bool(outlook.lost or outlook.at_risk)

    # --- sizes ---

    async def _first_sizes(self, due: Sequence[Entry]) -> None:
        unknown = [entry for entry in due if entry.promise.size is None]
        for start in range(0, len(unknown), BATCH):
            await self._note(unknown[start : start + BATCH])

    async def _ask_sizes(self, causes: Sequence[str]) -> bool:
        """Ask for the sizes of `causes` and of the most pressing; False where there is none to ask for."""
        pressing = self._dispatcher.planner.unmeasured(BATCH + len(self._silent))
        wanted = [job_id for job_id in (*causes, *pressing) if job_id not in self._silent]
        entries = await self._parts.ledger.find(wanted[: 2 * BATCH])
        return await self._note([entry for entry in entries if entry.promise.size is None])

    async def _note(self, entries: Sequence[Entry]) -> bool:
        if not entries:
            return False
        found = await self._prober.sizes(entries)
        await self._parts.ledger.note_sizes(found)
        for job_id, size in found.items():
            self._dispatcher.planner.learn(job_id, size)
        self._silent.update(e.id for e in entries if e.id not in found)
        self._dispatcher.wake(())
        return True

    # --- links ---

    async def _ask_links(self) -> None:
        """New links for a few files that cannot make it under the ones they have; with them, they compete again."""
        if self._in_vain >= IN_VAIN or not self._outlook().lost:
            self._lost_causes.clear()
            return
        few = [self._lost_causes.popleft() for _ in range(min(FEW, len(self._lost_causes)))]
        for claim in await self._claim(few):
            try:
                if self._in_vain < IN_VAIN:
                    await self._renew(claim)
            finally:
                await self._hand_back(claim)

    async def _claim(self, ids: Sequence[str]) -> list[Claim]:
        now = self._parts.clock.now()
        return await self._parts.ledger.claim(ids, now, now + self._rules.lease) if ids else []

    async def _renew(self, claim: Claim) -> None:
        link = claim.entry.link
        # A dead one is the worker's: it has its turn for that, and only the storage can say what becomes of it.
        if link is None or relinking.has_died(link, self._parts.clock.now()):
            return
        answer = await self._relinker.ahead(claim, link)
        if not isinstance(answer, Link) or answer is link:
            self._in_vain += 1
            return
        self._in_vain = 0
        await self._parts.ledger.relink(claim, answer)
        self._relinker.switched(claim, link, answer)

    async def _hand_back(self, claim: Claim) -> None:
        try:
            await self._parts.ledger.settle(claim, HandBack(), self._parts.clock.now())
        except StaleClaim:
            _log.warning("job %s: the claim ran out while its link was renewed", claim.entry.id)
        self._dispatcher.wake([claim.entry.id])
