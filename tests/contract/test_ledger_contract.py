"""What every Ledger does: one suite for the real one, and for the fake that other parts are tested with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from fakes.ledger import FakeLedger, Store
from helpers.postgres import cluster

from syncer.core.errors import LedgerHeld, StaleClaim
from syncer.core.model import (
    Claim,
    Entry,
    Follow,
    HandBack,
    Job,
    Link,
    Listing,
    Lose,
    Park,
    Promise,
    RemoteStatus,
    Retry,
    Sighting,
    State,
    Stored,
    StoredFile,
    Tally,
)
from syncer.core.planner import Task
from syncer.core.ports import Ledger
from syncer.ledger import open_ledger
from syncer.ledger.engine import open_engine, place_of

NOW = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
LEASE = NOW + timedelta(minutes=10)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)

DONE, PROCESSING, ERROR = RemoteStatus.DONE, RemoteStatus.PROCESSING, RemoteStatus.ERROR

Open = Callable[[], Awaitable[Ledger]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Empty databases on a real PostgreSQL."""
    with cluster() as database:
        yield database


@pytest.fixture(params=["fake", "sqlite", "postgres"])
async def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Another handle on the same ledger, as another process would have it."""
    handles: list[Ledger] = []
    store = Store()
    place: str | Path = tmp_path / "ledger.db"
    if request.param == "postgres":
        place = request.getfixturevalue("postgres")()

    async def open_one() -> Ledger:
        handle = FakeLedger(store) if request.param == "fake" else await open_ledger(place)
        handles.append(handle)
        return handle

    yield open_one
    for handle in handles:
        await handle.close()


@pytest.fixture
async def ledger(reopen: Open) -> Ledger:
    return await reopen()


def link(url: str = "https://storage.example/v?sig=1", expires: datetime | None = NOW + DAY) -> Link:
    return Link(url, expires)


LIVING = link()


def seen(
    job_id: str = "a",
    status: RemoteStatus = DONE,
    *,
    url: Link | None = LIVING,
    filtered: bool = False,
    created: datetime | None = NOW - HOUR,
    error: str | None = None,
    name: str | None = "Launch film.mp4",
) -> Sighting:
    return Sighting(Job(job_id, name, status, created, url, error), filtered)


async def one(ledger: Ledger, job_id: str = "a") -> Entry:
    return next(e for e in [e async for e in ledger.entries()] if e.id == job_id)


async def claimed(ledger: Ledger, job_id: str = "a") -> Claim:
    (claim,) = await ledger.claim([job_id], NOW, LEASE)
    return claim


async def end(ledger: Ledger) -> None:
    await ledger.end_pass(NOW, 0, Listing(), await ledger.tally(), {})


def file(path: str = "2026/a.mp4") -> StoredFile:
    return StoredFile(path, 3, "ab" * 32, '"tag"', NOW)


async def test_binding_is_first_empty_and_then_kept(reopen: Open) -> None:
    ledger = await reopen()
    first = await ledger.binding()
    assert first.ledger_id
    assert (first.destination_id, first.location) == (None, None)
    await ledger.bind("dest-1", "/mnt/nas")
    again = await (await reopen()).binding()
    assert (again.ledger_id, again.destination_id, again.location) == (first.ledger_id, "dest-1", "/mnt/nas")


async def test_a_listed_job_becomes_an_entry_with_all_its_facts(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    job = Job("a", "Launch film.mp4", DONE, NOW - HOUR, Link("https://x.example/v?sig=1", NOW + DAY, estimated=True))
    await ledger.record([Sighting(job)], NOW)
    assert await one(ledger) == Entry(
        id="a",
        name="Launch film.mp4",
        status=DONE,
        created_at=NOW - HOUR,
        link=job.link,
        state=State.PENDING,
        first_seen_at=NOW,
        last_seen_at=NOW,
    )


@pytest.mark.parametrize(
    ("sighting", "state"),
    [
        (seen(), State.PENDING),
        (seen(url=None), State.PENDING),
        (seen(status=PROCESSING, url=None), State.PROCESSING),
        (seen(status=ERROR, url=None), State.REMOTE_ERROR),
        (seen(filtered=True), State.FILTERED),
    ],
)
async def test_the_first_sight_decides_the_state(ledger: Ledger, sighting: Sighting, state: State) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([sighting], NOW)
    assert (await one(ledger)).state is state


async def test_a_claim_tells_when_its_own_entry_was_seen(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a"), seen("b")], NOW)
    await ledger.record([seen("b")], NOW + HOUR)
    claims = await ledger.claim(["b", "a"], NOW, LEASE)
    assert [(c.entry.id, c.entry.last_seen_at) for c in claims] == [("b", NOW + HOUR), ("a", NOW)]


async def test_ids_are_fresh_once_a_pass(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    assert await ledger.record([seen("a"), seen("b")], NOW) == {"a", "b"}
    assert await ledger.record([seen("b"), seen("c")], NOW) == {"c"}
    assert await ledger.record([], NOW) == frozenset()
    await end(ledger)
    await ledger.begin_pass(NOW + DAY)
    assert await ledger.record([seen("a"), seen("d")], NOW + DAY) == {"a", "d"}
    assert (await ledger.tally()).total == 2


async def test_an_id_twice_in_a_page_counts_once_and_as_it_came_last(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    fresh = await ledger.record([seen("a", PROCESSING, url=None), seen("b"), seen("a", name="Later")], NOW)
    assert fresh == {"a", "b"}
    assert (await ledger.tally()).total == 2
    assert ((await one(ledger)).name, (await one(ledger)).state) == ("Later", State.PENDING)


async def test_a_page_of_thousands(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    page = [seen(f"job-{n:05}") for n in range(5000)]
    assert len(await ledger.record(page, NOW)) == 5000
    assert await ledger.record(page, NOW) == frozenset()
    assert [e.id async for e in ledger.entries()] == [f"job-{n:05}" for n in range(5000)]


async def test_a_stored_entry_stays_stored_and_its_remote_facts_follow(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    await ledger.settle(await claimed(ledger), Stored(file()), NOW)
    await ledger.record([seen(status=ERROR, url=link("https://new"), name="Renamed")], NOW + HOUR)
    entry = await one(ledger)
    assert (entry.state, entry.stored, entry.name, entry.status) == (State.STORED, file(), "Renamed", ERROR)
    assert (entry.link, entry.first_seen_at, entry.last_seen_at) == (link("https://new"), NOW, NOW + HOUR)


async def test_a_claimed_entry_keeps_its_link_while_it_is_listed_again(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    claim = await claimed(ledger)
    await ledger.record([seen(url=link("https://unseen"), name="Renamed")], NOW)
    entry = await one(ledger)
    assert (entry.state, entry.link, entry.name) == (State.CLAIMED, link(), "Renamed")
    await ledger.settle(claim, Lose("refused"), NOW)
    await ledger.record([seen(url=link("https://unseen"))], NOW)
    assert (await one(ledger)).state is State.PENDING, "a link that nobody tried was taken for refused"


async def test_due_comes_earliest_deadline_first(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record(
        [
            seen("never", url=link(expires=None)),
            seen("late", url=link(expires=NOW + DAY)),
            seen("soon-undated", url=link(expires=NOW + HOUR), created=None),
            seen("soon-young", url=link(expires=NOW + HOUR), created=NOW - SECOND),
            seen("soon-old", url=link(expires=NOW + HOUR), created=NOW - DAY),
            seen("soon-old-2", url=link(expires=NOW + HOUR), created=NOW - DAY),
            seen("no-link", url=None),
            seen("elsewhere", PROCESSING, url=None),
        ],
        NOW,
    )
    order = ["no-link", "soon-old", "soon-old-2", "soon-young", "soon-undated", "late", "never"]
    assert [e.id for e in await ledger.due(NOW, 100)] == order
    assert [e.id for e in await ledger.due(NOW, 3)] == order[:3]


async def waiting(ledger: Ledger, ids: list[str] | None = None) -> list[Task]:
    return [task async for tasks in ledger.waiting(ids) for task in tasks]


async def test_what_waits_is_told_by_deadline_with_all_that_its_chances_depend_on(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record(
        [
            seen("late", url=link(expires=NOW + DAY)),
            seen("soon", url=link(expires=NOW + HOUR), created=NOW - DAY),
            seen("no-link", url=None),
            seen("elsewhere", PROCESSING, url=None),
            seen("held", url=link(expires=NOW + HOUR)),
            seen("parked", url=link(expires=NOW + HOUR)),
            seen("put-off", url=link(expires=NOW + 2 * HOUR)),
        ],
        NOW,
    )
    for claim in await ledger.claim(["parked", "put-off", "held"], NOW, LEASE):
        if claim.entry.id == "put-off":
            await ledger.reserve(claim, "put-off.mp4", Promise(size=123))
            await ledger.settle(claim, Retry("cut", NOW + SECOND), NOW)
        if claim.entry.id == "parked":
            await ledger.settle(claim, Park("later", NOW), NOW)
    found = await waiting(ledger)
    assert [task.id for task in found] == ["no-link", "soon", "put-off", "late"]
    assert [task.has_link for task in found] == [False, True, True, True]
    assert found[1] == Task("soon", NOW + HOUR, created_at=NOW - DAY)
    assert (found[2].size, found[2].not_before, found[2].ordered) == (123, NOW + SECOND, False)
    assert [task.id for task in await waiting(ledger, ["late", "held", "nobody", "elsewhere"])] == ["late"]
    assert await waiting(ledger, []) == []
    assert await ledger.sizes(10) == [123]


async def test_many_that_wait_come_in_chunks_none_missing_and_none_twice(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    many = [seen(f"{n:05}", url=link(expires=NOW + SECOND * (n % 7))) for n in range(6001)]
    await ledger.record(many, NOW)
    found = [(task.deadline, task.id) for task in await waiting(ledger)]
    assert found == sorted((NOW + SECOND * (n % 7), f"{n:05}") for n in range(6001))


@pytest.mark.parametrize("others", [0, 900])
async def test_of_many_that_are_asked_for_those_that_wait_are_told(ledger: Ledger, others: int) -> None:
    await ledger.begin_pass(NOW)
    page = [seen(f"{n:05}", DONE if n % 3 == 0 else PROCESSING) for n in range(1800)]
    await ledger.record([*page, *(seen(f"other {n}") for n in range(others))], NOW)
    (claim,) = await ledger.claim(["00003"], NOW, LEASE)
    await ledger.settle(claim, Park("no room", None), NOW)
    await ledger.claim(["00006"], NOW, LEASE)
    asked = [f"{n:05}" for n in range(900)]
    told = [task.id async for tasks in ledger.waiting([*asked, "nobody"]) for task in tasks]
    assert sorted(told) == [f"{n:05}" for n in range(0, 900, 3) if n not in (3, 6)]


HOSTILE = (
    "'",
    '"',
    "\\",
    "\\u0041",
    "[1]",
    '"]',
    "\x01\x7f\r\n\t",
    "\u2028",
    "\U0001f600",
    "1",
    "1.0",
    "null",
    " a",
    "a ",
    "%s",
    ":x",
    "?",
)


async def test_ids_mean_nothing_to_the_database(ledger: Ledger) -> None:
    page = [seen(job_id) for job_id in HOSTILE]
    await ledger.begin_pass(NOW)
    assert await ledger.record(page, NOW) == set(HOSTILE)
    assert await ledger.record(page, NOW) == frozenset()
    assert {entry.id for entry in await ledger.find(HOSTILE)} == set(HOSTILE)
    assert {task.id async for tasks in ledger.waiting(HOSTILE) for task in tasks} == set(HOSTILE)
    assert [claim.entry.id for claim in await ledger.claim(HOSTILE, NOW, LEASE)] == list(HOSTILE)
    await end(ledger)
    await ledger.begin_pass(NOW + DAY)
    assert await ledger.record(page, NOW + DAY) == set(HOSTILE)
    assert {entry.last_seen_at for entry in await ledger.find(HOSTILE)} == {NOW + DAY}


async def test_a_claim_takes_what_is_pending_and_nothing_else(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a"), seen("b"), seen("c", PROCESSING, url=None)], NOW)
    await ledger.claim(["b"], NOW, LEASE)
    claims = await ledger.claim(["c", "nobody", "a", "b", "a"], NOW, LEASE)
    assert [(c.entry.id, c.entry.state, c.until) for c in claims] == [("a", State.CLAIMED, LEASE)]
    assert (claims[0].entry.attempts, claims[0].entry.tries) == (1, 1)
    assert await ledger.due(NOW, 10) == []
    assert await ledger.claim([], NOW, LEASE) == []


async def test_claims_come_in_the_order_asked_for(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen(i) for i in "abcdef"], NOW)
    assert [c.entry.id for c in await ledger.claim(list("febad"), NOW, LEASE)] == list("febad")


async def test_settled_means_the_claim_is_over(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    claim = await claimed(ledger)
    await ledger.settle(claim, Retry("broken", NOW), NOW)
    for write in (
        ledger.settle(claim, Stored(file()), NOW),
        ledger.relink(claim, link("https://other")),
        ledger.reserve(claim, "x", Promise()),
    ):
        with pytest.raises(StaleClaim):
            await write
    entry = await one(ledger)
    assert (entry.state, entry.link, entry.path) == (State.PENDING, link(), None)


async def test_a_dead_pass_claims_are_taken_back_and_it_writes_no_more(reopen: Open) -> None:
    dead = await reopen()
    await dead.begin_pass(NOW)
    await dead.record([seen()], NOW)
    stale = await claimed(dead)
    await dead.close()
    ledger = await reopen()
    await ledger.begin_pass(NOW)
    assert [e.id for e in await ledger.due(NOW, 9)] == ["a"]
    fresh = await claimed(ledger)
    assert (fresh.entry.attempts, fresh.entry.tries) == (2, 1)
    with pytest.raises(StaleClaim):
        await ledger.settle(stale, Stored(file()), NOW)
    await ledger.settle(fresh, Stored(file()), NOW)


async def test_one_pass_at_a_time(reopen: Open) -> None:
    first, second = await reopen(), await reopen()
    number = await first.begin_pass(NOW)
    with pytest.raises(LedgerHeld) as caught:
        await second.begin_pass(NOW)
    assert caught.value.exit_code == 8
    with pytest.raises(LedgerHeld):
        await first.begin_pass(NOW)
    await end(first)
    assert await second.begin_pass(NOW) > number


async def test_a_closed_ledger_lets_go_of_its_pass(reopen: Open) -> None:
    first = await reopen()
    await first.begin_pass(NOW)
    await first.close()
    await first.close()
    await (await reopen()).begin_pass(NOW)


async def test_no_claim_outlives_its_pass(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    claim = await claimed(ledger)
    await end(ledger)
    assert (await one(ledger)).state is State.PENDING
    with pytest.raises(StaleClaim):
        await ledger.settle(claim, Stored(file()), NOW)


async def test_work_needs_a_pass(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError):
        await ledger.record([seen()], NOW)
    with pytest.raises(RuntimeError):
        await ledger.claim(["a"], NOW, LEASE)
    with pytest.raises(RuntimeError):
        await ledger.due(NOW, 1)


async def test_a_path_belongs_to_one_entry_whatever_its_case_or_form(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a"), seen("b")], NOW)
    a, b = await ledger.claim(["a", "b"], NOW, LEASE)
    promise = Promise(7, '"tag"', "Thu, 05 Nov 2026 10:00:00 GMT", "video/mp4", "0" * 32, "0" * 8)
    assert await ledger.reserve(a, "2026/Caf\u00e9.mp4", promise)
    assert not await ledger.reserve(b, "2026/CAFE\u0301.mp4", Promise(8))
    assert await ledger.reserve(a, "2026/Caf\u00e9.mp4", promise), "its own path is no other's"
    assert await ledger.reserve(b, "2026/other.mp4", Promise(8)), "a refused path must not break what follows"
    entries = [e async for e in ledger.entries()]
    assert [(e.path, e.promise) for e in entries] == [("2026/Caf\u00e9.mp4", promise), ("2026/other.mp4", Promise(8))]


async def test_a_path_is_free_again_once_its_entry_moved(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a"), seen("b")], NOW)
    a, b = await ledger.claim(["a", "b"], NOW, LEASE)
    assert await ledger.reserve(a, "x.mp4", Promise(1))
    assert await ledger.reserve(a, "y.mp4", Promise())
    assert await ledger.reserve(b, "X.mp4", Promise())
    assert (await one(ledger)).promise == Promise()


async def test_stored_is_written_whole(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    await ledger.settle(await claimed(ledger), Retry("broken", NOW), NOW)
    claim = await claimed(ledger)
    await ledger.reserve(claim, "2026/a.mp4", Promise(3, '"old"', md5="0" * 32))
    await ledger.settle(claim, Stored(file()), NOW)
    entry = await one(ledger)
    assert (entry.state, entry.path, entry.stored) == (State.STORED, "2026/a.mp4", file())
    assert (entry.promise, entry.last_error) == (Promise(3, '"tag"', md5="0" * 32), None)
    assert await ledger.tally() == Tally(stored=1)


async def test_what_is_written_at_the_same_time_is_written_as_each_by_itself(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen(job_id) for job_id in HOSTILE], NOW)
    claims = await ledger.claim(HOSTILE, NOW, LEASE)
    promises = [Promise(n, f"%s :{n} ?", None, "video/%(mp4)s", md5="0" * 32) for n in range(len(claims))]
    reserved = (ledger.reserve(claim, f"{n}%.mp4", promises[n]) for n, claim in enumerate(claims))
    assert await asyncio.gather(*reserved) == [True] * len(claims)
    found = await ledger.find(HOSTILE)
    assert [(e.path, e.promise) for e in found] == [(f"{n}%.mp4", promises[n]) for n in range(len(claims))]
    files = [StoredFile(f"{n}%.mp4", n, "ab" * 32, None if n % 2 else ":etag", NOW) for n in range(len(claims))]
    first, *others = claims
    await ledger.settle(first, HandBack(), NOW)
    settled = (ledger.settle(claim, Stored(file), NOW) for claim, file in zip(claims, files, strict=True))
    failed, *fine = await asyncio.gather(*settled, return_exceptions=True)
    assert isinstance(failed, StaleClaim)
    assert fine == [None] * len(others)
    kept = await ledger.find(HOSTILE)
    assert [entry.stored for entry in kept] == [None, *files[1:]]
    assert [entry.state for entry in kept] == [State.PENDING, *[State.STORED] * len(others)]
    assert {entry.last_error for entry in kept} == {None}


async def test_a_retry_waits_for_its_moment(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a"), seen("b")], NOW)
    assert await ledger.next_due(NOW) is None
    a, b = await ledger.claim(["a", "b"], NOW, LEASE)
    await ledger.settle(a, Retry("broken", NOW + HOUR), NOW)
    await ledger.settle(b, Retry("broken", NOW + SECOND), NOW)
    assert await ledger.due(NOW, 9) == []
    assert await ledger.next_due(NOW) == NOW + SECOND
    assert [e.id for e in await ledger.due(NOW + SECOND, 9)] == ["b"]
    assert await ledger.next_due(NOW + SECOND) == NOW + HOUR
    entry = await one(ledger)
    assert (entry.last_error, entry.not_before, entry.tries) == ("broken", NOW + HOUR, 1)


async def test_tries_count_within_a_pass_and_attempts_for_ever(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    for n in (1, 2, 3):
        claim = await claimed(ledger)
        assert (claim.entry.tries, claim.entry.attempts) == (n, n)
        await ledger.settle(claim, Retry("broken", NOW), NOW)
    await end(ledger)
    await ledger.begin_pass(NOW)
    claim = await claimed(ledger)
    assert (claim.entry.tries, claim.entry.attempts) == (1, 4)


async def test_progress_and_handing_back_forgive_the_try(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    await ledger.settle(await claimed(ledger), Retry("broken", NOW, progressed=True), NOW)
    assert ((await one(ledger)).tries, (await one(ledger)).attempts) == (0, 1)
    await ledger.settle(await claimed(ledger), HandBack(), NOW)
    entry = await one(ledger)
    assert (entry.state, entry.tries, entry.attempts, entry.last_error) == (State.PENDING, 0, 1, "broken")
    assert [e.id for e in await ledger.due(NOW, 9)] == ["a"]


async def test_a_parked_entry_is_let_be_for_the_pass_and_no_longer(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    await ledger.settle(await claimed(ledger), Park("no link", NOW), NOW)
    await ledger.record([seen(url=link("https://new"))], NOW)
    assert await ledger.due(NOW + DAY, 9) == []
    assert await ledger.next_due(NOW) is None
    assert (await ledger.tally()).pending == 1
    await end(ledger)
    await ledger.begin_pass(NOW)
    assert [e.last_error for e in await ledger.due(NOW, 9)] == ["no link"]


async def test_a_backoff_ends_with_its_pass(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    await ledger.settle(await claimed(ledger), Retry("broken", NOW + HOUR), NOW)
    await end(ledger)
    await ledger.begin_pass(NOW)
    assert [e.not_before for e in await ledger.due(NOW, 9)] == [None]


async def test_what_the_storage_ordered_outlives_the_pass_that_is_not_made_to_wait_for_it(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    await ledger.settle(await claimed(ledger), Park("429", NOW + HOUR, ordered=True), NOW)
    assert await ledger.due(NOW + DAY, 9) == []
    await end(ledger)
    await ledger.begin_pass(NOW)
    assert await ledger.due(NOW, 9) == []
    assert await ledger.next_due(NOW) is None
    assert [e.id for e in await ledger.due(NOW + HOUR, 9)] == ["a"]


async def test_lost_comes_back_with_another_link_only(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    claim = await claimed(ledger)
    await ledger.relink(claim, link("https://renewed"))
    await ledger.settle(claim, Lose("refused"), NOW)
    entry = await one(ledger)
    assert (entry.state, entry.link, entry.last_error) == (State.LOST, link("https://renewed"), "refused")
    await ledger.record([seen(url=link("https://renewed"))], NOW)
    await ledger.record([seen(url=None)], NOW)
    assert await ledger.tally() == Tally(lost=1)
    await ledger.record([seen(url=link("https://living"))], NOW)
    entry = await one(ledger)
    assert (entry.state, entry.link, entry.last_error, entry.tries) == (
        State.PENDING,
        link("https://living"),
        None,
        0,
    )
    assert [e.id for e in await ledger.due(NOW, 9)] == ["a"]


async def test_a_renewed_link_orders_anew(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a", url=link(expires=NOW)), seen("b", url=link(expires=NOW + HOUR))], NOW)
    claim = await claimed(ledger)
    await ledger.relink(claim, link("https://new", NOW + DAY))
    await ledger.settle(claim, Retry("broken", NOW), NOW)
    assert [e.id for e in await ledger.due(NOW, 9)] == ["b", "a"]


async def test_an_estimated_death_does_not_move_on_with_each_sight(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen(url=Link("https://x", NOW + DAY, estimated=True))], NOW)
    await ledger.record([seen(url=Link("https://x", NOW + 2 * DAY, estimated=True))], NOW)
    await ledger.record([seen(url=None)], NOW)
    assert (await one(ledger)).link == Link("https://x", NOW + DAY, estimated=True)


@pytest.mark.parametrize(
    ("status", "state"),
    [(PROCESSING, State.PROCESSING), (ERROR, State.REMOTE_ERROR), (DONE, State.PENDING)],
)
async def test_an_entry_follows_videodb(ledger: Ledger, status: RemoteStatus, state: State) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    await ledger.settle(await claimed(ledger), Follow(status, "because"), NOW)
    entry = await one(ledger)
    assert (entry.state, entry.status, entry.last_error) == (state, status, "because")
    assert await ledger.due(NOW + DAY, 9) == []


async def test_a_new_state_forgets_the_old_error(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen(status=ERROR, url=None, error="codec")], NOW)
    assert (await one(ledger)).last_error == "codec"
    await ledger.record([seen(status=ERROR, url=None)], NOW)
    assert (await one(ledger)).last_error == "codec"
    await ledger.record([seen()], NOW)
    assert (await one(ledger)).last_error is None
    await ledger.settle(await claimed(ledger), Retry("broken", NOW), NOW)
    await ledger.record([seen()], NOW)
    assert (await one(ledger)).last_error == "broken"


async def test_the_tally_counts_what_this_pass_listed(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("old"), seen("a")], NOW)
    await end(ledger)
    await ledger.begin_pass(NOW)
    await ledger.record(
        [
            *(seen(i) for i in ("a", "b", "c", "d")),
            seen("e", PROCESSING, url=None),
            seen("f", ERROR, url=None),
            seen("g", filtered=True),
        ],
        NOW,
    )
    a, b, _ = await ledger.claim(["a", "b", "c"], NOW, LEASE)
    await ledger.settle(a, Stored(file()), NOW)
    await ledger.settle(b, Lose("refused"), NOW)
    tally = await ledger.tally()
    assert tally == Tally(stored=1, pending=2, processing=1, remote_error=1, lost=1, filtered=1)
    assert [e.id async for e in ledger.entries([State.PENDING])] == ["d", "old"]
    assert [e.id async for e in ledger.entries([State.PENDING], this_pass=True)] == ["d"]
    assert [e.id async for e in ledger.entries([State.PENDING, State.CLAIMED, State.LOST])] == ["b", "c", "d", "old"]
    await end(ledger)
    assert [e.id async for e in ledger.entries([State.PENDING], this_pass=True)] == ["c", "d"]


async def test_entries_may_change_while_they_are_walked(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen(f"{n:04}", ERROR, url=None) for n in range(600)], NOW)
    walked = []
    async for entry in ledger.entries([State.REMOTE_ERROR], this_pass=True):
        await ledger.record([seen(entry.id, PROCESSING, url=None)], NOW)
        walked.append(entry.id)
    assert walked == [f"{n:04}" for n in range(600)]
    assert (await ledger.tally()).processing == 600


async def test_a_renewed_lease_changes_nothing_else(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen()], NOW)
    claim = await claimed(ledger)
    await ledger.renew(LEASE + HOUR)
    await ledger.settle(claim, Stored(file()), NOW)
    assert (await one(ledger)).state is State.STORED


async def test_many_of_one_state_and_few_of_another_are_walked_alike(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen(f"{n:05}") for n in range(6000)], NOW)
    few = ["", *(f"{n:05}" for n in range(5, 6000, 10))]
    await ledger.record([seen(i, PROCESSING, url=None) for i in few], NOW)
    assert [e.id async for e in ledger.entries([State.PROCESSING])] == few
    assert [e.id async for e in ledger.entries([State.PENDING])] == [f"{n:05}" for n in range(6000) if n % 10 != 5]
    assert len([e async for e in ledger.entries([State.PENDING, State.PROCESSING], this_pass=True)]) == 6001


async def test_what_is_made_again_is_counted_whoever_failed_it(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a"), seen("b", status=RemoteStatus.ERROR)], NOW)
    await ledger.settle(await claimed(ledger), Follow(RemoteStatus.PROCESSING, "again", regenerated=True), NOW)
    await ledger.regenerated("b")
    await ledger.regenerated("b")  # it is being made: nothing to note
    for job_id in ("a", "b"):
        entry = await one(ledger, job_id)
        assert (entry.state, entry.status, entry.regenerations) == (State.PROCESSING, RemoteStatus.PROCESSING, 1)


async def test_what_is_made_again_is_due_under_its_new_link(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a"), seen("b", RemoteStatus.ERROR, url=None)], NOW)
    assert not await ledger.remade(seen("a", url=link("https://new")).job)
    await ledger.settle(await claimed(ledger), Follow(RemoteStatus.PROCESSING, "again", regenerated=True), NOW)
    await ledger.regenerated("b")
    assert await ledger.due(NOW, 5) == []
    for job_id in ("a", "b"):
        assert await ledger.remade(seen(job_id, url=link(f"https://new/{job_id}")).job)
        assert not await ledger.remade(seen(job_id, url=link("https://newer")).job)
    due = await ledger.due(NOW, 5)
    assert [(e.id, e.link.url, e.status, e.last_error) for e in due] == [
        ("a", "https://new/a", DONE, None),
        ("b", "https://new/b", DONE, None),
    ]
    assert (await ledger.tally()).pending == 2


async def test_what_fails_once_more_keeps_videodbs_words(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a", RemoteStatus.ERROR, url=None, error="no codec")], NOW)
    await ledger.regenerated("a")
    assert await ledger.remade(seen("a", RemoteStatus.ERROR, url=None, error="no codec either").job)
    entry = await one(ledger)
    assert (entry.state, entry.last_error, entry.regenerations) == (State.REMOTE_ERROR, "no codec either", 1)


async def test_a_probed_size_is_noted_where_none_is_known(ledger: Ledger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a"), seen("b"), seen("c")], NOW)
    assert await ledger.mean_size() is None
    await ledger.reserve(await claimed(ledger, "b"), "b.mp4", Promise(size=7, etag='"e"'))
    assert await ledger.mean_size() == 7
    assert [e.id for e in await ledger.find(["c", "nobody", "a"])] == ["c", "a"]
    await ledger.note_sizes({})
    await ledger.note_sizes({"a": 5, "b": 6, "nobody": 1})
    assert [e.promise async for e in ledger.entries()] == [Promise(size=5), Promise(size=7, etag='"e"'), Promise()]
    assert (await one(ledger)).state is State.PENDING


async def test_what_was_stored_since_a_pass_last_ended_well_is_unlisted(reopen: Open) -> None:
    async def one_pass(job_id: str, code: int | None) -> list[str]:
        """What it finds unlisted; then it stores a job and ends with `code`, or dies."""
        ledger = await reopen()
        await ledger.begin_pass(NOW)
        found = [entry.id async for entry in ledger.unlisted()]
        await ledger.record([seen(job_id)], NOW)
        await ledger.settle(await claimed(ledger, job_id), Stored(file(f"{job_id}.mp4")), NOW)
        if code is not None:
            await ledger.end_pass(NOW, code, Listing(), await ledger.tally(), {})
        await ledger.close()
        return found

    assert await one_pass("a", 0) == []
    assert await one_pass("b", None) == []
    assert await one_pass("c", None) == ["b"]
    assert await one_pass("d", 5) == ["b", "c"]
    assert await one_pass("e", 6) == ["b", "c", "d"]
    assert await one_pass("f", 0) == []


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(postgres: Callable[[], str]) -> None:
    url = postgres()
    ledger = await open_ledger(url)
    server = open_engine(place_of(url))
    try:
        await ledger.begin_pass(NOW)
        await ledger.record([seen("a")], NOW)
        with server.begin() as connection:
            ended = connection.scalars(
                sa.text(
                    "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            ).all()
        assert ended
        assert all(ended)
        assert await ledger.record([seen("b")], NOW) == frozenset({"b"})
    finally:
        server.dispose()
        await ledger.close()
