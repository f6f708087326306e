"""A watch left alone for half an hour while faults come and go and jobs are made: nothing lost, wrong, or growing.

    SOAK_MINUTES=30 pytest -m long -s tests/soak

Prints a line of figures a minute, and the sum at the end. Half a minute will do to see that it works.
"""

import asyncio
import json
import os
import random
import signal
import time
import urllib.request
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from syncer.sandbox.faults import Op, When
from syncer.sandbox.faults_wire import Reset, Slow, Status
from syncer.sandbox.model import JobStatus, LinkOrigin, LinkRules, Rules, SandboxJob
from syncer.sandbox.scenarios import HEALTHY, SCENARIOS, Scenario

MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
LISTED = frozenset({Op.LIST})

FAULTS = (
    *(
        SCENARIOS[name]
        for name in ("cut", "error-page", "ignored-range", "wrong-range", "server-errors", "rate-limited")
    ),
    *(SCENARIOS[name] for name in ("stalled", "naive-times", "shifting", "slow", "expiry")),
    Scenario("api-down", api=(Status(status=503, when=When(ops=LISTED)),)),
    Scenario("api-refuses", api=(Status(status=400, when=When(ops=LISTED)),)),
    Scenario("storage-down", storage=(Status(status=503),)),
    Scenario("storage-resets", storage=(Reset(when=When(every=2)),)),
    Scenario("crawling", storage=(Slow(rate=20_000),)),
    Scenario(
        "links-die-young",
        rules=Rules(links=LinkRules(ttl=timedelta(seconds=4), origin=LinkOrigin.REQUEST)),
        storage=(Slow(rate=60_000),),
    ),
)


def resident(pid):
    """KiB of the process that lie in memory."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


class Log:
    """The events of a log file that is still being written, each once, in bounded memory."""

    def __init__(self, path):
        self.path = path
        self.counts = Counter()
        self.codes = Counter()
        self.port = None
        self._read = 0
        self._inode = None

    def catch_up(self):
        for path in (self.path.with_name(self.path.name + ".1"), self.path):
            if path.exists():
                self._take(path)

    def _take(self, path):
        with path.open(encoding="utf-8") as file:
            inode = os.fstat(file.fileno()).st_ino
            if path == self.path and inode != self._inode:
                self._inode, self._read = inode, 0
            elif inode != self._inode:
                return
            file.seek(self._read)
            while (line := file.readline()).endswith("\n"):
                self._read = file.tell()
                self._count(json.loads(line))

    def _count(self, event):
        self.counts[event["event"]] += 1
        self.counts[event["level"]] += 1
        if event["event"] == "pass_report":
            self.codes[event["exit_code"]] += 1
        if "listening on" in event.get("message", ""):
            self.port = int(event["message"].rpartition(":")[2])


class Soak:
    def __init__(self, here, process, log):
        self.here, self.process, self.log = here, process, log
        self.rng = random.Random(SEED)
        self.made = 0
        self.switched = Counter()

    def make_jobs(self):
        now = datetime.now(UTC)
        for _ in range(self.rng.randint(0, 4)):
            self.made += 1
            job = SandboxJob(
                f"soak-{self.made:05}", f"Soak {self.made}.mp4", self.rng.randint(0, 300_000), created_at=now
            )
            if self.rng.random() < 0.3:
                ready = now + timedelta(seconds=self.rng.uniform(1, 20))
                job = replace(job, status=JobStatus.PROCESSING, ready_at=ready)
            self.here.sandbox.store.add(job)

    def switch(self):
        scenario = HEALTHY if self.rng.random() < 0.3 else self.rng.choice(FAULTS)
        self.switched[scenario.name] += 1
        self.here.sandbox.set_scenario(scenario)

    def run(self, seconds):
        start = time.monotonic()
        tell_at, switch_at, figures = start + 60, start, []
        while (now := time.monotonic()) < start + seconds:
            assert self.process.poll() is None
            self.make_jobs()
            if now >= switch_at:
                self.switch()
                switch_at = now + self.rng.uniform(5, 25)
            if now >= tell_at:
                tell_at += 60
                self.log.catch_up()
                figures.append(resident(self.process.pid))
                print(f"{(now - start) / 60:5.1f} min  {self.made} jobs made, {self.log.counts['file_stored']} stored, "
                      f"{sum(self.log.codes.values())} passes, RSS {figures[-1]:,} KiB", flush=True)  # fmt: skip
            time.sleep(1.5)
        return figures

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.log.port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        return {s.name: s.value for f in text_string_to_metric_families(text) for s in f.samples}


@pytest.mark.long
@pytest.mark.timeout(int(MINUTES * 60) + 900)
def test_a_watch_among_faults_loses_nothing_and_does_not_grow(site):
    here = site([])
    path = here.folder / "watch.log"
    argv = ["watch", here.dest, "--interval", "2s", "--read-timeout", "2s", "--tries", "3", "--listen", "0", "--quiet"]
    said = here.folder / "said"
    with said.open("w") as out:
        process = here.start(*argv, "--log-file", path, "--log-format", "json", stderr=out)
    log = Log(path)
    try:
        here.until(lambda: log.catch_up() or log.codes, seconds=120)
        first = resident(process.pid)
        soak = Soak(here, process, log)
        figures = soak.run(MINUTES * 60)
        here.sandbox.set_scenario(HEALTHY)
        process.send_signal(signal.SIGHUP)  # whatever it waits for, it plans anew
        # The sandbox's own faults make jobs too.
        everything = len(here.sandbox.store)
        here.until(lambda: len(here.files()) == everything, seconds=600)
        here.until(lambda: log.catch_up() or log.counts["file_stored"] >= everything, seconds=120)
        told, last = soak.metrics(), resident(process.pid)
        stopping = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        stopped_in = time.monotonic() - stopping
    finally:
        process.kill()
        process.wait()
    log.catch_up()
    asyncio.run(here.check_whole())
    kinds = ("fetch_failed", "fetch_restarted", "link_renewed", "request_retried", "entry_lost")
    print(
        f"jobs {everything}, stored {len(here.files())}, lost {log.counts['entry_lost']}, wrong 0\n"
        f"passes by exit code {dict(sorted(log.codes.items()))}\n"
        f"faults switched on {sum(soak.switched.values()) - soak.switched['healthy']}: {dict(soak.switched)}\n"
        f"trouble met: { {kind: log.counts[kind] for kind in kinds} }\n"
        f"RSS KiB: {first:,} after the first pass, {figures}, {last:,} at the end; SIGTERM took {stopped_in:.1f} s"
    )
    assert process.returncode == 143
    assert log.counts["entry_lost"] == told["syncer_pass_lost_files"] == 0
    assert "Traceback" not in said.read_text()
    assert here.sandbox.token_leaks == 0
    if len(figures) >= 10:  # settled after five minutes
        assert last < figures[4] * 1.15
