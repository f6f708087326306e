"""What the README and the examples say is what happens."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from helpers.site import jobs

from syncer import config
from syncer.cli.root import COMMANDS
from syncer.core.report import ExitCode
from syncer.options import OPTIONS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands():
    """Every `syncer` line of the shell and cron blocks, without its comment."""
    lines = [line for block in (*blocks("sh"), *blocks("cron")) for line in block.splitlines()]
    found = [re.search(r"(?:^|\s)(syncer .*)$", line.split("  #")[0]) for line in lines]
    return [match[1].strip() for match in found if match and ".venv" not in match[0]]


def test_there_are_commands_to_try():
    assert len(commands()) >= 6


@pytest.mark.parametrize("line", commands())
def test_every_command_works_as_written(site, line):
    here = site(jobs(2, size=2000))
    home = here.folder
    for folder in (home / "Videos", home / "nas", home / ".config/syncer", home / "bin"):
        folder.mkdir(parents=True)
    (home / ".config/syncer/key").write_text(here.sandbox.api_key)
    (home / "bin/pass").write_text(f"#!/bin/sh\necho {here.sandbox.api_key}\n")
    (home / "bin/pass").chmod(0o755)
    line = line.replace("/mnt/nas", str(home / "nas")).replace("~", str(home)).replace("$HOME", str(home))
    if line.startswith(("syncer status", "syncer verify", "syncer adopt")):
        assert here.command("run", home / "Videos/videodb").returncode == 0
    environ = here.environ()
    environ["PATH"] = f"{home / 'bin'}:{environ['PATH']}"
    if line.startswith("syncer watch"):
        process = here.start(*shlex.split(line.replace("9110", "0"))[1:], environ=environ)
        here.until(lambda: len(list((home / "Videos/videodb/2026/11").glob("*.mp4"))) == 2)
        process.terminate()
        assert process.wait(60) == 143
        process.communicate()
        return
    done = here.command(*shlex.split(line)[1:], environ=environ)
    assert done.returncode == 0, done.stderr


def test_the_table_of_options_is_the_table_of_options():
    table = README.split("<!-- options -->")[1].split("<!-- /options -->")[0]
    for option in OPTIONS:
        row = f"| `{option.flag}` | `{option.env}` |"
        assert row in table
        assert option.meaning in table
    assert table.count("\n| `--") == len(OPTIONS)


def test_every_command_and_exit_code_is_told():
    for name in set(COMMANDS) - {"ledger"}:
        assert f"| `syncer {name}" in README
    codes = set(re.findall(r"^\| (\d+(?:, \d+)?) \|", README, re.MULTILINE))
    told = {int(code) for cell in codes for code in cell.split(", ")}
    assert told == {int(code) for code in ExitCode}


def test_links_inside_the_repository_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / target).exists()


def test_the_example_in_python_runs(site):
    here = site(jobs(2, size=2000))
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/python_api.py"), str(here.dest)],
        env=here.environ(),
        cwd=here.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "2 of 2 jobs are stored; balanced: True" in done.stdout
    assert done.stdout.count(" bytes  ") == 2


def test_the_example_configuration_can_be_used():
    path = ROOT / "examples/config.toml"
    for profile in tomllib.loads(path.read_text())["profiles"]:
        assert config.load({"config": str(path), "profile": profile}, {}).dest


def test_the_example_for_cron_passes_the_exit_code_on(site):
    here = site(jobs(1, size=2000))
    (here.folder / "config/syncer").mkdir(parents=True)
    (here.folder / "config/syncer/config.toml").write_text(f'[profiles.studio]\ndest = "{here.dest}"\n')
    (here.folder / "syncer").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m syncer "$@"\n')
    (here.folder / "syncer").chmod(0o755)
    environ = here.environ(XDG_CONFIG_HOME=str(here.folder / "config"))
    environ["PATH"] = f"{here.folder}:{environ['PATH']}"
    run = ["sh", str(ROOT / "examples/nightly.sh")]
    done = subprocess.run(run, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    environ["VIDEO_DB_API_KEY"] = "sk-wrong-key"
    done = subprocess.run(run, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3
    assert "syncer ended with 3" in done.stdout
