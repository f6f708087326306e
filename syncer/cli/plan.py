"""`syncer plan`: what a pass would do, with nothing written."""

from typing import Any

import click

from syncer.bootstrap import plan
from syncer.cli.shared import API, API_LINE, CHOICE, LEDGER, emit_json, json_option, run_async, takes_settings
from syncer.config import Settings, with_key
from syncer.core.text import one_line
from syncer.reporting.units import human_bytes, human_seconds, plural
from syncer.runner.planning import Forecast

EPILOG = """\b
Examples:
  syncer plan ~/Videos/videodb          how many files, how much, and the first deadline
  syncer plan ~/Videos --json           the same for a script

Sizes are known only of files that were begun; the others are estimated by the mean of what is stored.
"""


@click.command("plan", epilog=EPILOG)
@takes_settings(*LEDGER, *API, *CHOICE, *API_LINE, dest_argument=True)
@json_option
def plan_command(settings: Settings, *, as_json: bool) -> int:
    """Tell what `syncer run` would fetch now. Lists the jobs; writes neither ledger nor destination."""
    forecast = run_async(plan(with_key(settings)))
    if as_json:
        emit_json(to_json(forecast))
        return 0
    click.echo(describe(forecast))
    return 0


def to_json(forecast: Forecast) -> dict[str, Any]:
    """The forecast as plain values."""
    planned = forecast.plan
    return {
        "version": 1,
        "listed": forecast.listing.jobs,
        "to_fetch": planned.files,
        "bytes": {
            "known": planned.known_bytes,
            "unknown_sizes": planned.unknown_sizes,
            "estimated_total": forecast.estimated_bytes,
        },
        "no_link": planned.no_link,
        "dead_links": planned.dead,
        "earliest_deadline": planned.earliest_deadline.isoformat() if planned.earliest_deadline else None,
        "free_bytes": forecast.free_bytes,
        "fits": forecast.fits,
        "jobs": {name: getattr(forecast.tally, name) for name in type(forecast.tally).__dataclass_fields__},
        "first": [
            {
                "id": e.id,
                "name": e.name,
                "deadline": e.deadline.isoformat() if e.deadline else None,
                "size": e.promise.size,
            }
            for e in planned.first
        ],
    }


def describe(forecast: Forecast) -> str:
    """The forecast in words."""
    planned, jobs = forecast.plan, forecast.tally
    lines = [
        (
            f"{plural(forecast.listing.jobs, 'job')} listed: {jobs.stored:,} stored, {planned.files:,} to fetch, "
            f"{jobs.processing:,} processing, {jobs.remote_error:,} failed at VideoDB, {jobs.lost:,} lost, "
            f"{jobs.filtered:,} left out by filters."
        )
    ]
    if planned.files == 0:
        return "\n".join([*lines, "Nothing to fetch."])
    lines.append(_size_line(forecast))
    if planned.earliest_deadline is not None:
        left = (planned.earliest_deadline - forecast.at).total_seconds()
        when = f"in {human_seconds(left)}" if left > 0 else "already"
        lines.append(f"The first link dies {when} ({planned.earliest_deadline:%Y-%m-%d %H:%M} UTC).")
    if planned.dead:
        lines.append(f"{plural(planned.dead, 'link')} died already; a pass asks VideoDB for new ones.")
    if planned.no_link:
        lines.append(f"{plural(planned.no_link, 'job')} without a link so far.")
    lines.append("The most pressing:")
    lines += [f"  {e.deadline or 'no deadline'!s:32.16}  {one_line(e.name or e.id, 60)}" for e in planned.first[:10]]
    return "\n".join(lines)


def _size_line(forecast: Forecast) -> str:
    planned = forecast.plan
    if forecast.estimated_bytes is None:
        size = f"{plural(planned.files, 'file')} of unknown size"
    elif planned.unknown_sizes:
        size = f"About {human_bytes(forecast.estimated_bytes)}, sizes estimated for {planned.unknown_sizes:,} of them"
    else:
        size = f"{human_bytes(forecast.estimated_bytes)}, by the sizes the storage told"
    if forecast.free_bytes is None:
        return f"{size}."
    verdict = {True: "it fits", False: "IT DOES NOT FIT", None: "whether it fits is not known"}[forecast.fits]
    return f"{size}; {human_bytes(forecast.free_bytes)} are free: {verdict}."
