"""Bounds on a pass, and the user's own commands."""

import json
import shlex
import sys

import pytest
from helpers.site import jobs

from syncer.sandbox.faults import When
from syncer.sandbox.faults_wire import Cut, Slow
from syncer.sandbox.model import SandboxJob
from syncer.sandbox.scenarios import HEALTHY, Scenario

SLOW = Scenario("t", storage=(Slow(rate=200_000),))


async def test_no_more_files_than_asked_for(site):
    here = site(jobs(7, size=2000))
    for stored in (3, 6, 7):
        report = await here.sync(max_files="3")
        assert report.jobs.stored == len(here.files()) == stored
        assert report.listing.complete
        left = 7 - stored
        assert (report.exit_code, report.limited) == ((6, True) if left else (0, False))
        assert report.failures == ()
        assert report.reason == ("--max-files was reached; what is left waits for the next pass." if left else None)
    await here.check_whole()


async def test_failed_tries_are_no_files(site):
    here = site(jobs(4, size=200_000), Scenario("t", storage=(Cut(when=When(first=1)),)))
    report = await here.sync(max_files="3", workers="2")
    assert report.jobs.stored == 3
    assert report.transfer.retries >= 3


async def test_bytes_are_bounded_and_partials_kept(site):
    here = site(jobs(3, size=600_000), SLOW)
    report = await here.sync(max_bytes="150k")
    assert report.exit_code == 6
    assert report.reason.startswith("--max-bytes")
    assert report.jobs.pending == 3
    assert 150 * 1024 <= report.transfer.bytes < 1_500_000
    assert here.partials()
    here.sandbox.set_scenario(HEALTHY)
    again = await here.sync()
    assert again.exit_code == 0
    assert again.transfer.resumed >= 1
    await here.check_whole()


async def test_time_is_bounded_and_the_list_is_read_all_the_same(site):
    here = site(jobs(3, size=40_000_000), SLOW)
    report = await here.sync(max_duration="500ms")
    assert report.exit_code == 6
    assert report.reason.startswith("--max-duration")
    assert report.listing.complete


async def test_a_limit_that_is_not_reached_is_not_told(site):
    here = site(jobs(2, size=1000))
    report = await here.sync(max_files="2", max_bytes="1G", max_duration="1h")
    assert (report.exit_code, report.reason, report.limited) == (0, None, False)


# --- Commands ---

TELL = """
import json, os, sys
with open(sys.argv[1], "a") as file:
    file.write(json.dumps(dict(os.environ)) + "\\n")
"""


def teller(here, name="told.jsonl"):
    """A command that writes down its environment, and what it wrote."""
    script, told = here.folder / "tell.py", here.folder / name
    script.write_text(TELL)

    def read():
        return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []

    return shlex.join([sys.executable, str(script), str(told)]), read


HOSTILE = [
    "$(touch owned) `touch owned`; touch owned | touch owned && touch owned",
    "-rf ../../etc/passwd\n--option \x1b[31m\x00 end",
    "x" * 200_000,
    "\U0001f3ac \u202efilm'\"",
    "",
    None,
]


def test_each_stored_file_is_told_by_the_environment_alone(site):
    here = site([SandboxJob(f"job-{n}", name, size=1000 + n) for n, name in enumerate(HOSTILE)])
    command, told = teller(here)
    secret = {"SYNCER_PING_URL": "http://127.0.0.1:9/secret-switch", "KEPT": "yes"}
    done = here.command("run", here.dest, "--on-stored", command, environ=here.environ(**secret))
    assert done.returncode == 0, done.stderr
    by_id = {env["SYNCER_ID"]: env for env in told()}
    assert set(by_id) == {f"job-{n}" for n in range(6)}
    manifest = here.manifest()
    for n, name in enumerate(HOSTILE):
        env = by_id[f"job-{n}"]
        assert (here.dest / manifest[f"job-{n}"]["path"]).samefile(env["SYNCER_PATH"])
        assert env["SYNCER_RELATIVE_PATH"] == manifest[f"job-{n}"]["path"]
        assert env["SYNCER_SHA256"] == manifest[f"job-{n}"]["sha256"]
        assert env["SYNCER_SIZE"] == str(1000 + n)
        assert env["SYNCER_NAME"] == (name or "").replace("\0", "\ufffd")[:4096]
        assert env["KEPT"] == "yes"
        everything = json.dumps(env)
        assert here.sandbox.api_key not in everything
        assert "secret-switch" not in everything
        assert "Signature" not in everything
    assert not list(here.folder.rglob("owned"))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sh -c 'exit 3'", "ended with 3"),
        ("/no/such/program", "cannot be run: No such file or directory"),
        ("sh -c 'trap \"\" TERM; sleep 600 & sleep 600'", "took longer than 0.5 s and was ended"),
    ],
)
def test_a_command_that_fails_is_told_and_the_file_stays_stored(site, command, words):
    here = site(jobs(1, size=1000))
    done = here.command("run", here.dest, "--on-stored", command, "--hook-timeout", "500ms")
    assert done.returncode == 0
    assert f"Film 0.mp4: the --on-stored command {words}; the file is stored." in done.stderr
    assert len(here.files()) == 1


def test_each_pass_is_told(site):
    here = site(jobs(3, size=1000))
    command, told = teller(here)
    argv = ("run", here.dest, "--on-pass", command, "--max-files", 2)
    assert [here.command(*argv).returncode for _ in range(2)] == [6, 0]
    here.sandbox.api_key = "sk-another"
    assert here.command(*argv, environ=here.environ(VIDEO_DB_API_KEY="sk-wrong")).returncode == 3
    names = ("SYNCER_EXIT_CODE", "SYNCER_FETCHED", "SYNCER_STORED", "SYNCER_PENDING", "SYNCER_BALANCED")
    assert [tuple(env[name] for name in names) for env in told()] == [
        ("6", "2", "2", "1", "1"),
        ("0", "1", "3", "0", "1"),
        ("3", "0", "0", "0", "1"),
    ]
    assert "max-files" in told()[0]["SYNCER_REASON"]


def test_a_pass_that_cannot_begin_is_told_too_and_a_failing_command_changes_nothing(site):
    here = site(jobs(1))
    here.ledger.parent.mkdir()
    here.ledger.write_bytes(b"no database" * 100)
    command, told = teller(here)
    assert here.command("run", here.dest, "--on-pass", command).returncode == 9
    assert told()[0]["SYNCER_EXIT_CODE"] == "9"
    here.ledger.unlink()
    done = here.command("run", here.dest, "--on-pass", "sh -c 'exit 3'")
    assert done.returncode == 0
    assert "the --on-pass command ended with 3" in done.stderr


@pytest.mark.parametrize("command", ["", "sh -c 'unclosed"])
def test_what_is_no_command_is_refused(site, command):
    done = site(jobs(1)).command("run", "d", "--on-stored", command)
    assert done.returncode == 2


async def test_what_a_command_prints_is_not_on_standard_output(site):
    here = site(jobs(1, size=1000))
    done = here.command("run", here.dest, "--on-stored", "echo hello", "--report", "-")
    assert json.loads(done.stdout)["exit_code"] == 0
    assert "hello" in done.stderr
