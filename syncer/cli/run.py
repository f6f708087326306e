"""`syncer run`: one pass."""

import sys
from typing import Any

import click
from tqdm import tqdm

from syncer.bootstrap import sync
from syncer.cli.shared import PASS, run_async, takes_settings, verbosity
from syncer.cli.signals import stopping
from syncer.config import Settings, with_key
from syncer.core.ports import Observer
from syncer.core.report import Report
from syncer.reporting.files import check_report_target, write_report
from syncer.reporting.lines import Lines
from syncer.reporting.progress import Bars
from syncer.reporting.summary import summarise
from syncer.runner.parts import Stop

EPILOG = """\b
Examples:
  syncer run ~/Videos/videodb                  bring everything home
  syncer run /mnt/nas/videodb --workers 8      more files at once
  syncer run --profile work --report -         one of several accounts; the report to standard output
  syncer run ~/Videos --since 7d --bwlimit 2M  last week's jobs, at 2 MiB a second

The first run binds the ledger to the destination; from then on an absent or foreign folder is refused.
"""


@click.command("run", epilog=EPILOG)
@takes_settings(*PASS, dest_argument=True)
@click.option("--progress/--no-progress", default=None, help="Draw bars, or lines only. [default: bars on a terminal]")
@verbosity
def run_command(settings: Settings, *, quiet: bool, verbose: int, progress: bool | None) -> int:
    """Bring home every finished download that is not there yet, in one pass."""
    _ = settings.destination
    if settings.report:
        check_report_target(settings.report)
    observer = choose_observer(quiet=quiet, verbose=verbose, progress=progress)
    report = run_async(run_pass(with_key(settings), observer))
    return finish(report, settings.report, quiet=quiet)


async def run_pass(settings: Settings, observer: Observer, **parts: Any) -> Report:
    """One pass that a signal can end cleanly."""
    stop = Stop()
    with stopping(stop):
        return await sync(settings, observer=observer, stop=stop, **parts)


def choose_observer(*, quiet: bool, verbose: int, progress: bool | None) -> Observer:
    """Bars on a terminal, lines elsewhere, next to nothing when quiet."""
    if quiet:
        return Lines(lambda _: None)
    if progress if progress is not None else sys.stderr.isatty():
        return Bars(sys.stderr, every_file=verbose > 0)
    return Lines(lambda line: tqdm.write(line, file=sys.stderr), every_file=True)


def finish(report: Report, target: str | None, *, quiet: bool) -> int:
    """Tell how the pass went, on standard error, and where asked for as JSON; its exit code."""
    if target:
        write_report(report, target)
    if not quiet or report.exit_code:
        click.echo(summarise(report), err=True)
    return report.exit_code
