"""When a watch begins its next pass."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core.cadence import HELD, LONGEST_BACKOFF, Cadence, Past, learn, next_pass
from syncer.core.model import Listing, Tally
from syncer.core.report import Deadlines, ExitCode, Failure, Report, Transfer

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = Cadence(3600.0, 0.0)
WELL = Past(NOW, 0)


def wait(past, cadence=HOUR, chance=0.0):
    return (next_pass(cadence, past, chance).at - past.ended_at).total_seconds()


def report(code=0, **more):
    given = {"jobs": Tally(), "deadlines": Deadlines(), "failures": (), **more}
    return Report(NOW - timedelta(minutes=1), NOW, code, Listing(complete=True), transfer=Transfer(), **given)


@pytest.mark.parametrize(
    ("past", "seconds", "why"),
    [
        (WELL, 3600, "interval"),
        (replace(WELL, processing=3), 300, "making"),
        (replace(WELL, processing=3, idle=2), 1200, "making"),
        (replace(WELL, processing=3, idle=9), 3600, "interval"),
        (replace(WELL, exit_code=6, pending=1), 300, "pending"),
        (replace(WELL, exit_code=6, pending=1, limited=True), 3600, "interval"),
        (replace(WELL, exit_code=6, next_attempt_at=NOW + timedelta(minutes=7)), 420, "storage asked"),
        (replace(WELL, exit_code=6, next_attempt_at=NOW + timedelta(seconds=1)), 60, "storage asked"),
        (replace(WELL, exit_code=6, pending=1, limited=True, deadline=NOW + timedelta(minutes=30)), 900, "dies soon"),
        (replace(WELL, exit_code=6, pending=1, deadline=NOW + timedelta(seconds=10)), 60, "dies soon"),
        (replace(WELL, exit_code=6, pending=1, idle=9, deadline=NOW - timedelta(seconds=10)), 3600, "interval"),
        (replace(WELL, exit_code=4, failures=1), 60, "failed"),
        (replace(WELL, exit_code=4, failures=4), 480, "failed"),
        (replace(WELL, exit_code=4, failures=99), 3600, "failed"),
        (replace(WELL, exit_code=4, failures=5, deadline=NOW + timedelta(minutes=10)), 300, "dies soon"),
        (replace(WELL, exit_code=8), HELD, "holds the ledger"),
    ],
)
def test_what_asks_for_the_next_pass(past, seconds, why):
    planned = next_pass(HOUR, past, 0.0)
    assert (planned.at - NOW).total_seconds() == seconds
    assert why in planned.why


def test_a_short_interval_is_never_outrun_and_still_backs_off():
    short = Cadence(15.0, 0.0)
    assert wait(replace(WELL, processing=5), short) == 15
    assert [wait(replace(WELL, exit_code=3, failures=n), short) for n in (1, 2, 9)] == [15, 30, LONGEST_BACKOFF]


PASTS = st.builds(
    Past,
    ended_at=st.just(NOW),
    exit_code=st.sampled_from([int(code) for code in ExitCode]),
    failures=st.integers(0, 10**6),
    idle=st.integers(0, 10**6),
    processing=st.integers(0, 3),
    pending=st.integers(0, 3),
    limited=st.booleans(),
    deadline=st.none() | st.datetimes(timezones=st.just(UTC)),
    next_attempt_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)


@given(PASTS, st.floats(0.1, 86400), st.floats(0, 1), st.floats(0, 0.5))
def test_never_sooner_than_the_shortest_wait_and_never_later_than_the_interval_or_the_backoff(
    past, interval, chance, jitter
):
    cadence = Cadence(interval, jitter)
    waited = wait(past, cadence, chance)
    assert waited >= min(cadence.shortest, HELD) - 1e-3
    assert waited <= max(interval, LONGEST_BACKOFF) + 1e-3
    assert waited <= wait(past, replace(cadence, jitter=0.0)) + 1e-3


def test_failures_are_counted_and_forgotten():
    past = None
    for code, failures in ((4, 1), (3, 2), (8, 0), (5, 1), (6, 0), (7, 0), (1, 1), (0, 0)):
        past = learn(past, report(code))
        assert (past.exit_code, past.failures) == (code, failures)


def test_what_a_pass_left_behind_is_learnt():
    left = Failure("a", None, "busy", 3, NOW + timedelta(minutes=9))
    due = replace(left, next_attempt_at=NOW)
    ends = Deadlines(NOW + timedelta(hours=2))
    past = learn(None, report(6, jobs=Tally(pending=2, processing=1), failures=(due, left), deadlines=ends))
    assert (past.pending, past.processing, past.idle) == (2, 1, 0)
    assert past.next_attempt_at == left.next_attempt_at
    assert past.deadline == ends.earliest
    again = learn(past, report(6, jobs=Tally(pending=2, processing=1)))
    assert again.idle == 1
    assert learn(again, report(6, jobs=Tally(pending=1, processing=1))).idle == 0
