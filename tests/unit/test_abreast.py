"""Works that go side by side in one thread: at a pause everyone waits for everyone, and one call serves for all."""

import asyncio
import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from syncer.core.errors import NameTaken
from syncer.destination import FolderDestination
from syncer.destination.abreast import Pause, Want, go_abreast
from syncer.destination.hands import MOST, STRETCH, Hands
from syncer.runner.clock import SystemClock

TOGETHER = Want(None, None)


def ended(works) -> list:
    """How each ended: its result, or what it raised."""
    told: dict[int, object] = {}

    def over(number):
        def tell(result, error):
            assert number not in told
            told[number] = error or result

        return tell

    go_abreast((work, over(number)) for number, work in enumerate(works))
    return [told[number] for number in range(len(told))]


@given(st.lists(st.integers(0, 5), max_size=8))
def test_nobody_goes_on_before_all_have_come_as_far_or_ended(lengths):
    steps = []

    async def walk(number, length):
        for step in range(length):
            steps.append((step, number))
            await Pause(TOGETHER)
        return number

    assert ended(walk(number, length) for number, length in enumerate(lengths)) == list(range(len(lengths)))
    assert steps == sorted(steps)
    assert len(steps) == sum(lengths)


def test_one_call_serves_for_all_who_want_it_and_each_kind_has_its_own():
    calls = []

    def odd(items):
        calls.append(("odd", items))

    def even(items):
        calls.append(("even", items))

    async def work(number):
        await Pause(Want(odd if number % 2 else even, number))
        return number

    assert ended(work(number) for number in range(5)) == [0, 1, 2, 3, 4]
    assert calls == [("even", [0, 2, 4]), ("odd", [1, 3])]


def test_what_a_call_raises_it_raises_in_all_who_wanted_it_and_in_nobody_else():
    def fail(_):
        raise OSError("disk")

    async def work(number):
        try:
            await Pause(Want(fail, number) if number % 2 else TOGETHER)
        except OSError as error:
            if number == 3:
                return f"{error} again"
            raise
        return number

    zero, one, two, three = ended(work(number) for number in range(4))
    assert (zero, two, three) == (0, 2, "disk again")
    assert isinstance(one, OSError)


def test_one_that_fails_or_awaits_something_else_ends_by_itself():
    closed = []

    async def work(number):
        await Pause(TOGETHER)
        if number == 1:
            raise KeyError(number)
        try:
            if number == 2:
                await asyncio.sleep(0)
        finally:
            closed.append(number)
        await Pause(TOGETHER)
        return number

    zero, one, two, three = ended(work(number) for number in range(4))
    assert (zero, three) == (0, 3)
    assert isinstance(one, KeyError)
    assert isinstance(two, AssertionError)
    assert closed == [0, 2, 3]


async def groups_of(seconds: float) -> list[int]:
    """How many went side by side, of jobs that take so long and all wait while the only thread hangs."""
    hands, groups = Hands(1), []
    busy, go = threading.Event(), threading.Event()

    def note(items):
        groups.append(len(items))

    def hang():
        busy.set()
        assert go.wait(30)

    async def work():
        time.sleep(seconds)  # noqa: ASYNC251 - it is a thread that waits
        await hands.together(note, None)

    await hands.go(work)
    while not seconds and hands._pace * MOST > STRETCH:  # whatever else the machine does
        await hands.go(work)
    groups.clear()
    hung = asyncio.create_task(hands.do(hang))
    assert await asyncio.to_thread(busy.wait, 30)
    waiting = [asyncio.create_task(hands.go(work)) for _ in range(2 * MOST)]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(hung, *waiting)
    hands.close()
    return groups


async def test_where_jobs_are_done_in_no_time_those_that_wait_go_side_by_side():
    assert (await groups_of(0))[0] == MOST


async def test_where_each_takes_long_each_goes_by_itself():
    assert set(await groups_of(2 * STRETCH)) == {1}


async def test_elsewhere_a_pause_is_none_and_a_call_is_made_at_once():
    hands, calls = Hands(2), []
    await hands.after_you()
    await hands.together(calls.append, 1)
    assert calls == [[1]]
    hands.close()


async def test_of_many_files_side_by_side_one_that_fails_costs_no_other(tmp_path):
    async with FolderDestination(tmp_path / "dest", clock=SystemClock()) as destination:
        await destination.bind("ledger-1", "dest-1")
        (tmp_path / "dest/2026").mkdir()
        (tmp_path / "dest/2026/7.mp4").write_bytes(b"a stranger's")

        async def bring(number: int) -> dict[str, str]:
            partial = await destination.open_partial(f"job-{number}")
            try:
                await partial.begin(0, frozenset(), 1)
                partial.write(bytes([number]))
                digests = await partial.finish()
                await partial.publish(f"2026/{number}.mp4", None)
            except NameTaken:
                await partial.discard()
                raise
            finally:
                await partial.close()
            return digests

        for _ in range(20):  # the file system is got to know
            await destination.in_one_go(destination.size_of, "x")
        works = (destination.in_one_go(bring, number) for number in range(60))
        ended = await asyncio.gather(*works, return_exceptions=True)
        assert [number for number, each in enumerate(ended) if not isinstance(each, dict)] == [7]
        assert isinstance(ended[7], NameTaken)
        found = {path.name: path.read_bytes() for path in (tmp_path / "dest/2026").iterdir()}
        assert found == {f"{n}.mp4": bytes([n]) for n in range(60) if n != 7} | {"7.mp4": b"a stranger's"}
        assert list((tmp_path / "dest/.syncer/partial").iterdir()) == []
