"""Runs one program and says what it cost: the clock, the processor, and the most memory one of its processes had."""

import os
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

CALM = 1.0
"""Seconds between whatever was before and a run, on top of a sync: pages and blocks are given back afterwards."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run, or the medians of several."""

    wall: float  # seconds until the program ended
    durable: float  # seconds until all its bytes were on disk as well
    cpu: float  # seconds of processor, user and system, of the whole tree of processes
    rss: int  # bytes, of the largest process


def run(words: list[str], folder: Path, environ: dict[str, str], settle: Path | None) -> Cost:
    """Run a program in `folder`, and where `settle` is given, fsync its file system afterwards.

    Raises SystemExit with the end of what it said where it fails.
    """
    settle_disk(folder)
    time.sleep(CALM)
    log = folder / "said"
    with log.open("wb") as said:
        start = time.monotonic()
        process = subprocess.Popen(words, cwd=folder, env=environ, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if settle is not None:
        settle_disk(settle)
    durable = time.monotonic() - start
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)[:300]} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
    return Cost(wall, durable, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def settle_disk(folder: Path) -> None:
    """Everything that was written to the folder's file system, onto its disk."""
    subprocess.run(["sync", "-f", str(folder)], check=True)


def sha256sum(folder: Path) -> Cost:
    """What it costs to hash what lies in `folder`, on two cores as the programs have them."""
    script = "find . -type f -print0 | xargs -0 -P2 -n16 sha256sum > /dev/null"
    if len(list(folder.rglob("*.mp4"))) < 64:
        script = script.replace("-n16", "-n1")
    return run(["sh", "-c", f"cd {folder} && {script}"], folder.parent, dict(os.environ), None)


def medians(costs: list[Cost]) -> Cost:
    """The median of each figure by itself; the highest memory, because that is what has to be there."""
    return Cost(
        median(c.wall for c in costs),
        median(c.durable for c in costs),
        median(c.cpu for c in costs),
        max(c.rss for c in costs),
    )


def machine(folder: Path) -> str:
    """What it was measured on, in one paragraph, without a name of anybody's."""
    cpu = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in cpu.splitlines() if line.startswith("model name")), "?")
    flags = next((line.partition(":")[2].split() for line in cpu.splitlines() if line.startswith("flags")), [])
    notable = " ".join(flag for flag in ("sha_ni", "aes", "avx2", "avx512f") if flag in flags)
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=False).stdout
    kernel = ".".join(platform.release().split(".")[:2])
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({model}; {notable}), {memory:.0f} GiB of memory, Linux {kernel}, {kind.strip()} on a "
        f"local disk, Python {platform.python_version()}; nginx on loopback shares the cores with the client."
    )


def room_for(folder: Path, wanted: int) -> None:
    """Raises SystemExit where the disk has not that many bytes free."""
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise SystemExit(f"{folder} has {free / 2**30:.1f} GiB free, and {wanted / 2**30:.1f} are needed; see --temp.")
