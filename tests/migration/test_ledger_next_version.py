"""The next version of syncer, staged for real: a copy of the package, laid out as in a wheel, one migration further."""

import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import syncer
from syncer.core.errors import LedgerError
from syncer.core.model import Job, RemoteStatus, Sighting
from syncer.ledger import open_ledger, schema

NOW = datetime(2026, 11, 5, tzinfo=UTC)
MIGRATION = """
'''One more column.'''
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9999", {head!r}

def upgrade():
    with op.batch_alter_table("entries") as batch:
        batch.add_column(sa.Column("mood", sa.Text, nullable=False, server_default="fine"))
    {then}
"""
USE = """
import sys
from syncer.core.errors import SyncerError
from syncer.ledger import schema
try:
    print(*schema.upgrade(sys.argv[1]))
except SyncerError as error:
    print(error)
    sys.exit(error.exit_code)
"""


class Next:
    """The next version, to be run in a process of its own."""

    def __init__(self, folder: Path, then: str = "pass") -> None:
        self.folder = folder
        package = Path(syncer.__file__).parent
        shutil.copytree(package, folder / "syncer", ignore=shutil.ignore_patterns("__pycache__", "migrations"))
        shutil.copytree(
            schema.scripts(), folder / "syncer" / "migrations", ignore=shutil.ignore_patterns("__pycache__")
        )
        migration = MIGRATION.format(head=schema._known()[0], then=then)
        (folder / "syncer" / "migrations" / "versions" / "9999_mood.py").write_text(migration)

    def upgrade(self, path: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", USE, str(path)]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A ledger of this version, with an entry in it."""
    ledger = await open_ledger(tmp_path / "ledger.db")
    await ledger.begin_pass(NOW)
    await ledger.record([Sighting(Job("a", "Film", RemoteStatus.DONE, NOW, None))], NOW)
    await ledger.close()
    return tmp_path / "ledger.db"


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute(sql).fetchall()
    connection.close()
    return found


async def test_it_upgrades_keeps_a_copy_and_is_refused_from_then_on(path: Path, tmp_path: Path) -> None:
    head, _ = schema._known()
    done = Next(tmp_path / "next").upgrade(path)
    assert (done.returncode, done.stdout.split()) == (0, [head, "9999"]), done.stderr
    assert rows(path, "SELECT id, name, mood FROM entries") == [("a", "Film", "fine")]
    with pytest.raises(LedgerError, match="newer syncer"):
        await open_ledger(path)
    copy = path.with_name("ledger.db.before-9999")
    assert copy.stat().st_mode & 0o777 == 0o600
    ledger = await open_ledger(copy)
    assert [e.name for e in await ledger.find(["a"])] == ["Film"]
    await ledger.close()


async def test_an_older_ledger_is_not_touched_by_looking(path: Path, tmp_path: Path) -> None:
    script = USE.replace("print(*schema.upgrade(sys.argv[1]))", "schema.prepare(sys.argv[1], may_change=False)")
    newer = Next(tmp_path / "next")
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, cwd=newer.folder, capture_output=True, text=True, timeout=60, check=False)  # noqa: ASYNC221
    assert (done.returncode, "syncer ledger upgrade" in done.stdout) == (9, True), done.stderr
    assert schema.revisions(path).current == schema._known()[0]


async def test_an_upgrade_that_fails_changes_nothing(path: Path, tmp_path: Path) -> None:
    done = Next(tmp_path / "next", then="op.execute('SELECT nonsense')").upgrade(path)
    assert done.returncode == 9, done.stderr
    assert schema.revisions(path).current == schema._known()[0]
    assert [row[1] for row in rows(path, "PRAGMA table_info(entries)")].count("mood") == 0
    ledger = await open_ledger(path)
    assert [e.name for e in await ledger.find(["a"])] == ["Film"]
    await ledger.close()


async def test_an_upgrade_killed_half_way_changes_nothing(path: Path, tmp_path: Path) -> None:
    newer = Next(tmp_path / "next", then="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert newer.upgrade(path).returncode == -9
    ledger = await open_ledger(path)
    assert [e.name for e in await ledger.find(["a"])] == ["Film"]
    await ledger.begin_pass(NOW)
    await ledger.close()


async def test_an_upgrade_waits_for_no_pass(path: Path, tmp_path: Path) -> None:
    ledger = await open_ledger(path)
    await ledger.begin_pass(NOW)
    done = Next(tmp_path / "next").upgrade(path)
    assert done.returncode == 8, done.stderr
    assert await ledger.tally()
    await ledger.close()
