"""Writes that wait together share a transaction, and none of them pays for another."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from syncer.core.errors import LedgerError, StaleClaim
from syncer.core.model import Job, Link, Promise, RemoteStatus, Sighting, State, Stored, StoredFile
from syncer.ledger import open_ledger
from syncer.ledger.tables import entries

NOW = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
LEASE = NOW + timedelta(minutes=10)
MANY = 40


def file(number):
    return StoredFile(f"{number}.mp4", 3, "ab" * 32, None, NOW)


@pytest.fixture
async def ledger(tmp_path):
    opened = await open_ledger(tmp_path / "ledger.db")
    await opened.begin_pass(NOW)
    jobs = [Job(f"{n:02}", "x.mp4", RemoteStatus.DONE, NOW, Link("https://x/1", LEASE)) for n in range(MANY)]
    await opened.record([Sighting(job) for job in jobs], NOW)
    yield opened
    await opened.close()


@pytest.fixture
async def claims(ledger):
    return await ledger.claim([f"{n:02}" for n in range(MANY)], NOW, LEASE)


@pytest.fixture
def commits(ledger):
    seen = []
    sa.event.listen(ledger._engine, "commit", seen.append)
    return seen


async def stored(tmp_path):
    """What another program sees."""
    other = await open_ledger(tmp_path / "ledger.db", read_only=True)
    try:
        return {entry.id async for entry in other.entries([State.STORED])}
    finally:
        await other.close()


async def test_what_is_asked_for_together_is_committed_together(ledger, claims, commits, tmp_path):
    settles = [ledger.settle(claim, Stored(file(n)), NOW) for n, claim in enumerate(claims)]
    await asyncio.gather(*settles)
    assert len(commits) == 1
    assert len(await stored(tmp_path)) == MANY


async def test_what_comes_while_a_commit_is_under_way_shares_the_next(ledger, claims, commits, tmp_path):
    begun = asyncio.Event()
    loop, go_on = asyncio.get_running_loop(), threading.Event()

    def slow(_connection):
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(60)

    first = asyncio.create_task(ledger._write(slow))
    await begun.wait()
    settles = []
    for number, claim in enumerate(claims):
        settles.append(asyncio.create_task(ledger.settle(claim, Stored(file(number)), NOW)))
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, *settles)
    assert len(commits) == 2
    assert len(await stored(tmp_path)) == MANY


async def test_it_is_committed_before_it_returns(ledger, claims, tmp_path):
    async def settle(number):
        await ledger.settle(claims[number], Stored(file(number)), NOW)
        assert claims[number].entry.id in await stored(tmp_path)

    await asyncio.gather(*(settle(n) for n in range(8)))


async def test_a_stale_claim_sinks_no_other(ledger, claims, tmp_path):
    await ledger.settle(claims[3], Stored(file(3)), NOW)
    settles = [ledger.settle(claim, Stored(file(n)), NOW) for n, claim in enumerate(claims)]
    outcomes = await asyncio.gather(*settles, return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, StaleClaim)] == [3]
    assert len(await stored(tmp_path)) == MANY


async def test_paths_wanted_at_once_go_to_one_each(ledger, claims):
    wanted = [ledger.reserve(claim, f"{n // 2}.mp4", Promise(n)) for n, claim in enumerate(claims)]
    given = await asyncio.gather(*wanted)
    assert [sum(pair) for pair in zip(given[::2], given[1::2], strict=True)] == [1] * (MANY // 2)
    assert sum([entry.path is not None async for entry in ledger.entries()]) == MANY // 2


async def test_a_write_that_fails_sinks_no_other(ledger, claims, tmp_path):
    def broken(connection):
        connection.execute(sa.update(entries).values(name="never"))
        connection.execute(sa.text("SELECT * FROM nowhere"))

    async def fails():
        with pytest.raises(LedgerError):
            await ledger._write(broken)

    settles = [ledger.settle(claim, Stored(file(n)), NOW) for n, claim in enumerate(claims)]
    await asyncio.gather(*settles[:9], fails(), *settles[9:])
    assert len(await stored(tmp_path)) == MANY
    assert {entry.name async for entry in ledger.entries()} == {"x.mp4"}


async def test_a_write_given_up_before_it_began_is_not_written(ledger, claims, tmp_path):
    first, second = (
        asyncio.create_task(ledger.settle(claim, Stored(file(n)), NOW)) for n, claim in enumerate(claims[:2])
    )
    await asyncio.sleep(0)
    second.cancel()
    await first
    with pytest.raises(asyncio.CancelledError):
        await second
    await ledger._commits.landed()
    assert await stored(tmp_path) == {claims[0].entry.id}


async def test_a_ledger_is_closed_only_when_its_writes_have_landed(ledger, claims, tmp_path):
    settles = [asyncio.create_task(ledger.settle(c, Stored(file(n)), NOW)) for n, c in enumerate(claims)]
    await asyncio.sleep(0)
    await ledger.close()
    await asyncio.gather(*settles)
    assert len(await stored(tmp_path)) == MANY
