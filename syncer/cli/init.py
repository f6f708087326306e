"""`syncer init`: a commented configuration file, from flags or from answers."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from syncer import options as opt
from syncer.config import KEY_WAYS, load, usual_file
from syncer.core.errors import UsageError
from syncer.reporting.files import replace_text, to_text

EPILOG = """\b
Examples:
  syncer init                                              asks, and writes the file
  syncer init --dest /mnt/nas/videodb --api-key-file ~/.config/syncer/key
  syncer init --profile studio --dest /mnt/nas/studio      one more account in the same file
"""

_WAYS = {
    "environment": "the variable VIDEO_DB_API_KEY, set where syncer runs",
    "file": "a file that only you can read",
    "command": "a command that prints it, such as `pass show videodb`",
    "keyring": "the system's keyring",
}
_HEAD = """\
# syncer's configuration. Flags win over the environment, and the environment over this file.
# `syncer config show` tells what is set and who set it; `syncer run --help` tells more of each.
"""


@click.command("init", epilog=EPILOG)
@click.option("--config", metavar="FILE", help="Where to write. [default: in the user's configuration folder]")
@click.option("--profile", metavar="NAME", help="Write it as the table [profiles.NAME].")
@click.option("--dest", metavar="DEST", help=opt.BY_KEY["dest"].meaning)
@click.option("--api-key-file", metavar="FILE", help=opt.BY_KEY["api_key_file"].meaning)
@click.option("--api-key-command", metavar="COMMAND", help=opt.BY_KEY["api_key_command"].meaning)
@click.option("--api-key-keyring", metavar="ENTRY", help=opt.BY_KEY["api_key_keyring"].meaning)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init_command(config: str | None, profile: str | None, *, force: bool, **given: str | None) -> int:
    """Write a commented configuration file, after asking for what is not given. Nothing else is touched."""
    path = Path(config or os.environ.get("SYNCER_CONFIG") or usual_file()).expanduser()
    before = _before(path, profile, force=force)
    values = {key: value for key, value in given.items() if value}
    if sys.stdin.isatty():
        _ask(values)
    if "dest" not in values:
        raise UsageError("No destination is given.", hint="Give --dest FOLDER, or run `syncer init` on a terminal.")
    _settle(values)
    _write(path, before + render(values, profile, head=not before))
    click.echo(f"Written: {path}", err=True)
    word = f" --profile {profile}" if profile else ""
    place = f" --config {path}" if config else ""
    click.echo(
        f"Next: `syncer plan{word}{place}` tells what would come, `syncer run{word}{place}` brings it.", err=True
    )
    return 0


def _before(path: Path, profile: str | None, *, force: bool) -> str:
    """What is in the file and stays there. Raises UsageError where that leaves no room for what is to be written."""
    if force or not path.exists():
        return ""
    load({"config": str(path)}, {})
    text = path.read_text(encoding="utf-8")
    if profile is None:
        raise UsageError(
            f"{path} is there already.", hint="Edit it, name a --profile to add, or replace it by --force."
        )
    try:
        load({"config": str(path), "profile": profile}, {})
    except UsageError:
        return text.rstrip("\n") + "\n\n"
    raise UsageError(f"{path} has a profile {profile!r} already.", hint="Edit it, or name another --profile.")


def _ask(values: dict[str, Any]) -> None:
    if "dest" not in values:
        values["dest"] = click.prompt("Destination folder", err=True)
    if any(way in values for way in KEY_WAYS):
        return
    for name, meaning in _WAYS.items():
        click.echo(f"  {name:<12} {meaning}", err=True)
    way = click.prompt("Where is the API key", type=click.Choice(list(_WAYS)), default="environment", err=True)
    if way != "environment":
        values[f"api_key_{way}"] = click.prompt(f"The {way}", err=True)


def _settle(values: dict[str, Any]) -> None:
    """Paths made whole, because cron starts elsewhere. Raises UsageError for what a pass could not use."""
    load(values, {"SYNCER_CONFIG": os.devnull})
    for key in ("dest", "api_key_file"):
        if key in values and not values[key].startswith("~"):
            values[key] = str(Path(values[key]).absolute())


def render(values: dict[str, Any], profile: str | None, *, head: bool) -> str:
    """The file's text: every option with its meaning, those in `values` set, the others commented out."""
    lines = [_HEAD] if head else []
    if profile:
        lines.append(f"[profiles.{_quoted(profile)}]")
    for option in opt.OPTIONS:
        lines.append(f"# {option.meaning}")
        if option.key in values:
            lines.append(f"{option.key} = {_quoted(values[option.key])}\n")
        else:
            lines.append(f"#{option.key} = {_example(option)}\n")
    return "\n".join(lines)


def _example(option: opt.Option) -> str:
    if option.is_switch:
        return "true" if option.default == "on" else "false"
    if option.is_repeatable:
        return "[]"
    if option.is_described or not option.default:
        return '""'
    return option.default if option.default.replace(".", "", 1).isdigit() else _quoted(option.default)


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are among TOML's (https://toml.io/en/v1.0.0#string)."""
    return to_text(text)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_text(path.resolve(), text)
    except OSError as error:
        raise UsageError(
            f"The configuration file {path} cannot be written: {error.strerror}.", hint="Name another with --config."
        ) from None
