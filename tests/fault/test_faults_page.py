"""docs/faults.md is kept true: every test it names is there, every fault names one, and every guard is listed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mutation.guards import GUARDS, GuardGoneError, mutated

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "faults.md"
_NAMED = re.compile(r"`([\w/]+\.py::[^`]+)`")


def sections():
    """Each section's rows, cell by cell, headings and rules left out."""
    found, title = {}, ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ")
            found[title] = []
        elif line.startswith("|") and title:
            found[title].append([cell.strip() for cell in line.strip("|").split("|")])
    return {title: rows[2:] for title, rows in found.items()}


def collected(files):
    """The tests pytest finds in these files, long ones included, with and without their cases."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "long or not long",
    ]
    done = subprocess.run(
        [*command, *(f"tests/{name}" for name in files)],
        env={**os.environ, "CI": "true"},  # those this machine could not run are there all the same
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    names = {line.removeprefix("tests/") for line in done.stdout.splitlines() if "::" in line}
    return names | {name.partition("[")[0] for name in names}


def test_every_test_the_page_names_is_there():
    named = set(_NAMED.findall(PAGE.read_text(encoding="utf-8")))
    assert named
    missing = {name for name in named if not (TESTS / name.partition("::")[0]).exists()}
    assert not missing
    assert named <= collected(sorted({name.partition("::")[0] for name in named}))


def test_every_fault_of_the_tables_names_its_test():
    tables = sections()
    assert {"Storage and network", "Destination", "Process", "Rebuild"} <= set(tables)
    for title in ("Storage and network", "Destination", "Process", "Rebuild"):
        for row in tables[title]:
            assert len(row) == 4, row
            assert all(row), row
            assert _NAMED.search(row[3]), row


def test_every_guard_is_listed_with_its_tests():
    rows = [[guard.name, f"`{guard.file}`", " ".join(f"`{test}`" for test in guard.tests)] for guard in GUARDS]
    assert sections()["Guards and the tests that miss them"] == rows


def test_every_guard_stands_where_the_mutation_check_looks_for_it():
    for guard in GUARDS:
        whole = (TESTS.parent / "syncer" / guard.file).read_text(encoding="utf-8")
        assert mutated(guard, whole) != whole
        with pytest.raises(GuardGoneError, match="stands 0 times"):
            mutated(guard, whole.replace(guard.text, guard.instead))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_guard_is_missed_by_its_tests():
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutation"], cwd=TESTS.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
