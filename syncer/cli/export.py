"""`syncer ledger export`: the ledger for other programs, entry by entry."""

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import click

from syncer.cli.shared import LEDGER, run_async, takes_settings
from syncer.config import Settings
from syncer.core.errors import UsageError
from syncer.core.model import Entry, Fault, State
from syncer.reporting.entries import csv_header, csv_line, jsonl_line, sha256sum_line

EPILOG = """\b
Examples:
  syncer ledger export archive.jsonl                        every entry, one JSON object a line
  syncer ledger export archive.csv --format csv             for a spreadsheet
  syncer ledger export --format sha256sum > SHA256SUMS      stored files only; then, in DEST: sha256sum -c SHA256SUMS

Links are left out: a link is a password.
"""

FORMATS: dict[str, tuple[Callable[[], str], Callable[[Entry], str]]] = {
    "jsonl": (str, jsonl_line),
    "csv": (csv_header, csv_line),
    "sha256sum": (str, sha256sum_line),
}
"""By name: what comes first, and what each entry becomes."""


@click.command("export", epilog=EPILOG)
@click.argument("file", type=click.Path(dir_okay=False), default="-")
@takes_settings(*LEDGER)
@click.option("--format", "form", type=click.Choice(tuple(FORMATS)), default="jsonl", show_default=True)
def export_command(settings: Settings, *, file: str, form: str) -> int:
    """Write the ledger's entries to FILE, whole or not at all, or to standard output."""
    run_async(_export(settings, file, form))
    return 0


async def _export(settings: Settings, file: str, form: str) -> None:
    if file == "-":
        async for line in _lines(settings, form):
            click.echo(line.encode(), nl=False)
        return
    path = Path(file)
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as out:
                async for line in _lines(settings, form):
                    out.write(line.encode())
                out.flush()
                os.fsync(out.fileno())
            os.replace(draft, path)  # noqa: PTH105 - a string on one side
        except BaseException:
            os.unlink(draft)  # noqa: PTH108 - the same
            raise
    except OSError as error:
        raise UsageError(
            f"The ledger cannot be exported to {file}: {error.strerror}.", hint="Name another file."
        ) from None


async def _lines(settings: Settings, form: str) -> AsyncIterator[str]:
    header, line_of = FORMATS[form]
    from syncer.ledger import open_ledger

    ledger = await open_ledger(settings.ledger_location, read_only=True)
    try:
        yield header()
        async for entry in ledger.entries([State.STORED] if form == "sha256sum" else []):
            if form != "sha256sum" or entry.fault is not Fault.DELETED:
                yield line_of(entry)
    finally:
        await ledger.close()
