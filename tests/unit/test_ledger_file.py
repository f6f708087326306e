"""The ledger's file: who may read it, what becomes of hostile text, and how trouble with it is told."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from syncer.core.errors import LedgerError, LedgerHeld, UsageError
from syncer.core.model import Job, Link, Promise, RemoteStatus, Sighting, State
from syncer.ledger import SqlLedger, engine, open_ledger
from syncer.ledger.engine import place_of, problems_of, upsert
from syncer.ledger.tables import clean, entries

NOW = datetime(2026, 11, 5, 12, 0, 0, 123456, tzinfo=UTC)
SECRET = "X-Goog-Signature=c0ffee"


def seen(job_id: str, name: str | None = None, *, url: str = f"https://x/?{SECRET}") -> Sighting:
    return Sighting(Job(job_id, name, RemoteStatus.DONE, NOW, Link(url, NOW)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[SqlLedger]:
    opened = await open_ledger(path)
    yield opened
    await opened.close()


def expose(path: Path) -> None:
    path.chmod(0o644)


def spoil(path: Path, keep: int) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:keep] + b"\xa5" * (len(content) - keep))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_nobody_else_may_read_it_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        ledger = await open_ledger(path)
        await ledger.begin_pass(NOW)
        await ledger.record([seen("a")], NOW)
        files = {file.name: mode(file) for file in path.parent.iterdir()}
        await ledger.close()
    finally:
        os.umask(before)
    assert files == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"), 0o600)
    assert mode(path.parent) == 0o700


async def test_a_ledger_open_to_others_is_closed_to_them(ledger: SqlLedger, path: Path) -> None:
    await ledger.close()
    expose(path)
    await (await open_ledger(path)).close()
    assert mode(path) == 0o600


async def test_a_row_survives_a_power_cut_and_readers_do_not_wait(ledger: SqlLedger) -> None:
    def pragmas() -> tuple[str, int]:
        with ledger._engine.connect() as connection:
            run = connection.exec_driver_sql
            return str(run("PRAGMA journal_mode").scalar()), int(run("PRAGMA synchronous").scalar() or 0)

    full = 2
    assert await ledger._call(pragmas) == ("wal", full)


@pytest.mark.parametrize(
    "text",
    ["lone \ud800 surrogate", "nul \0 byte", "\U0001f3ac \u202e", "'; DROP TABLE entries; --", "x" * 100_000, ""],
)
async def test_hostile_text_never_stops_a_page(ledger: SqlLedger, text: str) -> None:
    await ledger.begin_pass(NOW)
    assert await ledger.record([seen("good"), seen(text, text, url=text)], NOW) == {"good", text}
    assert await ledger.record([seen(text, text)], NOW) == frozenset()
    assert (await ledger.tally()).total == 2
    (entry,) = await ledger.find([text])
    assert entry.id == entry.name == clean(text)
    (claim,) = await ledger.claim([text], NOW, NOW)
    assert await ledger.reserve(claim, text, Promise(etag=text))


async def test_moments_come_back_aware_and_exact(ledger: SqlLedger) -> None:
    await ledger.begin_pass(NOW)
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    await ledger.record([Sighting(Job("a", None, RemoteStatus.DONE, elsewhere, Link("u", NOW)))], NOW)
    (entry,) = await ledger.find(["a"])
    assert entry.created_at == NOW
    assert entry.created_at.tzinfo is UTC
    with pytest.raises(LedgerError):
        await ledger.record([Sighting(Job("b", None, RemoteStatus.DONE, datetime(2026, 1, 1), None))], NOW)  # noqa: DTZ001


async def test_reading_changes_nothing_and_makes_nothing(ledger: SqlLedger, path: Path) -> None:
    missing = path.with_name("missing.db")
    with pytest.raises(LedgerError, match="There is no ledger at") as caught:
        await open_ledger(missing, read_only=True)
    assert caught.value.hint
    assert not missing.exists()
    reader = await open_ledger(path, read_only=True)
    assert (await reader.counts())[State.STORED] == 0
    with pytest.raises(LedgerError):
        await reader.bind("x", "y")
    await reader.close()
    assert (await ledger.binding()).destination_id is None


async def test_status_reads_beside_a_pass(ledger: SqlLedger, path: Path) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a")], NOW)
    reader = await open_ledger(path, read_only=True)
    assert [e.id async for e in reader.entries(this_pass=True)] == ["a"]
    await ledger.record([seen("b")], NOW)
    assert [e.id async for e in reader.entries(this_pass=True)] == ["a", "b"]
    await reader.close()


async def test_errors_carry_no_secrets(ledger: SqlLedger) -> None:
    await ledger.begin_pass(NOW)
    await ledger._write(lambda connection: connection.execute(sa.text("ALTER TABLE entries RENAME TO gone")))
    with pytest.raises(LedgerError) as caught:
        await ledger.record([seen("a")], NOW)
    error: BaseException | None = caught.value
    assert error is not None
    assert (caught.value.exit_code, error.__cause__, error.__suppress_context__) == (9, None, True)
    while error is not None:
        assert SECRET not in str(error)
        error = error.__context__


async def test_a_full_disk_is_told_and_takes_nothing_back(ledger: SqlLedger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a")], NOW)

    def set_limit(connection: sa.Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    await ledger._write(set_limit, 20)
    with pytest.raises(LedgerError, match="its disk is full") as caught:
        await ledger.record([seen(f"{n}", "x" * 1000) for n in range(500)], NOW)
    assert caught.value.exit_code == 9
    assert [e.id async for e in ledger.entries()] == ["a"]
    await ledger._write(set_limit, 2**30)
    assert len(await ledger.record([seen(f"{n}", "x" * 1000) for n in range(500)], NOW)) == 500


async def test_a_ledger_locked_from_outside_is_told(
    ledger: SqlLedger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_BUSY_SECONDS", 0.0)
    with sqlite3.connect(path, isolation_level=None) as outsider:
        outsider.execute("BEGIN IMMEDIATE")
        other = await open_ledger(path)
        with pytest.raises(LedgerHeld, match="locked by another program"):
            await other.begin_pass(NOW)
        outsider.execute("ROLLBACK")
        await other.begin_pass(NOW)
        await other.close()
    outsider.close()
    assert await ledger.counts()


async def test_damage_is_found_and_told(ledger: SqlLedger, path: Path) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen(f"{n}", "x" * 500) for n in range(500)], NOW)
    assert await ledger.problems() == []
    await ledger.close()
    spoil(path, keep=4096 * 8)
    damaged = await open_ledger(path, read_only=True)
    with pytest.raises(LedgerError, match="is damaged") as caught:
        assert [e async for e in damaged.entries()] == []
    assert (caught.value.exit_code, "backup" in caught.value.hint) == (9, True)
    await damaged.close()
    assert problems_of(place_of(path))


async def test_threads_and_loops_may_open_one_ledger_at_once(path: Path) -> None:
    def in_a_loop_of_its_own() -> str:
        async def ledger_id() -> str:
            ledger = await open_ledger(path)
            binding = await ledger.binding()
            await ledger.close()
            return binding.ledger_id

        return asyncio.run(ledger_id())

    ids = await asyncio.gather(*(asyncio.to_thread(in_a_loop_of_its_own) for _ in range(4)))
    assert len(set(ids)) == 1


@pytest.mark.parametrize("location", ["sqlite://", "sqlite:///:memory:", "mysql://u@h/d", "://", "what is://this"])
def test_a_location_that_cannot_be_is_a_usage_error(location: str) -> None:
    with pytest.raises(UsageError):
        place_of(location)


def test_one_file_has_one_place_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "alias.db").symlink_to("l.db")
    ways = [
        "l.db",
        "~/l.db",
        f"sqlite:///{tmp_path}/l.db",
        "sqlite:///l.db",
        tmp_path / "x" / ".." / "l.db",
        "alias.db",
    ]
    assert {str(place_of(way)) for way in ways} == {str(tmp_path / "l.db")}


async def test_a_missing_driver_is_told_without_the_password() -> None:
    with pytest.raises(LedgerError) as caught:
        await open_ledger("postgresql+pg8000://user:hunter2@nowhere.invalid/db")
    assert "hunter2" not in str(caught.value)
    assert "pg8000" in str(caught.value)


async def test_a_strange_path_is_only_a_path(tmp_path: Path) -> None:
    path = tmp_path / "50% of #1? & more" / "my ledger.db"
    ledger = await open_ledger(path)
    await ledger.begin_pass(NOW)
    await ledger.close()
    assert path.exists()


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerError, match="cannot be made"):
        await open_ledger(tmp_path / "file" / "ledger.db")
    with pytest.raises(LedgerError, match="cannot be read"):
        await open_ledger(tmp_path)


async def test_an_upsert_of_nothing_is_nothing(ledger: SqlLedger) -> None:
    await ledger._write(lambda connection: upsert(connection, entries, [], once=frozenset()))


async def test_a_size_no_file_can_have_harms_its_own_job_alone(ledger: SqlLedger) -> None:
    await ledger.begin_pass(NOW)
    await ledger.record([seen("a")], NOW)
    (claim,) = await ledger.claim(["a"], NOW, NOW)
    with pytest.raises(OverflowError):
        await ledger.reserve(claim, "a.mp4", Promise(size=2**63))
    assert await ledger.reserve(claim, "a.mp4", Promise(size=2**63 - 1))
