"""The manifest: every line that was written whole can be read, whatever stands around it."""

import asyncio
import json
import os
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncer.core.errors import DestinationRefused
from syncer.core.model import StoredFile
from syncer.destination import FolderDestination, ManifestLine, manifest_of, read_manifest
from syncer.destination.manifest import Manifest, parse_line
from syncer.destination.marker import Marker, Site
from syncer.runner.clock import SystemClock

SHA = "ab" * 32
AT = datetime(2026, 11, 5, 12, 30, 1, 250000, UTC)


def line(job_id: str = "job", **changes) -> ManifestLine:
    said = {"path": f"2026/{job_id}.mp4", "size": 5, "sha256": SHA, "etag": '"e"', "stored_at": AT, **changes}
    name = said.pop("name", "Film")
    return ManifestLine(job_id, name, StoredFile(**said))


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path / "dest")
    made.bind(Marker("dest-1", "ledger-1"), AT)
    return made


def append(site: Site, *lines: ManifestLine) -> None:
    manifest = Manifest(site)
    for each in lines:
        manifest.extend([each])
    manifest.close()


async def read(site: Site) -> list[ManifestLine]:
    return [each async for each in read_manifest(manifest_of(site.root))]


async def test_what_is_written_is_read(site):
    lines = [line("a", name=None, etag=None), line("b", name="\u2028 \n \ud800 \0 ☃", size=0), line("c")]
    append(site, *lines)
    assert await read(site) == lines
    text = manifest_of(site.root).read_bytes()
    assert text.isascii()
    assert text.count(b"\n") == 3
    said = json.loads(text.splitlines()[2])
    assert said == {
        "id": "c",
        "name": "Film",
        "path": "2026/c.mp4",
        "size": 5,
        "sha256": SHA,
        "etag": '"e"',
        "stored_at": "2026-11-05T12:30:01.250000Z",
    }


async def test_times_are_written_in_utc(site):
    append(site, line(stored_at=AT.astimezone(timezone(timedelta(hours=5, minutes=30)))))
    assert b"12:30:01.250000Z" in manifest_of(site.root).read_bytes()
    assert (await read(site))[0].file.stored_at == AT


async def test_the_last_line_of_an_id_counts(site):
    append(site, line("a", size=1), line("b"), line("a", size=2))
    append(site, line("a", size=3))
    assert [(each.id, each.file.size) for each in await read(site)] == [("b", 5), ("a", 3)]


async def test_no_manifest_has_no_lines(site):
    assert await read(site) == []


async def test_a_torn_line_is_left_behind_and_a_fresh_one_begun(site):
    append(site, line("a"), line("b"))
    path = manifest_of(site.root)
    os.truncate(path, path.stat().st_size - 20)
    append(site, line("c"))
    assert [each.id for each in await read(site)] == ["a", "c"]
    assert path.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{}",
        b"null",
        b"7",
        b'"text"',
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b"\0" * 4096,
        b'{"id": "x"',
        b'{"id": 1e999}',
    ],
)
async def test_garbage_between_lines_is_passed_over(site, garbage):
    append(site, line("a"))
    path = manifest_of(site.root)
    with path.open("ab") as file:
        file.write(garbage + b"\n")
    append(site, line("b"))
    assert [each.id for each in await read(site)] == ["a", "b"]


GOOD = {"id": "a", "name": "n", "path": "x/y", "size": 1, "sha256": SHA, "etag": None, "stored_at": AT.isoformat()}


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"id": 5},
        {"name": 5},
        {"path": "../x"},
        {"path": "/etc/passwd"},
        {"path": ".syncer/destination.json"},
        {"path": None},
        {"size": -1},
        {"size": "1"},
        {"size": True},
        {"size": 1.0},
        {"sha256": "AB" * 32},
        {"sha256": "ab"},
        {"sha256": None},
        {"etag": 5},
        {"stored_at": "yesterday"},
        {"stored_at": "2026-11-05T12:30:01"},
        {"stored_at": None},
        {"stored_at": "0001-01-01T00:00:00+23:00"},
    ],
)
def test_a_line_that_says_what_cannot_be_is_none(change):
    assert parse_line(json.dumps(GOOD).encode()) is not None
    assert parse_line(json.dumps({**GOOD, **change}).encode()) is None


@given(st.lists(st.integers(0, 400), min_size=1, max_size=5), st.lists(st.sampled_from("abc"), min_size=5, max_size=5))
@settings(max_examples=40, deadline=None)
def test_kills_at_any_byte_cost_that_line_only(cuts, ids):
    """Between two appends the file is cut anywhere in its last line, as a kill or a power cut may leave it."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder) / "dest")
        site.bind(Marker("dest-1", "ledger-1"), AT)
        expected: dict[str, int] = {}
        for number, (cut, job_id) in enumerate(zip(cuts, ids, strict=False)):
            path = manifest_of(site.root)
            before = path.stat().st_size if path.exists() else 0
            append(site, line(job_id, size=number))
            written = path.stat().st_size - before
            kept = written - min(cut, written)
            os.truncate(path, before + kept)
            if cut <= 1:  # without its line's end a line is still whole
                expected[job_id] = number
        found = {each.id: each.file.size for each in asyncio.run(read(site))}
        assert found == expected


async def test_many_appends_at_once_are_whole_lines(site):
    async with FolderDestination(site.root, clock=SystemClock()) as destination:
        await destination.prove("dest-1")
        partial = await destination.open_partial("seed")
        await partial.begin(0, frozenset())
        await partial.finish()
        await partial.publish("one.mp4", None)
        await partial.close()
        await asyncio.gather(
            *(destination.enlist(f"{n}", "x" * 500, line(f"{n}", path="one.mp4").file) for n in range(200))
        )
        await destination.flush()
        assert {each.id for each in await read(site)} == {f"{n}" for n in range(200)}


async def test_a_manifest_deleted_meanwhile_is_begun_anew(site):
    manifest = Manifest(site)
    manifest.extend([line("a")])
    manifest_of(site.root).unlink()
    manifest.extend([line("b")])
    manifest.close()
    assert [each.id for each in await read(site)] == ["b"]


async def test_a_write_that_fails_halfway_costs_its_line_only(site):
    manifest = Manifest(site)
    manifest.extend([line("a")])
    kept = os.dup(manifest._fd)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, manifest._fd)
    with pytest.raises(DestinationRefused, match="is full"):
        manifest.extend([line("b")])
    os.dup2(kept, manifest._fd)
    os.close(full)
    os.write(kept, b'{"id": "b", "na')  # what the disk still took
    os.close(kept)
    manifest.extend([line("c")])
    manifest.close()
    assert [each.id for each in await read(site)] == ["a", "c"]


async def test_a_manifest_that_is_a_link_is_not_written_through(site, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    manifest_of(site.root).symlink_to(victim)
    with pytest.raises(DestinationRefused):
        append(site, line("a"))
    assert victim.read_bytes() == b""


async def test_a_name_without_end_is_cut_and_its_line_can_be_read(site):
    append(site, line("a", name="\U0001f600" * 2_000_000), line("b"))
    a, b = await read(site)
    assert (a.id, b) == ("a", line("b"))
    assert a.name == "\U0001f600" * 50_000
    assert manifest_of(site.root).stat().st_size < 1024 * 1024


async def test_the_last_of_many_lines_counts_and_each_id_once(site):
    append(site, *(line(str(n % 700), size=n) for n in range(2000)))
    found = {each.id: each.file.size for each in await read(site)}
    assert found == {str(n % 700): n for n in range(2000)}
