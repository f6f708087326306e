"""`syncer watch`: pass after pass."""

import asyncio
import os
from collections.abc import Callable

import click

from syncer.cli.batch import as_batch
from syncer.cli.output import flush_streams
from syncer.cli.run import write
from syncer.cli.shared import PASS, run_async, takes_settings, verbosity
from syncer.cli.signals import stopping
from syncer.config import Settings
from syncer.core.report import Report
from syncer.reporting.files import check_report_target
from syncer.runner.parts import Stop

PATIENCE = 9.0
"""Seconds from the first signal to the end, whatever still hangs: a kill costs nothing that a pass does not mend."""

EPILOG = """\b
Examples:
  syncer watch ~/Videos/videodb                        a pass an hour, sooner where a link is about to die
  syncer watch /mnt/nas/videodb --interval 15m         more often
  syncer watch ~/Videos --listen 9110                  http://127.0.0.1:9110/metrics and /healthz
  syncer watch ~/Videos --log-format json              a log for machines

SIGTERM and Ctrl-C end it within ten seconds, partials kept. SIGHUP has it read its configuration file again: the
limit on the rate holds at once, the rest from the next pass on, --listen and the log from the next start on.
"""


@click.command("watch", epilog=EPILOG)
@takes_settings(*PASS, "interval", "listen", dest_argument=True, rereads=True)
@verbosity
def watch_command(settings: Settings, *, reread: Callable[[], Settings], quiet: bool, verbose: int) -> int:  # noqa: ARG001 - heeded where the log is set up
    """Bring home what is finished, pass after pass, until stopped."""
    _ = settings.destination
    if settings.report:
        check_report_target(settings.report)
    return run_async(_watch(settings, reread))


async def _watch(settings: Settings, reread: Callable[[], Settings]) -> int:
    from syncer.reporting.eventlog import EventLog
    from syncer.watching import Desk, watch

    as_batch()
    stop, reload_asked, events = Stop(), asyncio.Event(), EventLog()

    def on_report(in_force: Settings, report: Report) -> None:
        events.report(report)
        if in_force.report:
            write(report, in_force.report)

    with stopping(stop, None, on_hangup=reload_asked.set, patience=PATIENCE):
        code = await watch(settings, Desk(reread, events, on_report, reload_asked), stop)
    if stop.is_asked():
        # As with `run`: a thread that hangs in a name lookup must not hold up an orderly end.
        flush_streams()
        os._exit(code)
    return code
