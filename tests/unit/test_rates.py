"""How the line is measured, and how sizes are judged that nobody told."""

import pytest

from syncer.core.planner.sharing import POORER, fewest, in_time, width
from syncer.core.rates import Line, Rates
from syncer.core.sizes import Sizes


def work(rates, start, seconds, count, rate):
    """So many transfers bring `rate` bytes a second together, told twice a second."""
    rates.running(start, count)
    for step in range(1, round(2 * seconds) + 1):
        rates.arrived(start + step / 2, round(rate / 2))
    return start + seconds


def test_nothing_is_known_before_something_was_measured():
    rates = Rates()
    assert rates.line() == Line()
    work(rates, 0.0, 1.0, 4, 1000)
    assert rates.line().total is None


def test_the_line_is_what_all_transfers_bring_together():
    rates = Rates()
    work(rates, 0.0, 20.0, 4, 1000)
    line = rates.line()
    assert line.total == pytest.approx(1000)
    assert line.spread == pytest.approx(0)
    # Nobody has tried fewer: one might do as well, and half are what to try.
    assert (line.connection, line.lanes) == (pytest.approx(1000), 2)


def test_fewer_are_known_to_be_enough_once_they_were_tried():
    rates = Rates()
    at = work(rates, 0.0, 20.0, 4, 1000)
    at = work(rates, at, 5.0, 2, 1000)
    work(rates, at, 5.0, 1, 1000)
    assert rates.line().lanes == 1


def test_fewer_are_known_not_to_be_enough():
    rates = Rates()
    at = work(rates, 0.0, 20.0, 4, 1000)
    at = work(rates, at, 5.0, 2, 500)
    assert (rates.line().lanes, rates.line().connection) == (3, pytest.approx(1000 / 3))
    work(rates, at, 5.0, 3, 750)
    line = rates.line()
    assert (line.lanes, line.connection) == (4, pytest.approx(250))
    assert line.total == pytest.approx(1000)


def test_a_line_that_drops_is_told_from_a_level_that_is_too_low():
    rates = Rates()
    at = work(rates, 0.0, 60.0, 8, 1000)
    at = work(rates, at, 5.0, 2, 1000)
    assert rates.line().lanes == 1
    work(rates, at, 6.0, 2, 400)
    line = rates.line()
    assert line.total == pytest.approx(400, rel=0.05)
    assert line.lanes == 1
    assert line.spread > 100


def test_what_was_measured_before_a_drop_is_not_held_against_what_is_measured_after_it():
    rates = Rates()
    at = work(rates, 0.0, 60.0, 8, 1000)
    at = work(rates, at, 10.0, 4, 1000)
    at = work(rates, at, 10.0, 1, 1000)
    work(rates, at, 10.0, 1, 300)
    line = rates.line()
    assert (line.total, line.lanes) == (pytest.approx(300, rel=0.05), 1)
    assert line.connection == line.total
    assert line.noise < 10 < line.spread


@pytest.mark.parametrize("less", [0.99, 0.95, 0.87])
def test_small_changes_and_slow_ones_carry_over_too(less):
    rates, rate = Rates(), 1000.0
    at = work(rates, 0.0, 30.0, 8, rate)
    at = work(rates, at, 10.0, 1, rate)
    for _ in range(40):
        rate *= less
        at = work(rates, at, 20.0, 1, rate)
        assert rates.line().lanes == 1
    assert rates.line().total == pytest.approx(rate, rel=0.25)


def test_a_steady_line_shows_a_slight_change_and_a_wavering_one_does_not():
    steady, wavering = Rates(), Rates()
    one, other = work(steady, 0.0, 30.0, 1, 1000), 0.0
    for turn in range(15):
        other = work(wavering, other, 2.0, 1, 950 + 100 * (turn % 2))
    work(steady, one, 6.0, 1, 900)
    work(wavering, other, 6.0, 1, 900)
    assert steady.line().total == pytest.approx(900)
    assert 900 < wavering.line().total < 1000


def test_fewer_that_were_too_few_may_fill_a_line_that_dropped():
    rates = Rates()
    at = work(rates, 0.0, 20.0, 4, 1000)
    at = work(rates, at, 5.0, 2, 500)
    at = work(rates, at, 5.0, 3, 750)
    assert rates.line().lanes == 4
    work(rates, at, 10.0, 4, 400)
    assert rates.line().lanes == 1  # two carried more than that, and perhaps one does


def test_more_that_carry_no_more_tell_that_the_line_is_full():
    rates = Rates()
    at = work(rates, 0.0, 20.0, 8, 1000)
    at = work(rates, at, 4.0, 2, 500)  # too few, or a line that dropped meanwhile?
    assert (rates.line().lanes, rates.line().proven) == (5, False)
    work(rates, at, 4.0, 5, 500)
    line = rates.line()
    assert (line.total, line.lanes) == (pytest.approx(500), 1)


def test_too_few_stay_too_few_however_long_enough_are_at_work():
    rates = Rates()
    at = work(rates, 0.0, 20.0, 4, 1000)
    at = work(rates, at, 4.0, 3, 750)
    work(rates, at, 8000.0, 4, 1000)
    assert (rates.line().lanes, rates.line().connection) == (4, pytest.approx(250))


def test_idle_time_is_no_slowness():
    rates = Rates()
    at = work(rates, 0.0, 10.0, 1, 1000)
    rates.running(at, 0)
    work(rates, at + 3600, 10.0, 1, 1000)
    assert rates.line().total == pytest.approx(1000)


def test_fewer_run_at_once_where_sharing_would_make_one_late():
    line = Line(100.0, 100.0)
    assert width([100, 100, 100, 100], [100, 100, 100, 100], line, 4) == 4
    assert width([100, 100, 100, 100], [3.1, 7, 10, 13], line, 4) == 1
    assert width([100] * 4, [3.1] * 4, Line(100.0, 25.0, lanes=4), 4) == 4
    assert width([100] * 4, [1.0] * 4, Line(), 3) == 3
    assert (fewest(Line(), 7), fewest(line, 7), fewest(Line(100.0, 10.0, lanes=10), 7)) == (7, 1, 7)


def test_sharing_is_even_and_the_one_that_lacks_least_ends_first():
    # Such a line counts as one of 10 here: 10 bytes are through after 2 s, the other 10 a second later.
    assert in_time([10, 20], [2.0, 3.0], Line(10 / POORER))
    assert not in_time([10, 20], [1.9, 3.0], Line(10 / POORER))
    assert not in_time([10, 20], [2.0, 2.9], Line(10 / POORER))
    assert not in_time([20], [3.0], Line(10 / POORER, 5 / POORER))


def test_sizes_are_judged_by_those_that_were_seen():
    sizes = Sizes([10, 1000, 1000, 100_000])
    assert sizes.seen == 4
    assert sizes.expected() == pytest.approx(102_010 / 4)
    assert sizes.expected(arrived=500) == pytest.approx(102_000 / 3)
    assert sizes.expected(arrived=50_000) == 100_000
    assert sizes.expected(arrived=200_000) == 400_000
    assert [sizes.quantile(share) for share in (0.0, 0.25, 0.5, 1.0)] == [10, 10, 1000, 100_000]
    assert Sizes().expected() == Sizes().quantile(0.5) > 0
