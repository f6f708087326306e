"""Slots that no file needs, lent to large files: where that pays, to the most pressing, until they are needed."""

from datetime import timedelta

import pytest
from fakes.source import START, ManualClock

from syncer.runner.lanes import Lanes


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def lanes(clock):
    return Lanes(clock)


def carry(lanes, clock, rate, seconds=3.0):
    for _ in range(round(seconds * 2)):
        clock.advance(0.5)
        lanes.arrived(int(rate / 2))


def test_nothing_is_lent_before_the_line_is_measured(lanes, clock):
    lanes.told(1, 3)
    assert not lanes.ask("a", None)
    carry(lanes, clock, 1e6)
    assert lanes.ask("a", None)


def test_connections_are_added_as_long_as_they_carry_more(lanes, clock):
    lanes.told(1, 7)
    for count in range(1, 8):
        carry(lanes, clock, min(count, 3) * 1e6)
        if not lanes.ask("a", None):
            break
        lanes.lend(count, lambda: None)
    # The fourth brought nothing: it was tried once, and no fifth is.
    assert count == 4
    lanes.give_back(3)
    carry(lanes, clock, 3e6)
    assert not lanes.ask("a", None)


def test_one_connection_that_fills_the_line_is_left_alone(lanes, clock):
    lanes.told(2, 2)
    carry(lanes, clock, 1e6)
    lanes.told(1, 3)
    carry(lanes, clock, 1e6)
    assert not lanes.ask("a", None)


def test_a_file_that_needs_the_slot_gets_it(lanes, clock):
    taken = []
    lanes.told(1, 3)
    carry(lanes, clock, 1e6)
    for name in "abc":
        lanes.lend(name, lambda name=name: taken.append(name))
    lanes.told(2, 2)
    assert taken == ["c"]
    lanes.told(4, 0)
    assert taken == ["c", "b", "a"]
    lanes.give_back("a")
    lanes.told(3)
    assert not lanes.ask("x", None)


def test_no_more_is_lent_than_is_free(lanes, clock):
    lanes.told(2, 0)
    carry(lanes, clock, 1e6)
    assert not lanes.ask("a", None)
    lanes.told(2, 1)
    assert lanes.ask("a", None)
    lanes.lend("a", lambda: None)
    carry(lanes, clock, 2e6)
    assert not lanes.ask("a", None)


def test_the_file_whose_link_dies_first_comes_first(lanes, clock):
    lanes.told(2, 2)
    carry(lanes, clock, 1e6)
    assert lanes.ask("later", START + timedelta(hours=2))
    assert lanes.ask("sooner", START + timedelta(hours=1))
    assert not lanes.ask("later", START + timedelta(hours=2))
    assert not lanes.ask("never", None)
    lanes.withdraw("sooner")
    assert lanes.ask("later", START + timedelta(hours=2))


def test_a_file_whose_bytes_are_here_needs_no_connection(lanes):
    freed = []
    lanes.when_free(lambda: freed.append(lanes.finishing))
    lanes.done_with("a")
    lanes.done_with("b")
    lanes.done_with("b")
    assert freed[:2] == [1, 2]
    assert lanes.finishing == 2
    lanes.ended("a")
    lanes.ended("c")
    assert lanes.finishing == 1
