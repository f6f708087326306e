"""A thousand passes of one watch: memory, threads and files stay what they were (I11).

pytest -m long -s tests/soak/test_watch_memory.py
"""

import os
import signal
import time
import urllib.request
from datetime import UTC, datetime

import pytest
from helpers.site import jobs
from prometheus_client.parser import text_string_to_metric_families

from syncer.sandbox.model import SandboxJob

PASSES = int(os.environ.get("MEMORY_PASSES", "1000"))


def look(pid):
    """KiB in memory, threads, open files."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["VmRSS"].split()[0]), int(fields["Threads"]), len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208


def passes_of(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return sum(s.value for f in families for s in f.samples if s.name == "syncer_passes_total")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_passes_leave_memory_flat(site):
    here = site(jobs(50, size=2000))
    log = here.folder / "watch.log"
    process = here.start("watch", here.dest, "--interval", "10ms", "--listen", "0", "--quiet", "--log-file", log)
    try:
        here.until(lambda: log.exists() and "listening on" in log.read_text(), seconds=120)
        port = int(log.read_text().split("listening on ")[1].split()[0].rpartition(":")[2])
        seen, begun = [], time.monotonic()
        for mark in range(PASSES // 10, PASSES + 1, PASSES // 10):
            while (done := passes_of(port)) < mark:
                assert process.poll() is None
                time.sleep(0.2)
            here.sandbox.store.add(SandboxJob(f"new-{mark}", f"New {mark}.mp4", 1000, created_at=datetime.now(UTC)))
            seen.append(look(process.pid))
            print(f"{done:6.0f} passes, {time.monotonic() - begun:6.1f} s: RSS {seen[-1][0]:,} KiB, "
                  f"{seen[-1][1]} threads, {seen[-1][2]} files", flush=True)  # fmt: skip
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 143
    settled, last = seen[1], seen[-1]
    assert last[0] < settled[0] * 1.05
    assert last[1] <= settled[1] + 2
    assert last[2] <= settled[2] + 2
