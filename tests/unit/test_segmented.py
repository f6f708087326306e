"""One file over several connections: whatever breaks, what is in the partial is the file's, and each byte came once."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from fakes.destination import FakeDestination
from fakes.fetcher import Cut, FakeFetcher, Hang, Lie, Refuse, Silent, Stored
from hypothesis import given, settings
from hypothesis import strategies as st

from syncer.core import resume
from syncer.core.errors import FetchError, Interrupted, NotTheFile
from syncer.core.model import Link, Promise
from syncer.core.rates import Line
from syncer.runner.intake import Intake
from syncer.runner.segmented import Means, Segments, SegmentsEnded

URL = "https://storage.test/film?sig=1"
CONTENT = bytes(range(251)) * 800
LEAST = 10_000
AT = datetime(2026, 11, 25, tzinfo=UTC)


class Quick:
    """A clock whose time passes while nobody waits."""

    def __init__(self):
        self.at = 0.0

    def now(self):
        return AT + timedelta(seconds=self.at)

    def monotonic(self):
        return self.at

    async def sleep(self, seconds):
        self.at += seconds
        await asyncio.sleep(0.001)


class Open:
    """Lanes with slots for whoever asks, which are taken back where the test says so."""

    line = Line(1.0, 1.0, lanes=9)

    def __init__(self):
        self.lent = {}
        self.most = 0
        self.given_back = 0

    def ask(self, who, dies_at):
        return True

    def withdraw(self, who):
        pass

    def lend(self, connection, take_back):
        self.lent[connection] = take_back
        self.most = max(self.most, len(self.lent))

    def give_back(self, connection):
        self.given_back += self.lent.pop(connection, None) is not None


class Trial:
    """One file on its way."""

    def __init__(self, most=4, content=CONTENT):
        self.content = content
        self.fetcher, self.lanes, self.destination = FakeFetcher(block=4096), Open(), FakeDestination()
        self.fetcher.objects[URL] = Stored(content)
        self.segments = Segments(Means(self.fetcher, Quick(), self.lanes, most=most, least=LEAST))
        self.came = 0

    async def open(self):
        if self.destination.disk.marker is None:
            await self.destination.bind("ledger-1", "dest-1")
        return await self.destination.open_partial("job")

    async def bring(self, partial, *first):
        """One try, after which `partial` is still open; what it raised, if anything."""
        held = Promise(size=len(self.content), etag='"v1"') if partial.size else Promise()
        asked = resume.ask(partial.size, held)
        self.fetcher.fail_next(URL, *first)
        async with self.fetcher.open(Link(URL, None), asked) as exchange:
            verdict = resume.judge(asked, held, exchange.answer)
            if isinstance(verdict, resume.AskAgain):
                return NotTheFile(verdict.reason)
            keep = partial.size if isinstance(verdict, resume.Append) else 0
            version = self.segments.version_of("job", partial, verdict.promise, exchange.answer)
            tail = await partial.tail(asked.overlap)
            await partial.begin(keep, frozenset(), len(self.content), version)
            room = len(self.content) - keep
            try:
                if version is None:
                    await exchange.pour(Intake(partial, tail=tail, room=room), self.arrived)
                else:
                    segmented = self.segments.of("job", Link(URL, None), partial, verdict.promise)
                    await segmented.pour(exchange, Intake(segmented.front, tail=tail, room=room), self.arrived)
            except FetchError as error:
                return error
        return None

    def arrived(self, count):
        self.came += count

    async def check(self, partial):
        """What the partial holds is the file's; nothing is left open."""
        for span in partial.spans():
            assert await partial.tail(span.length, span.stop) == self.content[span.start : span.stop]
        assert (self.fetcher.open_now, self.lanes.lent) == (0, {})


def hang():
    return Hang(after=40_000)


async def until(holds):
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - a thread may bring it about
            await asyncio.sleep(0.001)


async def test_others_join_the_first_and_each_byte_comes_once():
    trial, front = Trial(), hang()
    partial = await trial.open()
    task = asyncio.create_task(trial.bring(partial, front))
    await until(lambda: partial.held > len(CONTENT) / 2)
    front.go_on.set()
    assert await task is None
    assert trial.lanes.most == 3
    assert trial.came == len(CONTENT)
    assert (await partial.finish())["sha256"]
    assert partial.size == len(CONTENT)
    ranges = sorted((ask.start, ask.last) for _, ask in trial.fetcher.asks[1:])
    assert len(ranges) > 3
    assert all(one[1] + 1 == two[0] for one, two in pairwise(ranges))
    assert all(ask.if_range == '"v1"' for _, ask in trial.fetcher.asks[1:])
    await trial.check(partial)


async def test_a_slot_that_is_taken_back_leaves_its_stretch_to_the_others():
    trial, front, others = Trial(), hang(), Hang(after=2000)
    trial.fetcher.fail_always(URL, others)
    partial = await trial.open()
    task = asyncio.create_task(trial.bring(partial, front))
    await until(lambda: len(trial.lanes.lent) == 3)
    await until(lambda: partial.held >= 3 * 2000 + 4096)
    trial.lanes.ask = lambda who, dies_at: False
    for take_back in list(trial.lanes.lent.values()):
        take_back()
    await until(lambda: not trial.lanes.lent)
    trial.fetcher.fail_always(URL, None)
    front.go_on.set()
    others.go_on.set()  # the first may have gone on to a stretch by then
    assert await task is None
    assert partial.size == len(CONTENT)
    await trial.check(partial)


async def test_cancelled_all_is_closed_at_once_and_what_came_is_kept():
    trial, front = Trial(), hang()
    trial.fetcher.fail_always(URL, Hang(after=5000))
    partial = await trial.open()
    task = asyncio.create_task(trial.bring(partial, front))
    await until(lambda: len(trial.lanes.lent) == 3 and partial.held >= 3 * 5000 + 4096)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await trial.check(partial)
    held = partial.held
    await partial.close()
    trial.fetcher.fail_always(URL, None)
    trial.fetcher.asks.clear()
    again = await trial.open()
    assert again.held == held
    trial.came = 0
    assert await trial.bring(again) is None
    assert trial.came <= len(CONTENT) - held + resume.OVERLAP * 4
    assert again.size == len(CONTENT)
    await trial.check(again)


async def test_a_range_that_comes_to_nothing_again_and_again_is_left_to_the_next_try():
    trial, front = Trial(most=2), hang()
    trial.fetcher.fail_always(URL, Cut(0))
    partial = await trial.open()
    task = asyncio.create_task(trial.bring(partial, front))
    await until(lambda: len(trial.fetcher.asks) >= 4)
    front.go_on.set()
    assert isinstance(await task, Interrupted)
    assert trial.lanes.given_back == 1  # nobody else was sent after the one that failed
    assert 0 < partial.size < len(CONTENT)
    await trial.check(partial)


async def test_where_ranges_are_not_to_be_trusted_the_file_may_not_come_in_parts_again():
    trial, front = Trial(), hang()
    trial.fetcher.fail_always(URL, Refuse(416))
    partial = await trial.open()
    task = asyncio.create_task(trial.bring(partial, front))
    assert isinstance(await task, SegmentsEnded)
    assert partial.spans() == (partial.spans()[0],)
    answer = resume.Answer(206)
    assert trial.segments.version_of("job", partial, Promise(size=10**9, etag='"v1"'), answer) is None
    assert trial.segments.version_of("other", partial, Promise(size=10**9, etag='"v1"'), answer) == '"v1"'
    await trial.check(partial)


FAULTS = st.one_of(
    st.builds(Cut, st.integers(0, 60_000)),
    st.sampled_from([Refuse(503), Refuse(403), Refuse(416), Silent()]),
    st.none(),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(FAULTS, max_size=14), st.integers(1, 5))
async def test_whatever_breaks_the_partial_holds_the_files_bytes(faults, most):
    """Try after try, until none is left that fails: the file is whole."""
    trial = Trial(most=most)
    queue = [fault if fault is not None else Lie(lambda answer: answer) for fault in faults]
    trial.fetcher.fail_next(URL, *queue)
    for _ in range(len(faults) + 2):
        partial = await trial.open()
        try:
            error = await trial.bring(partial)
        except FetchError as refused:  # the front's own answer
            error = refused
        await trial.check(partial)
        if error is None:
            break
        await partial.close()
    assert partial.size == len(CONTENT)
    assert (await partial.finish())["sha256"]
