"""Adopting without a whole manifest: what the files themselves prove, and nothing on a guess."""

import asyncio
import json
import os
import signal
from dataclasses import replace

import pytest
from helpers.inprocess import invoke
from helpers.site import jobs

SIZE = 20_000


def odd_jobs():
    """Ids and names that a careless reading of names would mix up."""
    plain = jobs(1, size=SIZE)[0]
    made = [
        ("job-001", "Film.mp4"),
        ("DL-2", "Upper.mp4"),
        ("a/b:c", "Slash.mp4"),
        ("a] [b", "Brackets.mp4"),
        ("b", "Other [a].mp4"),
        ("tilde~0123abcd", "Tilde.mp4"),
        ("no-extension", "Nameless"),
    ]
    return [replace(plain, id=job_id, name=name) for job_id, name in made]


@pytest.fixture
def filled(site):
    return fill(site(jobs(4, size=SIZE)))


def fill(here):
    assert invoke(here, "run", here.dest, "--quiet").returncode == 0
    for path in here.ledger.parent.iterdir():
        path.unlink()
    return here


def manifest_of(here):
    return here.dest / ".syncer/manifest.jsonl"


def adopt(here, *flags, code=0, **environ):
    done = invoke(here, "adopt", here.dest, "--json", *flags, **environ)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def next_pass(here):
    done = invoke(here, "run", here.dest, "--report", "-", "--quiet")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["transfer"]["fetched"]


def test_without_a_manifest_the_list_of_jobs_tells_whose_every_file_is(site):
    here = fill(site(odd_jobs()))
    manifest_of(here).unlink()
    dry = adopt(here, "--dry-run")
    assert (dry["adopted"], here.ledger.exists(), manifest_of(here).exists()) == (7, False, False)
    value = adopt(here)
    assert (value["adopted"], value["by_name"], value["left"]) == (7, 7, 0)
    assert next_pass(here) == 0
    asyncio.run(here.check_whole())


def test_a_name_that_two_jobs_would_have_is_neither_ones_proof(site):
    """One of them got another name, and which one no list can tell."""
    plain = jobs(1, size=SIZE)[0]
    pair = [replace(plain, id="a] [b", name="F.mp4"), replace(plain, id="b", name="F [a].mp4")]
    here = fill(site(pair))
    manifest_of(here).unlink()
    value = adopt(here)
    assert (value["adopted"], value["left"]) == (0, 2)
    assert next_pass(here) == 2


def test_without_a_key_only_what_can_be_no_others_is_taken(site):
    here = fill(site(odd_jobs()))
    manifest_of(here).unlink()
    value = adopt(here, VIDEO_DB_API_KEY="")
    assert (value["adopted"], value["left"]) == (3, 4)
    entries = asyncio.run(here.entries("stored"))
    assert entries.keys() == {"job-001", "DL-2", "no-extension"}
    assert next_pass(here) == 4
    entries = asyncio.run(here.entries("stored"))
    for job_id in ("a/b:c", "a] [b", "b", "tilde~0123abcd", *entries):
        digest = here.sandbox.digests(job_id).sha256
        assert entries[job_id].stored.sha256 == digest, "nobody got another's file"


def test_a_list_that_cannot_be_read_is_told_and_names_must_do(filled):
    manifest_of(filled).unlink()
    value = adopt(filled, VIDEO_DB_API_KEY="sk-wrong-key")
    assert value["listing_error"]
    assert (value["adopted"], value["by_name"]) == (4, 4)
    assert "sk-wrong" not in json.dumps(value)


def test_half_files_copies_and_strangers_are_left_alone(filled):
    manifest_of(filled).unlink()
    first = min(filled.files().values())
    first.with_name(first.name + ".part").write_bytes(b"half")
    first.with_suffix(".srt").write_bytes(b"subtitles")
    (filled.dest / "holiday.mp4").write_bytes(b"of my own")
    (filled.dest / "Other [job-777].mp4").write_bytes(b"")
    copy = filled.dest / "copies" / first.name
    copy.parent.mkdir()
    copy.write_bytes(first.read_bytes())
    os.mkfifo(filled.dest / "Pipe [job-9].mp4")
    value = adopt(filled)
    assert (value["adopted"], value["left"] + value["known"]) == (4, 5)
    assert next_pass(filled) == 0


def test_a_file_moved_while_the_ledger_was_lost_is_known_by_its_bytes(filled):
    first, second, *_ = sorted(filled.files().values())
    (filled.dest / "best").mkdir()
    first.rename(filled.dest / "best" / "the launch.mp4")
    second.rename(filled.dest / "best" / second.name)
    value = adopt(filled, VIDEO_DB_API_KEY="")
    assert (value["adopted"], value["moved"], value["missing"], value["left"]) == (4, 2, [], 0)
    assert next_pass(filled) == 0
    asyncio.run(filled.check_whole())


def test_a_name_does_not_outweigh_the_manifest(filled):
    """A file with a job's name and other bytes than were stored for it is not that job's file."""
    first = min(filled.files().values())
    away = filled.dest / "elsewhere" / first.name
    away.parent.mkdir()
    first.rename(away)
    away.write_bytes(b"cut to length by an editor")
    value = adopt(filled)
    assert (value["adopted"], len(value["missing"]), value["left"]) == (3, 1, 1)
    assert next_pass(filled) == 1


HOSTILE = [
    b'{"id": "evil", "name": "x", "path": "../../etc/passwd", "size": 1, "sha256": "' + b"0" * 64 + b'"}',
    b'{"id": "evil", "name": "x", "path": "/etc/passwd", "size": 1, "sha256": "%s", "etag": null, '
    b'"stored_at": "2026-11-05T12:00:00Z"}' % (b"0" * 64),
    b'{"id": "evil", "name": "x", "path": ".SYNCER/destination.json", "size": 1, "sha256": "%s", "etag": null, '
    b'"stored_at": "2026-11-05T12:00:00Z"}' % (b"0" * 64),
    b'{"id": "evil", "name": "x", "path": "a\\ud800.mp4", "size": 1, "sha256": "%s", "etag": null, '
    b'"stored_at": "2026-11-05T12:00:00Z"}' % (b"0" * 64),
    b'{"id": "evil", "name": "x", "path": "a.mp4", "size": 99999999999999999999, "sha256": "%s", "etag": null, '
    b'"stored_at": "2026-11-05T12:00:00Z"}' % (b"0" * 64),
    b'{"id": 7, "name": [], "path": {}, "size": "1", "sha256": null, "etag": 1, "stored_at": 1}',
    b"[" * 100_000,
    b"\xff\xfe\x00\x00",
    b"null",
    b'{"id": "long", "name": "' + b"x" * (17 << 20) + b'"}',
]


def test_a_damaged_and_hostile_manifest_is_survived_and_told(filled):
    whole = manifest_of(filled).read_bytes().splitlines()
    torn = whole[3][:-30]
    lines = [HOSTILE[0], whole[0], *HOSTILE[1:5], whole[1], *HOSTILE[5:], whole[2], torn]
    manifest_of(filled).write_bytes(b"\n".join(lines))
    value = adopt(filled)
    assert value["damaged_lines"] == len(HOSTILE) + 1
    assert (value["adopted"], value["by_name"], value["missing"], value["changed"]) == (4, 1, [], [])
    assert len(manifest_of(filled).read_bytes().splitlines()) == 4, "written anew"
    assert next_pass(filled) == 0
    asyncio.run(filled.check_whole())


def test_two_ids_with_one_path_are_one_too_many(filled):
    line = json.loads(manifest_of(filled).read_bytes().splitlines()[0])
    with manifest_of(filled).open("a") as file:
        file.write(json.dumps(line | {"id": "thief"}) + "\n")
    value = adopt(filled)
    assert (value["adopted"], value["damaged_lines"]) == (4, 1)


def test_a_damaged_marker_does_not_lock_the_owner_out(filled):
    (filled.dest / ".syncer/destination.json").write_bytes(b"")
    assert invoke(filled, "run", filled.dest).returncode == 5
    assert adopt(filled)["adopted"] == 4
    assert next_pass(filled) == 0


@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_binds_nothing_and_goes_on_later(site, number):
    here = fill(site(jobs(2, size=SIZE)))
    marker = (here.dest / ".syncer/destination.json").read_bytes()
    text = manifest_of(here).read_bytes()
    # A hole so big that reading it lasts until the signal comes.
    big = here.dest / "big.mp4"
    big.touch()
    os.truncate(big, 1 << 40)
    line = json.loads(text.splitlines()[0])
    manifest_of(here).write_text(json.dumps(line | {"id": "big", "path": "big.mp4", "size": 1 << 40}) + "\n")
    with manifest_of(here).open("ab") as file:
        file.write(text)
    process = here.start("adopt", here.dest, "--json")
    try:
        here.until(lambda: len(json.loads(invoke(here, "list", "--json").stdout or "[]")) == 2, seconds=150)
        process.send_signal(number)
        out, err = process.communicate(timeout=150)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, json.loads(out)["complete"]) == (128 + number, False), err
    assert "Traceback" not in err
    assert (here.dest / ".syncer/destination.json").read_bytes() == marker
    big.unlink()
    value = adopt(here)
    assert (value["adopted"], value["known"], value["missing"]) == (0, 2, ["big.mp4"])
    assert next_pass(here) == 0


def test_a_dry_run_on_a_ledger_that_knows_some_counts_as_the_real_one(filled):
    assert adopt(filled)["adopted"] == 4
    before = filled.ledger.read_bytes(), (filled.dest / ".syncer/destination.json").read_bytes()
    assert adopt(filled, "--dry-run")["known"] == 4
    assert (filled.ledger.read_bytes(), (filled.dest / ".syncer/destination.json").read_bytes()) == before
