"""A PostgreSQL cluster of the tests' own: in a folder, on a socket, as nobody, gone with the tests."""

import itertools
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534
_numbers = itertools.count()


def _tool(name):
    found = shutil.which(name) or next((str(p) for p in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    assert found, f"install postgresql, as .ci/run does: there is no {name}"
    return found


def _run(*command, stdout=subprocess.DEVNULL):
    """As nobody where we are root: a server refuses to be."""
    more = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.run(command, check=True, stdout=stdout, text=True, cwd="/", **more).stdout


def dump(url):
    """A database as the statements that make it, in an order that does not tell how it was made."""
    text = _run(_tool("pg_dump"), "--no-comments", "-d", url, stdout=subprocess.PIPE)
    lines = (line for line in text.splitlines() if line and not line.startswith(("--", "\\")))
    return sorted("\n".join(lines).split(";\n"))


@contextmanager
def cluster():
    """Yields a callable that makes an empty database and gives its URL."""
    with tempfile.TemporaryDirectory(prefix="syncer-pg-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        data = folder / "data"
        _run(_tool("initdb"), "-D", data, "-U", "syncer", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses='' -k {folder} -c fsync=off -c max_connections=30"
        _run(_tool("pg_ctl"), "-D", data, "-o", options, "-w", "-l", folder / "log", "start")

        def database():
            made = f"ledger{next(_numbers)}"
            _run(_tool("createdb"), "-h", folder, "-U", "syncer", made)
            return f"postgresql://syncer@/{made}?host={folder}"

        try:
            yield database
        finally:
            _run(_tool("pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
