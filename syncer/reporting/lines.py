"""One line an event, for a log file, cron's mail or a terminal that wants no bars."""

import time
from collections.abc import Callable

from syncer.core.events import (
    BytesArrived,
    EntryFollowed,
    EntryLost,
    EntryMalformed,
    Event,
    FetchFailed,
    FetchRestarted,
    FetchStarted,
    FetchYielded,
    FileStored,
    HookFailed,
    LinkRenewed,
    ListingEnded,
    PassPlanned,
    PassStarted,
    RequestRetried,
    SettingsReread,
    Standing,
)
from syncer.reporting.units import human_bytes, human_seconds

_FREQUENT = (BytesArrived, FetchStarted, FileStored)  # of every file; all of them routine

STANDING_EVERY = 10.0
"""Seconds between two lines that say how a catch-up stands, at the least."""


class Lines:
    """An observer that writes what matters; with `every_file`, each stored file too."""

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        every_file: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._every_file = every_file
        self._monotonic = monotonic
        self._stood: str | None = None  # what was said last of how a catch-up stands
        self._due = 0.0  # when it may be said anew

    def notify(self, event: Event) -> None:
        if isinstance(event, Standing):
            self._stand(event)
            return
        line = line_of(event, every_file=self._every_file)
        if line is not None:
            self._write(line)

    def _stand(self, event: Standing) -> None:
        """At the beginning, at the end, and in between where something changed, now and then."""
        now, counts = self._monotonic(), f"{event.saved} {event.at_risk} {event.lost}"
        if counts != self._stood and (now >= self._due or not event.waiting):
            self._stood, self._due = counts, now + STANDING_EVERY
            self._write(standing_of(event))


def standing_of(event: Standing) -> str:
    """How a catch-up stands, in words."""
    text = f"saved {event.saved:,}, at risk {event.at_risk:,}, lost {event.lost:,}"
    if event.left is None:
        return text
    return f"{text}; {human_seconds(max(0.0, event.left))} to the nearest deadline"


def line_of(event: Event, *, every_file: bool) -> str | None:
    """An event in words; None where it is not worth a line."""
    if isinstance(event, _FREQUENT):
        return _routine(event) if every_file else None
    routine = _routine(event) if every_file else None
    return routine or _trouble_with_listing(event) or _trouble_with_file(event) or _about_the_rest(event)


def _routine(event: Event) -> str | None:
    match event:
        case PassStarted(location=location):
            return f"syncing to {location}"
        case ListingEnded(listing=listing, due=due, reason=None):
            return f"{listing.jobs} jobs listed, {due} to fetch"
        case FileStored(path=path, size=size, recovered=recovered):
            return f"{'recovered' if recovered else 'stored'} {path} ({human_bytes(size)})"
        case FetchYielded(name=name):
            return f"{name} makes way for files that can be saved; what arrived of it is kept"
        case LinkRenewed(name=name):
            return f"new link for {name}"
        case _:
            return None


def _trouble_with_listing(event: Event) -> str | None:
    match event:
        case EntryMalformed(entry=entry):
            return f"skipped an unreadable entry on page {entry.page}, position {entry.position}: {entry.reason}"
        case ListingEnded(reason=str() as reason):
            return f"the list could not be read to its end: {reason}"
        case RequestRetried(reason=reason, wait=wait):
            return f"{reason} Asking again in {human_seconds(wait)}."
        case _:
            return None


def _trouble_with_file(event: Event) -> str | None:
    match event:
        case FetchRestarted(name=name, reason=reason):
            return f"{name}: fetched again from its start, because {reason}"
        case FetchFailed(name=name, reason=reason, next_attempt_at=None):
            return f"{name}: {reason} Left for the next pass."
        case FetchFailed(name=name, reason=reason):
            return f"{name}: {reason} Trying again."
        case EntryLost(name=name, reason=reason):
            return f"LOST {name}: {reason}"
        case EntryFollowed(name=name, reason=reason):
            return f"{name}: {reason}"
        case _:
            return None


def _about_the_rest(event: Event) -> str | None:
    match event:
        case HookFailed(option=option, reason=reason, name=name):
            return f"{name}: the {option} command {reason}; the file is stored."
        case PassPlanned(at=at, why=why):
            return f"next pass at {at:%Y-%m-%d %H:%M:%S} UTC ({why})"
        case SettingsReread(problem=None):
            return "the configuration was read again"
        case SettingsReread(problem=problem):
            return f"the configuration could not be read again, and the old one stays in force: {problem}"
        case _:
            return None
