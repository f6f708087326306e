"""The ledger for other programs: what they read is what is stored, and no link is among it."""

import asyncio
import csv
import json
import re
import subprocess
from dataclasses import replace

import pytest
from helpers.inprocess import invoke
from helpers.site import jobs

SIZE = 3_000
NAMES = ("Film.mp4", "=HYPERLINK(1)", 'a, "b"\nc', "\x1b[31mred", "Ünïcode ☃.mov")


@pytest.fixture
def filled(site):
    plain = jobs(1, size=SIZE)[0]
    held = [replace(plain, id=f"job-{n}", name=name) for n, name in enumerate(NAMES)]
    here = site([*held, replace(plain, id="later", name="Later", status="processing")])
    assert invoke(here, "run", here.dest, "--quiet").returncode == 0
    return here


def export(here, form):
    target = here.folder / f"export.{form}"
    done = invoke(here, "ledger", "export", target, "--format", form)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = target.read_text(encoding="utf-8")
    assert "http" not in text
    assert not re.search(r"[?&](X-|sig|Expires)", text)
    return text


def sha256sum(here, text):
    (here.folder / "SUMS").write_text(text, encoding="utf-8")
    return subprocess.run(
        ["sha256sum", "-c", "--strict", here.folder / "SUMS"],
        cwd=here.dest,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_json_lines_hold_every_entry(filled):
    rows = [json.loads(line) for line in export(filled, "jsonl").splitlines()]
    assert {row["id"]: row["name"] for row in rows} == {
        **{f"job-{n}": name for n, name in enumerate(NAMES)},
        "later": "Later",
    }
    stored = [row for row in rows if row["state"] == "stored"]
    assert len(stored) == 5
    assert all((filled.dest / row["path"]).stat().st_size == row["size"] for row in stored)


def test_csv_holds_the_same_and_no_formula(filled):
    rows = list(csv.DictReader(export(filled, "csv").splitlines(keepends=True)))
    names = {row["id"]: row["name"] for row in rows}
    assert (len(rows), names["job-0"], names["job-1"]) == (6, "Film.mp4", "'=HYPERLINK(1)")
    assert names["job-2"] == NAMES[2]
    assert "\x1b" not in names["job-3"]


def test_sha256sum_agrees_whatever_the_files_are_called(filled):
    """Names of a user's own choosing: found by their bytes, and escaped as GNU does."""
    odd = ("back\\slash.mp4", "new\nline.mp4", "-", " two  spaces .mp4", "return\r.mp4")
    for path, name in zip(sorted(filled.files().values()), odd, strict=True):
        path.rename(filled.dest / name)
    assert json.loads(invoke(filled, "verify", "--json").stdout)["moved"] == 5
    text = export(filled, "sha256sum")
    done = sha256sum(filled, text)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": OK") == 5
    path = filled.dest / " two  spaces .mp4"
    path.write_bytes(b"x" * SIZE)
    assert sha256sum(filled, text).returncode == 1


def test_it_goes_to_standard_output_too_and_no_half_file_is_left(filled):
    done = filled.command("ledger", "export", "--format", "sha256sum")
    assert (done.returncode, done.stdout) == (0, export(filled, "sha256sum"))
    nowhere = invoke(filled, "ledger", "export", filled.folder / "missing" / "x")
    assert nowhere.returncode == 2
    assert invoke(filled, "ledger", "export", "--ledger", filled.folder / "none.db").returncode == 9
    assert not list(filled.folder.glob(".export*"))
    assert asyncio.run(filled.entries("processing")).keys() == {"later"}
