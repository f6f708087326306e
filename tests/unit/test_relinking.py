"""When a link is renewed before it dies, and when an answer of the API is better than what is at hand."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core import relinking
from syncer.core.model import Link

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def link(seconds, *, url="https://h/a", estimated=False):
    return Link(url, None if seconds is None else NOW + timedelta(seconds=seconds), estimated)


@pytest.mark.parametrize("silent", [link(None), link(-5, estimated=True), link(5, estimated=True)])
def test_what_a_link_does_not_say_itself_sends_nobody_to_the_api(silent):
    assert relinking.life_left(silent, NOW) is None
    assert not relinking.has_died(silent, NOW)
    assert not relinking.dies_too_soon(silent, NOW, 1e9)
    assert relinking.next_look(silent, NOW, 1e9) is None


def test_a_link_dies_too_soon_when_the_transfer_would_outlast_it():
    needed = relinking.seconds_needed(60_000, 1000)
    assert needed == 1.5 * 60 + 1
    assert relinking.dies_too_soon(link(90), NOW, needed)
    assert not relinking.dies_too_soon(link(92), NOW, needed)


@pytest.mark.parametrize(("left", "rate"), [(None, 1000), (1000, None), (None, None), (1000, 0.0), (0, 1000)])
def test_without_a_size_or_a_rate_a_link_need_only_outlive_the_request(left, rate):
    assert relinking.seconds_needed(left, rate) == 1


def test_a_dead_link_has_died():
    assert relinking.has_died(link(0), NOW)
    assert not relinking.has_died(link(1), NOW)
    assert relinking.dies_too_soon(link(-10), NOW, 0)


@given(st.floats(-100, 1e6), st.floats(0, 1e6))
def test_a_running_transfer_is_looked_at_before_its_link_dies_too_soon(life, needed):
    wait = relinking.next_look(link(life), NOW, needed)
    left = relinking.life_left(link(life), NOW)
    assert 0 <= wait <= 60
    assert (wait == 0) == (left <= needed)
    assert wait <= max(0.25, (left - needed) / 2)


@pytest.mark.parametrize(
    ("new", "old", "better"),
    [
        (link(9), link(5), False),  # the same link
        (link(9, url="https://h/b"), link(5), True),
        (link(5, url="https://h/b"), link(5), False),
        (link(None, url="https://h/b"), link(5), True),
        (link(1, url="https://h/b", estimated=True), link(5), True),
        (link(1, url="https://h/b"), link(None), True),
    ],
)
def test_a_new_link_is_better_when_it_may_live_longer(new, old, better):
    assert relinking.is_better(new, old) is better
