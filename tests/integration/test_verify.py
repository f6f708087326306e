"""Scrubbing: what rots, goes missing or is moved is found and named, and comes back only when asked for."""

import asyncio
import json
import os
import shutil
import sqlite3

import pytest
from helpers.inprocess import invoke
from helpers.site import jobs

SIZE = 50_000


@pytest.fixture
def filled(site):
    here = site(jobs(7, size=SIZE))
    assert invoke(here, "run", here.dest, "--quiet").returncode == 0
    return here


def verify(here, *flags, code=0):
    done = invoke(here, "verify", here.dest, "--json", *flags)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def run(here):
    done = invoke(here, "run", here.dest, "--report", "-", "--quiet")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def files(here):
    return [path for _, path in sorted(here.files().items())]


def flip(path, at=1000):
    """One bit, and not a trace of it in the file's times or size."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_whole_archive_is_whole(filled):
    done = filled.command("verify", filled.dest, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    value = json.loads(done.stdout)
    assert (value["files"], value["bytes"], value["faults"], value["findings"]) == (7, 7 * SIZE, {}, [])
    done = invoke(filled, "verify", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "the ledger knows its destination"
    rows = json.loads(invoke(filled, "list", "--json").stdout)
    assert all(row["verified_at"] and row["fault"] is None for row in rows)


def test_what_rots_goes_or_grows_is_named_until_it_is_mended(filled):
    first, second, third, *_ = files(filled)
    whole = first.read_bytes()
    flip(first)
    second.unlink()
    third.write_bytes(third.read_bytes() + b"x")
    done = invoke(filled, "verify", filled.dest)
    assert done.returncode == 10
    for fault, path in (("changed", first), ("missing", second), ("wrong size", third)):
        assert [line for line in done.stdout.splitlines() if fault in line and path.name in line], done.stdout
    assert "--requeue" in done.stdout
    again = verify(filled, "--sample", "1/7", code=10)
    assert again["faults"] == {"changed": 1, "missing": 1, "wrong size": 1}, "named every night"
    first.write_bytes(whole)
    assert verify(filled, "--sample", "1/7", code=10)["faults"] == {"missing": 1, "wrong size": 1}


def test_a_pass_leaves_a_deleted_file_deleted_until_it_is_asked_for(filled):
    for path in files(filled)[:2]:
        path.unlink()
    asked = len(filled.storage_requests())
    report = run(filled)
    assert (report["jobs"]["stored"], report["transfer"]["fetched"]) == (7, 0)
    assert invoke(filled, "retry", "job-000").returncode == 0
    report = run(filled)
    assert (report["jobs"]["stored"], report["transfer"]["fetched"]) == (7, 1)
    assert len(filled.files()) == 6
    assert len(filled.storage_requests()) > asked
    assert [f["id"] for f in verify(filled, code=10)["findings"]] == ["job-001"]


def test_requeue_brings_back_what_is_missing_or_changed_and_keeps_what_was_there(filled):
    first, second, *_ = files(filled)
    flip(first)
    damaged = first.read_bytes()
    second.unlink()
    names = set(filled.files())
    value = verify(filled, "--requeue", code=10)
    found = {f["fault"]: f for f in value["findings"]}
    assert found.keys() == {"changed", "missing"}
    assert all(f["requeued"] for f in found.values())
    assert (filled.dest / found["changed"]["aside"]).read_bytes() == damaged
    report = run(filled)
    assert (report["transfer"]["fetched"], report["jobs"]["stored"]) == (2, 7)
    assert set(filled.files()) == names | {second.relative_to(filled.dest).as_posix()}, "under the names they had"
    assert verify(filled)["findings"] == []
    asyncio.run(filled.check_whole())


def test_what_was_deleted_on_purpose_is_named_no_more_until_it_is_back(filled):
    first, second, *_ = files(filled)
    whole = first.read_bytes()
    first.unlink()
    flip(second)
    value = verify(filled, "--accept-missing", code=10)
    assert {f["fault"]: f["accepted"] for f in value["findings"]} == {"missing": True, "changed": False}
    assert (value["accepted"], value["faults"]) == (1, {"changed": 1})
    flip(second)
    value = verify(filled, "--requeue")
    assert (value["findings"], value["accepted"], value["requeued"]) == ([], 0, 0)
    assert run(filled)["transfer"]["fetched"] == 0
    assert first.name not in invoke(filled, "ledger", "export", "--format", "sha256sum").stdout
    first.write_bytes(whole)
    assert verify(filled)["findings"] == []
    first.unlink()
    assert [f["fault"] for f in verify(filled, code=10)["findings"]] == ["missing"], "accepted once, not for ever"


def test_a_missing_file_is_fetched_again_or_deleted_for_good_but_not_both(filled):
    done = invoke(filled, "verify", "--requeue", "--accept-missing")
    assert done.returncode == 2
    assert "either" in done.stderr


def test_what_videodb_no_longer_has_is_told_by_the_next_pass(filled):
    files(filled)[0].unlink()
    filled.sandbox.store.remove("job-000")
    assert verify(filled, "--requeue", code=10)["requeued"] == 1
    done = invoke(filled, "run", filled.dest)
    assert done.returncode in (6, 7)
    assert "Film 0" in done.stderr


def test_a_moved_file_is_recognised_and_nothing_is_fetched(filled):
    away = filled.dest / "Best of" / "2026"
    away.mkdir(parents=True)
    first, second, *_ = files(filled)
    first.rename(away / "the launch.mp4")
    second.rename(away / second.name)
    asked = len(filled.storage_requests())
    value = verify(filled, "--requeue")
    assert sorted(f["moved_to"] for f in value["findings"]) == sorted(
        ["Best of/2026/the launch.mp4", f"Best of/2026/{second.name}"]
    )
    assert (value["moved"], value["requeued"], value["faults"]) == (2, 0, {})
    assert run(filled)["transfer"]["fetched"] == 0
    assert len(filled.storage_requests()) == asked
    asyncio.run(filled.check_whole())
    assert verify(filled)["findings"] == []


def test_a_renamed_folder_and_a_name_in_another_case_are_moves_too(filled):
    (filled.dest / "2026").rename(filled.dest / "last year")
    path = files(filled)[0]
    path.rename(path.with_name(path.name.upper()))
    value = verify(filled)
    assert (value["moved"], value["faults"]) == (7, {})
    path = files(filled)[0]
    path.rename(path.with_name(path.name.lower()))
    assert verify(filled)["moved"] == 1


def test_the_waste_bin_is_no_place_a_file_moved_to(filled):
    bin_ = filled.dest / "#recycle"
    bin_.mkdir()
    path = files(filled)[0]
    path.rename(bin_ / path.name)
    value = verify(filled, code=10)
    assert (value["moved"], value["faults"]) == (0, {"missing": 1})


def test_a_copy_is_no_move_and_a_link_is_not_followed(filled, tmp_path):
    first, second, *_ = files(filled)
    shutil.copy(first, filled.dest / "copy.mp4")
    outside = tmp_path / "outside"
    outside.mkdir()
    second.rename(outside / "film.mp4")
    (filled.dest / "linked").symlink_to(outside)
    value = verify(filled, code=10)
    assert (value["moved"], value["faults"]) == (0, {"missing": 1})


def test_seven_nights_read_every_file_once_and_a_new_one_does_not_push_in(filled):
    seen = []
    for _ in range(7):
        before = {row["id"]: row["verified_at"] for row in json.loads(invoke(filled, "list", "--json").stdout)}
        assert verify(filled, "--sample", "1/7")["files"] == 1
        after = {row["id"]: row["verified_at"] for row in json.loads(invoke(filled, "list", "--json").stdout)}
        seen += [job_id for job_id in after if after[job_id] != before[job_id]]
    assert sorted(seen) == [f"job-{n:03}" for n in range(7)]
    filled.sandbox.store.add(jobs(8, size=SIZE)[7])
    run(filled)
    assert verify(filled, "--sample", "1/8")["files"] == 1
    rows = json.loads(invoke(filled, "list", "--json").stdout)
    assert next(row for row in rows if row["id"] == seen[0])["verified_at"] > rows[-1]["stored_at"]


def test_an_absent_or_foreign_destination_is_5_and_nothing_is_written(filled, site):
    away = filled.dest.with_name("away")
    filled.dest.rename(away)
    assert invoke(filled, "verify").returncode == 5
    filled.dest.mkdir()
    done = invoke(filled, "verify", "--requeue")
    assert done.returncode == 5
    assert "marker" in done.stderr
    assert list(filled.dest.iterdir()) == []
    other = site(jobs(1, size=100))
    assert invoke(other, "run", other.dest).returncode == 0
    before = sorted(str(p) for p in other.dest.rglob("*"))
    assert invoke(filled, "verify", other.dest, "--requeue", "--json").returncode == 5
    assert sorted(str(p) for p in other.dest.rglob("*")) == before
    filled.dest.rmdir()
    away.rename(filled.dest)
    assert verify(filled)["faults"] == {}, "none was noted as missing"


def test_without_a_ledger_or_a_destination_there_is_nothing_to_verify(site):
    here = site()
    done = invoke(here, "verify", here.dest)
    assert (done.returncode, here.ledger.exists()) == (9, False)
    invoke(here, "ledger", "upgrade")
    done = invoke(here, "verify", here.folder)
    assert done.returncode == 5
    assert "syncer adopt" in done.stderr
    assert invoke(here, "verify", here.dest, "--sample", "8/7").returncode == 2
    assert invoke(here, "verify", here.dest, "--sample", "1/0").returncode == 2


@pytest.mark.parametrize("harm", ["gone", "torn", "a line short", "garbage"])
def test_a_manifest_that_is_not_what_it_should_be_is_written_anew(filled, harm):
    path = filled.dest / ".syncer/manifest.jsonl"
    text = path.read_bytes()
    match harm:
        case "gone":
            path.unlink()
        case "torn":
            path.write_bytes(text[:-20])
        case "a line short":
            path.write_bytes(text.partition(b"\n")[2])
        case "garbage":
            path.write_bytes(text + b'{"id": "x", "path": "../../x"}\n')
    assert verify(filled, "--sample", "1/7")["manifest_rewritten"] is True
    assert len(path.read_bytes().splitlines()) == 7
    asyncio.run(filled.check_whole())
    assert verify(filled, "--sample", "1/7")["manifest_rewritten"] is False


@pytest.mark.timeout(400)
def test_a_signal_ends_it_cleanly_and_what_was_read_counts(site):
    here = site(jobs(2, size=1000))
    assert invoke(here, "run", here.dest, "--quiet").returncode == 0
    # A hole so big that reading it lasts until the signal comes.
    os.truncate(files(here)[1], 1 << 40)
    with sqlite3.connect(here.ledger) as ledger:
        ledger.execute("UPDATE entries SET size = ? WHERE id = 'job-001'", (1 << 40,))
    ledger.close()
    process = here.start("verify", "--json", "--workers", 2)
    try:
        here.until(lambda: json.loads(invoke(here, "list", "--json").stdout)[0]["verified_at"], seconds=150)
        process.terminate()
        out, err = process.communicate(timeout=150)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 143, err
    value = json.loads(out)
    assert (value["complete"], value["files"]) == (False, 1)
