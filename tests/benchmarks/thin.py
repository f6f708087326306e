"""One large file over a line that gives each connection little: over one connection, over several, and aria2's four."""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import clients, corpus, installed, measure, servers, suite
from tests.benchmarks.clients import Job
from tests.benchmarks.corpus import MIB, Corpus
from tests.benchmarks.measure import Cost

FILE = Corpus("thin", 1, 256 * MIB)
RATE = "8m"
"""What nginx gives a connection, a second."""

ALONE, SEVERAL, ARIA = "syncer run --segments 1", "syncer run", "aria2c --split=4"


def measure_thin(rounds: int, temp: Path | None, tell: Callable[[str], None]) -> dict[str, list[Cost]]:
    """By program, what each round cost. Raises SystemExit where a run fails, or does not bring the file."""
    parent = temp or Path(tempfile.gettempdir())
    measure.room_for(parent, 3 * FILE.size)
    names = [ALONE, SEVERAL, *([ARIA] if shutil.which("aria2c") else [])]
    costs: dict[str, list[Cost]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="syncer-bench-", dir=parent) as name:
        folder = Path(name)
        corpus.make_files(FILE, folder / "www")
        installed.install(folder / "venv")
        with servers.nginx(folder / "www", folder / "nginx", limit=f"limit_rate {RATE};") as storage:
            corpus.make_list(folder / "list", [f"{storage.base('http')}/{path}" for path in FILE.paths()])
            with servers.api(folder / "list") as api:
                for number in range(rounds):
                    for client in names:
                        python = installed.python_of(folder / "venv")
                        job = Job(FILE, "http", storage, api, 4, folder / "run", python)
                        costs[client].append(_one_run(client, job))
                        tell(f"{FILE.title} {number + 1}/{rounds} {client}: {costs[client][-1].durable:.2f} s")
    return costs


def _one_run(client: str, job: Job) -> Cost:
    job.folder.mkdir()
    try:
        job.dest.mkdir()
        cost = measure.run(_words(client, job), job.folder, suite.environ(job.folder), job.dest)
        if not corpus.is_whole(FILE, job.dest):
            raise SystemExit(f"{client} ended well and did not bring the file")
        return cost
    finally:
        shutil.rmtree(job.folder)


def _words(client: str, job: Job) -> list[str]:
    if client == ARIA:
        ((url, path),) = job.urls()
        words = ["aria2c", "--quiet", "--no-conf", f"--dir={job.dest}", f"--out={path}", "--file-allocation=none"]
        return [*words, "--split=4", "--max-connection-per-server=4", url]
    return [*clients.syncer(job), *(["--segments", "1"] if client == ALONE else [])]


def table(costs: dict[str, list[Cost]]) -> str:
    """The figures in Markdown."""
    alone = measure.medians(costs[ALONE]).durable
    lines = ["| | on disk, s | CPU, s | peak memory, MB | to one connection |", "|---|--:|--:|--:|--:|"]
    for name, found in costs.items():
        cost = measure.medians(found)
        lines.append(
            f"| {name} | {cost.durable:.2f} | {cost.cpu:.2f} | {cost.rss / 1e6:.0f} | {cost.durable / alone:.2f} |"
        )
    return "\n".join(lines)
