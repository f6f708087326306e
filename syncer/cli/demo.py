"""`syncer demo`: the main job from start to end, against the built-in sandbox."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from syncer.cli.run import choose_observer, run_pass
from syncer.cli.shared import run_async, verbosity
from syncer.config import Settings
from syncer.core.errors import UsageError
from syncer.core.report import Report
from syncer.reporting.summary import summarise
from syncer.reporting.units import human_bytes, plural
from syncer.sandbox.box import Sandbox
from syncer.sandbox.faults import Kind
from syncer.sandbox.faults_wire import Slow
from syncer.sandbox.fixtures import demo_jobs
from syncer.sandbox.scenarios import HEALTHY
from syncer.sandbox.server import running

SEED = 7
FOLDER = "syncer-demo"

NEXT = """
What to do next:
  export VIDEO_DB_API_KEY=sk-…        your key; a file or a command will do as well, see `syncer run --help`
  syncer plan ~/Videos/videodb        what would come
  syncer run ~/Videos/videodb         bring it home
"""


@click.command("demo")
@click.option("--dest", metavar="FOLDER", default=FOLDER, show_default=True, help="Where the demo puts its files.")
@click.option(
    "--files", default=36, show_default=True, type=click.IntRange(1, 1000), metavar="N", help="Finished jobs."
)
@click.option(
    "--rate", default=24, show_default=True, type=click.IntRange(1), metavar="MIB", help="MiB a second of the line."
)
@verbosity
def demo_command(dest: str, *, files: int, rate: int, quiet: bool, verbose: int) -> int:
    """A full sync against a built-in sandbox: no account, no network, nothing to set up.

    Files arrive in FOLDER/videos, and the ledger lies beside them. A second pass then shows that nothing is
    fetched twice. Delete FOLDER when you have seen enough.
    """
    folder = _folder(Path(dest))
    sandbox = _sandbox(files, rate)
    with running(sandbox):
        settings = Settings(
            dest=str(folder / "videos"),
            ledger=str(folder / "ledger.db"),
            base_url=sandbox.base_url,
            api_key=sandbox.api_key,
            api_rate=1000,
        )
        total = human_bytes(sum(job.size for job in sandbox.store.all()))
        click.echo(
            f"A sandbox of VideoDB holds {plural(files, 'finished job')}, {total}. Bringing them home …", err=True
        )
        first = run_async(run_pass(settings, choose_observer(quiet=quiet, verbose=verbose, progress=None)))
        click.echo(summarise(first), err=True)
        if first.exit_code:
            return first.exit_code
        again = _second_pass(settings, sandbox)
    _tell_where(folder / "videos")
    return again.exit_code


def _folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The demo cannot use {folder}: {error.strerror}.", hint="Name another with --dest.") from None
    return folder


def _sandbox(files: int, rate: int) -> Sandbox:
    rng = random.Random(SEED)  # noqa: S311 - the same demo every time
    jobs = demo_jobs(rng, datetime.now(UTC), files)
    line = replace(HEALTHY, storage=(Slow(rate=rate << 20, shared=True),))
    return Sandbox(jobs, line, rng=rng, seed=SEED)


def _second_pass(settings: Settings, sandbox: Sandbox) -> Report:
    before = len(sandbox.log.requests(Kind.STORAGE))
    report = run_async(run_pass(settings, choose_observer(quiet=True, verbose=0, progress=False)))
    asked = len(sandbox.log.requests(Kind.STORAGE)) - before
    click.echo(
        f"A second pass: {plural(report.transfer.fetched, 'file')} fetched, {plural(asked, 'request')} to the storage.",
        err=True,
    )
    return report


def _tell_where(videos: Path) -> None:
    files = sorted(p for p in videos.rglob("*") if p.is_file() and ".syncer" not in p.parts)
    click.echo(f"\n{plural(len(files), 'file')} in {videos.resolve()}, for example:", err=True)
    for path in files[:4]:
        click.echo(f"  {path.relative_to(videos)}  ({human_bytes(path.stat().st_size)})", err=True)
    click.echo(NEXT, err=True, nl=False)
