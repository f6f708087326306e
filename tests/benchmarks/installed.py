"""The program as its users have it: an environment with nothing but the product in it, compiled before it is measured.

Beside a developer's tools the libraries load more: httpx its own command line and structlog its coloured tracebacks
where rich is there, a fifth of a second of each start that no user waits for.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.servers import ROOT

_USED = "import syncer.bootstrap, syncer.cli.run, syncer.reporting.progress, httpx, tqdm, aiofiles"


def install(folder: Path) -> None:
    """Make the environment, `pip install .` of this checkout into it, and have all of it read once.

    Raises CalledProcessError where that fails: pip says why on standard error.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    python = str(python_of(folder))
    for words in (
        [sys.executable, "-m", "venv", str(folder)],
        [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--compile", str(ROOT)],
        [python, "-c", _USED],
    ):
        subprocess.run(words, env=ours, cwd=folder.parent, check=True)


def python_of(folder: Path) -> Path:
    """The Python of the environment in `folder`."""
    return folder / "bin" / "python"
