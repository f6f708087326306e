"""When a signed link dies, as far as the link itself says: the forms of videodb-api.md, "Expiry in the link"."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import unquote_plus

from syncer.core.model import Link
from syncer.videodb.times import later, read_epoch, read_moment

LIFE = timedelta(hours=24)
"""How long a link is said to live where it does not say it itself."""

LONGEST_LIFE = timedelta(days=3660)
"""A signature that claims more is nonsense; the V4 forms allow seven days."""

_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,18}(?:\.\d{0,9})?", re.ASCII)
_KNOWN = frozenset({"x-goog-date", "x-goog-expires", "x-amz-date", "x-amz-expires", "expires", "se", "exp", "policy"})
_MAX_VALUE = 8192  # characters of a parameter; a CloudFront policy has some hundreds

Values = Mapping[str, Sequence[str]]


def read_expiry(url: str, created_at: datetime | None, seen_at: datetime) -> Link:
    """The link with the moment it dies: from its own signature where readable, else an estimate.

    `created_at` and `seen_at` are aware, in UTC; `seen_at` is when this very link was first seen. Values that are
    nonsense count as absent. Never raises, whatever the text.
    """
    values = _values(url)
    for form in _FORMS.values():
        moment = form(values)
        if moment is not None:
            return Link(url, moment)
    return Link(url, later(created_at or seen_at, LIFE), estimated=True)


def form_of(url: str) -> str | None:
    """The parameter by which the link says when it dies; None where it does not."""
    values = _values(url)
    return next((name for name, form in _FORMS.items() if form(values) is not None), None)


def _values(url: str) -> Values:
    """The parameters that any form may use, names in lower case, in the order of the link."""
    found: dict[str, list[str]] = {}
    for pair in url.partition("#")[0].partition("?")[2].split("&"):
        name, _, value = pair.partition("=")
        name = (unquote_plus(name) if "%" in name else name).lower()
        if name in _KNOWN and len(value) <= _MAX_VALUE:
            is_quoted = "%" in value or "+" in value
            found.setdefault(name, []).append((unquote_plus(value) if is_quoted else value).strip())
    return found


def _v4(vendor: str) -> Callable[[Values], datetime | None]:
    """The V4 signatures of Google and Amazon: a moment, and the seconds from it."""

    def read(values: Values) -> datetime | None:
        for made, life in zip(values.get(f"x-{vendor}-date", ()), values.get(f"x-{vendor}-expires", ()), strict=False):
            if (moment := _end_of(made, life)) is not None:
                return moment
        return None

    return read


def _epoch(name: str) -> Callable[[Values], datetime | None]:
    """Seconds since 1970, or milliseconds: Google V2, Amazon V2, CloudFront and plain tokens."""

    def read(values: Values) -> datetime | None:
        for value in values.get(name, ()):
            moment = read_epoch(float(value)) if _NUMBER.fullmatch(value) else None
            if moment is not None and moment.year > 2000:  # below, it is a span of seconds
                return moment
        return None

    return read


def _azure(values: Values) -> datetime | None:
    """Azure's shared access signature: `se`, an ISO time in UTC."""
    moments = (read_moment(value) for value in values.get("se", ()) if "-" in value)
    return next((moment for moment in moments if moment is not None), None)


def _policy(values: Values) -> datetime | None:
    """CloudFront's custom policy: base64 with `-_~` for `+=/`, JSON, the condition DateLessThan."""
    for value in values.get("policy", ()):
        plain = value.replace(" ", "+").translate(str.maketrans("-_~", "+=/"))
        try:
            policy = json.loads(base64.b64decode(plain, validate=True))
            number = policy["Statement"][0]["Condition"]["DateLessThan"]["AWS:EpochTime"]
        except (binascii.Error, ValueError, TypeError, KeyError, IndexError, RecursionError):
            continue
        if isinstance(number, int | float) and (moment := read_moment(number)) is not None:
            return moment
    return None


_FORMS: dict[str, Callable[[Values], datetime | None]] = {
    "X-Goog-Expires": _v4("goog"),
    "X-Amz-Expires": _v4("amz"),
    "Expires": _epoch("expires"),
    "se": _azure,
    "exp": _epoch("exp"),
    "Policy": _policy,
}


@lru_cache(maxsize=64)  # one page is signed within a second or two
def _end_of(made: str, life: str) -> datetime | None:
    """When a signature of `made`, good for `life` seconds, ends."""
    signed = _compact(made)
    seconds = int(life[:12]) if life.isascii() and life.isdigit() else 0
    if signed is None or not 0 < seconds <= LONGEST_LIFE.total_seconds():
        return None
    return later(signed, timedelta(seconds=seconds))


def _compact(text: str) -> datetime | None:
    match = _COMPACT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
