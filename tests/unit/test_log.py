"""Where log lines go and what they look like."""

import io
import json
import logging
import os
from datetime import UTC, datetime

import pytest

from syncer.core.errors import UsageError
from syncer.core.events import EntryLost, FileStored, PassEnded, PassPlanned, PassStarted, SettingsReread
from syncer.reporting import log
from syncer.reporting.eventlog import EventLog
from syncer.reporting.log import Style, configure, is_journal


@pytest.fixture
def written():
    """Configure the log; what the stream was sent."""
    root = logging.getLogger()
    kept, level = list(root.handlers), logging.getLogger("syncer").level
    root.handlers[:] = []
    stream = io.StringIO()

    def start(verbosity=1, style=Style(dated=True), file=None):  # noqa: B008 - frozen
        configure(stream, verbosity, style, file)
        return stream.getvalue

    yield start
    logging.captureWarnings(capture=False)
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = kept
    logging.getLogger("syncer").setLevel(level)


def a_pass(observer):
    observer.notify(PassStarted(7, "/videos"))
    observer.notify(FileStored("job-1", "Film", "2026/Film.mp4", 2048, 2048))
    logging.getLogger("syncer.runner.worker").warning("something odd")
    observer.notify(EntryLost("job-2", "Other", "refused"))
    observer.notify(PassEnded(7))


def test_machines_get_one_event_a_line_with_pass_and_job(written):
    seen = written(style=Style(as_json=True))
    a_pass(EventLog())
    lines = [json.loads(line) for line in seen().splitlines()]
    assert [(line["event"], line["level"], line["pass"], line.get("job")) for line in lines] == [
        ("pass_started", "info", 7, None),
        ("file_stored", "info", 7, "job-1"),
        ("log", "warning", 7, None),
        ("entry_lost", "error", 7, "job-2"),
        ("pass_ended", "warning", 7, None),
    ]
    assert lines[1]["path"] == "2026/Film.mp4"
    assert lines[1]["size"] == 2048
    assert all(line["timestamp"].endswith("Z") for line in lines)
    logging.getLogger("syncer.x").warning("between passes")
    assert "pass" not in json.loads(seen().splitlines()[-1])


def test_people_get_lines_with_times(written):
    seen = written()
    a_pass(EventLog())
    lines = seen().splitlines()
    assert lines[1][19:].startswith("Z info    stored 2026/Film.mp4 (2.0 KiB)  pass=7  job=job-1")
    assert lines[3].endswith("LOST Other: refused  pass=7  job=job-2")


@pytest.mark.parametrize(
    ("verbosity", "told"),
    [(-1, ["warning"]), (0, ["warning"]), (1, ["info", "warning"]), (2, ["debug", "info", "warning"])],
)
def test_the_quieter_the_less_is_told(written, verbosity, told):
    seen, ours = written(verbosity, Style()), logging.getLogger("syncer.runner.worker")
    for level in ("debug", "info", "warning"):
        getattr(ours, level)(level)
    assert [line.removeprefix("syncer: ") for line in seen().splitlines()] == told


def test_the_journal_gets_priorities_and_no_times(written):
    seen = written(style=Style(dated=True, journal=True))
    a_pass(EventLog())
    lines = seen().splitlines()
    assert lines[1] == "<6>stored 2026/Film.mp4 (2.0 KiB)  pass=7  job=job-1"
    assert [line[:3] for line in lines] == ["<6>", "<6>", "<4>", "<3>", "<4>"]


def test_json_in_the_journal_has_a_priority_too(written):
    seen = written(style=Style(as_json=True, journal=True))
    a_pass(EventLog())
    line = seen().splitlines()[3]
    assert line[:3] == "<3>"
    assert "timestamp" not in json.loads(line[3:])


def test_events_are_left_to_the_bars_where_they_tell_them(written, tmp_path):
    file = tmp_path / "syncer.log"
    seen = written(0, Style(shows_events=False), str(file))
    a_pass(EventLog())
    assert seen() == "syncer: something odd\n"
    assert len(file.read_text().splitlines()) == 5


def test_names_from_outside_stay_on_one_line_and_cannot_speak_to_the_terminal(written):
    for as_json in (False, True):
        seen = written(style=Style(as_json=as_json, dated=True))
        before = len(seen())
        EventLog().notify(EntryLost("a\nb\x1b[2J", "n\u202eame\x07\r\n", "re\nason"))
        line = seen()[before:]
        assert line.count("\n") == 1
        assert not set("\x1b\x07\r\u202e") & set(line)


def test_a_traceback_is_one_line(written):
    seen = written()
    try:
        raise ValueError("x")  # noqa: TRY301
    except ValueError:
        logging.getLogger("syncer.x").exception("it broke")
    assert seen().count("\n") == 1
    assert "ValueError: x" in seen()


def test_other_libraries_speak_through_the_same_door(written):
    seen = written()
    logging.getLogger("somebody").warning("asked https://h/p?X-Goog-Signature=abc")
    logging.getLogger("somebody").info("chatter")
    assert "https://h/p?[hidden]" in seen()
    assert "chatter" not in seen()


def test_the_file_is_put_aside_when_it_grows_too_large(written, tmp_path, monkeypatch):
    monkeypatch.setattr(log, "FILE_BYTES", 1000)
    written(file=str(tmp_path / "s.log"))
    for _ in range(200):
        logging.getLogger("syncer.x").info("some line of some length")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.log", *(f"s.log.{n}" for n in range(1, 6))]
    assert all(p.stat().st_size <= 1000 for p in tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_told(written, tmp_path):
    with pytest.raises(UsageError, match="no/such"):
        written(file=str(tmp_path / "no/such/folder.log"))


def test_a_closed_stream_harms_nobody(written, capfd):
    stream = io.StringIO()
    written()
    configure(stream, 1, Style())
    stream.close()
    logging.getLogger("syncer.x").warning("nobody hears")
    assert capfd.readouterr().err == ""


def test_what_a_watch_tells(written):
    seen = written()
    observer = EventLog()
    observer.notify(SettingsReread())
    observer.notify(SettingsReread("no such key"))
    observer.notify(PassPlanned(datetime(2026, 11, 23, 12, tzinfo=UTC), "the interval"))
    lines = seen().splitlines()
    assert "read again" in lines[0]
    assert "warning" in lines[1]
    assert "stays in force: no such key" in lines[1]
    assert lines[2].endswith("next pass at 2026-11-23 12:00:00 UTC (the interval)")


def test_the_journal_is_recognised_by_its_inode(tmp_path):
    with (tmp_path / "f").open("w") as file:
        found = os.fstat(file.fileno())
        assert is_journal(file, f"{found.st_dev}:{found.st_ino}")
        assert not is_journal(file, f"{found.st_dev}:{found.st_ino + 1}")
        assert not is_journal(file, None)
    assert not is_journal(io.StringIO(), "1:2")
