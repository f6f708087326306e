"""The programs that are set side by side, each told to fetch the same files into an empty folder."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.corpus import Corpus
from tests.benchmarks.servers import ROOT, Storage

SYNCER = "syncer run"
RCLONE = "rclone copyurl"
CURL = "curl --parallel"
PLAIN = "httpx + aiofiles"
PLAIN_ALL = "httpx + aiofiles, the same work"


@dataclass(frozen=True, slots=True)
class Job:
    """What a client is to do."""

    corpus: Corpus
    scheme: str
    storage: Storage
    api: str  # base URL
    workers: int
    folder: Path  # its own, empty
    python: Path  # of an environment that holds the product alone

    @property
    def dest(self) -> Path:
        return self.folder / "dest"

    def urls(self) -> list[tuple[str, str]]:
        """Each URL and the relative path its file is to have."""
        base = self.storage.base(self.scheme)
        return [(f"{base}/{path}", path) for path in self.corpus.paths()]


@dataclass(frozen=True, slots=True)
class Client:
    """A program: its name in the table, and whether it hashes, fsyncs and remembers what it fetched."""

    name: str
    proves: bool = False
    slow: bool = False  # measured in the first rounds only


CLIENTS = (
    Client(SYNCER, proves=True),
    Client(RCLONE),
    Client(CURL),
    Client("wget2"),
    Client("aria2c", slow=True),
    Client(PLAIN, slow=True),
    Client(PLAIN_ALL, proves=True, slow=True),
)


def is_there(client: Client) -> bool:
    """Whether the program is installed."""
    program = client.name.split(maxsplit=1)[0]
    return program in ("syncer", "httpx") or _program(program) is not None


def command(client: Client, job: Job) -> list[str]:
    """Its command line; lists of URLs are written into the job's folder first."""
    job.dest.mkdir()
    makers = {SYNCER: syncer, RCLONE: _rclone, CURL: _curl, "wget2": _wget2, "aria2c": _aria2c}
    return makers.get(client.name, _plain)(job) + (["--everything"] if client.name == PLAIN_ALL else [])


def syncer(job: Job) -> list[str]:
    """The program's own command line, with everything on."""
    return [
        *(str(job.python), "-m", "syncer", "run", str(job.dest), "--ledger", str(job.folder / "ledger.db")),
        *("--base-url", job.api, "--workers", str(job.workers), "--progress", "--ca-bundle", str(job.storage.ca)),
    ]


def _rclone(job: Job) -> list[str]:
    listed = _written(job, "\n".join(f"{url},{path}" for url, path in job.urls()))
    words = [_program("rclone") or "rclone", "copyurl", "--urls", listed, str(job.dest), "--config", "/dev/null"]
    return [*words, "--transfers", str(job.workers), "--ca-cert", str(job.storage.ca)]


def _curl(job: Job) -> list[str]:
    pairs = "\n".join(f'url = "{url}"\noutput = "{job.dest / path}"' for url, path in job.urls())
    listed = _written(job, f"fail\ncreate-dirs\n{pairs}\n")
    words = ["curl", "--silent", "--parallel", "--parallel-immediate", "--parallel-max", str(job.workers)]
    return [*words, "--cacert", str(job.storage.ca), "--config", listed]


def _wget2(job: Job) -> list[str]:
    listed = _written(job, "\n".join(url for url, _ in job.urls()))
    words = ["wget2", "--quiet", f"--max-threads={job.workers}", "--force-directories", "--no-host-directories"]
    return [*words, f"--directory-prefix={job.dest}", f"--ca-certificate={job.storage.ca}", f"--input-file={listed}"]


def _aria2c(job: Job) -> list[str]:
    listed = _written(job, "\n".join(f"{url}\n  out={path}" for url, path in job.urls()))
    words = ["aria2c", "--quiet", "--no-conf", f"--dir={job.dest}", f"--max-concurrent-downloads={job.workers}"]
    words += ["--max-connection-per-server=1", "--split=1", "--file-allocation=none", "--console-log-level=error"]
    return [*words, f"--ca-certificate={job.storage.ca}", f"--input-file={listed}"]


def _plain(job: Job) -> list[str]:
    listed = _written(job, "\n".join(f"{url} {path}" for url, path in job.urls()))
    script = str(ROOT / "tests" / "benchmarks" / "plain.py")
    return [str(job.python), script, listed, str(job.dest), str(job.workers), str(job.storage.ca)]


def _written(job: Job, text: str) -> str:
    path = job.folder / "urls"
    path.write_text(text)
    return str(path)


def _program(name: str) -> str | None:
    """On the path, or beside this Python as a package brought it."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
