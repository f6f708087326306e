"""One pass a ledger, across processes: held while its holder lives, free the moment it dies."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncer.core.errors import LedgerHeld
from syncer.core.model import State, Stored, StoredFile
from syncer.ledger import open_ledger
from syncer.ledger.lock import PassLock

NOW = datetime(2026, 11, 5, tzinfo=UTC)
HOLDER = """
import asyncio, sys
from datetime import UTC, datetime
from syncer.core.model import Job, RemoteStatus, Sighting
from syncer.ledger import open_ledger

async def main():
    now = datetime(2026, 11, 4, tzinfo=UTC)
    ledger = await open_ledger(sys.argv[1])
    await ledger.begin_pass(now)
    await ledger.record([Sighting(Job(i, None, RemoteStatus.DONE, now, None)) for i in "ab"], now)
    await ledger.claim(["a"], now, datetime.max.replace(tzinfo=UTC))
    print("holding", flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of a pass."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        yield process
        process.kill()


async def test_a_pass_elsewhere_holds_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with another_process(path):
        ledger = await open_ledger(path)
        with pytest.raises(LedgerHeld) as caught:
            await ledger.begin_pass(NOW)
        assert (caught.value.exit_code, bool(caught.value.hint)) == (8, True)
        with pytest.raises(LedgerHeld):
            await ledger.put_back(["a"])
        assert (await ledger.counts())[State.CLAIMED] == 1, "what the other pass holds is left alone"
        await ledger.close()


async def test_a_killed_pass_frees_the_ledger_and_its_claims_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with another_process(path) as process:
        process.kill()
        process.wait()
        ledger = await open_ledger(path)
        await ledger.begin_pass(NOW)
        assert [e.id for e in await ledger.due(NOW, 9)] == ["a", "b"]
        (claim,) = await ledger.claim(["a"], NOW, NOW + timedelta(minutes=1))
        assert claim.entry.attempts == 2
        await ledger.settle(claim, Stored(StoredFile("a", 1, "00", None, NOW)), NOW)
        dead = (await ledger.last_passes(2))[1]
        assert (dead.finished_at, dead.exit_code) == (None, None)
        await ledger.close()


def test_a_lock_file_left_behind_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "l.lock").touch()
    lock = PassLock(tmp_path / "l.lock")
    lock.acquire()
    with pytest.raises(LedgerHeld):
        PassLock(tmp_path / "l.lock").acquire()
    with pytest.raises(LedgerHeld):
        lock.acquire()
    lock.release()
    lock.release()
    PassLock(tmp_path / "l.lock").acquire()


def test_a_server_has_no_lock_file() -> None:
    lock = PassLock(None)
    lock.acquire()
    lock.acquire()
    lock.release()
    assert not lock.exclusive
