"""Whether another process is asked for files, and for which of them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from syncer.core.errands import (
    BOUND,
    ENOUGH,
    IDLE,
    LARGEST,
    ROOMY,
    SHARE,
    Errand,
    Free,
    Load,
    calls_for_help,
    errand_of,
    goes_away,
    is_helped,
    is_roomy,
    is_small,
)
from syncer.core.model import Claim, Entry, Link, Promise, RemoteStatus, State

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
LINK = Link("https://storage.example/a.mp4?sig=secret", AT)
ENTRY = Entry("a", "Film.mp4", RemoteStatus.DONE, AT, LINK, State.CLAIMED)
FREE = Free("2026/a.mp4", 17.0)
BUSY = Load(seconds=0.25, cpu=0.25, waiting=100, workers=4, is_limited=False)

LOADS = st.builds(
    Load,
    st.floats(0.001, 100),
    st.floats(0, 200),
    waiting=st.integers(-5, 10_000),
    workers=st.integers(1, 64),
    is_limited=st.booleans(),
)


@pytest.mark.parametrize(
    ("change", "calls"),
    [
        ({}, True),
        ({"cpu": BOUND * 0.25}, True),
        ({"cpu": BOUND * 0.25 - 0.001}, False),
        ({"cpu": 0.5}, True),  # several threads at once
        ({"waiting": ENOUGH * 4}, True),
        ({"waiting": ENOUGH * 4 - 1}, False),
        ({"workers": 26}, False),
        ({"cpu": 0.0}, False),
        ({"is_limited": True}, False),
    ],
)
def test_a_process_is_begun_where_the_processor_is_the_bound_and_there_is_enough_to_do(change, calls):
    assert calls_for_help(replace(BUSY, **change)) is calls


@given(LOADS)
def test_whoever_is_called_for_has_a_use(load):
    assert is_helped(load) or not calls_for_help(load)


@given(LOADS, st.floats(0, 10), st.integers(0, 100))
def test_more_to_do_never_calls_for_less(load, cpu, waiting):
    more = replace(load, cpu=load.cpu + cpu, waiting=load.waiting + waiting)
    assert calls_for_help(load) <= calls_for_help(more)
    assert is_helped(load) <= is_helped(more)


def test_below_a_quarter_of_a_processor_files_stay_here():
    assert is_helped(replace(BUSY, cpu=IDLE * 0.25))
    assert not is_helped(replace(BUSY, cpu=IDLE * 0.25 - 0.001))


@pytest.mark.parametrize("size", [None, 0, LARGEST])
def test_a_file_of_which_nothing_is_here_is_an_errand(size):
    errand = errand_of(Claim(replace(ENTRY, promise=Promise(size=size)), "token", AT), LINK, FREE)
    assert errand == Errand("a", "Film.mp4", AT, LINK, FREE)
    assert "secret" not in repr(errand)


@pytest.mark.parametrize(
    ("known", "link", "free"),
    [
        ({}, LINK, None),
        ({"path": "2026/a.mp4"}, LINK, FREE),
        ({"promise": Promise(size=LARGEST + 1)}, LINK, FREE),
        ({"promise": Promise(etag='"v1"')}, LINK, FREE),
        ({}, replace(LINK, url="https://storage.example/renewed"), FREE),
        ({"link": None}, LINK, FREE),
    ],
    ids=[
        "a partial or a name in the way",
        "a path",
        "a size too large",
        "a validator",
        "a renewed link",
        "a first link",
    ],
)
def test_a_file_that_something_is_known_of_is_none(known, link, free):
    assert errand_of(Claim(replace(ENTRY, **known), "token", AT), link, free) is None


@given(st.integers(0, 40), st.integers(0, 400))
def test_a_helper_has_its_share_and_none_gets_all(here, away):
    assume(here + away)
    if goes_away(here, away):
        assert away + 1 <= SHARE * here + 1
        assert not goes_away(0, away + 1)
    else:
        assert away > SHARE * here


def test_the_first_file_goes_away_the_second_stays():
    assert goes_away(0, 0)
    assert not goes_away(0, 1)
    assert [goes_away(1, away) for away in range(SHARE + 2)] == [True] * (SHARE + 1) + [False]


def test_a_limit_keeps_all_here():
    assert not is_helped(replace(BUSY, is_limited=True))


@pytest.mark.parametrize("workers", [1, 4, 64])
def test_room_for_two_is_a_multiple_of_what_all_workers_files_may_have(workers):
    enough = ROOMY * workers * LARGEST
    assert is_roomy(enough, workers)
    assert not is_roomy(enough - 1, workers)
    assert not is_roomy(None, workers)


def test_a_body_without_a_length_is_not_small():
    assert [is_small(size) for size in (0, LARGEST, LARGEST + 1, None)] == [True, True, False, False]
