"""What is loaded before a command does anything: a shell waits for completion at every press of a key."""

import os
import subprocess
import sys

import pytest
from alembic import command
from helpers.site import jobs

from syncer.cli.root import COMMANDS
from syncer.ledger import schema
from syncer.ledger.engine import make_file, open_engine, place_of

HEAVY = {"aiofiles", "alembic", "httpx", "rich", "sqlalchemy", "starlette", "structlog", "uvicorn", "syncer.bootstrap"}
SCRIPT = """
import sys
from syncer.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("-- loaded:", *sorted(sys.modules))
"""


def run(*argv, **environ):
    """What is loaded when the command is done, and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *argv],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said, _, loaded = done.stdout.rpartition("-- loaded: ")
    return set(loaded.split()), said


def test_the_version_needs_nothing_but_click():
    loaded, said = run("--version")
    assert "syncer" in said
    assert not loaded & (HEAVY | {"asyncio", "tqdm", "syncer.config", "syncer.options"})


def test_a_ledger_that_is_new_or_up_to_date_is_opened_without_alembic(tmp_path):
    ledger = str(tmp_path / "ledger.db")
    for words in (("ledger", "upgrade"), ("status",)):
        assert not run(*words, "--ledger", ledger)[0] & {"alembic", "sqlalchemy.dialects.postgresql"}


def test_an_older_ledger_is_brought_up_by_alembic(tmp_path):
    path = tmp_path / "ledger.db"
    make_file(path)
    engine = open_engine(place_of(path))
    with engine.begin() as connection:
        command.upgrade(schema.config(connection), "0001")
    engine.dispose()
    assert "alembic.command" in run("ledger", "upgrade", "--ledger", str(path))[0]


NOT_FOR_A_PASS = {
    *("alembic", "sqlalchemy.dialects.postgresql", "psycopg", "structlog", "prometheus_client", "apprise"),
    *(
        "multiprocessing.synchronize",
        "starlette",
        "uvicorn",
        "syncer.sandbox",
        "syncer.core.doctor",
        "syncer.runner.adoption",
    ),
    *("syncer.runner.planning", "syncer.runner.verification", "syncer.destination.examine", "syncer.videodb.examine"),
}


@pytest.mark.parametrize("bars", ["--progress", "--no-progress"])
def test_a_pass_loads_nothing_that_it_does_not_work_with(site, bars):
    here = site(jobs(1, size=1000))
    words = ("run", str(here.dest), bars)
    loaded, _ = run(*words, **here.environ())
    assert len(here.files()) == 1
    assert "syncer.runner.one_pass" in loaded
    assert loaded & NOT_FOR_A_PASS == set()


def complete(*words):
    line = {"COMP_WORDS": " ".join(("syncer", *words)), "COMP_CWORD": str(len(words))}
    return run(_SYNCER_COMPLETE="bash_complete", **line)


def test_names_of_commands_are_completed_without_loading_any():
    loaded, said = complete("re")
    assert {"plain,retry", "plain,report"} <= set(said.split())
    assert not {name for name, _ in COMMANDS.values()} & loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"demo", "sandbox", "completion", "ledger"}))
def test_options_are_completed_without_loading_what_the_command_works_with(command):
    loaded, said = complete(command, "--")
    assert "plain,--help" in said or "plain,-" in said
    assert COMMANDS[command][0] in loaded
    assert not loaded & HEAVY
