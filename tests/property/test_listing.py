"""The walk over a list that moves: nothing that stayed is missed, nothing is doubled, and the requests are few."""

import random
from dataclasses import astuple, dataclass, field
from math import ceil

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncer.core import listing
from syncer.core.listing import MAX_COUNT, MAX_ROUNDS, MAX_STALE, MIN_OVERLAPPED


@dataclass(frozen=True)
class Move:
    """Something that happens to the list just before the request of this number."""

    before: int
    create: int
    delete: int
    place: float  # 0 is the list's head, 1 its tail


@dataclass
class Server:
    """A list behind `page_index` and `count`, with the ways of servers that nobody documents."""

    entries: list[str | None]
    cap: int = MAX_COUNT
    base: int = 0
    first_is_empty: bool = False  # page 0 of a server that counts from 1
    fixed: int | None = None  # the page length of a server that pays no heed to `count`
    ignores_index: bool = False
    moves: list[Move] = field(default_factory=list)
    requests: int = 0
    deleted: set[str] = field(default_factory=set)
    made: int = 0
    size: int = 0  # at the start

    def __post_init__(self):
        self.size = len(self.entries)

    def page(self, index: int, count: int) -> list[str | None]:
        for move in self.moves:
            if move.before == self.requests:
                self._apply(move)
        self.requests += 1
        assert 1 <= count <= MAX_COUNT
        assert index >= 0
        length = min(self.cap, self.fixed or count)
        if self.ignores_index:
            return self.entries[:length]
        if self.base and index == 0 and self.first_is_empty:
            return []
        number = max(0, index - self.base)
        return self.entries[number * length : (number + 1) * length]

    def _apply(self, move: Move) -> None:
        at = round(move.place * len(self.entries))
        gone = self.entries[at : at + move.delete] or self.entries[len(self.entries) - move.delete :]
        self.deleted |= {entry for entry in gone if entry is not None}
        start = self.entries.index(gone[0]) if gone and move.delete else 0
        if move.delete:
            del self.entries[start : start + len(gone)]
        for _ in range(move.create):
            self.made += 1
            self.entries.insert(min(at, len(self.entries)), f"new-{self.made}")


@dataclass
class Reading:
    """What a client of the walk ends with."""

    kept: list[str]
    complete: bool


def read(server: Server, count: int = MAX_COUNT, limit: int = 20_000) -> Reading:
    """Drive the walk against the server, as the lister does."""
    walk = listing.start(count)
    seen: set[str] = set()
    kept: list[str] = []
    while not walk.done:
        assert server.requests < limit, "the walk does not end"
        wanted = listing.request(walk)
        ids = server.page(wanted.index, wanted.count)
        fresh = frozenset(i for i in ids if i is not None) - seen
        seen |= fresh
        kept += sorted(fresh)
        walk = listing.absorb(walk, ids, fresh)
    return Reading(kept, walk.complete)


def bound(total: int) -> int:
    """Requests that no walk may exceed, however short the pages and whatever the server does."""
    return MAX_ROUNDS * (2 * total + 4 * MAX_STALE)


caps = st.one_of(st.integers(1, 50), st.just(MAX_COUNT))
bases = st.sampled_from([(0, False), (1, False), (1, True)])  # (number of the first page, page 0 is empty)


def moves(deletions):
    return st.lists(
        st.builds(
            Move,
            before=st.one_of(st.integers(0, 6), st.integers(0, 60)),
            create=st.one_of(st.integers(0, 3), st.integers(0, 60)),
            delete=st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 30)) if deletions else st.just(0),
            place=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
        ),
        max_size=8,
    )


def names(count):
    return [f"old-{n}" for n in range(count)]


def check(server, reading):
    """Nothing is doubled; nothing that stayed is missed by a listing that calls itself complete; requests are few."""
    stayed = {entry for entry in names(server.size) if entry not in server.deleted}
    assert len(set(reading.kept)) == len(reading.kept)
    if reading.complete:
        assert stayed <= set(reading.kept)
    assert server.requests <= bound(server.size + server.made)


@given(size=st.integers(0, 300), cap=caps, moves=moves(deletions=False), base=bases, count=st.integers(1, MAX_COUNT))
@settings(max_examples=500, deadline=None)
def test_jobs_made_meanwhile_neither_hide_nor_double_any_whatever_the_page_cap(size, cap, moves, base, count):
    server = Server(names(size), cap=cap, base=base[0], first_is_empty=base[1], moves=moves)
    check(server, read(server, count))


@example(
    size=53,
    cap=33,
    moves=[Move(2, 0, 30, 0.0), Move(3, 51, 0, 0.86), Move(3, 36, 0, 0.07), Move(5, 3, 2, 1.0), Move(6, 56, 5, 0.0)],
    base=(1, False),
)  # what was left of the first page hid behind an empty second one
@given(
    size=st.integers(0, 300),
    cap=st.one_of(st.integers(MIN_OVERLAPPED, 50), st.just(MAX_COUNT)),
    moves=moves(deletions=True),
    base=bases,
)
@settings(max_examples=500, deadline=None)
def test_jobs_deleted_meanwhile_hide_none_where_pages_are_long_enough_to_overlap(size, cap, moves, base):
    server = Server(names(size), cap=cap, base=base[0], first_is_empty=base[1], moves=moves)
    check(server, read(server))


@given(size=st.integers(0, 300), cap=st.integers(1, MIN_OVERLAPPED), moves=moves(deletions=True), base=bases)
@settings(max_examples=200, deadline=None)
def test_jobs_deleted_meanwhile_never_make_a_listing_double_or_endless(size, cap, moves, base):
    """Too short to overlap cheaply, such pages may hide a job behind a deletion until the next pass."""
    server = Server(names(size), cap=cap, base=base[0], first_is_empty=base[1], moves=moves)
    reading = read(server)
    assert len(set(reading.kept)) == len(reading.kept)
    assert server.requests <= bound(size + server.made)


@example(size=274, fixed=16, moves=[Move(before=9, create=32, delete=0, place=0.373)], count=3)  # two pages known whole
@given(
    size=st.integers(0, 300), fixed=st.integers(1, 80), moves=moves(deletions=False), count=st.integers(1, MAX_COUNT)
)
@settings(max_examples=500, deadline=None)
def test_a_server_that_pays_no_heed_to_count_may_grow_anywhere(size, fixed, moves, count):
    server = Server(names(size), fixed=fixed, moves=moves)
    check(server, read(server, count))


@given(size=st.integers(0, 300))
def test_a_server_that_pays_no_heed_to_the_index_is_left_soon(size):
    server = Server(names(size), ignores_index=True)
    assert read(server) == Reading(sorted(names(size)), complete=True)
    assert server.requests <= MAX_STALE + 5


@given(size=st.integers(1, 300), fixed=st.integers(1, 80), moves=moves(deletions=False))
@settings(deadline=None)
def test_a_server_that_shows_its_last_page_for_ever_is_read_whole(size, fixed, moves):
    class Clamped(Server):
        def page(self, index, count):
            last = (len(self.entries) + sum(move.create for move in self.moves) - 1) // fixed
            found = super().page(index, count)
            return found or self.entries[(len(self.entries) - 1) // fixed * fixed :] if index <= 10 * last + 99 else []

    server = Clamped(names(size), fixed=fixed, moves=moves)
    check(server, read(server))
    still = Clamped(names(size), fixed=fixed)
    assert still.size == len(read(still).kept)


def test_a_full_page_that_comes_for_ever_is_no_end():
    server = Server(names(6000), ignores_index=True)
    assert not read(server).complete


@given(size=st.integers(0, 300), moves=moves(deletions=False))
@settings(max_examples=100, deadline=None)
def test_a_server_that_pays_no_heed_to_the_index_may_grow(size, moves):
    server = Server(names(size), ignores_index=True, moves=moves)
    check(server, read(server))


@given(
    size=st.integers(0, 300),
    cap=caps,
    fixed=st.one_of(st.none(), st.integers(1, 80)),
    base=bases,
)
@settings(max_examples=500, deadline=None)
def test_a_list_at_rest_is_read_whole_and_called_complete(size, cap, fixed, base):
    server = Server(names(size), cap=cap, base=base[0], first_is_empty=base[1], fixed=fixed)
    reading = read(server)
    assert reading.complete
    assert sorted(reading.kept) == sorted(names(size))
    pages = ceil(size / min(cap, fixed or cap))
    # A server whose page length cannot be steered is found out by reading twice.
    assert server.requests <= (ceil(pages * 1.3) + 4 if fixed is None else 2 * pages + 7)


@pytest.mark.parametrize(
    ("size", "cap", "requests"),
    [(0, 5000, 3), (1, 5000, 3), (4999, 5000, 3), (5000, 5000, 3), (5001, 5000, 4), (1_000_000, 5000, 216)],
)
def test_a_long_list_at_rest_costs_little_more_than_its_pages(size, cap, requests):
    server = Server(names(size), cap=cap)
    assert read(server).complete
    assert server.requests <= requests


@given(
    entries=st.lists(st.one_of(st.none(), st.integers(0, 10_000).map(str)), max_size=150),
    cap=caps,
    base=bases,
    fixed=st.one_of(st.none(), st.integers(1, 40)),
)
@settings(max_examples=500, deadline=None)
def test_entries_without_an_id_never_make_a_listing_double_or_endless(entries, cap, base, fixed):
    server = Server(list(entries), cap=cap, base=base[0], first_is_empty=base[1], fixed=fixed)
    reading = read(server)
    assert len(set(reading.kept)) == len(reading.kept)
    assert server.requests <= bound(len(entries))


def test_a_server_that_never_ends_is_left():
    class Endless(Server):
        def page(self, index, count):
            self.requests += 1
            return ["the same", "for ever"]

    server = Endless([])
    read(server)
    assert server.requests <= bound(2)


@given(size=st.integers(0, 2000), cap=st.integers(1, 200))
@settings(max_examples=200, deadline=None)
def test_the_state_of_a_walk_does_not_grow(size, cap):
    server = Server(names(size), cap=cap)
    walk = listing.start()
    seen: set[str] = set()
    while not walk.done:
        assert all(isinstance(value, int | str | None) for value in astuple(walk))
        wanted = listing.request(walk)
        ids = server.page(wanted.index, wanted.count)
        fresh = frozenset(ids) - seen
        seen |= fresh
        walk = listing.absorb(walk, ids, fresh)


@given(
    count=st.integers(0, 60),
    cap=st.sampled_from([3, 10, 20, MAX_COUNT]),
    base=st.sampled_from([0, 1]),
    pages=st.integers(1, 6),
    extra=st.lists(st.sampled_from([None, "odd-1", "odd-2", "odd-3"]), min_size=1, max_size=4),
    place=st.randoms(use_true_random=False),
)
@example(16, 3, 0, 1, ["odd-1", "odd-2", "odd-3"], random.Random(1))
@example(16, 3, 0, 1, [None, None, "odd-1"], random.Random(3))
@settings(max_examples=500)
def test_first_pages_longer_than_the_servers_cap_hide_nothing_and_end(count, cap, base, pages, extra, place):
    walk, known, requests = listing.start(), set[str](), 0
    jobs = [f"job-{n}" for n in range(count)]
    while not walk.done:
        asked, requests = listing.request(walk), requests + 1
        assert requests <= 5 * (count + 2 * MAX_STALE)
        length = min(asked.count, cap)
        begin = (asked.index - base) * length
        page: list[str | None] = list(jobs[begin : begin + length]) if begin >= 0 else []
        if requests <= pages:
            for entry in extra:
                page.insert(place.randint(0, len(page)), entry)
        fresh = frozenset(job for job in page if job in jobs) - known
        known |= fresh
        walk = listing.absorb(walk, page, fresh)
    if walk.complete:
        assert known == set(jobs)
