"""`syncer watch` as its user meets it: passes, signals, systemd, scrapers."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from helpers.site import jobs
from prometheus_client.parser import text_string_to_metric_families

from syncer.ledger import open_ledger
from syncer.sandbox.faults import Op, When
from syncer.sandbox.faults_wire import Slow, Status
from syncer.sandbox.model import JobStatus, LinkRules, Rules, SandboxJob
from syncer.sandbox.scenarios import HEALTHY, Scenario


@pytest.fixture
def watching(site):
    """Start a watch on a site; the log it writes. Whatever still runs at the end is killed."""
    started = []

    def start(here, *more, **environ):
        log = here.folder / "watch.log"
        argv = ("watch", here.dest, "--log-file", log, "--log-format", "json", *more)
        process = here.start(*argv, environ=here.environ(**environ))
        started.append(process)
        return process, Log(log)

    yield start
    for process in started:
        process.kill()
        process.communicate()


class Log:
    def __init__(self, path):
        self.path = path

    def events(self, name=None):
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        found = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return [event for event in found if name in (None, event["event"])]


def stop(process, number=signal.SIGTERM):
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def test_pass_follows_pass_and_new_jobs_come_home(site, watching):
    here = site(jobs(2, size=1000))
    process, log = watching(here, "--interval", "200ms")
    here.until(lambda: len(log.events("pass_report")) >= 2)
    here.sandbox.store.add(SandboxJob("later", "Later.mp4", size=500, created_at=datetime.now(UTC)))
    here.until(lambda: len(log.events("file_stored")) == 3)
    code, errors = stop(process)
    assert code == 143
    assert all(json.loads(line)["level"] != "error" for line in errors.splitlines() if line.startswith("{"))
    assert log.events("file_stored")[-1]["pass"] > 1


def test_a_signal_parks_partials_and_the_next_watch_goes_on(site, watching):
    here = site(jobs(2, size=4_000_000), Scenario("t", storage=(Slow(rate=300_000),)))
    process, _ = watching(here, "--interval", "1h")
    here.until(lambda: any(p.stat().st_size > 0 for p in here.partials()))
    assert stop(process, signal.SIGINT)[0] == 130
    assert here.partials()
    here.sandbox.set_scenario(HEALTHY)
    process, log = watching(here, "--interval", "1h")
    here.until(lambda: len(here.files()) == 2)
    here.until(lambda: log.events("pass_report")[-1]["exit_code"] == 0)
    assert log.events("pass_report")[-1]["transfer"]["resumed"] >= 1
    assert stop(process)[0] == 143


def test_failed_passes_are_followed_by_others_and_recovery(site, watching):
    down = Scenario("t", api=(Status(status=400, when=When(ops=frozenset({Op.LIST}))),))
    here = site(jobs(1, size=100), down)
    process, log = watching(here, "--interval", "100ms")
    here.until(lambda: len(log.events("pass_report")) >= 2)
    assert {event["exit_code"] for event in log.events("pass_report")} == {4}
    assert log.events("pass_planned")[0]["why"] == "the last pass failed"
    here.sandbox.set_scenario(HEALTHY)
    here.until(here.files)
    here.until(lambda: log.events("pass_report")[-1]["exit_code"] == 0)
    assert stop(process)[0] == 143


async def test_a_ledger_held_by_another_pass_is_waited_for(site, watching):
    here = site(jobs(1, size=100))
    ledger = await open_ledger(here.ledger)
    await ledger.begin_pass(datetime.now(UTC))
    process, log = watching(here, "--interval", "100ms")
    here.until(lambda: log.events("pass_planned"))
    assert log.events("pass_report")[0]["exit_code"] == 8
    assert log.events("pass_planned")[0]["why"] == "another pass holds the ledger"
    await ledger.close()
    here.until(lambda: log.events("pass_report")[-1]["exit_code"] == 0)
    assert stop(process)[0] == 143


def test_a_hangup_has_the_configuration_read_again(site, watching):
    here = site(jobs(1, size=100))
    config = here.folder / "syncer.toml"
    config.write_text('interval = "1h"\n')
    process, log = watching(here, "--config", config)
    here.until(lambda: log.events("pass_planned"))
    config.write_text('intervall = "1h"\n')
    process.send_signal(signal.SIGHUP)
    here.until(lambda: log.events("settings_reread"))
    assert "Did you mean `interval`" in log.events("settings_reread")[0]["problem"]
    config.write_text('interval = "100ms"\n')
    process.send_signal(signal.SIGHUP)
    here.until(lambda: len(log.events("pass_report")) >= 3)
    assert "problem" not in log.events("settings_reread")[1]
    assert stop(process)[0] == 143


def test_a_limit_on_the_rate_changes_while_a_file_comes(site, watching):
    here = site(jobs(1, size=3_000_000))
    config = here.folder / "syncer.toml"
    config.write_text('bwlimit = "20k"\n')
    process, log = watching(here, "--config", config)
    here.until(lambda: any(p.stat().st_size > 0 for p in here.partials()))
    config.write_text('bwlimit = "off"\n')
    process.send_signal(signal.SIGHUP)
    here.until(lambda: log.events("file_stored"), seconds=60)  # two and a half minutes at the old rate
    assert stop(process)[0] == 143


def test_systemd_is_told(site, watching, tmp_path):
    here = site(jobs(1, size=100))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        path = str(tmp_path / "n")
        channel.bind(path)
        channel.settimeout(0.1)
        told = []

        def hears(word):
            def look():
                with contextlib.suppress(TimeoutError):
                    told.append(channel.recv(4096).decode())
                return any(word in message for message in told)

            return look

        process, log = watching(here, NOTIFY_SOCKET=path, WATCHDOG_USEC="400000")
        here.until(hears("STATUS=next pass at"))
        assert told.index("READY=1") < next(i for i, m in enumerate(told) if m.startswith("STATUS=pass 1"))
        before = told.count("WATCHDOG=1")
        here.until(lambda: hears("never")() or told.count("WATCHDOG=1") > before + 3)
        process.send_signal(signal.SIGHUP)
        here.until(hears("RELOADING=1\nMONOTONIC_USEC="))
        here.until(lambda: hears("never")() or told.count("READY=1") == 2)
        process.send_signal(signal.SIGTERM)
        here.until(hears("STOPPING=1"))
        process.communicate(timeout=30)
        assert log.events("settings_reread")


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def port_of(here, log):
    def found():
        return [e for e in log.events("log") if "listening on" in e["message"]]

    here.until(found)
    return int(found()[0]["message"].rpartition(":")[2])


def test_scrapers_and_health_checks_are_answered(site, watching):
    here = site(jobs(3, size=1000))
    process, log = watching(here, "--listen", "0", "--profile", "home", "--config", _profiles(here))
    port = port_of(here, log)
    here.until(lambda: log.events("pass_planned"))
    status, text = get(port, "/metrics")
    assert status == 200
    samples = {
        (s.name, tuple(v for k, v in sorted(s.labels.items()) if k != "profile")): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    assert samples["syncer_stored_files_total", ()] == 3
    assert samples["syncer_received_bytes_total", ()] == 3000
    assert samples["syncer_jobs", ("stored",)] == 3
    assert samples["syncer_passes_total", ("0",)] == 1
    assert samples["syncer_pass_running", ()] == 0
    assert samples["process_resident_memory_bytes", ()] > 1e6
    assert 'profile="home"' in text
    status, text = get(port, "/healthz")
    assert (status, json.loads(text)["status"]) == (200, "ok")
    assert get(port, "/")[0] == 404
    assert here.sandbox.api_key not in text
    assert stop(process)[0] == 143


def _profiles(here):
    path = here.folder / "syncer.toml"
    path.write_text("[profiles.home]\nworkers = 2\n")
    return path


def test_health_fails_while_a_deadline_is_at_risk(site, watching):
    soon = Scenario(
        "t",
        rules=Rules(links=LinkRules(ttl=timedelta(minutes=20))),
        storage=(Status(status=503),),
    )
    here = site(jobs(1, size=1000), soon)
    process, log = watching(here, "--listen", "127.0.0.1:0", "--tries", "1")
    port = port_of(here, log)
    here.until(lambda: log.events("pass_planned"))
    assert log.events("pass_planned")[0]["why"] in ("files that are still pending", "a link that dies soon")
    status, text = get(port, "/healthz")
    assert status == 503
    assert "dies at" in json.loads(text)["reasons"][0]
    assert stop(process)[0] == 143


def test_an_address_that_is_taken_is_told(site):
    here = site(jobs(1))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = here.command("watch", here.dest, "--listen", taken.getsockname()[1])
    assert done.returncode == 2
    assert "Check --listen" in done.stderr


def test_what_cannot_work_is_told_at_once(site):
    done = site(jobs(1)).command("watch", "d", "--listen", "x:y")
    assert done.returncode == 2
    assert "no address" in done.stderr


def test_a_ledger_that_cannot_be_used_ends_it(site):
    here = site(jobs(1))
    here.ledger.parent.mkdir()
    here.ledger.write_bytes(b"no database" * 100)
    assert here.command("watch", here.dest).returncode == 9


def test_a_job_in_the_making_is_looked_for_sooner(site, watching):
    here = site([replace(jobs(1)[0], status=JobStatus.PROCESSING)])
    process, log = watching(here)
    here.until(lambda: log.events("pass_planned"))
    assert log.events("pass_planned")[0]["why"] == "jobs that VideoDB is making"
    assert stop(process)[0] == 143


def test_it_outlives_its_terminal_by_no_more_than_a_clean_end(site):
    """A terminal that closes sends SIGHUP: then nobody is there to look, and the watch ends."""
    here = site(jobs(1, size=100))
    ours, theirs = os.openpty()
    argv = ["setsid", "--ctty", sys.executable, "-m", "syncer", "watch", str(here.dest)]
    process = subprocess.Popen(argv, env=here.environ(), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    here.until(here.files)
    os.close(ours)
    assert process.wait(30) == 143


def test_passes_leave_nothing_open(site, watching):
    """Threads and files after many passes; `tests/soak` looks at a thousand, and at memory."""
    here = site(jobs(3, size=100))
    process, log = watching(here, "--interval", "10ms")

    def held():
        at_rest = log.events("pass_planned")
        files, threads = (len(list(Path(f"/proc/{process.pid}/{what}").iterdir())) for what in ("fd", "task"))
        return len(at_rest), files, threads

    here.until(lambda: held()[0] >= 4)
    early = [held() for _ in range(5)]
    here.until(lambda: held()[0] >= 16, seconds=90)
    late = [held() for _ in range(5)]
    # A pass that runs holds more than one that is over: the most of several looks, and some room.
    for what in (1, 2):
        assert max(look[what] for look in late) <= max(look[what] for look in early) + 8
    assert stop(process)[0] == 143
