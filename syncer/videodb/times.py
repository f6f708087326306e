"""Moments as APIs and signed links write them: ISO 8601, HTTP dates, epoch numbers; all read as UTC, or not at all."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""Between these a moment is taken for meant; zero times and overflows lie outside."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 64  # characters of a written moment


def read_moment(value: object) -> datetime | None:
    """The moment that a JSON value names, aware and in UTC; naive means UTC (videodb-api.md, "Fields").

    None for anything that names no moment between `EARLIEST` and `LATEST`. Never raises.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return read_epoch(value)
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) > 8:
        return read_epoch(int(text))
    return _sane(_iso(text) or _http_date(text))


def read_epoch(number: float) -> datetime | None:
    """The moment so many seconds after 1970, or milliseconds or microseconds where the number is too great for those.

    None outside `EARLIEST` and `LATEST`, and for NaN. Never raises.
    """
    seconds = float(number) if abs(number) < 1e18 else 0.0
    for _ in range(2):
        if seconds >= 1e11:
            seconds /= 1000.0
    if not 0.0 < seconds < 1e11:
        return None
    return _sane(_EPOCH + timedelta(seconds=seconds))


def later(moment: datetime, by: timedelta) -> datetime:
    """`moment` plus `by`, stopping at the calendar's end instead of raising."""
    try:
        return moment + by
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def _sane(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    try:
        utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return utc if EARLIEST <= utc < LATEST else None
