"""The marker: no folder without the right one is ever written to (I5)."""

import asyncio
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes.source import ManualClock

from syncer.core.errors import DestinationForeign, DestinationMissing, DestinationRefused, SyncerError
from syncer.destination import FolderDestination
from syncer.destination.marker import FRESH
from syncer.runner.clock import SystemClock


@pytest.fixture
async def opened(tmp_path):
    """Open a destination under a name in tmp_path; all are closed at the end."""
    made = []

    def make(name: str = "dest") -> FolderDestination:
        made.append(FolderDestination(tmp_path / name, clock=SystemClock()))
        return made[-1]

    yield make
    for destination in made:
        await destination.close()


def handles() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


async def test_binding_makes_the_last_part_only_and_writes_a_marker_that_says_all(opened, tmp_path):
    destination = opened()
    before = datetime.now(UTC)
    assert await destination.identify("ledger-1") is None
    await destination.bind("ledger-1", "dest-1")
    marker = json.loads((tmp_path / "dest/.syncer/destination.json").read_text())
    assert (marker["version"], marker["id"], marker["ledger_id"]) == (1, "dest-1", "ledger-1")
    assert before <= datetime.fromisoformat(marker["created_at"]) <= datetime.now(UTC)
    assert everything(tmp_path / "dest") == {".syncer", ".syncer/destination.json"}
    with pytest.raises(DestinationMissing, match=str(tmp_path / "no")) as caught:
        await opened("no/such").bind("ledger-1", "dest-1")
    assert caught.value.hint
    assert not (tmp_path / "no").exists()


async def test_binding_again_is_no_other_deed(opened):
    await opened().bind("ledger-1", "dest-1")
    await opened().bind("ledger-1", "dest-1")
    with pytest.raises(DestinationForeign, match="another destination"):
        await opened().bind("ledger-1", "dest-2")
    with pytest.raises(DestinationForeign, match="another ledger"):
        await opened().bind("ledger-2", "dest-2")
    assert await opened().identify("ledger-1") == "dest-1"


async def test_a_folder_full_of_files_can_be_bound_and_keeps_them(opened, tmp_path):
    (tmp_path / "dest").mkdir()
    (tmp_path / "dest/mine.mp4").write_bytes(b"mine")
    await opened().bind("ledger-1", "dest-1")
    assert (tmp_path / "dest/mine.mp4").read_bytes() == b"mine"


async def test_a_file_is_no_destination(opened, tmp_path):
    (tmp_path / "dest").write_bytes(b"")
    assert await opened().identify("ledger-1") is None
    with pytest.raises(DestinationRefused, match="is a file, not a folder"):
        await opened().bind("ledger-1", "dest-1")
    with pytest.raises(DestinationMissing):
        await opened("dest/inside").bind("ledger-1", "dest-1")


async def test_a_link_to_a_folder_is_a_destination(opened, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "dest").symlink_to("real")
    destination = opened()
    await destination.bind("ledger-1", "dest-1")
    await destination.prove("dest-1")
    assert (tmp_path / "real/.syncer/destination.json").exists()


async def test_a_relative_root_is_where_it_was_when_the_part_was_made(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with FolderDestination(Path("dest"), clock=SystemClock()) as destination:
        monkeypatch.chdir("/")
        await destination.bind("ledger-1", "dest-1")
        assert destination.location == str(tmp_path / "dest")
    assert (tmp_path / "dest/.syncer").is_dir()


async def test_proof_says_where_it_looked_and_the_way_out(opened, tmp_path):
    with pytest.raises(DestinationMissing, match="is it not mounted") as caught:
        await opened().prove("dest-1")
    assert str(tmp_path / "dest") in str(caught.value)
    (tmp_path / "dest").mkdir()
    with pytest.raises(DestinationForeign) as caught:
        await opened().prove("dest-1")
    assert str(tmp_path / "dest/.syncer/destination.json") in str(caught.value)
    assert "syncer adopt" in caught.value.hint
    assert everything(tmp_path) == {"dest"}
    await opened().bind("ledger-1", "dest-1")
    with pytest.raises(DestinationForeign, match="another destination"):
        await opened().prove("dest-2")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"version": 1, "id": "dest-1"}',
        b'{"version": 2, "id": "dest-1", "ledger_id": "ledger-1"}',
        b'{"version": 1, "id": 7, "ledger_id": "ledger-1"}',
        b'{"version": 1, "id": "", "ledger_id": "ledger-1"}',
        b"\0" * 100,
    ],
)
async def test_an_unreadable_marker_is_a_foreign_one(opened, tmp_path, content):
    path = tmp_path / "dest/.syncer/destination.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    for attempt in (
        lambda: opened().identify("ledger-1"),
        lambda: opened().prove("dest-1"),
        lambda: opened().bind("ledger-1", "dest-1"),
    ):
        with pytest.raises(DestinationForeign, match=str(path)):
            await attempt()
    assert path.read_bytes() == content


async def test_a_marker_that_is_a_link_or_a_folder_is_a_foreign_one(opened, tmp_path):
    good = tmp_path / "good"
    await opened("good").bind("ledger-1", "dest-1")
    bad = tmp_path / "dest/.syncer/destination.json"
    bad.parent.mkdir(parents=True)
    bad.symlink_to(good / ".syncer/destination.json")
    with pytest.raises(DestinationForeign):
        await opened().prove("dest-1")
    bad.unlink()
    bad.mkdir()
    with pytest.raises(DestinationForeign):
        await opened().prove("dest-1")


@pytest.mark.parametrize("kind", ["file", "link"])
async def test_notes_folder_that_is_none(opened, tmp_path, kind):
    (tmp_path / "dest").mkdir()
    if kind == "file":
        (tmp_path / "dest/.syncer").write_bytes(b"")
    else:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "dest/.syncer").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DestinationForeign):
        await opened().bind("ledger-1", "dest-1")
    assert everything(tmp_path) <= {"dest", "dest/.syncer", "elsewhere"}


async def test_nothing_is_written_where_the_mount_was(opened, tmp_path):
    destination = opened()
    await destination.bind("ledger-1", "dest-1")
    await destination.prove("dest-1")
    partial = await destination.open_partial("job")
    await partial.begin(0, frozenset())
    partial.write(b"bytes")
    await partial.finish()
    (tmp_path / "dest").rename(tmp_path / "unmounted")
    (tmp_path / "dest").mkdir()  # the mount point itself stays behind
    attempts = [
        lambda: partial.publish("2026/a.mp4", None),
        lambda: destination.open_partial("other"),
        lambda: destination.size_of("2026/a.mp4"),
        lambda: destination.sweep(["job"]),
        lambda: destination.prove("dest-1"),
    ]
    for attempt in attempts:
        with pytest.raises(DestinationForeign):
            await attempt()
    (tmp_path / "dest").rmdir()
    for attempt in attempts:
        with pytest.raises(DestinationMissing):
            await attempt()
    await partial.close()
    assert everything(tmp_path) & {"dest", "dest/.syncer", "dest/2026"} == set()
    (tmp_path / "unmounted").rename(tmp_path / "dest")
    partial = await destination.open_partial("job")
    assert partial.size == 5
    await partial.close()


async def test_everything_before_the_proof_is_a_bug(opened):
    with pytest.raises(AssertionError):
        await opened().open_partial("job")


async def test_messages_are_one_sentence_and_a_hint(opened, tmp_path):
    (tmp_path / "dest").mkdir()
    with pytest.raises(SyncerError) as caught:
        await opened().prove("dest-1")
    assert caught.value.message.endswith(".")
    assert caught.value.hint.endswith(".")
    assert caught.value.exit_code == 5


async def test_no_handle_stays_open(opened, tmp_path):
    destination = opened()
    await destination.bind("ledger-1", "dest-1")
    before = handles()
    for _ in range(5):
        await destination.prove("dest-1")
        assert await destination.identify("ledger-1") == "dest-1"
        with pytest.raises(DestinationForeign):
            await destination.identify("ledger-2")
        assert await destination.size_of("x") is None
    assert handles() == before


async def test_a_proof_that_steps_in_one_go_share_is_made_anew_once_it_is_stale(tmp_path):
    clock = ManualClock()
    async with FolderDestination(tmp_path / "dest", clock=clock) as destination:
        await destination.bind("ledger-1", "dest-1")
        before = handles()

        async def look(seconds: float) -> None:
            assert await destination.size_of("x") is None
            clock.advance(seconds)
            await destination.size_of("x")

        await asyncio.gather(*(destination.in_one_go(look, FRESH / 100) for _ in range(20)))
        (tmp_path / "dest").rename(tmp_path / "unmounted")
        (tmp_path / "dest").mkdir()
        await destination.in_one_go(look, 0)  # believed a moment longer, of the folder that was proven
        with pytest.raises(DestinationForeign):
            await destination.in_one_go(look, FRESH)
        with pytest.raises(DestinationForeign):
            await destination.in_one_go(look, 0)
        await destination.flush()
        assert handles() == before


async def test_between_two_passes_no_handle_keeps_a_file_system_from_being_unmounted(opened):
    destination = opened()
    await destination.bind("ledger-1", "dest-1")
    before = handles()
    for _ in range(3):
        await destination.prove("dest-1")
        await asyncio.gather(*(destination.in_one_go(destination.size_of, "2026/x") for _ in range(9)))
        await destination.flush()
        assert handles() == before


async def test_what_a_killed_bind_left_is_cleared_away_and_never_written_over(opened, tmp_path):
    first = opened("dest")
    await first.bind("ledger-1", "dest-1")
    private = tmp_path / "dest/.syncer"
    marker = private / "destination.json"
    before = marker.read_bytes()
    draft = private / f"destination.{hashlib.sha256(b'ledger-1').hexdigest()[:12]}.tmp"
    os.link(marker, draft)  # killed between the marker's two names
    await opened("dest").bind("ledger-1", "dest-1")
    assert everything(tmp_path / "dest") == {".syncer", ".syncer/destination.json"}
    assert marker.read_bytes() == before
    marker.unlink()
    draft.write_bytes(b'{"half')  # killed while it wrote
    await opened("dest").bind("ledger-1", "dest-2")
    assert everything(tmp_path / "dest") == {".syncer", ".syncer/destination.json"}
