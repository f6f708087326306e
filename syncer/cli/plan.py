"""`syncer plan`: what a pass would do and whether it is done in time, with nothing written."""

from typing import Any

import click

from syncer.cli.plan_text import describe
from syncer.cli.shared import API, API_LINE, CHOICE, LEDGER, emit_json, json_option, run_async, takes_settings
from syncer.config import Settings, with_key
from syncer.runner.planning import Forecast

EPILOG = """\b
Examples:
  syncer plan ~/Videos/videodb          how many files, how much, and whether they arrive before their links die
  syncer plan ~/Videos --probe          the same with every size asked for, one byte a file
  syncer plan ~/Videos --rate 20M       as it would be on a line of 20 MiB a second
  syncer plan ~/Videos --json           the same for a script

Sizes that the storage has not told are estimated by those that are known. The line is what past passes measured.
"""


@click.command("plan", epilog=EPILOG)
@takes_settings(*LEDGER, *API, "workers", "bwlimit", "rate", "prefer", *CHOICE, *API_LINE, dest_argument=True)
@click.option("--probe", is_flag=True, help="Ask the storage for the sizes that are not known.")
@json_option
def plan_command(settings: Settings, *, probe: bool, as_json: bool) -> int:
    """Tell what `syncer run` would fetch now. Lists the jobs; writes neither ledger nor destination."""
    from syncer.bootstrap import plan

    forecast = run_async(plan(with_key(settings), probe=probe))
    if as_json:
        emit_json(to_json(forecast))
        return 0
    click.echo(describe(forecast))
    return 0


def to_json(forecast: Forecast) -> dict[str, Any]:
    """The forecast as plain values."""
    planned, outlook, speed = forecast.plan, forecast.outlook, forecast.means.speed
    knows_sizes = forecast.estimated_bytes is not None
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
        "rate": {"bytes_per_second": speed.rate, "source": source_of(forecast), "passes": speed.passes},
        "in_time": forecast.in_time,
        "seconds": outlook.seconds if knows_sizes else None,
        "would_be_saved": planned.files - forecast.lost,
        "at_risk": {"files": outlook.at_risk, "ids": list(outlook.at_risk_ids)}
        if knows_sizes
        else {"files": 0, "ids": []},
        "would_be_lost": {
            "files": forecast.lost,
            "dead": planned.dead,
            "bytes": outlook.lost_bytes if knows_sizes else None,
            "ids": list(outlook.lost_ids) if knows_sizes else [],
        },
        "needed": {
            "bytes_per_second": forecast.needed_rate if knows_sizes else None,
            "workers": forecast.needed_workers if knows_sizes else None,
        },
        "free_bytes": forecast.means.free_bytes,
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


def source_of(forecast: Forecast) -> str | None:
    """Where the rate comes from: past passes, the user, or the user's own limit; None where there is none."""
    speed = forecast.means.speed
    if speed.rate is None:
        return None
    if speed.limited:
        return "limit"
    return "measured" if speed.passes else "given"
