"""`syncer report`: the last passes, as a table, as JSON, or as a page to look at."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncer.cli.shared import LEDGER, emit_json, json_option, run_async, takes_settings
from syncer.config import Settings
from syncer.core.errors import UsageError
from syncer.core.history import History, Night
from syncer.reporting.files import replace_text
from syncer.reporting.page import render, word_for
from syncer.reporting.units import human_bytes, human_seconds, plural
from syncer.runner.clock import SystemClock

if TYPE_CHECKING:
    from syncer.ledger import PassRecord

EPILOG = """\b
Examples:
  syncer report                          the last passes as a table
  syncer report --html passes.html       a page with charts, to open in a browser or to mail
  syncer report --last 365 --json        a year of nights for a script
"""


@click.command("report", epilog=EPILOG)
@takes_settings(*LEDGER)
@click.option("--last", default=30, show_default=True, type=click.IntRange(1, 10_000), metavar="N", help="Passes.")
@click.option("--html", metavar="FILE", help="Write one self-contained page with charts.")
@json_option
def report_command(settings: Settings, *, last: int, html: str | None, as_json: bool) -> int:
    """Look back on the last passes: what each brought, how fast, how close to the deadlines, what failed."""
    history = run_async(_history(settings, last))
    if html:
        _write(Path(html), render(history))
        click.echo(f"Written: {html}", err=True)
    if as_json:
        emit_json(to_json(history))
    elif not html:
        click.echo(describe(history))
    return 0


async def _history(settings: Settings, last: int) -> History:
    from syncer.ledger import open_ledger

    ledger = await open_ledger(settings.ledger_location, read_only=True)
    try:
        binding, counts = await ledger.binding(), await ledger.counts()
        passes = await ledger.last_passes(last)
    finally:
        await ledger.close()
    nights = tuple(_night(one) for one in reversed(passes))
    return History(SystemClock().now(), binding.location, counts, nights)


def _night(one: "PassRecord") -> Night:
    return Night(
        id=one.id,
        started_at=one.started_at,
        finished_at=one.finished_at,
        exit_code=one.exit_code,
        listed=one.listing.jobs,
        standing=one.tally,
        fetched=one.counts["fetched"],
        bytes=one.counts["bytes"],
        retries=one.counts["retries"],
        failed=one.counts["failed"],
        story=one.story,
    )


def _write(path: Path, text: str) -> None:
    try:
        replace_text(path.resolve(), text)
    except OSError as error:
        raise UsageError(
            f"The page cannot be written to {path}: {error.strerror}.", hint="Name another file."
        ) from None


def to_json(history: History) -> dict[str, Any]:
    """The history as plain values."""
    return {
        "version": 1,
        "destination": history.destination,
        "entries": {str(state): count for state, count in history.entries.items()},
        "least_margin_seconds": history.least_margin,
        "reasons": dict(history.reasons),
        "passes": [
            {
                "id": n.id,
                "started_at": n.started_at.isoformat(),
                "finished_at": n.finished_at.isoformat() if n.finished_at else None,
                "exit_code": n.exit_code,
                "listed": n.listed,
                "fetched": n.fetched,
                "bytes": n.bytes,
                "seconds": n.seconds,
                "bytes_per_second": n.rate,
                "retries": n.retries,
                "failed": n.failed,
                "jobs": asdict(n.standing),
                "margin_hours": {str(hours): count for hours, count in sorted(n.story.margins.items())},
                "least_margin_seconds": n.story.least_margin,
                "reasons": dict(n.story.reasons),
            }
            for n in history.nights
        ],
    }


def describe(history: History) -> str:
    """The history as a table, the newest pass first."""
    if not history.nights:
        return "No pass yet; `syncer run` makes one."
    lines = ["began (UTC)       ended with         listed   fetched      bytes      took        rate  pending  lost"]
    for n in reversed(history.nights):
        ended = f"{'-' if n.exit_code is None else n.exit_code} {word_for(n.exit_code)}"
        took = "-" if n.seconds is None else human_seconds(n.seconds)
        rate = f"{human_bytes(n.rate)}/s" if n.rate else "-"
        lines.append(
            f"{n.started_at:%Y-%m-%d %H:%M}  {ended:<16} {n.listed:>8,} {n.fetched:>9,} {human_bytes(n.bytes):>10} "
            f"{took:>9} {rate:>11} {n.standing.pending:>8,} {n.standing.lost:>5,}"
        )
    margin = history.least_margin
    if margin is not None:
        when = f"{human_seconds(abs(margin))} {'before' if margin >= 0 else 'after'} its link was to die"
        lines += ["", f"The file closest to its deadline was stored {when}."]
    if history.reasons:
        lines.append("Tries that failed: " + ", ".join(f"{name} {count:,}" for name, count in history.reasons) + ".")
    lines.append(f"The ledger holds {plural(sum(history.entries.values()), 'job')}.")
    return "\n".join(lines)
