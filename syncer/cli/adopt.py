"""`syncer adopt`: a destination that is filled already, for a ledger that does not know it."""

import sys
from typing import Any

import click

from syncer.cli.shared import API, API_LINE, LEDGER, emit_json, json_option, run_async, takes_settings
from syncer.cli.signals import stopping
from syncer.cli.stream import line_of
from syncer.config import Settings
from syncer.core.text import one_line
from syncer.core.verify import Finding
from syncer.reporting.reading import ReadingBar
from syncer.reporting.units import human_bytes, plural
from syncer.runner.adoption import Adoption
from syncer.runner.parts import Stop

EPILOG = """\b
Examples:
  syncer adopt /mnt/nas/videodb --dry-run     what would be taken in
  syncer adopt /mnt/nas/videodb               after the ledger was lost: nothing is fetched again

Every file the manifest names is read back and compared, wherever in DEST it lies now; only what is whole is taken in.
Files in no manifest are taken in where their name proves whose they are: by the list of jobs where an API key is at
hand, else by an id in it that can be no other's. What is missing or changed is fetched again by the next pass where
VideoDB still has it. The ledger that had the folder loses it.
"""

_SHOWN = 10


@click.command("adopt", epilog=EPILOG)
@takes_settings(*LEDGER, "name_template", "workers", *API, *API_LINE, dest_argument=True)
@click.option("--dry-run", is_flag=True, help="Read and compare; change neither ledger nor destination.")
@json_option
def adopt_command(settings: Settings, *, dry_run: bool, as_json: bool) -> int:
    """Bind the ledger to DEST and take in the files there that are proven whole, without fetching anything."""
    _ = settings.destination
    return run_async(_adopt(settings, dry_run=dry_run, as_json=as_json))


async def _adopt(settings: Settings, *, dry_run: bool, as_json: bool) -> int:
    from syncer.bootstrap import adopt

    stop, shown = Stop(), dict[object, int]()

    def tell(finding: Finding) -> None:
        """The first few of each kind."""
        shown[finding.fault] = shown.get(finding.fault, 0) + 1
        if not as_json and shown[finding.fault] <= _SHOWN:
            click.echo(line_of(finding))

    bar = ReadingBar(sys.stderr, tell)
    try:
        with stopping(stop, "stopping; what was read is noted, and the next `syncer adopt` goes on from there."):
            found = await adopt(settings, bar, stop, dry_run=dry_run)
    finally:
        bar.close()
    if as_json:
        emit_json({"version": 1, "dry_run": dry_run, **to_json(found)})
    else:
        click.echo(describe(found, dry_run=dry_run))
    return 0 if found.complete else stop.code


def to_json(found: Adoption) -> dict[str, Any]:
    """What came of it, as plain values."""
    return {
        "complete": found.complete,
        "adopted": found.adopted,
        "bytes": found.bytes,
        "moved": found.moved,
        "by_name": found.by_name,
        "known": found.known,
        "missing": found.missing,
        "changed": found.changed,
        "unreadable": found.unreadable,
        "left": found.left,
        "left_first": found.left_first,
        "damaged_lines": found.damaged_lines,
        "listing_error": found.unlisted,
    }


def describe(found: Adoption, *, dry_run: bool) -> str:
    """What came of it, in words."""
    verb = "would be adopted" if dry_run else "adopted"
    counts = [(found.moved, "found elsewhere than the manifest says"), (found.by_name, "by their names")]
    ways = "; ".join(f"{count:,} {how}" for count, how in counts if count)
    known = f"; {found.known:,} known before" if found.known else ""
    total = f"{plural(found.adopted, 'file')} {verb}, {human_bytes(found.bytes)}"
    lines = [f"{total}{f' ({ways})' if ways else ''}{known}."]
    if found.damaged_lines:
        after = "" if dry_run else "; it was written anew"
        lines.append(f"{plural(found.damaged_lines, 'line')} of the manifest cannot be used{after}.")
    wrong = ((found.missing, "missing"), (found.changed, "changed"), (found.unreadable, "unreadable"))
    lines += [f"{len(paths):,} {word}." for paths, word in wrong if paths]
    if found.left:
        lines.append(f"{plural(found.left, 'file')} left alone: nothing proves whose they are, or they are copies.")
        lines += [f"  left        {one_line(path, 110)}" for path in found.left_first[:_SHOWN]]
    if found.unlisted:
        lines.append(f"The list of jobs could not help: {one_line(found.unlisted, 200)}")
    if not found.complete:
        lines.append("Stopped before the end: the folder still belongs to the ledger it had.")
    return "\n".join(lines)
