"""Is a watch well? What a health check answers, from what its passes have shown."""

from dataclasses import dataclass
from datetime import datetime, timedelta

SLACK = timedelta(minutes=15)
"""What a watch may be late by, besides a second interval, before it counts as stale."""

SOON = timedelta(hours=1)
"""A pending file whose link dies within this, or within two intervals, is at risk. Never more than a day."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is known of a running watch."""

    started_at: datetime
    interval: timedelta
    last_success_at: datetime | None = None  # the end of the last pass that balanced and lost nothing
    last_sign_at: datetime | None = None  # bytes or a page that came in the pass that runs now
    failing: bool = False  # the last pass could not do its work
    deadline: datetime | None = None  # the first one of what the last pass left behind


def judge(vitals: Vitals, now: datetime) -> tuple[str, ...]:
    """Why a watch is not well, a sentence each; empty where it is.

    A long pass that moves is well for as long as it moves; one that follows a failure must first end well.
    """
    found: list[str] = []
    signs = [vitals.started_at, vitals.last_success_at, None if vitals.failing else vitals.last_sign_at]
    last = max(sign for sign in signs if sign is not None)
    if now - last > 2 * vitals.interval + SLACK:
        found.append(f"No pass has ended well since {last:%Y-%m-%d %H:%M} UTC.")
    margin = min(max(2 * vitals.interval, SOON), timedelta(days=1))
    if vitals.deadline is not None and vitals.deadline - now <= margin:
        found.append(f"The link of a pending file dies at {vitals.deadline:%Y-%m-%d %H:%M} UTC.")
    return tuple(found)
