"""A million jobs: the first listing, passes with nothing new, and `syncer status`.

The first listing's jobs lie before `--since`, so that all are listed and counted and no file is fetched. For the passes
behind it the ledger is told that their files are stored.
"""

import json
import random
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import corpus, installed, measure, servers, suite
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
    measure.room_for(parent, 8 * count * corpus.ENTRY_BYTES)
    with tempfile.TemporaryDirectory(prefix="syncer-bench-", dir=parent) as name:
        folder = Path(name)
        (folder / "home").mkdir()
        (folder / "dest").mkdir()
        installed.install(folder / "venv")
        for file in ("list", "signed anew"):
            tell(f"making a list of {count:,} jobs")
            _make_list(folder / file, count)
        with servers.api(folder / "list") as api, servers.api(folder / "signed anew") as anew:
            steps = [
                ("first listing", [*_run(folder, api), "--since", "2026-11-20"], "60 s of CPU, 200 MB"),
                ("a pass with nothing new", _run(folder, api), "30 s of CPU"),
                ("the same, every link signed anew", _run(folder, anew), ""),
                ("syncer status", [*_syncer(folder), "status", *_ledger(folder)], "1 s"),
            ]
            done = []
            for title, words, goal in steps:
                cost = measure.run(words, folder, suite.environ(folder / "home", SYNCER_API_RATE="1000"), None)
                if "run" in words and (listed := _listed(folder)) != count:
                    raise SystemExit(f"{listed:,} jobs were listed instead of {count:,}")
                tell(f"{title}: {cost.wall:.2f} s, cpu {cost.cpu:.2f}, {cost.rss / 1e6:.0f} MB")
                done.append(Step(title, cost, goal))
                if len(done) == 1:
                    _store_all(folder)
            return done


def table(count: int, steps: list[Step]) -> str:
    """The figures in Markdown."""
    lines = [f"| {count:,} jobs | s | CPU, s | peak memory, MB | goal |", "|---|--:|--:|--:|---|"]
    for step in steps:
        cost = step.cost
        lines.append(f"| {step.name} | {cost.wall:.2f} | {cost.cpu:.2f} | {cost.rss / 1e6:.0f} | {step.goal} |")
    return "\n".join(lines)


def _store_all(folder: Path) -> None:
    """Let the ledger hold every job's file."""
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        ledger.execute(
            "UPDATE entries SET state = 'stored', path = 'x/' || id, path_key = 'x/' || id, size = 1, "
            "sha256 = hex(randomblob(32)), stored_at = first_seen_at"
        )
        ledger.commit()


def _make_list(path: Path, count: int) -> None:
    rng = random.Random(path.name)
    signatures = [corpus.signature(rng) for _ in range(SHARED)]
    with path.open("wb") as out:
        for number in range(count):
            link = f"https://storage.googleapis.com/videodb/{number:012x}/film.mp4?{signatures[number % SHARED]}"
            out.write(corpus.entry(number, link))


def _syncer(folder: Path) -> tuple[str, str, str]:
    return str(installed.python_of(folder / "venv")), "-m", "syncer"


def _ledger(folder: Path) -> tuple[str, str]:
    return "--ledger", str(folder / "ledger.db")


def _run(folder: Path, api: str) -> list[str]:
    words = [*_syncer(folder), "run", str(folder / "dest"), *_ledger(folder), "--base-url", api]
    return [*words, "--progress", "--report", str(folder / "report.json")]


def _listed(folder: Path) -> int:
    report = json.loads((folder / "report.json").read_text())
    listed: int = report["jobs"]["listed"]
    return listed
