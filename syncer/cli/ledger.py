"""`syncer status`, `list`, `retry` and `ledger`: what the ledger knows, and putting entries back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncer.cli.export import export_command
from syncer.cli.shared import LEDGER, emit_json, json_line, json_option, run_async, takes_settings
from syncer.config import Settings
from syncer.core.errors import LedgerError, UsageError
from syncer.core.model import Entry, State
from syncer.core.text import one_line
from syncer.reporting.entries import entry_json
from syncer.reporting.units import human_bytes, plural

if TYPE_CHECKING:
    from syncer.ledger import PassRecord, SqlLedger

RETRIED = (State.PENDING, State.LOST)
STATES = tuple(str(state) for state in State)


@asynccontextmanager
async def _opened(settings: Settings, *, read_only: bool) -> AsyncIterator["SqlLedger"]:
    from syncer.ledger import open_ledger

    ledger = await open_ledger(settings.ledger_location, read_only=read_only)
    try:
        yield ledger
    finally:
        await ledger.close()


# --- status ---


@click.command("status")
@takes_settings(*LEDGER)
@json_option
def status_command(settings: Settings, *, as_json: bool) -> int:
    """Tell what the ledger knows, at a glance: entries by state, the destination, the last passes."""
    value = run_async(_status(settings))
    if as_json:
        emit_json(value)
    else:
        click.echo(_describe_status(value))
    return 0


async def _status(settings: Settings) -> dict[str, Any]:
    async with _opened(settings, read_only=True) as ledger:
        counts = await ledger.counts()
        binding = await ledger.binding()
        return {
            "version": 1,
            "ledger": settings.ledger_location,
            "destination": binding.location,
            "entries": {str(state): counts.get(state, 0) for state in State},
            "passes": [_pass_json(one) for one in await ledger.last_passes(5)],
        }


def _pass_json(one: "PassRecord") -> dict[str, Any]:
    return {
        "id": one.id,
        "started_at": one.started_at.isoformat(),
        "finished_at": one.finished_at.isoformat() if one.finished_at else None,
        "host": one.host,
        "exit_code": one.exit_code,
        "listed": one.listing.jobs,
        **{name: getattr(one.tally, name) for name in type(one.tally).__dataclass_fields__},
        **one.counts,
    }


def _describe_status(value: dict[str, Any]) -> str:
    lines = [
        f"ledger       {value['ledger']}",
        f"destination  {value['destination'] or 'none yet; the first `syncer run` binds one'}",
        "",
        *(f"{count:>10,}  {state.replace('_', ' ')}" for state, count in value["entries"].items() if count),
    ]
    if not any(value["entries"].values()):
        lines.append("no entries yet")
    if value["passes"]:
        lines += ["", "last passes (UTC)        exit  listed   fetched   bytes        failed"]
    for one in value["passes"]:
        ended = "-" if one["exit_code"] is None else one["exit_code"]
        lines.append(
            f"{one['started_at']:.19}      {ended!s:>4}  {one['listed']:<8,} {one['fetched']:<9,} "
            f"{human_bytes(one['bytes']):<12} {one['failed']:,}"
        )
    return "\n".join(lines)


# --- list ---

LIST_EPILOG = """\b
Examples:
  syncer list --state pending           what is still to come
  syncer list --state lost --json       the lost ones, for a script
"""


@click.command("list", epilog=LIST_EPILOG)
@takes_settings(*LEDGER)
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only these; repeatable.")
@click.option("--limit", default=0, metavar="N", help="At most so many. [default: all]")
@json_option
def list_command(settings: Settings, *, states: tuple[str, ...], limit: int, as_json: bool) -> int:
    """List the jobs the ledger knows, in the order of their ids; with --json as an array, one entry a line."""
    run_async(_list(settings, [State(s) for s in states], limit, as_json=as_json))
    return 0


async def _list(settings: Settings, states: list[State], limit: int, *, as_json: bool) -> None:
    """Written entry by entry, as JSON too: an array that no list of entries is too long for."""
    shown = 0
    async with _opened(settings, read_only=True) as ledger:
        async for entry in ledger.entries(states):
            if as_json:
                click.echo("[" if shown == 0 else ",")
                click.echo(json_line(entry_json(entry)), nl=False)
            else:
                click.echo(_entry_line(entry))
            shown += 1
            if shown == limit:
                break
    if as_json:
        click.echo("\n]" if shown else "[]")
    elif not shown:
        click.echo("No entries.", err=True)


def _entry_line(entry: Entry) -> str:
    if entry.stored is not None:
        return f"{entry.state:<12} {human_bytes(entry.stored.size):>10}  {one_line(entry.stored.path, 120)}"
    size = human_bytes(entry.promise.size) if entry.promise.size is not None else ""
    why = f"  ({one_line(entry.last_error, 80)})" if entry.last_error else ""
    return f"{entry.state:<12} {size:>10}  {one_line(entry.name or entry.id, 60)} [{one_line(entry.id, 40)}]{why}"


# --- retry ---

RETRY_EPILOG = """\b
Examples:
  syncer retry                          everything that failed or was lost
  syncer retry --state lost             the lost ones only
  syncer retry download-12345           this one, a stored one too: it is fetched again if its file is gone
"""


@click.command("retry", epilog=RETRY_EPILOG)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@takes_settings(*LEDGER)
@click.option(
    "--state", "states", multiple=True, type=click.Choice(("pending", "lost")), help="Only these; repeatable."
)
@json_option
def retry_command(settings: Settings, *, ids: tuple[str, ...], states: tuple[str, ...], as_json: bool) -> int:
    """Put failed or lost entries back, so that the next pass tries them at once. Fetches nothing by itself."""
    if ids and states:
        raise UsageError("Name ids or states, not both.")
    back = run_async(_put_back(settings, ids, [State(s) for s in states]))
    unknown = sorted(set(ids) - set(back))
    if as_json:
        emit_json({"version": 1, "put_back": back, "unchanged": unknown})
    elif back or not ids:
        click.echo(f"{plural(len(back), 'job')} put back; `syncer run` fetches them.", err=True)
    if unknown:
        raise UsageError(
            f"Not put back: {one_line(', '.join(unknown), 200)}.",
            hint="The ledger does not know them, or VideoDB has not finished them; `syncer list` tells.",
        )
    return 0


async def _put_back(settings: Settings, ids: tuple[str, ...], states: list[State]) -> list[str]:
    async with _opened(settings, read_only=True):
        pass  # there is one: putting back must not make it
    async with _opened(settings, read_only=False) as ledger:
        return await ledger.put_back(ids or None, () if ids else states or RETRIED)


# --- ledger ---


@click.group("ledger")
def ledger_command() -> None:
    """Look after the ledger itself."""


ledger_command.add_command(export_command)


@ledger_command.command("check")
@takes_settings(*LEDGER)
@json_option
def check_command(settings: Settings, *, as_json: bool) -> int:
    """Read the whole ledger and look for damage. Ends with 9 where there is any."""
    problems = run_async(_check(settings))
    if as_json:
        emit_json({"version": 1, "problems": problems})
    elif not problems:
        click.echo(f"The ledger {settings.ledger_location} is sound.")
    if problems:
        raise LedgerError(
            f"The ledger is damaged: {problems[0]}.",
            hint="Put a backup in its place, or start a new one and let `syncer adopt DEST` fill it.",
        )
    return 0


async def _check(settings: Settings) -> list[str]:
    async with _opened(settings, read_only=True) as ledger:
        return await ledger.problems()


@ledger_command.command("backup")
@click.argument("file", type=click.Path(dir_okay=False))
@takes_settings(*LEDGER)
def backup_command(settings: Settings, *, file: str) -> int:
    """Copy the ledger to FILE, whole and consistent, beside a running pass too."""
    if Path(file).exists():
        raise UsageError(f"{file} is there already.", hint="Name a file that does not exist.")
    run_async(_back_up(settings, Path(file)))
    click.echo(f"The ledger is copied to {file}; it holds links, so keep it as private as the ledger.", err=True)
    return 0


async def _back_up(settings: Settings, file: Path) -> None:
    async with _opened(settings, read_only=True) as ledger:
        await ledger.copy_to(file)


@ledger_command.command("upgrade")
@takes_settings(*LEDGER)
@json_option
def upgrade_command(settings: Settings, *, as_json: bool) -> int:
    """Bring an older ledger to this program's schema; every other command does so by itself when it starts.

    A copy of the ledger as it was is kept beside it.
    """
    from syncer.ledger.schema import upgrade

    before, after = upgrade(settings.ledger_location)
    if as_json:
        emit_json({"version": 1, "before": before, "after": after})
    elif before == after:
        click.echo(f"The ledger is up to date ({after}).")
    else:
        click.echo(f"The ledger went from {before or 'nothing'} to {after}.")
    return 0
