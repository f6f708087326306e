"""What the command line asks of the ledger beyond the port: counts, looking up, putting back, adopting, copying."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncer.core.errors import LedgerError, LedgerHeld
from syncer.core.model import (
    Job,
    Link,
    Listing,
    Lose,
    Outcome,
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
from syncer.core.report import Transfer
from syncer.ledger import SqlLedger, open_ledger
from syncer.ledger.tables import TALLY_COUNTS, TRANSFER_COUNTS

NOW = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FILE = StoredFile("2026/a.mp4", 3, "ab" * 32, '"tag"', NOW)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqlLedger]:
    opened = await open_ledger(tmp_path / "ledger.db")
    yield opened
    await opened.close()


async def a_pass(ledger: SqlLedger, outcomes: dict[str, Outcome | None]) -> None:
    """A pass that lists these ids and settles those that have an outcome."""
    await ledger.begin_pass(NOW)
    link = Link("https://x/?sig=1", NOW + HOUR)
    await ledger.record([Sighting(Job(i, i.upper(), RemoteStatus.DONE, NOW, link)) for i in outcomes], NOW)
    for job_id, outcome in outcomes.items():
        if outcome is not None:
            (claim,) = await ledger.claim([job_id], NOW, NOW + HOUR)
            await ledger.reserve(claim, f"2026/{job_id}.mp4", Promise(3, '"tag"', md5="0" * 32))
            await ledger.settle(claim, outcome, NOW)
    await ledger.end_pass(NOW, 6, Listing(1, len(outcomes), 2, complete=True), await ledger.tally(), {"fetched": 1})


MIXED: dict[str, Outcome | None] = {
    "a": Stored(FILE),
    "b": Park("no link", NOW),
    "c": Lose("refused"),
    "d": None,
    "e": Retry("broken", NOW + HOUR),
    "f": Park("429", NOW + HOUR, ordered=True),
}


async def test_counts_name_every_state(ledger: SqlLedger) -> None:
    assert await ledger.counts() == dict.fromkeys(State, 0)
    await a_pass(ledger, MIXED)
    assert await ledger.counts() == dict.fromkeys(State, 0) | {State.STORED: 1, State.PENDING: 4, State.LOST: 1}


async def test_find_keeps_the_order_and_leaves_out_the_unknown(ledger: SqlLedger) -> None:
    await a_pass(ledger, MIXED)
    assert [e.id for e in await ledger.find(["d", "nobody", "a", "d"])] == ["d", "a"]


async def test_failures_are_pending_entries_with_a_reason(ledger: SqlLedger) -> None:
    await a_pass(ledger, MIXED)
    assert [(e.id, e.last_error) for e in await ledger.failures(2)] == [("b", "no link"), ("e", "broken")]
    assert [e.id for e in await ledger.failures(9)] == ["b", "e", "f"]


async def test_passes_are_remembered_with_their_counts(ledger: SqlLedger) -> None:
    await a_pass(ledger, MIXED)
    await ledger.begin_pass(NOW + HOUR)
    running, done = await ledger.last_passes(5)
    assert (running.finished_at, running.exit_code) == (None, None)
    assert (done.started_at, done.finished_at, done.exit_code) == (NOW, NOW, 6)
    assert done.listing == Listing(1, 6, 2, complete=True)
    assert done.tally == Tally(stored=1, pending=4, lost=1)
    assert done.counts == dict.fromkeys(TRANSFER_COUNTS, 0) | {"fetched": 1}
    assert [p.id for p in await ledger.last_passes(1)] == [running.id]


def test_a_pass_has_a_column_for_every_count_of_the_report() -> None:
    assert set(Transfer.__dataclass_fields__) == set(TRANSFER_COUNTS)
    assert set(Tally.__dataclass_fields__) == set(TALLY_COUNTS)


async def test_put_back_takes_what_failed_or_was_lost(ledger: SqlLedger) -> None:
    await a_pass(ledger, MIXED)
    assert await ledger.put_back() == ["b", "c", "e", "f"]
    assert await ledger.failures(9) == []
    await ledger.begin_pass(NOW)
    assert {e.id for e in await ledger.due(NOW, 9)} == {"b", "c", "d", "e", "f"}


async def test_put_back_can_be_narrowed(ledger: SqlLedger) -> None:
    await a_pass(ledger, MIXED)
    assert await ledger.put_back(states=[State.LOST]) == ["c"]
    assert await ledger.put_back(states=[State.STORED]) == []
    assert await ledger.put_back(["b", "nobody"]) == ["b"]
    assert await ledger.put_back([]) == []


async def test_a_stored_entry_is_put_back_by_name_only_and_keeps_its_path_alone(ledger: SqlLedger) -> None:
    await a_pass(ledger, MIXED)
    assert await ledger.put_back(["a"]) == ["a"]
    (entry,) = await ledger.find(["a"])
    assert (entry.state, entry.stored, entry.path) == (State.PENDING, None, FILE.path)
    assert entry.promise == Promise(), "a promise left behind would vouch for the file that was rejected"


async def test_put_back_waits_for_no_pass(ledger: SqlLedger, tmp_path: Path) -> None:
    await a_pass(ledger, MIXED)
    await ledger.begin_pass(NOW)
    with pytest.raises(LedgerHeld):
        await ledger.put_back()
    other = await open_ledger(tmp_path / "ledger.db")
    with pytest.raises(LedgerHeld):
        await other.put_back()
    await other.close()


async def test_adopting_takes_files_in_as_stored(ledger: SqlLedger) -> None:
    await a_pass(ledger, MIXED)
    files = [
        ("a", "A", StoredFile("elsewhere.mp4", 9, "cd" * 32, None, NOW)),  # stored already: stays as it is
        ("c", "C", StoredFile("2026/c.mp4", 4, "cd" * 32, None, NOW)),  # lost, and found
        ("new", "New", StoredFile("2026/new.mp4", 5, "ef" * 32, '"x"', NOW, NOW)),
        ("thief", None, StoredFile("2026/A.MP4", 5, "ef" * 32, None, NOW)),  # another entry's path
    ]
    assert await ledger.adopt(files) == ["c", "new"]
    a, c, new = await ledger.find(["a", "c", "new", "thief"])
    assert a.stored == FILE
    assert (c.state, c.stored, c.last_error) == (State.STORED, files[1][2], None)
    assert (new.state, new.stored, new.name, new.link) == (State.STORED, files[2][2], "New", None)
    await ledger.begin_pass(NOW)
    assert await ledger.record([Sighting(Job("new", "New", RemoteStatus.DONE, NOW, None))], NOW) == {"new"}
    assert (await ledger.tally()).stored == 1


async def test_a_snapshot_is_a_whole_ledger_of_its_own(ledger: SqlLedger, tmp_path: Path) -> None:
    await a_pass(ledger, MIXED)
    await ledger.begin_pass(NOW)
    folder = tmp_path / "copy"
    folder.mkdir()
    path = await ledger.snapshot(folder)
    assert path.stat().st_mode & 0o777 == 0o600
    copy = await open_ledger(path)
    await copy.begin_pass(NOW)
    assert [e async for e in copy.entries()] == [e async for e in ledger.entries()]
    await copy.record([Sighting(Job("only here", None, RemoteStatus.DONE, NOW, None))], NOW)
    await copy.close()
    assert await ledger.find(["only here"]) == []


async def test_a_snapshot_into_nowhere_is_told(ledger: SqlLedger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be copied"):
        await ledger.snapshot(tmp_path / "missing")
    assert await ledger.find(["a"]) == []
