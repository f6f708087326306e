"""The line that was, and the line that would do."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core import planner, saving
from syncer.core.planner import Task
from syncer.core.rates import Line
from syncer.core.sizes import Sizes

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("passes", "rate"),
    [
        ([], None),
        ([(0, 10.0), (500, 0.0)], None),
        ([(1000, 10.0)], 100),
        ([(1000, 10.0), (3, 60.0), (2, 90.0)], 100),  # nights that brought next to nothing
        ([(1000, 10.0), (1000, 5.0), (1000, 20.0)], 100),
    ],
)
def test_the_rate_of_past_passes_is_that_of_most_bytes(passes, rate):
    assert saving.remembered_rate(passes) == rate


def task(number, size, seconds):
    return Task(f"job-{number}", None if seconds is None else NOW + timedelta(seconds=seconds), size=size)


def test_what_needs_no_line_needs_none():
    assert saving.needed_rate([], NOW, Sizes()) == 0
    assert saving.needed_rate([task(1, 1000, None), task(2, 1000, -5)], NOW, Sizes()) == 0


@given(st.lists(st.tuples(st.integers(10**6, 10**10), st.integers(1000, 10**5)), min_size=1, max_size=40))
def test_the_needed_rate_saves_everything_and_nothing_less_does(pairs):
    tasks = [task(n, size, seconds) for n, (size, seconds) in enumerate(pairs)]
    rate = saving.needed_rate(tasks, NOW, Sizes())
    assert planner.forecast(tasks, Line(rate * 1.000001), NOW).lost == 0
    assert planner.forecast(tasks, Line(rate * 0.9), NOW).lost > 0
