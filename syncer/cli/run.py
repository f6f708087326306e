"""`syncer run`: one pass."""

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from syncer.cli.batch import as_batch
from syncer.cli.output import flush_streams, say
from syncer.cli.shared import PASS, run_async, takes_settings, verbosity
from syncer.cli.signals import stopping
from syncer.config import Settings, with_key
from syncer.core.errors import SyncerError
from syncer.core.ports import Observer
from syncer.core.report import ExitCode, Report, not_begun
from syncer.reporting.files import check_report_target, write_report
from syncer.reporting.summary import summarise
from syncer.runner.clock import SystemClock
from syncer.runner.parts import Stop

if TYPE_CHECKING:
    from syncer.reporting.eventlog import EventLog

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
    events = None
    if settings.log_format == "json" or settings.log_file:
        from syncer.reporting.eventlog import EventLog
        from syncer.reporting.observers import Observers

        events = EventLog()
        observer = events if settings.log_format == "json" else Observers([observer, events])
    try:
        return run_async(_run_and_tell(with_key(settings), observer, events, quiet=quiet))
    except SyncerError as error:
        if settings.report:
            # Last night's report must not stand there as if it were tonight's.
            write(not_begun(SystemClock().now(), error), settings.report)
        raise


async def _run_and_tell(settings: Settings, observer: Observer, events: "EventLog | None", *, quiet: bool) -> int:
    report = await run_pass(settings, observer)
    if events:
        events.report(report)
    code = finish(report, settings.report, quiet=quiet, summary=settings.log_format != "json")
    if report.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        # All is written and let go of. A thread that hangs in a name lookup would hold up an orderly exit for long.
        flush_streams()
        os._exit(code)
    return code


async def run_pass(settings: Settings, observer: Observer, **parts: Any) -> Report:
    """One pass that a signal can end cleanly."""
    as_batch()
    with spared():
        from syncer.bootstrap import sync

    stop = Stop()
    for_people = settings.log_format == "human"
    with stopping(stop) if for_people else stopping(stop, None):
        return await sync(settings, observer=observer, stop=stop, **parts)


@contextlib.contextmanager
def spared() -> Iterator[None]:
    """What is loaded inside stays for good, and is not looked through for cycles, a twentieth of a start.

    Nor is much looked at afterwards. Of what a file needs next to nothing is in cycles: looked for as often as Python
    does by itself, they cost a tenth of a small file's time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    if not gc.get_freeze_count():
        gc.freeze()
    gc.set_threshold(5_000, 10, 10)


def choose_observer(*, quiet: bool, verbose: int, progress: bool | None) -> Observer:
    """Bars on a terminal, lines elsewhere, next to nothing when quiet."""
    from tqdm import tqdm

    from syncer.reporting.lines import Lines
    from syncer.reporting.progress import Bars

    tqdm.set_lock(threading.RLock())  # its own is one between processes, and loads what those take
    if quiet:
        return Lines(lambda _: None)
    if progress if progress is not None else sys.stderr.isatty():
        return Bars(sys.stderr, every_file=verbose > 0)
    return Lines(lambda line: tqdm.write(line, file=sys.stderr), every_file=True)


def finish(report: Report, target: str | None, *, quiet: bool, summary: bool = True) -> int:
    """Tell how the pass went, on standard error, and where asked for as JSON; its exit code."""
    if summary and (not quiet or report.exit_code):
        say(summarise(report))
    written = write(report, target) if target else True
    return report.exit_code if written else report.exit_code or int(ExitCode.USAGE)


def write(report: Report, target: str) -> bool:
    """Whether the report could be written; why it could not is said."""
    try:
        write_report(report, target)
    except SyncerError as error:
        say(f"syncer: {error}")
        return False
    return True
