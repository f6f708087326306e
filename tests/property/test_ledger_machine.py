"""Any sequence of pages, claims and outcomes: the real ledger and the fake agree, and no job is ever miscounted."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fakes.ledger import FakeLedger, Store
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from syncer.core import lifecycle
from syncer.core.errors import StaleClaim
from syncer.core.model import (
    Claim,
    Entry,
    Follow,
    HandBack,
    Job,
    Link,
    Listing,
    Lose,
    Park,
    Promise,
    RemoteStatus,
    Retry,
    Sighting,
    State,
    Stored,
    StoredFile,
)
from syncer.core.naming import unique_key
from syncer.core.ports import Ledger
from syncer.ledger import open_ledger

NOW = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
HOURS = timedelta(hours=2)
IDS = ("A", "a", "b", "caf\u00e9", "z z")
MEMORY = Path("/dev/shm")  # thousands of commits, each an fsync: where there is a disk of memory, use it
FORMER = object()
"""Stands for `it raised StaleClaim` among results."""

moments = st.builds(lambda m: NOW + timedelta(minutes=m), st.integers(-90, 90))
links = st.builds(
    Link, st.sampled_from(["https://x/1", "https://x/2", "https://x/3"]), st.none() | moments, st.booleans()
)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
jobs = st.builds(
    Job,
    id=st.sampled_from(IDS),
    name=st.none() | names,
    status=st.sampled_from([RemoteStatus.DONE] * 4 + list(RemoteStatus)),  # most must become due, or nothing happens
    created_at=st.none() | moments,
    link=st.none() | links,
    error=st.none() | st.just("codec"),
)
pages = st.lists(st.builds(Sighting, jobs, st.sampled_from([False] * 5 + [True])), min_size=1, max_size=6)
reasons = st.just("broken")
outcomes = st.one_of(
    st.builds(Retry, reasons, moments, st.booleans()),
    st.builds(Park, reasons, moments, st.booleans()),
    st.builds(Lose, reasons),
    st.builds(HandBack),
    st.builds(Follow, st.sampled_from(RemoteStatus), reasons),
    st.just("stored"),
)
promises = st.builds(Promise, size=st.none() | st.integers(0, 2**40), etag=st.none() | st.just('"tag"'))
paths = st.sampled_from(["2026/a.mp4", "2026/A.mp4", "b.mp4", "c.mp4"])


class LedgerMachine(RuleBasedStateMachine):
    """Does the same to both, and compares all that can be seen of them."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.store = Store()
        self.claims: list[tuple[Claim, Claim]] = []
        self.states: dict[str, State] = {}
        self.open()

    @initialize(page=pages)
    def start(self, page: list[Sighting]) -> None:
        self.record(page, NOW)
        self.states = {entry.id: entry.state for entry in self.seen()}

    def open(self) -> None:
        self.real: Ledger = self.runner.run(open_ledger(Path(self.folder.name) / "ledger.db"))
        self.fake: Ledger = FakeLedger(self.store)
        self.both(lambda ledger: ledger.begin_pass(NOW))
        self.listed: set[str] = set()

    def each(self, work: Callable[[Ledger, int], Awaitable[Any]]) -> list[Any]:
        async def guarded(ledger: Ledger, side: int) -> Any:
            try:
                return await work(ledger, side)
            except StaleClaim:
                return FORMER

        return [self.runner.run(guarded(ledger, side)) for side, ledger in enumerate((self.real, self.fake))]

    def both(self, work: Callable[[Ledger], Awaitable[Any]]) -> Any:
        real, fake = self.each(lambda ledger, _: work(ledger))
        assert real == fake
        return real

    def under(self, number: int, work: Callable[[Ledger, Claim], Awaitable[Any]]) -> Any:
        pair = self.claims[-1 - number % len(self.claims)]  # the last ones first: the older, the staler
        real, fake = self.each(lambda ledger, side: work(ledger, pair[side]))
        assert real == fake
        return real

    def seen(self) -> list[Entry]:
        async def everything(ledger: Ledger) -> list[Entry]:
            return [entry async for entry in ledger.entries()]

        entries: list[Entry] = self.both(everything)
        return entries

    @rule(page=pages, at=moments)
    def record(self, page: list[Sighting], at: datetime) -> None:
        fresh = self.both(lambda ledger: ledger.record(page, at))
        ids = {sighting.job.id for sighting in page}
        assert fresh == ids - self.listed
        self.listed |= ids

    @precondition(lambda self: State.PENDING in self.states.values())
    @rule(ids=st.just(list(IDS)) | st.lists(st.sampled_from((*IDS, "unknown")), max_size=4))
    def claim(self, ids: list[str]) -> None:
        real, fake = self.each(lambda ledger, _: ledger.claim(ids, NOW, NOW))
        assert [c.entry for c in real] == [c.entry for c in fake]
        self.claims += zip(real, fake, strict=True)

    @precondition(lambda self: State.PENDING in self.states.values())
    @rule(outcome=outcomes, path=paths)
    def fetch(self, outcome: Any, path: str) -> None:
        self.claim([min(i for i, state in self.states.items() if state is State.PENDING)])
        self.agree()
        self.settle(0, outcome, path)

    @precondition(lambda self: self.claims)
    @rule(number=st.integers(0, 9), outcome=outcomes, path=paths)
    def settle(self, number: int, outcome: Any, path: str) -> None:
        if outcome == "stored":
            if self.under(number, lambda ledger, claim: ledger.reserve(claim, path, Promise())) is not True:
                return
            outcome = Stored(StoredFile(path, 3, "ab" * 32, None, NOW))
        self.under(number, lambda ledger, claim: ledger.settle(claim, outcome, NOW))

    @precondition(lambda self: self.claims)
    @rule(chosen=st.lists(outcomes.filter(lambda outcome: outcome != "stored"), min_size=2, max_size=5))
    def settle_at_once(self, chosen: list[Any]) -> None:
        """The last claims, one outcome each, all waiting together: one of them being stale is no other's harm."""
        pairs = list({pair[0].entry.id: pair for pair in self.claims}.values())[-len(chosen) :]

        async def settle(ledger: Ledger, side: int) -> list[bool]:
            work = (ledger.settle(pair[side], outcome, NOW) for pair, outcome in zip(pairs, chosen, strict=False))
            outcomes = await asyncio.gather(*work, return_exceptions=True)
            assert all(outcome is None or isinstance(outcome, StaleClaim) for outcome in outcomes)
            return [outcome is None for outcome in outcomes]

        real, fake = self.each(settle)
        assert real == fake

    @precondition(lambda self: self.claims)
    @rule(number=st.integers(0, 9), path=paths, promise=promises)
    def reserve(self, number: int, path: str, promise: Promise) -> None:
        self.under(number, lambda ledger, claim: ledger.reserve(claim, path, promise))

    @precondition(lambda self: self.claims)
    @rule(number=st.integers(0, 9), link=links)
    def relink(self, number: int, link: Link) -> None:
        self.under(number, lambda ledger, claim: ledger.relink(claim, link))

    @precondition(lambda self: self.listed)
    @rule(died=st.booleans())
    def next_pass(self, died: bool) -> None:  # noqa: FBT001
        if not died:
            tally = self.both(lambda ledger: ledger.tally())
            self.both(lambda ledger: ledger.end_pass(NOW, 0, Listing(), tally, {}))
        self.both(lambda ledger: ledger.close())
        self.open()
        assert not any(entry.state is State.CLAIMED for entry in self.seen())
        self.states = {entry.id: entry.state for entry in self.seen()}

    @invariant()
    def agree_on_what_is_due(self) -> None:
        for at in (NOW, NOW + HOURS):
            for limit in (2, 9):
                due = self.both(lambda ledger, at=at, limit=limit: ledger.due(at, limit))
                assert all(entry.state is State.PENDING for entry in due)
            self.both(lambda ledger, at=at: ledger.next_due(at - HOURS))

    @invariant()
    def agree(self) -> None:
        entries = self.seen()
        tally = self.both(lambda ledger: ledger.tally())
        assert tally.total == len(self.listed), "a listed job is counted once, whatever became of it (I9)"
        for entry in entries:
            lifecycle.move(self.states.get(entry.id, entry.state), entry.state)
        self.states = {entry.id: entry.state for entry in entries}
        keys = [unique_key(entry.path) for entry in entries if entry.path is not None]
        assert len(keys) == len(set(keys)), "two entries share a path"
        assert all((entry.stored is not None) == (entry.state is State.STORED) for entry in entries)

    def teardown(self) -> None:
        try:
            self.runner.run(self.real.close())
        finally:
            self.runner.close()
            self.folder.cleanup()


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
