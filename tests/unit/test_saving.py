"""The line that was, and the line that would do."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncer.core import planner, saving
from syncer.core.planner import Outlook, Prefer, Task
from syncer.core.rates import Line
from syncer.core.saving import Due
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


@pytest.mark.parametrize(
    ("passes", "spread"),
    [
        ([], 0),
        ([(1000, 10.0)], 0),
        ([(1000, 10.0), (3000, 10.0)], 200),  # a third of the bytes as fast
        ([(1000, 10.0), (1000, 5.0), (1000, 20.0)], 50),  # that another was faster is no risk
        ([(1000, 10.0), (10, 1.0), (0, 50.0)], 90),
    ],
)
def test_by_how_much_passes_were_slower_is_remembered_too(passes, spread):
    assert saving.remembered_spread(passes) == pytest.approx(spread)


def due(*files):
    held = Due()
    for number, (size, left) in enumerate(files):
        held.add(f"job-{number}", math.inf if left is None else left, size)
    return held


def test_what_done_with_line_needs_none():
    assert Due().needed_rate(Sizes()) == 0
    assert due((1000, None), (1000, -5)).needed_rate(Sizes()) == 0
    assert Due().outlook(Line(1.0), NOW, Sizes()) == Outlook(seconds=0.0)


FILES = st.lists(st.tuples(st.integers(10**6, 10**10), st.integers(1000, 10**5)), min_size=1, max_size=40)


@given(FILES)
def test_the_needed_rate_saves_everything_and_nothing_less_does(files):
    held = due(*files)
    rate = held.needed_rate(Sizes())
    assert held.outlook(Line(rate * 1.000001), NOW, Sizes()).lost == 0
    assert held.outlook(Line(rate * 0.9), NOW, Sizes()).lost > 0


@given(FILES, st.integers(1, 10**7), st.floats(0, 1.5), st.sampled_from(Prefer), st.booleans())
@example(files=[(1000000, 58071), (1000000, 57943)], rate=130, wavers=1.0, prefer=Prefer.FILES, known=False)
def test_it_foretells_what_the_planner_does(files, rate, wavers, prefer, known):
    sizes = Sizes([5_000_000, 10_000_000])
    told = [(size if known or size % 2 else None, left) for size, left in files]
    tasks = [Task(f"job-{n}", NOW + timedelta(seconds=left), size=size) for n, (size, left) in enumerate(told)]
    line = Line(rate, spread=wavers * rate)
    here = due(*told).outlook(line, NOW, sizes, prefer)
    there = planner.forecast(tasks, line, NOW, sizes=sizes, prefer=prefer)
    assert (here.at_risk, here.at_risk_ids) == (there.at_risk, there.at_risk_ids)
    assert (here.saved, here.lost, here.lost_bytes, here.bytes) == (
        there.saved,
        there.lost,
        there.lost_bytes,
        there.bytes,
    )
    assert (here.earliest, here.unknown_sizes) == (there.earliest, there.unknown_sizes)
    assert len(here.lost_ids) == here.lost
