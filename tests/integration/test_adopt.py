"""A ledger that was lost, a folder that is full: adopting it fetches nothing again."""

import json
import os

import pytest
from helpers.site import jobs


@pytest.fixture
def filled(site):
    here = site(jobs(4, size=50_000))
    assert here.command("run", here.dest).returncode == 0
    here.ledger.rename(here.folder / "old.db")
    return here


def test_without_adopting_a_new_ledger_is_refused_and_told_the_way_out(filled):
    done = filled.command("run", filled.dest)
    assert done.returncode == 5
    assert "syncer adopt" in done.stderr


def test_a_new_ledger_takes_everything_and_the_next_pass_fetches_nothing(filled):
    asked = len(filled.storage_requests())
    done = filled.command("adopt", filled.dest, "--json")
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert (value["adopted"], value["bytes"], value["missing"], value["changed"]) == (4, 200_000, [], [])
    again = filled.command("run", filled.dest, "--report", "-")
    report = json.loads(again.stdout)
    assert (again.returncode, report["jobs"]["stored"], report["transfer"]["fetched"]) == (0, 4, 0)
    assert len(filled.storage_requests()) == asked


def test_a_dry_run_changes_nothing(filled):
    marker = (filled.dest / ".syncer/destination.json").read_bytes()
    done = filled.command("adopt", filled.dest, "--dry-run")
    assert (done.returncode, "4 files would be adopted" in done.stdout) == (0, True)
    assert (filled.dest / ".syncer/destination.json").read_bytes() == marker
    assert not filled.ledger.exists()
    assert filled.command("run", filled.dest).returncode == 5


def test_a_flipped_bit_and_a_missing_file_are_fetched_again_not_adopted(filled):
    files = sorted(filled.files().values())
    stat = files[0].stat()
    data = bytearray(files[0].read_bytes())
    data[1000] ^= 1
    files[0].write_bytes(data)
    os.utime(files[0], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    files[1].unlink()
    value = json.loads(filled.command("adopt", filled.dest, "--json").stdout)
    assert (value["adopted"], len(value["missing"]), len(value["changed"])) == (2, 1, 1)
    report = json.loads(filled.command("run", filled.dest, "--report", "-").stdout)
    assert (report["exit_code"], report["jobs"]["stored"], report["transfer"]["fetched"]) == (0, 4, 2)


def test_the_ledger_that_had_the_folder_loses_it(filled):
    assert filled.command("adopt", filled.dest).returncode == 0
    done = filled.command("run", filled.dest, "--ledger", filled.folder / "old.db")
    assert done.returncode == 5


def test_a_ledger_with_a_destination_of_its_own_does_not_adopt_another(filled, tmp_path):
    other = tmp_path / "other"
    assert filled.command("run", other).returncode == 0
    assert filled.command("adopt", filled.dest).returncode == 5


def test_a_folder_that_is_not_there_is_5_and_one_that_lost_its_marker_can_be_adopted(filled):
    assert filled.command("adopt", filled.folder / "nowhere").returncode == 5
    (filled.dest / ".syncer/destination.json").unlink()
    assert filled.command("adopt", filled.dest, "--dry-run").returncode == 5
    assert filled.command("adopt", filled.dest).returncode == 0
    report = json.loads(filled.command("run", filled.dest, "--report", "-").stdout)
    assert (report["exit_code"], report["transfer"]["fetched"]) == (0, 0)
