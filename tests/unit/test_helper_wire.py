"""What goes between a pass and its helpers arrives as it was, whatever ids, names and dates there are."""

import asyncio
import contextlib
import inspect
import json
import socket
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncer.core import errors
from syncer.core.errands import Errand, Free
from syncer.core.errors import Declined, FetchError, NameTaken, SyncerError
from syncer.core.model import Link, Promise, StoredFile
from syncer.helper import wire
from syncer.helper.channel import Channel

TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)  # lone surrogates and NULs too
NASTY = st.sampled_from(
    ["", "\ud800", "a\ndb", "\0", "../../etc/passwd", '"],["stored"', "\u202egnp.exe", "x" * 5000, "\x1b[2J", "日本"]
)
NAMES = TEXTS | NASTY
MOMENTS = st.datetimes(timezones=st.just(UTC))
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
FIRST, LAST = datetime(2, 1, 1), datetime(9998, 12, 31)  # noqa: DTZ001 - as Hypothesis wants them
ZONED = st.datetimes(FIRST, LAST, timezones=OFFSETS)
MAYBE = st.none() | NAMES
SIZES = st.integers(0, 2**63)

ERRANDS = st.builds(
    Errand,
    NAMES,
    MAYBE,
    st.none() | MOMENTS | ZONED,
    st.builds(Link, NAMES, st.none() | MOMENTS, st.booleans()),
    st.builds(Free, NAMES, st.floats(0, 1e12), st.booleans()),
)
PROMISES = st.builds(Promise, st.none() | SIZES, MAYBE, MAYBE, MAYBE, MAYBE, MAYBE)
FILES = st.builds(StoredFile, NAMES, SIZES, NAMES, MAYBE, MOMENTS)


def sent(said):
    """As it comes out of a line at the other end."""
    text = json.dumps(said, separators=(",", ":")).encode("ascii")
    assert b"\n" not in text
    return json.loads(text)


@given(ERRANDS)
def test_an_errand_arrives_as_it_was(errand):
    assert wire.to_errand(sent(wire.of_errand(errand))) == errand


@given(PROMISES)
def test_a_promise_arrives_as_it_was(promise):
    assert wire.to_promise(sent(wire.of_promise(promise))) == promise


@given(FILES)
def test_a_stored_file_arrives_as_it_was(file):
    assert wire.to_file(sent(wire.of_file(file))) == file


@given(st.none() | MOMENTS | ZONED)
def test_a_moment_keeps_its_microsecond(moment):
    back = wire.to_moment(sent(wire.of_moment(moment)))
    assert back == moment
    assert back is None or back.tzinfo is UTC


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_time_are_moments(moment):
    assert wire.to_moment(wire.of_moment(moment)) == moment


KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SyncerError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_that_a_file_is_to_blame_for_is_itself_and_all_others_are_declined(kind):
    assert len(KINDS) > 20
    error = kind("It did not work.", hint="Try again.")
    back = wire.to_error(sent(wire.of_error(error)))
    assert type(back) is (kind if issubclass(kind, FetchError) or kind is NameTaken else Declined)
    assert (back.message, back.hint) == ("It did not work.", "Try again.")
    if isinstance(back, FetchError):
        assert (back.kind, back.keep_partial, back.retry_after) == (error.kind, error.keep_partial, None)


@given(st.sampled_from([kind for kind in KINDS if issubclass(kind, FetchError)]), NAMES, NAMES, st.none() | MOMENTS)
def test_words_and_wishes_of_a_storage_come_along(kind, message, hint, retry_after):
    error = kind(message, hint=hint, retry_after=retry_after)
    back = wire.to_error(sent(wire.of_error(error)))
    assert (back.message, back.hint, back.retry_after) == (error.message, error.hint, retry_after)


MESSAGES = st.lists(
    st.tuples(st.sampled_from(["bring", "stored", "log"]), NAMES, st.none() | SIZES | st.booleans()), max_size=20
)


async def pair():
    return [await Channel.over(end) for end in socket.socketpair()]


async def heard(channel, most=None):
    found = []
    async with asyncio.timeout(60):
        async for message in channel.messages():
            found.append(message)
            if len(found) == most:
                break
    return found


@given(MESSAGES, MESSAGES)
@settings(max_examples=30)
def test_what_is_sent_arrives_in_order_either_way(one_way, other_way):
    async def run():
        ours, theirs = await pair()
        for end, messages in ((ours, one_way), (theirs, other_way)):
            for message in messages:
                end.send(*message)
        await asyncio.sleep(0)
        ours.finish()
        theirs.finish()
        assert await heard(theirs) == [list(message) for message in one_way]
        assert await heard(ours) == [list(message) for message in other_way]
        ours.close()
        theirs.close()
        await asyncio.sleep(0)

    asyncio.run(run())


async def test_what_one_turn_brings_goes_in_one_line_and_what_the_next_one_does_in_another():
    ours, theirs = socket.socketpair()
    channel = await Channel.over(ours)
    channel.send("one", 1)
    channel.send("two")
    await asyncio.sleep(0)
    channel.send("three")
    await asyncio.sleep(0)
    channel.finish()
    with theirs:
        said = b""
        while piece := await asyncio.to_thread(theirs.recv, 1000):
            said += piece
    assert said == b'[["one",1],["two"]]\n[["three"]]\n'
    channel.close()
    await asyncio.sleep(0)


async def test_many_at_once_and_large_ones_arrive():
    """More than any buffer of the system's: an end that does not read holds nobody up, and loses nothing."""
    ours, theirs = await pair()
    for number in range(20_000):
        ours.send("bring", f"job-{number}", "x" * 200)
    ours.send("log", "y" * 3_000_000)
    await asyncio.sleep(0)
    ours.finish()
    found = await heard(theirs)
    assert len(found) == 20_001
    assert [found[0][1], found[-2][1], len(found[-1][1])] == ["job-0", "job-19999", 3_000_000]
    ours.close()
    theirs.close()
    await asyncio.sleep(0)


async def test_finished_it_says_no_more_and_still_hears():
    ours, theirs = await pair()
    ours.send("last")
    await asyncio.sleep(0)
    ours.finish()
    ours.send("never")
    ours.finish()
    theirs.send("still")
    await asyncio.sleep(0)
    theirs.finish()
    assert await heard(theirs) == [["last"]]
    assert await heard(ours) == [["still"]]
    ours.close()
    theirs.close()
    ours.send("to nobody")
    ours.finish()
    await asyncio.sleep(0)


async def test_what_is_sent_to_one_that_has_gone_is_lost_and_the_end_is_heard():
    ours, theirs = await pair()
    theirs.close()
    await asyncio.sleep(0)
    for _ in range(3):
        ours.send("to nobody", "x" * 100_000)
        await asyncio.sleep(0)
    assert await heard(ours) == []
    ours.close()
    await asyncio.sleep(0)


TALKER = """
import os, socket, sys, time
end = socket.socket(fileno=int(sys.argv[1]))
end.sendall(b'[["ready"],["arrived","a",5]]\\n[["stored","a","cut in the mid')
time.sleep(600)
"""


async def test_a_process_that_is_killed_amid_a_line_is_heard_up_to_it():
    """Nobody else holds its end, so that the end of the process is the end of the channel."""
    ours, theirs = socket.socketpair()
    channel = await Channel.over(ours)
    with theirs:
        argv = [sys.executable, "-c", TALKER, str(theirs.fileno())]
        process = await asyncio.create_subprocess_exec(*argv, pass_fds=[theirs.fileno()])
    try:
        assert await heard(channel, 2) == [["ready"], ["arrived", "a", 5]]
        rest = asyncio.create_task(heard(channel))
        await asyncio.sleep(0)
        assert not rest.done()
        process.kill()
        assert await rest == []
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        channel.close()
        await asyncio.sleep(0)


@pytest.mark.parametrize("garbage", [b"no JSON\n", b"\xff\xfe\n", b'[["ready"]', b'{"half":\n'])
async def test_garbage_is_the_end(garbage):
    ours, theirs = socket.socketpair()
    channel = await Channel.over(ours)
    with theirs:
        theirs.sendall(b'[["ready"]]\n' + garbage)
        theirs.shutdown(socket.SHUT_WR)
        assert await heard(channel) == [["ready"]]
    channel.close()
    await asyncio.sleep(0)
