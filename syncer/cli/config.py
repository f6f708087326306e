"""`syncer config`: what is set, and who set it."""

from collections.abc import Mapping
from typing import Any

import click

from syncer import options as opt
from syncer.cli.shared import emit_json, json_option
from syncer.config import KEY_VARIABLES, Origins, trace
from syncer.core.text import one_line

EPILOG = """\b
Examples:
  syncer config show                    every value, and where it came from
  syncer config show --profile studio   as a pass of that profile would see it
  syncer config show --json             for a script; secrets stay out of it
"""

HIDDEN = "set, not shown"


@click.group("config")
def config_command() -> None:
    """Look at the configuration."""


@config_command.command("show", epilog=EPILOG)
@click.option("--config", metavar="FILE", help="TOML configuration file. [SYNCER_CONFIG]")
@click.option("--profile", metavar="NAME", help="Table [profiles.NAME] to use. [SYNCER_PROFILE]")
@json_option
def show_command(config: str | None, profile: str | None, *, as_json: bool) -> int:
    """Tell each value and where it came from: environment, configuration file, or default."""
    origins = trace({"config": config, "profile": profile})
    rows = rows_of(origins)
    file, name = str(origins.file) if origins.file else None, origins.settings.profile
    if as_json:
        values = [{"key": key, "value": value, "source": source} for key, value, source in rows]
        emit_json({"version": 1, "file": file, "profile": name, "values": values})
        return 0
    click.echo(f"configuration file  {file or 'none; `syncer init` writes one'}")
    click.echo(f"profile             {name or 'none'}\n")
    width = max(len(key) for key, _, _ in rows)
    room = max(len(one_line(value or "", 60)) for _, value, _ in rows)
    for key, value, source in rows:
        click.echo(f"{key:<{width}}  {one_line(value or '-', 60):<{room}}  {source}")
    return 0


def rows_of(origins: Origins) -> list[tuple[str, str | None, str]]:
    """Each option's key, its value as text (None: not set), and who said it. Secrets are only said to be set."""
    rows = [(option.key, *_row(option, origins)) for option in opt.OPTIONS]
    key = origins.found.get("api_key")
    rows.append(("api_key", HIDDEN if key else None, key.place if key else f"not in {' or '.join(KEY_VARIABLES)}"))
    return rows


def _row(option: opt.Option, origins: Origins) -> tuple[str | None, str]:
    one = origins.found.get(option.key)
    if one is None:
        default = origins.settings.ledger_location if option.key == "ledger" else option.default
        return default or None, "default"
    return HIDDEN if option.is_secret else _as_text(one.said), one.place


def _as_text(said: Any) -> str:
    if isinstance(said, bool):
        return "on" if said else "off"
    if isinstance(said, list | tuple):
        return ", ".join(map(str, said))
    if isinstance(said, Mapping):
        return "a table"
    return str(said)
