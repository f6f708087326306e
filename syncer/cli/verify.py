"""`syncer verify`: read files back, and say what is missing or changed."""

import sys
from typing import Any

import click

from syncer.cli.shared import LEDGER, json_option, run_async, takes_settings
from syncer.cli.signals import stopping
from syncer.cli.stream import Findings
from syncer.config import Settings
from syncer.core.errors import UsageError
from syncer.core.report import ExitCode
from syncer.core.verify import Remedy, Sample, parse_sample
from syncer.reporting.reading import ReadingBar
from syncer.reporting.units import human_bytes, plural
from syncer.runner.parts import Stop
from syncer.runner.verification import Verification

EPILOG = """\b
Examples:
  syncer verify                                 read every stored file back
  syncer verify --quiet --sample 1/7            every night a seventh: all of them within a week
  syncer verify --requeue && syncer run         fetch again what is missing or changed
  syncer verify --accept-missing                you deleted what is missing: it is not named again

Ends with 10 where a file is missing, changed or cannot be read, and names each; it stays named until it is there again.
What was moved inside the destination is found by its bytes, and the ledger follows. With --requeue a changed file
is kept in DEST/.syncer/aside; with --accept-missing `syncer retry ID` alone brings a file back. A manifest that does
not say what the ledger says is written anew.
"""


@click.command("verify", epilog=EPILOG)
@takes_settings(*LEDGER, "workers", dest_argument=True)
@click.option(
    "--sample", metavar="N/M", default="1/1", help="Read only so much, the longest unread first: 1/7. [default: all]"
)
@click.option("--requeue", is_flag=True, help="Have what is missing or changed fetched again by the next pass.")
@click.option("--accept-missing", is_flag=True, help="Take what is missing for deleted by you, and name it no more.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing but what is wrong.")
@json_option
def verify_command(
    settings: Settings, *, sample: str, requeue: bool, accept_missing: bool, quiet: bool, as_json: bool
) -> int:
    """Read stored files back and compare them with the ledger."""
    if requeue and accept_missing:
        raise UsageError("What is missing is either fetched again or deleted for good: --requeue or --accept-missing.")
    remedy = Remedy.REQUEUE if requeue else Remedy.ACCEPT if accept_missing else Remedy.NONE
    return run_async(_verify(settings, parse_sample(sample), remedy, quiet=quiet, as_json=as_json))


async def _verify(settings: Settings, sample: Sample, remedy: Remedy, *, quiet: bool, as_json: bool) -> int:
    from syncer.bootstrap import verify

    stop = Stop()
    with Findings(as_json=as_json) as findings:
        bar = ReadingBar(sys.stderr, findings.tell, quiet=quiet)
        try:
            with stopping(stop, "stopping; what was read is noted, and the next run goes on from there."):
                done = await verify(settings, bar, sample, stop, remedy)
        finally:
            bar.close()
        findings.end(to_json(done))
    if not as_json and not (quiet and done.complete and not done.faults):
        click.echo(describe(done))
    if not done.complete:
        return stop.code
    return int(ExitCode.VERIFY_FAILED if done.faults else ExitCode.OK)


def to_json(done: Verification) -> dict[str, Any]:
    """What came of it, as plain values."""
    return {
        "complete": done.complete,
        "stored": done.stored,
        "files": done.files,
        "bytes": done.bytes,
        "faults": {str(fault): count for fault, count in sorted(done.faults.items())},
        "moved": done.moved,
        "requeued": done.requeued,
        "accepted": done.accepted,
        "manifest_rewritten": done.relisted is not None,
    }


def describe(done: Verification) -> str:
    """What came of it, in words."""
    wrong = ", ".join(f"{count:,} {fault}" for fault, count in sorted(done.faults.items()))
    end = "" if done.complete else "; stopped before the end"
    files = f"{plural(done.files, 'file')} of {done.stored:,} looked at"
    lines = [f"{files}, {human_bytes(done.bytes)} read: {wrong or 'all whole'}{end}."]
    if done.moved:
        lines.append(f"{plural(done.moved, 'file')} found elsewhere in the destination; the ledger has the new paths.")
    if done.accepted:
        lines.append(f"{plural(done.accepted, 'file')} taken for deleted by you, and not named again.")
    if done.requeued:
        lines.append(f"{plural(done.requeued, 'job')} put back; `syncer run` fetches them.")
    elif done.faults and done.complete:
        lines.append("`syncer verify --requeue` has them fetched again by the next pass.")
    if done.relisted is not None:
        lines.append(f"The manifest was not what it should be, and was written anew: {plural(done.relisted, 'line')}.")
    return "\n".join(lines)
