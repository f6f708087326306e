"""What every Inventory does: the ledger's stored files, held against those on disk; the fake and the real one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.ledger import FakeLedger, Store
from helpers.postgres import cluster

from syncer.core.errors import LedgerHeld
from syncer.core.model import Entry, Fault, Job, Promise, RemoteStatus, Sighting, State, Stored, StoredFile
from syncer.ledger import SqlLedger, open_ledger

NOW = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
Open = Callable[[], Awaitable[SqlLedger]]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Callable[[], str]]:
    """Empty databases on a real PostgreSQL."""
    with cluster() as database:
        yield database


@pytest.fixture(params=["fake", "sqlite", "postgres"])
async def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    handles = []
    store = Store()
    place = request.getfixturevalue("postgres")() if request.param == "postgres" else tmp_path / "ledger.db"

    async def open_one():
        handles.append(FakeLedger(store) if request.param == "fake" else await open_ledger(place))
        return handles[-1]

    yield open_one
    for handle in handles:
        await handle.close()


@pytest.fixture
async def ledger(reopen: Open) -> SqlLedger:
    return await reopen()


def file(job_id: str, size: int = 3, days: int = 0) -> StoredFile:
    return StoredFile(f"2026/{job_id}.mp4", size, f"{size:064x}", '"tag"', NOW + days * DAY)


async def stock(ledger: SqlLedger, *files: StoredFile) -> None:
    listed = [(f.path.split("/")[1].removesuffix(".mp4"), "Film", f) for f in files]
    assert await ledger.adopt(listed) == [job_id for job_id, _, _ in listed]


async def one(ledger: SqlLedger, job_id: str) -> Entry:
    (entry,) = await ledger.find([job_id])
    return entry


async def ids(entries: AsyncIterator[Entry]) -> list[str]:
    return [entry.id async for entry in entries]


async def test_the_longest_unread_comes_first_and_what_the_run_has_read_not_again(ledger):
    await stock(ledger, file("c", days=-2), file("a", days=-1), file("b", days=-2), file("d", days=3))
    assert await ledger.stored_totals() == (4, 12)
    assert await ids(ledger.unchecked(NOW)) == ["d", "b", "c", "a"], "a clock that ran ahead starves nobody"
    await ledger.note([(await one(ledger, i), None) for i in ("b", "d")], NOW)
    assert (await one(ledger, "b")).stored.verified_at == NOW
    assert await ids(ledger.unchecked(NOW)) == ["c", "a"]
    assert await ids(ledger.unchecked(NOW + DAY)) == ["c", "a", "b", "d"]


async def test_noting_while_walking_skips_and_repeats_nothing(ledger):
    await stock(ledger, *(file(f"{n:04}", days=-1) for n in range(1200)))
    met = []
    async for entry in ledger.unchecked(NOW):
        met.append(entry.id)
        if len(met) % 7 == 0:
            await ledger.note([(await one(ledger, i), None) for i in met[-7:]], NOW)
    assert met == [f"{n:04}" for n in range(1200)]


async def test_a_fault_stays_until_the_file_is_whole_again(ledger):
    await stock(ledger, file("a", days=-1), file("b", days=-1))
    await ledger.note([(await one(ledger, "a"), Fault.MISSING), (await one(ledger, "b"), Fault.CHANGED)], NOW)
    assert await ids(ledger.faulty()) == ["a", "b"]
    assert (await one(ledger, "a")).fault is Fault.MISSING
    assert (await one(ledger, "a")).stored.verified_at is None
    assert await ids(ledger.unchecked(NOW + DAY)) == []
    await ledger.note([(await one(ledger, "a"), None)], NOW + DAY)
    assert await ids(ledger.faulty()) == ["b"]
    assert await ids(ledger.unchecked(NOW + 2 * DAY)) == ["a"]


async def test_missing_files_are_found_by_size_and_bytes(ledger):
    await stock(ledger, file("a", 3), file("b", 4), file("c", 3))
    await ledger.note([(await one(ledger, i), Fault.MISSING) for i in "ac"], NOW)
    await ledger.note([(await one(ledger, "b"), Fault.CHANGED)], NOW)
    assert await ledger.missing_sizes([3, 4, 5]) == {3}
    assert [e.id for e in await ledger.missing(3, f"{3:064x}")] == ["a", "c"]
    assert await ledger.missing(4, f"{4:064x}") == []


async def test_a_moved_file_has_a_new_path_and_no_fault(ledger):
    await stock(ledger, file("a"), file("b"))
    entry = await one(ledger, "a")
    await ledger.note([(entry, Fault.MISSING)], NOW)
    assert not await ledger.moved(entry, replace(entry.stored, path="2026/B.MP4", verified_at=NOW)), "it is b's"
    there = replace(entry.stored, path="best/a.mp4", verified_at=NOW)
    assert await ledger.moved(entry, there)
    assert (await one(ledger, "a")).stored == there
    assert await ids(ledger.faulty()) == []
    owned = await ledger.owned(["Best/A.mp4", "2026/a.mp4", "2026/b.mp4"])
    assert {path: e.id for path, e in owned.items()} == {"Best/A.mp4": "a", "2026/b.mp4": "b"}
    assert not await ledger.moved(entry, there), "what it was said of is no more"


async def test_what_is_put_back_is_due_under_its_path_and_owns_no_file(ledger):
    await stock(ledger, file("a"))
    entry = await one(ledger, "a")
    await ledger.note([(entry, Fault.CHANGED)], NOW)
    assert await ledger.requeue(entry)
    assert not await ledger.requeue(entry)
    back = await one(ledger, "a")
    assert (back.state, back.stored, back.fault, back.path) == (State.PENDING, None, None, "2026/a.mp4")
    assert back.promise == Promise(), "a promise left behind would vouch for the file that was rejected"
    await ledger.note([(entry, None)], NOW)
    assert await ledger.stored_totals() == (0, 0)
    assert await ids(ledger.faulty()) == await ids(ledger.unchecked(NOW + DAY)) == []
    await ledger.begin_pass(NOW)
    assert [e.id for e in await ledger.due(NOW, 9)] == ["a"]


async def test_what_a_pass_stored_anew_is_not_what_was_looked_at(ledger):
    await stock(ledger, file("a"))
    old = await one(ledger, "a")
    await ledger.requeue(old)
    await ledger.begin_pass(NOW)
    await ledger.record([Sighting(Job("a", "Film", RemoteStatus.DONE, NOW, None))], NOW)
    (claim,) = await ledger.claim(["a"], NOW, NOW + DAY)
    await ledger.settle(claim, Stored(file("a", 9)), NOW)
    await ledger.note([(old, Fault.CHANGED)], NOW + DAY)
    assert not await ledger.requeue(old)
    assert ((await one(ledger, "a")).fault, (await one(ledger, "a")).state) == (None, State.STORED)
    assert await ids(ledger.unchecked(NOW + DAY)) == ["a"]


async def test_holding_keeps_passes_away(reopen):
    first, second = await reopen(), await reopen()
    async with first.hold():
        begun = asyncio.create_task(second.begin_pass(datetime.now(UTC)))
        await asyncio.wait({begun}, timeout=1)
        assert not begun.done() or isinstance(begun.exception(), LedgerHeld), "refused, or waiting"
        assert await ids(first.entries([State.STORED])) == []
    await asyncio.wait({begun})
    if begun.exception() is not None:
        await second.begin_pass(datetime.now(UTC))
    with pytest.raises(LedgerHeld):
        async with first.hold():
            raise AssertionError
