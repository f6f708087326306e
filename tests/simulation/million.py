"""Plans a million due entries, and tells seconds of CPU and megabytes; run by itself, so that the memory is its own."""

import json
import random
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from syncer.core.planner import Planner, Task
from syncer.core.rates import Line

NOW = datetime(2026, 11, 5, tzinfo=UTC)
CHUNK = 5000


def plan(count):
    """Twice what the line carries in a day, listed in no order; then a thousand files come and go."""
    rng = random.Random(1)
    before = _megabytes()
    planner, seconds, total = Planner(NOW), 0.0, 0
    for at in range(0, count, CHUNK):
        tasks = [
            Task(
                f"download-{n:08}",
                NOW + timedelta(seconds=rng.uniform(3600, 86400)),
                size=int(rng.lognormvariate(18, 1)),
            )
            for n in range(at, min(count, at + CHUNK))
        ]
        total += sum(task.size for task in tasks)
        begun = time.process_time()
        planner.add(tasks)
        seconds += time.process_time() - begun
    line = Line(total / 86400 / 2)
    begun = time.process_time()
    first = planner.decide(NOW, line, 8)
    seconds += time.process_time() - begun
    begun, running = time.process_time(), list(first.start)
    for n in range(1000):
        planner.remove(running.pop(0))
        running += planner.decide(NOW + timedelta(seconds=n / 10), line, 8).start
    each = (time.process_time() - begun) / 1000
    kept = planner.outlook(line, NOW).saved
    return {"count": count, "seconds": seconds, "megabytes": _megabytes() - before, "each": each, "kept": kept}


def _megabytes():
    """The most this process ever had; the kernel's count starts anew with a program, getrusage's does not."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


if __name__ == "__main__":
    sys.stdout.write(json.dumps(plan(int(sys.argv[1]))))
