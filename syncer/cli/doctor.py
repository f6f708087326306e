"""`syncer doctor`: is everything as a pass needs it, and if not, what to do."""

from itertools import groupby

import click

from syncer.cli.shared import API, API_LINE, LEDGER, emit_json, json_option, run_async, takes_settings
from syncer.config import Settings
from syncer.core.doctor import Finding, Level, exit_code
from syncer.core.redact import redact

EPILOG = """\b
Examples:
  syncer doctor ~/Videos/videodb      key, API, storage, destination and ledger, a line each
  syncer doctor --json                the same for a script

Asks the API a handful of questions and the storage for one byte; fetches nothing. A destination that belongs to
the ledger is tried out in a folder that is taken away again; no other is written to. Ends with 0 where nothing
failed, else with what a pass would end with.
"""

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@click.command("doctor", epilog=EPILOG)
@takes_settings(*LEDGER, *API, *API_LINE, dest_argument=True)
@json_option
def doctor_command(settings: Settings, *, as_json: bool) -> int:
    """Check key, API, storage, destination and ledger: each line ok, warn or fail, with the way out."""
    from syncer.examining import doctor

    findings = run_async(doctor(settings))
    code = exit_code(findings)
    if as_json:
        rows = [
            {"area": f.area, "level": str(f.level), "text": redact(f.text), "way_out": redact(f.way_out) or None}
            for f in findings
        ]
        emit_json({"version": 1, "exit_code": code, "findings": rows})
    else:
        _show(findings)
    return code


def _show(findings: list[Finding]) -> None:
    for area, found in groupby(findings, key=lambda finding: finding.area):
        click.echo(area)
        for finding in found:
            level = click.style(f"{finding.level:<4}", fg=_COLOURS[finding.level])
            click.echo(f"  {level}  {redact(finding.text)}")
            if finding.way_out:
                click.echo(f"        {redact(finding.way_out)}")
    counts = [sum(f.level is level for f in findings) for level in (Level.FAIL, Level.WARN)]
    click.echo(f"\n{counts[0]} failed, {counts[1]} to be warned of." if any(counts) else "\nAll is well.")
