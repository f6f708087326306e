"""A forecast in words, for a terminal of 80 columns and more."""

from collections.abc import Iterator
from datetime import datetime

import click

from syncer.core import relinking
from syncer.core.text import one_line
from syncer.reporting.units import human_bytes, human_seconds, plural
from syncer.runner.planning import Forecast

_MOST_WORKERS = 64
_SHOWN = 10
_MARGIN = 12  # columns of the words on the left


def describe(forecast: Forecast) -> str:
    """The forecast, a line for each thing to know, and what to do where not all would arrive in time."""
    lines = [_jobs(forecast)]
    if forecast.plan.files == 0:
        return "\n".join([*lines, "Nothing to fetch."])
    lines += ["", _row("To fetch", _amount(forecast))]
    if forecast.means.free_bytes is not None:
        lines.append(_row("Space", _space(forecast)))
    lines.append(_row("Deadlines", _deadlines(forecast)))
    lines.append(_row("Line", _line(forecast)))
    lines += [_row(word, text) for word, text in _verdict(forecast)]
    ways = list(_ways_out(forecast))
    lines += ["", "What may save them:", *(f"  - {way}" for way in ways)] if ways else []
    lines += ["", "The most pressing:", *_first(forecast)]
    return "\n".join(lines)


def _row(word: str, text: str) -> str:
    return f"{click.style(f'{word:{_MARGIN}}', dim=True)}{text}"


def _jobs(forecast: Forecast) -> str:
    jobs = forecast.tally
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (jobs.stored, "stored"),
            (forecast.plan.files, "to fetch"),
            (jobs.processing, "processing"),
            (jobs.remote_error, "failed at VideoDB"),
            (jobs.lost, "lost"),
            (jobs.filtered, "left out by filters"),
        )
        if count
    ]
    return f"{plural(forecast.listing.jobs, 'job')} listed: {', '.join(parts) or 'none'}."


def _amount(forecast: Forecast) -> str:
    planned = forecast.plan
    files = plural(planned.files, "file")
    known = planned.files - planned.unknown_sizes
    if forecast.estimated_bytes is None:
        return f"{files} of unknown size{_offer(forecast)}"
    size = human_bytes(forecast.estimated_bytes)
    if not planned.unknown_sizes:
        return f"{files}, {size}, by the sizes the storage told"
    told = f"told for {known:,}, estimated for {planned.unknown_sizes:,}" if known else "all sizes estimated"
    return f"{files}, about {size}: {told}{_offer(forecast)}"


def _offer(forecast: Forecast) -> str:
    return "" if forecast.means.prober else "; --probe asks the storage"


def _space(forecast: Forecast) -> str:
    free = f"{human_bytes(forecast.means.free_bytes or 0)} free"
    if forecast.fits is None:
        return f"{free}; whether it fits is not known"
    return f"{free}: it fits" if forecast.fits else f"{free}: {_bad('IT DOES NOT FIT')}"


def _deadlines(forecast: Forecast) -> str:
    planned, parts = forecast.plan, []
    ahead = forecast.outlook.earliest
    if planned.dead:
        parts.append(f"{plural(planned.dead, 'link')} dead already")
    if ahead is not None:
        which = "the next link dies" if planned.dead else "the first link dies"
        parts.append(f"{which} in {human_seconds((ahead - forecast.at).total_seconds())} ({_moment(ahead)} UTC)")
    if planned.no_link:
        parts.append(f"{plural(planned.no_link, 'job')} without a link so far")
    return "; ".join(parts) or "none is known"


def _line(forecast: Forecast) -> str:
    speed = forecast.means.speed
    if speed.rate is None:
        return "not measured yet; --rate 20M says how fast it is"
    told = f"{human_bytes(speed.rate)} a second"
    passes = "the last pass" if speed.passes == 1 else f"the last {speed.passes} passes that fetched anything"
    if speed.limited:
        return f"{told}, the limit of --bwlimit"
    if not speed.passes:
        return f"{told}, as given"
    return f"{told}, as measured by {passes}"


def _verdict(forecast: Forecast) -> Iterator[tuple[str, str]]:
    outlook, took = forecast.outlook, ""
    if outlook.seconds is not None and forecast.estimated_bytes is not None:
        took = f" in {human_seconds(outlook.seconds)}"
    if forecast.in_time is None:
        yield "In time", "not known without " + ("a size" if forecast.estimated_bytes is None else "a rate")
    elif forecast.in_time:
        yield "In time", _good(f"yes, all of it{took}") + _risk(forecast)
    else:
        saved = outlook.files - forecast.lost
        yield "In time", f"{_bad('NOT ALL')}: {saved:,} of {plural(outlook.files, 'file')}{took}{_risk(forecast)}"
        yield "At stake", _at_stake(forecast)


def _at_stake(forecast: Forecast) -> str:
    dead, late = forecast.plan.dead, forecast.lost - forecast.plan.dead
    parts = [f"{late:,} whose turn comes too late" if late else "", f"{dead:,} under dead links" if dead else ""]
    about = "about " if forecast.plan.unknown_sizes else ""
    told = forecast.outlook.lost_bytes and forecast.estimated_bytes is not None
    size = f", {about}{human_bytes(forecast.outlook.lost_bytes)}" if told else ""
    return f"{plural(forecast.lost, 'file')}{size}: {' and '.join(filter(None, parts))}"


def _risk(forecast: Forecast) -> str:
    risk = forecast.outlook.at_risk
    return f"; {plural(risk, 'file')} only just" if risk else ""


def _ways_out(forecast: Forecast) -> Iterator[str]:
    if forecast.in_time is not False:
        return
    dead, rate = forecast.plan.dead, forecast.means.speed.rate
    yield "new links: a pass asks VideoDB for them by itself, before these die and after"
    if forecast.lost > dead and rate is not None:
        for_whom = f"all but the {dead:,} dead" if dead else "all"
        wide = forecast.needed_rate / rate
        yield f"a line of {human_bytes(forecast.needed_rate)} a second, {wide:.1f} times this one: saves {for_whom}"
        workers = forecast.needed_workers
        if workers is not None and forecast.means.workers < workers <= _MOST_WORKERS:
            yield f"--workers {workers}: the same, if it is each connection that is slow and not the line"
    yield "--regenerate: has what is lost made again (VideoDB may bill it)"


def _first(forecast: Forecast) -> Iterator[str]:
    for entry in forecast.plan.first[:_SHOWN]:
        when = _moment(entry.deadline) if entry.deadline else "no deadline"
        size = "?" if entry.promise.size is None else human_bytes(entry.promise.size)
        dead = _bad(" dead") if entry.link and relinking.has_died(entry.link, forecast.at) else "     "
        yield f"  {when:16}{dead}  {size:>10}  {one_line(entry.name or entry.id, 42)}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _bad(text: str) -> str:
    return click.style(text, fg="red", bold=True)


def _good(text: str) -> str:
    return click.style(text, fg="green")
