"""A million jobs: the first listing, a pass with nothing new, and `syncer status`.

The jobs' creation lies before `--since`, so that all of them are listed and counted, and no file is fetched.
"""

import json
import os
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import corpus, measure, servers
from tests.benchmarks.measure import Cost

SHARED = 2000
"""Different signatures; more would only make the list slower to write."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command over the many jobs, what it cost and what it may cost."""

    name: str
    cost: Cost
    goal: str


def measure_million(count: int, temp: Path | None, tell: Callable[[str], None]) -> list[Step]:
    """Raises SystemExit where a pass does not list every job."""
    parent = temp or Path(tempfile.gettempdir())
    measure.room_for(parent, 4 * count * corpus.ENTRY_BYTES)
    with tempfile.TemporaryDirectory(prefix="syncer-bench-", dir=parent) as name:
        folder = Path(name)
        tell(f"making a list of {count:,} jobs")
        _make_list(folder / "list", count)
        (folder / "dest").mkdir()
        with servers.api(folder / "list") as api:
            steps = [
                ("first listing", _run(folder, api), "60 s of CPU, 200 MB"),
                ("a pass with nothing new", _run(folder, api), "30 s of CPU"),
                ("syncer status", [sys.executable, "-m", "syncer", "status", *_ledger(folder)], "1 s"),
            ]
            done = []
            for title, words, goal in steps:
                cost = measure.run(words, folder, _environ(), None)
                if "run" in words and (listed := _listed(folder)) != count:
                    raise SystemExit(f"{listed:,} jobs were listed instead of {count:,}")
                tell(f"{title}: {cost.wall:.2f} s, cpu {cost.cpu:.2f}, {cost.rss / 1e6:.0f} MB")
                done.append(Step(title, cost, goal))
            return done


def table(count: int, steps: list[Step]) -> str:
    """The figures in Markdown."""
    lines = [f"| {count:,} jobs | s | CPU, s | peak memory, MB | goal |", "|---|--:|--:|--:|---|"]
    for step in steps:
        cost = step.cost
        lines.append(f"| {step.name} | {cost.wall:.2f} | {cost.cpu:.2f} | {cost.rss / 1e6:.0f} | {step.goal} |")
    return "\n".join(lines)


def _make_list(path: Path, count: int) -> None:
    rng = random.Random(1)
    signatures = [corpus.signature(rng) for _ in range(SHARED)]
    with path.open("wb") as out:
        for number in range(count):
            link = f"https://storage.googleapis.com/videodb/{number:012x}/film.mp4?{signatures[number % SHARED]}"
            out.write(corpus.entry(number, link))


def _ledger(folder: Path) -> tuple[str, str]:
    return "--ledger", str(folder / "ledger.db")


def _run(folder: Path, api: str) -> list[str]:
    words = [sys.executable, "-m", "syncer", "run", str(folder / "dest"), *_ledger(folder), "--base-url", api]
    return [*words, "--since", "2026-11-20", "--progress", "--report", str(folder / "report.json")]


def _listed(folder: Path) -> int:
    report = json.loads((folder / "report.json").read_text())
    listed: int = report["jobs"]["listed"]
    return listed


def _environ() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SYNCER_", "VIDEO"))}
    return {**kept, "VIDEO_DB_API_KEY": "sk-benchmark", "SYNCER_API_RATE": "1000", "PYTHONPATH": str(servers.ROOT)}
