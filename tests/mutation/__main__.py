"""`python -m tests.mutation [WORD...]`: take each guard away in a copy of syncer, and see its tests fail.

With words, only the guards whose names hold one of them. The tree itself is never changed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mutation.guards import GUARDS, Guard, mutated

ROOT = Path(__file__).parents[2]
_TESTS_FAILED = 1  # pytest's exit code


@contextmanager
def copy() -> Iterator[Path]:
    """A copy of the package and its migrations, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="syncer-mutation-") as folder:
        for name in ("syncer", "migrations"):
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        yield Path(folder)


def survivors(guard: Guard, within: Path) -> list[str]:
    """The named tests that do not fail though the guard is gone; none is as it should be."""
    target = within / "syncer" / guard.file
    whole = target.read_text(encoding="utf-8")
    target.write_text(mutated(guard, whole), encoding="utf-8")
    try:
        return [test for test in guard.tests if not fails(test, within)]
    finally:
        target.write_text(whole, encoding="utf-8")


def fails(test: str, within: Path) -> bool:
    """Whether a test fails against the copy. Raises RuntimeError where it did not run at all."""
    done = python("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "", f"tests/{test}", within=within)
    if done.returncode not in (0, _TESTS_FAILED):
        raise RuntimeError(f"{test} did not run:\n{done.stdout}{done.stderr}")
    return done.returncode == _TESTS_FAILED


def python(*argv: str, within: Path) -> subprocess.CompletedProcess[str]:
    """Python with the copy before everything else, and without the current folder (-P)."""
    environ = {**os.environ, "PYTHONPATH": str(within), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}
    command = [sys.executable, *argv]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def main(words: list[str]) -> int:
    """0 where every guard is missed by its tests, 1 where one is not."""
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    missed = 0
    with copy() as within:
        where = python("-c", "import syncer; print(syncer.__file__)", within=within).stdout.strip()
        if not where.startswith(str(within)):
            raise RuntimeError(f"the tests would run against {where}, not against the copy")
        for guard in chosen:
            alive = survivors(guard, within)
            missed += not alive
            print(f"{'missed' if not alive else 'NOT MISSED'}  {guard.name}", *alive, flush=True)  # noqa: T201
    print(f"{missed} of {len(chosen)} guards are missed by every test named for them")  # noqa: T201
    return 0 if missed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
