"""docs/faults.md is kept true: every test it names is there, and every row of its fault tables names one."""

import re
import subprocess
import sys
from pathlib import Path

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
        [*command, *(f"tests/{name}" for name in files)], cwd=TESTS.parent, capture_output=True, text=True, check=False
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
