"""A failure becomes a decision: try again at a moment, or let it be for this pass."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from syncer.core.errors import FetchError, NoLink, TooLarge
from syncer.core.model import Entry, Park, Retry


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon. Times in seconds."""

    tries: int = 5  # in one pass, those that got nowhere
    base: float = 1.0  # before the second try; doubled for each after it
    ceiling: float = 60.0
    patience: float = 120.0  # the longest Retry-After that one pass sits out
    progress: int = 128 * 1024  # bytes gained that make a failed try not count


MOST_REGENERATIONS = 3
"""How often one job is made again in its life: each time may be billed, and what failed three times will again."""


def may_regenerate(entry: Entry) -> bool:
    """Whether VideoDB may be asked once more to make the job, the user's leave given."""
    return entry.regenerations < MOST_REGENERATIONS


def backoff(tries: int, policy: RetryPolicy, jitter: float) -> float:
    """Seconds to wait after the `tries`-th failure: doubling, capped, up to half taken off by `jitter` (0 to 1)."""
    whole = min(policy.ceiling, policy.base * 2.0 ** min(max(0, tries - 1), 30))
    return whole * (1.0 - 0.5 * jitter)


def decide(
    error: FetchError, tries: int, now: datetime, policy: RetryPolicy, *, gained: int, jitter: float
) -> Retry | Park:
    """What becomes of an entry whose `tries`-th try in this pass ended in `error`, `gained` bytes further than before.

    A storage that names a moment is obeyed: sat out where the policy's patience allows, else left to a later pass.
    """
    reason = error.message
    progressed = gained >= policy.progress
    spent = tries >= policy.tries and not progressed
    if error.retry_after is not None and error.retry_after > now:
        too_long = error.retry_after - now > timedelta(seconds=policy.patience)
        if too_long or spent:
            return Park(reason, error.retry_after, ordered=True)
        return Retry(reason, error.retry_after, progressed)
    if isinstance(error, NoLink | TooLarge) or spent:
        return Park(reason, now)
    wait = backoff(1 if progressed else tries, policy, jitter)
    return Retry(reason, now + timedelta(seconds=wait), progressed)


def parse_retry_after(value: str | None, now: datetime) -> datetime | None:
    """The moment a Retry-After header names: delay seconds or an HTTP date (RFC 9110 §10.2.3); None if unreadable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return now + timedelta(seconds=min(int(text[:9]), 366 * 86400))
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
