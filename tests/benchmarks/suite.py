"""Rounds: every program once, one after the other, again and again, so that what disturbs one disturbs all."""

import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tests.benchmarks import clients, corpus, installed, measure, servers
from tests.benchmarks.clients import CLIENTS, Client, Job
from tests.benchmarks.corpus import Corpus
from tests.benchmarks.measure import Cost

MANY = 1000
"""Files of a run, from which on they stay until the end: to find a new inode ext4 passes over all that were deleted in
the last minutes (`recently_deleted` in fs/ext4/ialloc.c), so deleting them would be a burden on whoever comes next."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be measured."""

    corpora: tuple[Corpus, ...]
    schemes: tuple[str, ...]
    names: tuple[str, ...]  # of clients; none means all
    rounds: int
    slow_rounds: int  # for clients that are slow
    workers: int
    temp: Path | None


@dataclass(slots=True)
class Series:
    """One corpus over one scheme: what each client cost in each round, and hashing the files afterwards."""

    title: str
    bytes: int
    costs: dict[str, list[Cost]] = field(default_factory=lambda: defaultdict(list))
    hashing: list[Cost] = field(default_factory=list)


def measure_all(wish: Wish, tell: Callable[[str], None]) -> tuple[str, list[Series]]:
    """The machine, and a series for each corpus and scheme. Raises SystemExit where something is missing or fails."""
    parent = wish.temp or Path(tempfile.gettempdir())
    chosen = [client for client in CLIENTS if not wish.names or client.name in wish.names]
    for client in [client for client in chosen if not clients.is_there(client)]:
        tell(f"{client.name} is not installed and is left out")
        chosen.remove(client)
    runs = sum(min(wish.rounds, wish.slow_rounds) if client.slow else wish.rounds for client in chosen)
    kept = sum(runs * c.bytes for c in wish.corpora if c.count >= MANY)
    measure.room_for(parent, sum(c.bytes for c in wish.corpora) + max(c.bytes for c in wish.corpora) + kept + 2**30)
    with tempfile.TemporaryDirectory(prefix="syncer-bench-", dir=parent) as folder:
        root = Path(folder) / "www"
        for one in wish.corpora:
            tell(f"making {one.title}")
            corpus.make_files(one, root)
        installed.install(Path(folder) / "venv")
        with servers.nginx(root, Path(folder) / "nginx") as storage:
            found = [
                _series(wish, chosen, (one, scheme), storage, Path(folder), tell)
                for one in wish.corpora
                for scheme in wish.schemes
                if not (scheme == "https" and one.name == "S" and wish.schemes != ("https",))
            ]
        return measure.machine(Path(folder)), found


def _series(
    wish: Wish,
    chosen: list[Client],
    what: tuple[Corpus, str],
    storage: servers.Storage,
    folder: Path,
    tell: Callable[[str], None],
) -> Series:
    one, scheme = what
    series = Series(f"{one.title}{', TLS 1.3' if scheme == 'https' else ''}", one.bytes)
    listed = folder / "list"
    corpus.make_list(listed, [f"{storage.base(scheme)}/{path}" for path in one.paths()])
    with servers.api(listed) as api:
        for number in range(wish.rounds):
            for client in chosen:
                if client.slow and (number >= wish.slow_rounds or scheme == "https"):
                    continue
                run, python = Path(tempfile.mkdtemp(prefix="run-", dir=folder)), installed.python_of(folder / "venv")
                job = Job(one, scheme, storage, api, wish.workers, run, python)
                cost, hashing = _one_run(client, job)
                series.costs[client.name].append(cost)
                series.hashing += [hashing] if hashing else []
                tell(f"{series.title} {number + 1}/{wish.rounds} {client.name}: {_gist(cost)}")
    return series


def _one_run(client: Client, job: Job) -> tuple[Cost, Cost | None]:
    """The cost of one run, proven to have brought everything; and of hashing it, measured once a round."""
    try:
        words = clients.command(client, job)
        cost = measure.run(words, job.folder, environ(job.folder), job.dest)
        if not corpus.is_whole(job.corpus, job.dest):
            raise SystemExit(f"{client.name} ended well and did not bring every file")
        return cost, measure.sha256sum(job.dest) if client.name == clients.RCLONE else None
    finally:
        if job.corpus.count < MANY:
            shutil.rmtree(job.folder)


def environ(home: Path, **more: str) -> dict[str, str]:
    """What programs find set: nothing of this user's."""
    dropped = ("SYNCER_", "VIDEO", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "VIDEO_DB_API_KEY": "sk-benchmark"}
    return {**kept, **own, **more}


def _gist(cost: Cost) -> str:
    return f"{cost.wall:.2f} s, durable {cost.durable:.2f}, cpu {cost.cpu:.2f}, {cost.rss / 2**20:.0f} MiB"


def to_json(machine: str, found: list[Series]) -> str:
    """Every figure of every round, to be drawn again later."""
    return json.dumps(
        {"machine": machine, "series": [asdict(replace(series, costs=dict(series.costs))) for series in found]},
        indent=1,
    )
