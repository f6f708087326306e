"""Hands due entries to workers as the planner decides, for as long as the pass has any."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from syncer.core.errors import StaleClaim
from syncer.core.events import BytesArrived, Event, FetchStarted, FetchYielded, LinkRenewed
from syncer.core.model import Claim, HandBack, Outcome, Retry
from syncer.core.planner import Decision, Planner
from syncer.core.ports import Observer
from syncer.runner.lanes import Lanes
from syncer.runner.limits import MANY
from syncer.runner.pace import Pace
from syncer.runner.parts import Parts, Rules, label_of
from syncer.runner.worker import Worker

_log = logging.getLogger(__name__)

_LEARNT_FROM = 10_000
"""Files of the ledger whose sizes tell what to expect of the others."""


FINISHING = 8
"""For each worker, so many small files more may be on their way to the disk: many of them are quick together, where
each by itself waits for it. They wait in memory."""


TURNS = 3
"""Of the event loop, for which the dispatcher waits with what it does about news: files that end close together are
replaced together."""


class Overhear:
    """An Observer before an Observer: the dispatcher hears what workers tell, and everybody else does too."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.dispatcher: Dispatcher | None = None

    def notify(self, event: Event) -> None:
        if self.dispatcher is not None:
            self.dispatcher.hear(event)
        self._observer.notify(event)


class Dispatcher:
    """Keeps the planner told and does what it decides. Holds the running transfers and a few claims made ahead.

    Of every due entry there is a line in the planner; the entries themselves stay in the ledger until they are claimed.
    """

    def __init__(
        self,
        parts: Parts,
        rules: Rules,
        worker: Worker,
        pace: Pace,
        lanes: Lanes,
        room: Callable[[int], int] = lambda _: MANY,
    ) -> None:
        """`room` says how many more files this pass may begin beside so many running ones."""
        self._parts = parts
        self._room = room
        self._rules = rules
        self._worker = worker
        self._pace = pace
        self._lanes = lanes
        self.planner = Planner(parts.clock.now(), prefer=rules.prefer, sizes=pace.sizes)
        self._claims: dict[str, Claim] = {}  # held and not begun
        self._is_overtaken = False  # by others that were begun and not claimed ahead
        self._running: dict[asyncio.Task[Outcome | None], Claim] = {}
        self._ended: list[asyncio.Task[Outcome | None]] = []  # of those, what is to be collected
        self._on_disk: dict[str, int] = {}  # bytes here of what runs
        self._grown: dict[str, None] = {}  # those of which the planner does not know it yet, in order
        self._yielding = set[str]()
        self._offered = set[str]()  # ids the ledger is to be asked about
        self._not_ours = set[str]()  # ids that could not be claimed
        self._news = asyncio.Event()  # of any kind: a worker has ended, or there is more to decide
        lanes.when_free(self._news.set)
        self._alarm: tuple[float, asyncio.Task[None]] | None = None  # when to look again, and the sleeper till then
        self._listing_ended = False
        self._last = Decision()

    def wake(self, ids: Iterable[str]) -> None:
        """These may be due now, or under another link."""
        self._offered.update(ids)
        self._news.set()

    def waiting(self) -> int:
        """Files that are due, now or later in this pass, and not begun, as far as they are known."""
        return len(self.planner) - len(self._running)

    def listing_ended(self) -> None:
        """No further entries will come; `run` returns once those there are have had their turn."""
        self._listing_ended = True
        self._news.set()

    def hear(self, event: Event) -> None:
        """What workers tell on their way: sizes, bytes and links."""
        match event:
            case BytesArrived(job_id, count):
                self._lanes.arrived(count)
                self._on_disk[job_id] = self._on_disk.get(job_id, 0) + count
                self._grown[job_id] = None
            case FetchStarted(job_id, _, size, offset):
                self._on_disk[job_id] = offset
                self._grown[job_id] = None
                if size is not None:
                    self.planner.learn(job_id, size)
                    if self._last.pressed:
                        self._news.set()
            case LinkRenewed(job_id, _, expires_at):
                self.planner.renewed(job_id, expires_at)

    async def run(self) -> None:
        """Returns when nothing is due, running, or to be tried again in this pass.

        Raises what a worker raised to end the pass. However it ends, no worker is left running and no claim held.
        """
        if not self._pace.sizes.seen:
            for size in await self._parts.ledger.sizes(_LEARNT_FROM):
                self._pace.sizes.add(size)
        loading = asyncio.create_task(self._load(), name="due entries")
        try:
            while True:
                # Asked for before looking, so that news that come between looking and waiting are not missed.
                self._news.clear()
                ended = self._listing_ended
                if loaded := loading.done():
                    loading.result()
                await self._take_in()
                if not self._running and not self._room(0):
                    return
                decision = self._decide()
                await self._carry_out(decision)
                if loaded and ended and await self._is_spent():
                    return
                await self._await_change(decision.look_again)
                self._collect()
        finally:
            loading.cancel()
            sleeper = self._silence()
            await asyncio.gather(loading, *sleeper, return_exceptions=True)
            await self._wind_up()
            await self._worker.close()

    # --- what there is ---

    async def _load(self) -> None:
        """Everything that is due, the most pressing first; workers begin with the first chunk."""
        async for tasks in self._parts.ledger.waiting():
            self.planner.add(task for task in tasks if task.id not in self._not_ours)
            self._news.set()
        self._news.set()

    async def _is_spent(self) -> bool:
        """Whether nothing is left to do; the ledger has the last word."""
        if self._running or self._offered or not self.planner.is_spent:
            return False
        await self._load()
        return self.planner.is_spent

    async def _take_in(self) -> None:
        while self._offered:
            ids, self._offered = self._offered, set()
            async for tasks in self._parts.ledger.waiting(sorted(ids)):
                self._not_ours.difference_update(task.id for task in tasks)
                self.planner.add(tasks)

    # --- what to do ---

    def _decide(self) -> Decision:
        grown, self._grown = self._grown, {}
        for job_id in grown:
            self.planner.arrived(job_id, self._on_disk.get(job_id, 0))
        self._pace.line = self._lanes.line
        running, finishing = len(self._running), min(self._lanes.finishing, FINISHING * self._rules.workers)
        slots = min(self._rules.workers + finishing, running + self._room(running))
        # Some at a time: what may be claimed ahead is asked for again once half of it has begun, or others come first.
        ahead = 2 * slots if self._is_overtaken or len(self._claims) < slots else 0
        self._last = self.planner.decide(self._parts.clock.now(), self._pace.line, slots, ahead=ahead)
        return self._last

    async def _carry_out(self, decision: Decision) -> None:
        for task, claim in self._running.items() if decision.stop else ():
            if claim.entry.id in decision.stop:
                self._yielding.add(claim.entry.id)
                task.cancel()
        wanted = [job_id for job_id in decision.start if job_id not in self._claims]
        ahead = [job_id for job_id in decision.ahead if job_id not in self._claims]
        was_overtaken, self._is_overtaken = self._is_overtaken, bool(wanted) and not ahead
        if wanted or len(ahead) >= self._rules.workers:
            # Those that come next go along: one commit for many files, and a look ahead into the destination for them.
            await self._claim([*wanted, *ahead])
        for job_id in decision.start:
            if job_id not in self._claims:
                self._not_ours.add(job_id)
                self.planner.remove(job_id)
                self._news.set()
                continue
            claim = self._claims.pop(job_id)
            task = asyncio.create_task(self._worker.work(claim), name=f"job {job_id}")
            task.add_done_callback(self._note_end)
            self._running[task] = claim
        # Under pressure a slot may be free on purpose: what runs there would make something else late.
        free = 0 if decision.pressed and len(self.planner) > len(self._running) else self._rules.workers
        self._lanes.told(self._connected, max(0, free - self._connected))
        if was_overtaken and not decision.pressed:
            await self._return_all_but(frozenset(decision.ahead))

    @property
    def _connected(self) -> int:
        """Files that run and have, or may need, a connection."""
        return len(self._running) - self._lanes.finishing

    async def _claim(self, ids: list[str]) -> None:
        now = self._parts.clock.now()
        claims = await self._parts.ledger.claim(ids, now, now + self._rules.lease)
        self._claims |= {claim.entry.id: claim for claim in claims}
        self._worker.look_ahead(claims)

    async def _return_all_but(self, next_ones: frozenset[str]) -> None:
        """What was claimed too early: their turn may not come for long. What failed in this pass before is kept, for
        its tries would be forgotten."""
        early = [claim for claim in self._claims.values() if claim.entry.id not in next_ones and claim.entry.tries == 1]
        await self._hand_back(early)
        for claim in early:
            del self._claims[claim.entry.id]

    async def _hand_back(self, claims: Iterable[Claim]) -> None:
        now = self._parts.clock.now()
        handed_back = (self._parts.ledger.settle(claim, HandBack(), now) for claim in claims)
        for problem in await asyncio.gather(*handed_back, return_exceptions=True):
            if isinstance(problem, BaseException) and not isinstance(problem, StaleClaim):
                raise problem

    # --- what came of it ---

    def _note_end(self, task: "asyncio.Task[Outcome | None]") -> None:
        self._ended.append(task)
        self._news.set()

    async def _await_change(self, seconds: float | None) -> None:
        """Until a worker has ended, there is news, or the planner wants to look again.

        Sooner than that is right too: so one sleeper serves for many waits, each of which ends before it wakes.
        """
        if self._news.is_set():
            return
        clock = self._parts.clock
        if seconds is not None:
            moment = clock.monotonic() + seconds
            if self._alarm is None or self._alarm[1].done() or self._alarm[0] > moment:
                self._silence()
                self._alarm = moment, asyncio.create_task(clock.sleep(seconds), name="look again")
                self._alarm[1].add_done_callback(lambda _: self._news.set())
        await self._news.wait()
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def _silence(self) -> list["asyncio.Task[None]"]:
        """No alarm any more; its sleeper, if there was one, is about to end."""
        alarm, self._alarm = self._alarm, None
        if alarm is None:
            return []
        alarm[1].cancel()
        return [alarm[1]]

    def _collect(self) -> None:
        ended, self._ended = self._ended, []
        for task in ended:
            claim = self._running.pop(task)
            job_id = claim.entry.id
            on_disk = self._on_disk.pop(job_id, 0)
            self._grown.pop(job_id, None)
            self._lanes.ended(job_id)
            asked = job_id in self._yielding
            self._yielding.discard(job_id)
            outcome = None if task.cancelled() else task.result()
            if outcome is None or isinstance(outcome, Retry | HandBack):
                self.planner.arrived(job_id, on_disk)
            if task.cancelled():
                self._parts.observer.notify(FetchYielded(job_id, label_of(claim)))
                (self.planner.yielded if asked else self.planner.again)(job_id)
            else:
                self._heed(job_id, outcome)
        self._lanes.told(self._connected)

    def _heed(self, job_id: str, outcome: Outcome | None) -> None:
        match outcome:
            case None:  # the claim ran out: the ledger knows whose it is now
                self.planner.remove(job_id)
                self._offered.add(job_id)
            case Retry(_, at):
                self.planner.again(job_id, at)
            case HandBack():
                self.planner.again(job_id)
            case _:
                self.planner.remove(job_id)

    async def _wind_up(self) -> None:
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        for task, claim in self._running.items():
            if not task.cancelled():
                task.exception()  # heard; the one that ended the pass is on its way already
            self.planner.again(claim.entry.id)
        self._running.clear()
        claims, self._claims = self._claims, {}
        await self._hand_back(claims.values())
