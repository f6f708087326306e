"""The planner's parts against plain ways to the same end: the choice against all subsets, the tree against a loop."""

import itertools
import math
from array import array

from hypothesis import given
from hypothesis import strategies as st

from syncer.core.planner.select import Files, late_ones
from syncer.core.planner.task import Prefer
from syncer.core.planner.timeline import Timeline
from syncer.core.rates import Line

loads = st.integers(0, 60)
ends = st.one_of(st.integers(0, 30).map(float), st.floats(0, 30))


def in_time(rows, load, deadline, rate):
    total = 0.0
    for row in sorted(rows, key=lambda row: (deadline[row], row)):
        total += load[row]
        if total > rate * deadline[row] + 1.0:
            return False
    return True


@given(st.lists(st.tuples(loads, ends), max_size=8), st.floats(0.5, 20))
def test_on_one_line_no_choice_saves_more_files(files, rate):
    load, deadline = [float(size) for size, _ in files], [end for _, end in files]
    rows = sorted(range(len(files)), key=lambda row: (deadline[row], row))
    late = late_ones(rows, Files(load, deadline, load.__getitem__), 0.0, Line(rate))
    kept = [row for row in rows if row not in late]
    assert in_time(kept, load, deadline, rate)
    best = max(
        len(some)
        for count in range(len(rows) + 1)
        for some in itertools.combinations(rows, count)
        if in_time(some, load, deadline, rate)
    )
    assert len(kept) == best


@given(st.lists(st.tuples(loads, ends), max_size=30), st.floats(0.5, 20), st.integers(1, 4))
def test_what_is_kept_for_its_bytes_is_in_time_too(files, rate, lanes):
    load, deadline = [float(size) for size, _ in files], [end for _, end in files]
    rows = sorted(range(len(files)), key=lambda row: (deadline[row], row))
    line = Line(rate, rate / lanes, lanes=lanes)
    late = late_ones(rows, Files(load, deadline, load.__getitem__), 0.0, line, Prefer.BYTES)
    assert in_time([row for row in rows if row not in late], load, deadline, rate)
    assert all(row in late for row in rows if load[row] > rate / lanes * deadline[row] + 1.0)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.tuples(loads, ends), min_size=1, max_size=200)),
        st.tuples(st.just("remove"), st.integers(0, 10_000)),
        st.tuples(st.just("touch"), st.integers(0, 10_000)),
    ),
    max_size=12,
)


@given(steps, st.floats(0.5, 500), st.floats(0, 20), st.floats(-10, 40))
def test_the_timeline_knows_what_a_walk_through_it_would_tell(script, rate, now, moment):
    deadline, load = array("d"), array("d")
    line, held = Timeline(deadline, load), []
    line.rebuild([], rate, rate / 2)
    for what, given_ in script:
        if what == "add":
            fresh = []
            for size, end in given_:
                fresh.append(len(load))
                load.append(size)
                deadline.append(end)
            line.add(fresh)
            held += fresh
        elif held:
            row = held[given_ % len(held)]
            if what == "remove":
                line.remove(row)
                held.remove(row)
            else:
                load[row] += 7
                line.touch(row)
    held.sort(key=lambda row: (deadline[row], row))
    assert list(line) == held
    assert len(line) == len(held)
    assert line.first(5) == held[:5]
    assert line.load == sum(load[row] for row in held)
    assert line.due_to_begin(moment, len(held)) == [r for r in held if deadline[r] - load[r] / (rate / 2) <= moment]
    total, largest, late, crest = 0.0, None, None, -math.inf
    for row in held:
        assert math.isclose(line.load_before(row), total)
        total += load[row]
        crest = max(crest, total - rate * deadline[row])
        largest = row if largest is None or load[row] >= load[largest] else largest
        if late is None and crest > -rate * now + 1.0:
            late = largest
    assert line.late(now) == late
