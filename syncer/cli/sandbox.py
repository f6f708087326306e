"""`syncer sandbox`: the stand-in for VideoDB by itself, until stopped."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click

from syncer.core.errors import UsageError
from syncer.sandbox.box import Sandbox
from syncer.sandbox.fixtures import demo_jobs, hostile_jobs
from syncer.sandbox.scenarios import SCENARIOS, Scenario
from syncer.sandbox.server import serve_forever

EPILOG = """\b
Examples:
  syncer sandbox                               a healthy service with a few dozen jobs
  syncer sandbox --scenario cut --port 8700    connections that break in mid file
  syncer sandbox --list                        what scenarios there are

Point any client at it with the two variables it prints, `syncer run` and the VideoDB SDK included.
"""


@click.command("sandbox", epilog=EPILOG)
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Loopback address to listen on."
)
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), metavar="PORT", help="Port of the API; 0 takes a free one."
)
@click.option("--scenario", default="healthy", show_default=True, metavar="NAME", help="How to behave; see --list.")
@click.option(
    "--jobs", default=36, show_default=True, type=click.IntRange(0, 1_000_000), metavar="N", help="Finished jobs."
)
@click.option("--hostile", is_flag=True, help="Add the jobs with the worst names and ids.")
@click.option("--lifetime", default=86400.0, show_default=True, metavar="SECONDS", help="How long a link lives.")
@click.option(
    "--api-key", default="sk-sandbox", show_default=True, metavar="KEY", help="The key it takes; no real one."
)
@click.option("--seed", default=1, show_default=True, metavar="N", help="Same seed, same jobs, same bytes.")
@click.option("--json", "as_json", is_flag=True, help="Say where it listens as one line of JSON.")
@click.option("--list", "show", is_flag=True, help="List the scenarios and leave.")
def sandbox_command(**given: object) -> int:
    """Run a local stand-in for VideoDB, with links that expire and faults to choose from, until Ctrl-C."""
    if given["show"]:
        for name, scenario in SCENARIOS.items():
            click.echo(f"{name:16}{scenario.about}")
        return 0
    sandbox = _build(given)

    def ready(box: Sandbox) -> None:
        _announce(box, as_json=bool(given["as_json"]))

    try:
        serve_forever(sandbox, str(given["host"]), int(str(given["port"])), on_ready=ready)
    except (ValueError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"The sandbox cannot listen there: {reason}.", hint="Try another --host or --port.") from None
    return 0


def _build(given: dict[str, object]) -> Sandbox:
    now, seed = datetime.now(UTC), int(str(given["seed"]))
    rng = random.Random(seed)  # noqa: S311 - the same seed gives the same jobs
    jobs = demo_jobs(rng, now, int(str(given["jobs"])))
    if given["hostile"]:
        jobs = [*jobs, *hostile_jobs(now)]
    scenario = _scenario(str(given["scenario"]), float(str(given["lifetime"])))
    return Sandbox(jobs, scenario, rng=rng, seed=seed, api_key=str(given["api_key"]))


def _scenario(name: str, lifetime: float) -> Scenario:
    if name not in SCENARIOS:
        raise UsageError(f"There is no scenario {name!r}.", hint=f"Scenarios: {', '.join(SCENARIOS)}.")
    scenario = SCENARIOS[name]
    links = replace(scenario.rules.links, ttl=timedelta(seconds=lifetime))
    return replace(scenario, rules=replace(scenario.rules, links=links))


def _announce(box: Sandbox, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"base_url": box.base_url, "storage_url": box.storage_url, "api_key": box.api_key}))
        return
    click.echo(f"export VIDEO_DB_BASE_URL={box.base_url} VIDEO_DB_API_KEY={box.api_key}")
    click.echo(
        f"The sandbox listens ({box.scenario.name}). Paste the line above in another terminal. Ctrl-C ends it.",
        err=True,
    )
