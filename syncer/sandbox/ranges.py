"""Range requests: which part of a file is asked for, and whether the validator allows a part at all."""

import re
from datetime import datetime
from email.utils import format_datetime

from syncer.sandbox.model import ValidatorForm

_BYTES = re.compile(r"bytes=[ \t]*(\d*)-(\d*)[ \t]*", re.ASCII | re.IGNORECASE)


class UnsatisfiableError(Exception):
    """The range begins beyond the end of the file: 416 (RFC 9110 §15.5.17)."""


def wanted(header: str | None, size: int) -> tuple[int, int] | None:
    """The asked part as [start, stop) of a file of `size` bytes, or None where the whole is to be sent.

    RFC 9110 §14.1.2 and §14.2: one range, a suffix or an open end; anything else, several ranges among it, may be
    ignored and is. Raises UnsatisfiableError.
    """
    match = None if header is None else _BYTES.fullmatch(header)
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if first == "":
        start, stop = max(size - int(last), 0), size
    elif last == "":
        start, stop = int(first), size
    elif int(last) < int(first):
        return None
    else:
        start, stop = int(first), min(int(last) + 1, size)
    if start >= size:
        raise UnsatisfiableError
    return start, stop


def holds(if_range: str | None, form: ValidatorForm, etag: str, modified: datetime) -> bool:
    """Whether a range may be honoured (RFC 9110 §13.1.5): strong ETags and exact dates only, and only those sent."""
    if if_range is None:
        return True
    if if_range == etag:
        return form in (ValidatorForm.BOTH, ValidatorForm.ETAG)
    return if_range == http_date(modified) and form in (ValidatorForm.BOTH, ValidatorForm.DATE)


def http_date(moment: datetime) -> str:
    """The moment, UTC, in whole seconds as HTTP writes it (RFC 9110 §5.6.7)."""
    return format_datetime(moment.replace(microsecond=0), usegmt=True)
