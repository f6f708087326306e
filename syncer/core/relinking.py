"""When a link is renewed before it dies: what a transfer still needs, against what its link still lives.

Only what a link says of itself counts here; an estimated death never sends anybody to the API.
"""

from datetime import datetime

from syncer.core.model import Link

SAFETY = 1.5
"""How much longer than expected a transfer is allowed to take: rates waver, and sizes may be estimates."""

GRACE = 1.0
"""Seconds added to that: for opening the connection, and for clocks that differ a little."""

_LOOK_AGAIN = 60.0  # seconds after which a transfer with time to spare is looked at again, at the latest


def life_left(link: Link, now: datetime) -> float | None:
    """Seconds until the link dies by its own word, negative where it has; None where it does not say."""
    if link.estimated or link.expires_at is None:
        return None
    return (link.expires_at - now).total_seconds()


def has_died(link: Link, now: datetime) -> bool:
    """By the link's own word; an estimate never decides that."""
    left = life_left(link, now)
    return left is not None and left <= 0


def seconds_needed(left: float | None, rate: float | None) -> float:
    """How long `left` bytes may take at `rate` bytes a second; with neither known, the time for an answer."""
    if left is None or not rate:
        return GRACE
    return SAFETY * max(0.0, left) / rate + GRACE


def dies_too_soon(link: Link, now: datetime, needed: float) -> bool:
    """Whether the link is dead in less than `needed` seconds, by its own word."""
    life = life_left(link, now)
    return life is not None and life < needed


def next_look(link: Link, now: datetime, needed: float) -> float | None:
    """Seconds until a running transfer that needs `needed` more is to be looked at again; 0.0 where its link dies
    too soon and a new one is to be had now, None where the link does not say when it dies.

    Halfway to the moment at which it would die too soon: a line that slows down is noticed in time.
    """
    life = life_left(link, now)
    if life is None:
        return None
    slack = life - needed
    return 0.0 if slack <= 0 else min(_LOOK_AGAIN, max(slack / 2, 0.25))


def is_better(new: Link, old: Link) -> bool:
    """Whether `new`, had from the API, is to be used in place of a link that has not been refused."""
    if new.url == old.url:
        return False
    return new.estimated or new.expires_at is None or old.expires_at is None or new.expires_at > old.expires_at
