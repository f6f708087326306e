"""`syncer adopt`: a destination that is filled already, for a ledger that does not know it."""

import sys

import click
from tqdm import tqdm

from syncer.bootstrap import adopt
from syncer.cli.shared import LEDGER, emit_json, json_option, run_async, takes_settings
from syncer.config import Settings
from syncer.core.text import one_line
from syncer.reporting.units import human_bytes, plural

EPILOG = """\b
Examples:
  syncer adopt /mnt/nas/videodb --dry-run     what would be taken in
  syncer adopt /mnt/nas/videodb               after the ledger was lost: nothing is fetched again

Every file the manifest names is read back and compared; only what is whole is taken in. What is missing or
changed is fetched again by the next pass where VideoDB still has it. The ledger that had the folder loses it.
"""

_SHOWN = 10


@click.command("adopt", epilog=EPILOG)
@takes_settings(*LEDGER, dest_argument=True)
@click.option("--dry-run", is_flag=True, help="Read and compare; change neither ledger nor destination.")
@json_option
def adopt_command(settings: Settings, *, dry_run: bool, as_json: bool) -> int:
    """Bind the ledger to DEST and take in the files its manifest names, without fetching anything."""
    _ = settings.destination
    with tqdm(unit=" files", file=sys.stderr, desc="reading", disable=not sys.stderr.isatty(), leave=False) as bar:

        def told(_: str) -> None:
            bar.update()

        found = run_async(adopt(settings, told, dry_run=dry_run))
    if as_json:
        emit_json({
            "version": 1, "dry_run": dry_run, "adopted": found.adopted, "bytes": found.bytes, "known": found.known,
            "missing": found.missing, "changed": found.changed,
        })  # fmt: skip
        return 0
    verb = "would be adopted" if dry_run else "adopted"
    known = f"; {found.known:,} known before" if found.known else ""
    click.echo(f"{plural(found.adopted, 'file')} {verb}, {human_bytes(found.bytes)}{known}.")
    for word, paths in (("missing", found.missing), ("changed", found.changed)):
        for path in paths[:_SHOWN]:
            click.echo(f"  {word}  {one_line(path, 110)}")
        if len(paths) > _SHOWN:
            click.echo(f"  … and {len(paths) - _SHOWN:,} more {word}")
    return 0
