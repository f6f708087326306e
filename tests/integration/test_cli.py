"""The command as a user meets it: exit codes, sentences, signals, JSON, and no traceback anywhere."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.site import jobs

from syncer import __version__
from syncer.cli.batch import is_unfiltered
from syncer.cli.root import COMMANDS
from syncer.sandbox.faults import Kind, When
from syncer.sandbox.faults_wire import Delay, ErrorPage, Slow, Stall, Status
from syncer.sandbox.scenarios import HEALTHY, Scenario

HALF = Scenario("half", storage=(Stall(when=When(first=1)),))
"""Each file stops in its middle: a pass is under way for as long as a test wants it to be."""

SLOW = Scenario("slow", storage=(Slow(rate=400_000, shared=True),))


def said(done, code):
    """What a failing command said: one short text, the right code, no traceback, no secret."""
    assert done.returncode == code, (done.stdout, done.stderr)
    text = done.stderr
    assert "Traceback" not in text + done.stdout
    assert "sk-" not in text.replace("sk-…", "")
    return text


class TestRun:
    def test_a_pass_and_its_report(self, site):
        here = site(jobs(3))
        done = here.command("run", here.dest, "--report", "-")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert report["version"] == 1
        assert report["jobs"]["stored"] == report["jobs"]["listed"] == 3
        assert (report["balanced"], report["exit_code"]) == (True, 0)
        assert len(here.files()) == 3
        assert "Fetched 3 files" in done.stderr
        assert "\r" not in done.stderr

    def test_the_report_goes_to_a_file_whole(self, site):
        here = site(jobs(1, size=1000))
        target = here.folder / "report.json"
        assert here.command("run", here.dest, "--report", target).returncode == 0
        assert json.loads(target.read_text())["jobs"]["stored"] == 1
        assert [p.name for p in here.folder.iterdir() if "report" in p.name] == ["report.json"]

    def test_quiet_is_silent_when_all_is_well(self, site):
        here = site(jobs(2, size=1000))
        done = here.command("run", here.dest, "--quiet")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_a_pass_is_scheduled_as_work_in_the_background(self, site):
        """Where no filter on system calls could mind: what it begins tells how it is scheduled itself."""
        here = site(jobs(1, size=1000))
        tell = "import os, sys; print('scheduled as', os.sched_getscheduler(0), file=sys.stderr)"
        done = here.command("run", here.dest, "--on-stored", shlex.join([sys.executable, "-c", tell]))
        status = Path("/proc/self/status").read_text(encoding="ascii")
        wanted = os.SCHED_BATCH if is_unfiltered(status) else os.sched_getscheduler(0)
        assert f"scheduled as {wanted}\n" in done.stderr

    def test_pending_files_end_with_6_and_are_named(self, site):
        here = site(jobs(2, size=1000), Scenario("t", storage=(ErrorPage(when=When(jobs=frozenset({"job-001"}))),)))
        text = said(here.command("run", here.dest, "--tries", 1), 6)
        assert "Film 1.mp4" in text
        assert "again" in text

    def test_a_profile_of_the_configuration_file_is_enough(self, site):
        here = site(jobs(1, size=1000))
        key = here.folder / "key"
        key.write_text(here.sandbox.api_key)
        config = here.folder / "syncer.toml"
        config.write_text(
            f'base_url = "{here.sandbox.base_url}"\n[profiles.home]\n'
            f'api_key_file = "{key}"\ndest = "{here.dest}"\nledger = "{here.ledger}"\n'
        )
        environ = {k: v for k, v in here.environ().items() if not k.startswith(("SYNCER", "VIDEO"))}
        done = here.command("run", "--config", config, "--profile", "home", environ=environ)
        assert done.returncode == 0, done.stderr
        assert len(here.files()) == 1


class TestBadInput:
    def test_no_key(self, site):
        here = site()
        environ = here.environ(VIDEO_DB_API_KEY="")
        assert "VIDEO_DB_API_KEY" in said(here.command("run", here.dest, environ=environ), 2)
        assert not here.dest.exists()

    def test_a_bad_key(self, site):
        here = site()
        text = said(here.command("run", here.dest, environ=here.environ(VIDEO_DB_API_KEY="sk-wrong-key")), 3)
        assert "key" in text

    def test_a_key_that_is_revoked_in_the_middle_of_a_listing(self, site):
        here = site(jobs(3, size=1000), Scenario("t", api=(Status(status=403, when=When(after=1, per_job=False)),)))
        said(here.command("run", here.dest), 3)

    def test_an_unreachable_api(self, site):
        here = site()
        environ = here.environ(VIDEO_DB_BASE_URL="http://127.0.0.1:9")
        text = said(here.command("run", here.dest, "--tries", 2, environ=environ), 4)
        assert "127.0.0.1" in text

    def test_a_failing_api_reports_an_incomplete_listing(self, site):
        here = site(jobs(3), Scenario("t", api=(Status(status=500),)))
        done = here.command("run", here.dest, "--tries", 2, "--report", "-")
        said(done, 4)
        report = json.loads(done.stdout)
        assert (report["listing"]["complete"], report["exit_code"]) == (False, 4)

    def test_bad_toml_and_an_unknown_profile(self, site):
        here = site()
        config = here.folder / "syncer.toml"
        config.write_text("workers = \n")
        assert "not valid TOML" in said(here.command("run", here.dest, "--config", config), 2)
        config.write_text("[profiles.home]\n")
        assert "home" in said(here.command("run", here.dest, "--config", config, "--profile", "work"), 2)

    def test_a_destination_that_is_a_file(self, site):
        here = site()
        here.dest.write_text("mine")
        said(here.command("run", here.dest), 5)
        assert here.dest.read_text() == "mine"

    def test_a_destination_whose_parent_is_missing(self, site):
        here = site()
        said(here.command("run", here.folder / "no" / "such" / "place"), 5)
        assert not (here.folder / "no").exists()

    def test_a_destination_that_went_away(self, site):
        here = site(jobs(1, size=1000))
        assert here.command("run", here.dest).returncode == 0
        here.dest.rename(here.folder / "unmounted")
        assert str(here.dest) in said(here.command("run", here.dest), 5)
        here.dest.mkdir()
        said(here.command("run", here.dest), 5)
        assert list(here.dest.iterdir()) == []

    def test_a_destination_of_another_ledger(self, site):
        here = site(jobs(1, size=1000))
        assert here.command("run", here.dest).returncode == 0
        before = {p: p.stat().st_mtime_ns for p in here.dest.rglob("*")}
        said(here.command("run", here.dest, "--ledger", here.folder / "other.db"), 5)
        assert {p: p.stat().st_mtime_ns for p in here.dest.rglob("*")} == before

    def test_a_damaged_ledger_is_left_as_it_is(self, site):
        here = site()
        here.ledger.parent.mkdir()
        here.ledger.write_bytes(b"this is no database" * 100)
        said(here.command("run", here.dest), 9)
        assert here.ledger.read_bytes() == b"this is no database" * 100

    @pytest.mark.parametrize(
        "argv",
        [
            ("run",), ("run", "videos", "--workers", "0"), ("run", "videos", "--wokers", "3"), ("rum", "videos"),
            ("run", "videos", "--report", "no/such/folder/report.json"), ("run", "s3://bucket"),
            ("sandbox", "--scenario", "nope"), ("sandbox", "--host", "0.0.0.0"), ("list", "--state", "nope"),
            ("retry", "job-000", "--state", "lost"),
        ],
    )  # fmt: skip
    def test_misuse_ends_with_2(self, site, argv):
        said(site().command(*argv), 2)

    def test_an_unwritable_state_folder(self, site):
        here = site()
        blocked = here.folder / "blocked"
        blocked.write_text("a file where a folder should be")
        said(here.command("run", here.dest, "--ledger", blocked / "ledger.db"), 9)


class TestSignals:
    def wait_for_bytes(self, here):
        """Until some of a file is on disk: the pass is in the middle of it then."""
        here.until(lambda: any(path.stat().st_size > 200_000 for path in here.partials()))

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_ends_a_pass_cleanly_and_the_next_goes_on(self, site, number, code):
        here = site(jobs(2, size=2_000_000), HALF)
        process = here.start("run", here.dest, "--report", "-", "--workers", 1)
        self.wait_for_bytes(here)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert process.returncode == code, err
        assert "Traceback" not in err
        report = json.loads(out)
        assert (report["exit_code"], report["balanced"]) == (code, True)
        assert here.partials()
        self.finish(here)

    def test_sigkill_in_the_middle_of_a_file_costs_only_what_was_in_flight(self, site):
        here = site(jobs(1, size=2_000_000), HALF)
        process = here.start("run", here.dest)
        self.wait_for_bytes(here)
        process.kill()
        process.communicate(timeout=20)
        self.finish(here)

    def finish(self, here):
        here.sandbox.set_scenario(HEALTHY)
        before = len(here.storage_requests())
        done = here.command("run", here.dest, "--report", "-")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["transfer"]["resumed"] == 1
        starts = [int(re.fullmatch(r"bytes=(\d+)-", r.range)[1]) for r in here.storage_requests()[before:] if r.range]
        assert any(start > 0 for start in starts)
        sizes = {path.stat().st_size for path in here.files().values()}
        assert sizes == {2_000_000}
        for job in here.sandbox.store.all():
            assert here.manifest()[job.id]["sha256"] == here.sandbox.digests(job.id).sha256
        assert here.partials() == []

    def test_a_second_pass_over_the_same_ledger_is_refused(self, site):
        here = site(jobs(1, size=2_000_000), HALF)
        process = here.start("run", here.dest)
        self.wait_for_bytes(here)
        assert "works on this ledger right now" in said(here.command("run", here.dest), 8)
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 143


class TestLedgerCommands:
    @pytest.fixture
    def here(self, site):
        here = site(jobs(3, size=1000), Scenario("t", storage=(ErrorPage(when=When(jobs=frozenset({"job-001"}))),)))
        assert here.command("run", here.dest, "--tries", 1).returncode == 6
        return here

    def test_status(self, here):
        done = here.command("status")
        assert done.returncode == 0
        assert re.search(r"2\s+stored", done.stdout)
        value = json.loads(here.command("status", "--json").stdout)
        assert (value["entries"]["stored"], value["entries"]["pending"]) == (2, 1)
        assert value["passes"][0]["exit_code"] == 6

    def test_list(self, here):
        assert "Film 1.mp4" in here.command("list", "--state", "pending").stdout
        rows = json.loads(here.command("list", "--json").stdout)
        assert {row["id"]: row["state"] for row in rows} == {
            "job-000": "stored", "job-001": "pending", "job-002": "stored",
        }  # fmt: skip
        assert not any("Signature" in str(row) for row in rows)
        assert json.loads(here.command("list", "--json", "--state", "lost").stdout) == []

    def test_retry(self, here):
        done = here.command("retry", "--json")
        assert json.loads(done.stdout)["put_back"] == ["job-001"]
        assert "nothing-such" in said(here.command("retry", "nothing-such"), 2)

    def test_a_stored_file_that_is_gone_is_fetched_again_when_asked_for(self, here):
        here.sandbox.set_scenario(HEALTHY)
        next(path for name, path in here.files().items() if "job-000" in name).unlink()
        assert here.command("run", here.dest).returncode == 0
        assert len(here.files()) == 2
        assert here.command("retry", "job-000").returncode == 0
        assert here.command("run", here.dest).returncode == 0
        assert len(here.files()) == 3

    def test_ledger_upgrade(self, here):
        done = here.command("ledger", "upgrade")
        assert (done.returncode, "up to date" in done.stdout) == (0, True)

    def test_ledger_check_and_backup(self, here):
        done = here.command("ledger", "check")
        assert (done.returncode, "is sound" in done.stdout) == (0, True)
        copy = here.folder / "copy.db"
        assert here.command("ledger", "backup", copy).returncode == 0
        assert copy.stat().st_mode & 0o077 == 0
        assert json.loads(here.command("status", "--json", "--ledger", copy).stdout)["entries"]["stored"] == 2
        assert "is there already" in said(here.command("ledger", "backup", copy), 2)
        pages = bytearray(here.ledger.read_bytes())
        pages[5000:9000] = bytes(4000)
        here.ledger.write_bytes(pages)
        said(here.command("ledger", "check"), 9)

    def test_commands_without_a_ledger_say_so(self, site):
        here = site()
        for command in ("status", "list"):
            said(here.command(command), 9)
            assert not here.ledger.exists()


class TestPlan:
    def test_it_tells_and_writes_nothing(self, site):
        here = site(jobs(5, size=1000))
        done = here.command("plan", here.dest, "--json")
        assert done.returncode == 0, done.stderr
        value = json.loads(done.stdout)
        assert (value["listed"], value["to_fetch"], value["jobs"]["stored"]) == (5, 5, 0)
        assert value["earliest_deadline"]
        assert not here.dest.exists()
        assert not here.ledger.exists()
        assert here.storage_requests() == []

    def test_it_knows_what_is_stored_and_leaves_the_ledger_as_it_was(self, site):
        here = site(jobs(5, size=1000))
        assert here.command("run", here.dest, "--include", "Film [0-2]*").returncode == 0
        before = here.ledger.read_bytes()
        done = here.command("plan", here.dest, "--json")
        assert json.loads(done.stdout)["to_fetch"] == 2
        assert json.loads(done.stdout)["bytes"]["estimated_total"] == 2000
        assert here.ledger.read_bytes() == before
        assert "2 to fetch" in here.command("plan", here.dest).stdout

    def test_a_bad_key_is_3_here_too(self, site):
        here = site()
        said(here.command("plan", environ=here.environ(VIDEO_DB_API_KEY="sk-wrong-key")), 3)


class TestHelp:
    @pytest.mark.parametrize("argv", [(), *((name,) for name in COMMANDS), ("ledger", "upgrade")])
    def test_every_command_explains_itself(self, site, argv):
        done = site().command(*argv, "--help")
        assert done.returncode == 0, done.stderr
        assert "Usage: syncer" in done.stdout
        for line in done.stdout.splitlines():
            assert len(line) <= 120

    def test_version(self, site):
        assert site().command("--version").stdout == f"syncer {__version__}\n"

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion(self, site, shell):
        done = site().command("completion", shell)
        assert done.returncode == 0
        assert "_SYNCER_COMPLETE" in done.stdout

    def test_completion_completes(self, site):
        program = shutil.which("syncer", path=str(sys.prefix) + "/bin")
        done = subprocess.run(
            [program],
            env={**site().environ(), "_SYNCER_COMPLETE": "bash_complete", "COMP_WORDS": "syncer r", "COMP_CWORD": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert {"plain,run", "plain,retry"} <= set(done.stdout.split())


class TestSandboxAndDemo:
    def test_the_sandbox_runs_until_stopped_and_says_where(self, site):
        here = site()
        process = here.start("sandbox", "--json", "--jobs", 2)
        told = json.loads(process.stdout.readline())
        environ = here.environ(VIDEO_DB_BASE_URL=told["base_url"], VIDEO_DB_API_KEY=told["api_key"])
        done = here.command("plan", "--json", environ=environ)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert json.loads(done.stdout)["listed"] == 2
        assert process.returncode == 0

    def test_the_demo(self, site):
        here = site()
        done = here.command("demo", "--files", 4, "--rate", 1000)
        assert done.returncode == 0, done.stderr
        assert "4 files in" in done.stderr
        assert "0 files fetched, 0 requests to the storage" in done.stderr
        again = here.command("demo", "--files", 4, "--rate", 1000)
        assert again.returncode == 0
        assert here.sandbox.log.requests(Kind.STORAGE) == []


class TestBrokenOutput:
    """Nobody listens: the pass goes on, and its exit code is its own."""

    REFUSED = Scenario("t", storage=(Status(status=403, when=When(jobs=frozenset({"job-001"}))),))

    @pytest.mark.parametrize(
        "tail", ["--report - | true", "2>&1 | true", "--report - >&-", "2>&-", "--report - > /dev/full", "2> /dev/full"]
    )
    def test_output_that_fails_does_not_change_the_exit_code(self, site, tail):
        here = site(jobs(2, size=1000), self.REFUSED)
        script = f"set -o pipefail; {sys.executable} -m syncer run {here.dest} {tail}"
        done = subprocess.run(
            ["bash", "-c", script], env=here.environ(), capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 7
        assert len(here.files()) == 1

    def test_a_signal_is_heard_when_standard_error_is_gone(self, site):
        here = site(jobs(2, size=2_000_000), HALF)
        script = f"exec {sys.executable} -m syncer run {here.dest}"
        process = subprocess.Popen(["bash", "-c", script], env=here.environ(), stderr=subprocess.PIPE)
        process.stderr.close()
        here.until(lambda: any(path.stat().st_size > 100_000 for path in here.partials()))
        process.terminate()
        assert process.wait(timeout=20) == 143

    def test_a_report_that_can_no_longer_be_written_is_told(self, site):
        here = site(jobs(1, size=2_000_000), SLOW)
        folder = here.folder / "reports"
        folder.mkdir()
        process = here.start("run", here.dest, "--report", folder / "report.json")
        here.until(here.partials)
        folder.rmdir()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "Fetched 1 file" in err
        assert "The report cannot be written" in err

    def test_a_pass_that_cannot_begin_leaves_no_stale_report(self, site):
        here = site(jobs(1, size=1000))
        target = here.folder / "report.json"
        assert here.command("run", here.dest, "--report", target).returncode == 0
        here.ledger.write_bytes(b"no database" * 100)
        assert here.command("run", here.dest, "--report", target).returncode == 9
        report = json.loads(target.read_text())
        assert (report["exit_code"], report["listing"]["complete"]) == (9, False)

    def test_a_link_and_a_pipe_stay_what_they_are(self, site):
        here = site(jobs(1, size=1000))
        link, real = here.folder / "link.json", here.folder / "real.json"
        link.symlink_to(real)
        assert here.command("run", here.dest, "--report", link).returncode == 0
        assert link.is_symlink()
        assert json.loads(real.read_text())["exit_code"] == 0
        assert here.command("run", here.dest, "--report", "/dev/null").returncode == 0


class TestEarlySignals:
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_key_command_that_hangs_can_be_left(self, site, number, code):
        here = site()
        asked = here.folder / "asked"
        command = f"sh -c 'touch {asked}; exec sleep 60'"
        process = here.start("run", here.dest, "--api-key-command", command)
        here.until(asked.exists)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
        assert process.returncode == code, err
        assert "Traceback" not in err

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_listing_that_does_not_answer_can_be_left(self, site, number, code):
        here = site(jobs(1), Scenario("t", api=(Delay(seconds=60),)))
        process = here.start("run", here.dest, "--report", "-")
        here.until(lambda: here.sandbox.log.requests(Kind.API))
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert process.returncode == code, err
        assert json.loads(out)["exit_code"] == code
