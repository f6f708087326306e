"""Who is told what after a pass: the switch, the metrics file, the messages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from syncer.core.errors import UsageError
from syncer.core.model import Listing, Tally
from syncer.core.report import Deadlines, Report, Transfer
from syncer.reporting.metrics import write_metrics
from syncer.reporting.notify import subject
from syncer.reporting.past import Earlier, last_success, with_own

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WELL = Report(
    NOW, NOW + timedelta(seconds=5), 0, Listing(1, 3, 0, complete=True), Tally(stored=3), Transfer(fetched=2, bytes=99),
    Deadlines(),
)  # fmt: skip
FAILED = replace(WELL, exit_code=4)
LOST = replace(WELL, exit_code=7, deadlines=Deadlines(lost=("a", "b")))


@pytest.mark.parametrize(
    ("report", "before", "told"),
    [
        (WELL, (), "first pass went well"),
        (WELL, (None, 130), "first pass went well"),
        (WELL, (0,), None),
        (WELL, (None, 143, 0), None),
        (WELL, (4,), "well again"),
        (WELL, (7, 0), "well again"),
        (WELL, (143, 4, 0), "well again"),
        (FAILED, (0,), "exit code 4"),
        (FAILED, (4, 0), None),
        (FAILED, (143, None, 4, 0), None),
        (FAILED, (6, 4, 0), "exit code 4"),
        (FAILED, (), "exit code 4"),
        (LOST, (7,), "lost 2"),
        (replace(WELL, exit_code=130), (0,), None),
        (replace(WELL, exit_code=143), (), None),
    ],
)
def test_trouble_is_told_once_loss_always_and_recovery_too(report, before, told):
    found = subject(report, [Earlier(code, NOW) for code in before])
    assert (told is None) == (found is None)
    assert told is None or told in found


@pytest.mark.parametrize(
    ("report", "well"),
    [
        (WELL, True),
        (replace(WELL, exit_code=6), True),
        (FAILED, False),
        (LOST, False),
        (replace(WELL, jobs=Tally()), False),
    ],
)
def test_what_counts_as_well(report, well):
    assert report.is_well is well


def test_metrics_are_written_whole_and_with_units(tmp_path):
    path = tmp_path / "syncer.prom"
    write_metrics(replace(WELL, deadlines=Deadlines(earliest=NOW)), path, "home")
    lines = path.read_text().splitlines()
    assert 'syncer_jobs{profile="home",state="stored"} 3.0' in lines
    assert 'syncer_pass_transfer{kind="fetched",profile="home"} 2.0' in lines
    assert 'syncer_pass_received_bytes{profile="home"} 99.0' in lines
    (deadline,) = (line for line in lines if line.startswith("syncer_earliest_deadline_timestamp_seconds{"))
    assert float(deadline.split()[-1]) == NOW.timestamp()
    assert [p.name for p in tmp_path.iterdir()] == ["syncer.prom"]


def test_a_metrics_file_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(UsageError):
        write_metrics(WELL, tmp_path / "no" / "folder.prom", "home")


def test_the_last_success_is_this_pass_or_an_earlier_one():
    hour = timedelta(hours=1)
    earlier = [Earlier(None, None), Earlier(4, NOW - hour), Earlier(6, NOW - 2 * hour), Earlier(0, NOW - 3 * hour)]
    assert last_success(WELL, earlier) == WELL.finished_at
    assert last_success(FAILED, earlier) == NOW - 2 * hour
    assert last_success(LOST, earlier[:2]) is None


def test_a_pass_that_no_ledger_knows_is_remembered_by_the_process():
    hour = timedelta(hours=1)
    ledger = [Earlier(None, None), Earlier(0, NOW - hour)]
    assert with_own(Earlier(9, NOW), ledger) == [Earlier(9, NOW), *ledger]
    assert with_own(Earlier(9, NOW - 2 * hour), ledger) == ledger
    assert with_own(None, ledger) == ledger
