"""The recipes in examples/: each parses, and names only commands, options and variables that there are."""

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from click.testing import CliRunner

from syncer.cli.root import COMMANDS, syncer
from syncer.options import OPTIONS

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(path for path in EXAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
VARIABLES = {option.env for option in OPTIONS} | {"SYNCER_CONFIG", "SYNCER_PROFILE"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_it_names_only_what_there_is(path):
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"\bSYNCER_[A-Z_]+", text)) <= VARIABLES
    for command in re.findall(r"(?:^ExecStart=\S*/|`|exec \S*/)syncer ([^`\"\n]+)", text, re.MULTILINE):
        name, *rest = shlex.split(command)
        assert name in COMMANDS
        shown = CliRunner().invoke(syncer, [name, "--help"]).output
        for flag in (word for word in rest if word.startswith("--")):
            assert flag in shown


def test_every_file_is_told_of():
    told = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in EXAMPLES.iterdir():
        assert path.name == "README.md" or f"({path.name})" in told or f"({path.name}/" in told


def test_the_container_has_no_more_rights_than_it_needs():
    service = yaml.safe_load((EXAMPLES / "docker/compose.yaml").read_text(encoding="utf-8"))["services"]["syncer"]
    assert service["user"] == "${PUID:-1000}:${PGID:-1000}"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert {volume.rpartition(":")[2] for volume in service["volumes"]} == {"/videos", "/state"}
    image = (EXAMPLES / "docker/Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^USER (?!0|root)", image, re.MULTILINE)
    assert "HEALTHCHECK" in image
    assert "/healthz" in image


def test_the_task_for_windows_is_one():
    root = ET.parse(EXAMPLES / "windows/syncer-task.xml").getroot()
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert {"Task", "CalendarTrigger", "StartWhenAvailable", "Exec", "Command", "Arguments"} <= names
