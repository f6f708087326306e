"""Entries of the ledger for scripts and spreadsheets: as JSON, as CSV, and as a list that `sha256sum -c` reads."""

import csv
import io
import re
from typing import Any

from syncer.core.model import Entry
from syncer.core.redact import redact
from syncer.reporting.files import to_text

COLUMNS = (
    *("id", "name", "status", "state", "attempts", "last_error", "path", "size", "sha256", "fault"),
    *("created_at", "deadline", "not_before", "first_seen_at", "last_seen_at", "stored_at", "verified_at"),
)
"""The fields of an entry, in order."""

_FORMULA = re.compile(r"[=+\-@\t\r]")


def entry_json(entry: Entry) -> dict[str, Any]:
    """An entry as plain values; its link stays out, because a link is a password."""
    stored = entry.stored
    moments = {
        "created_at": entry.created_at,
        "deadline": entry.deadline,
        "not_before": entry.not_before,
        "first_seen_at": entry.first_seen_at,
        "last_seen_at": entry.last_seen_at,
        "stored_at": stored.stored_at if stored else None,
        "verified_at": stored.verified_at if stored else None,
    }
    return {
        "id": entry.id,
        "name": entry.name,
        "status": str(entry.status),
        "state": str(entry.state),
        "attempts": entry.attempts,
        "last_error": redact(entry.last_error) if entry.last_error else None,
        "path": stored.path if stored else None,
        "size": stored.size if stored else entry.promise.size,
        "sha256": stored.sha256 if stored else None,
        "fault": str(entry.fault) if entry.fault else None,
        **{key: moment.isoformat() if moment else None for key, moment in moments.items()},
    }


def jsonl_line(entry: Entry) -> str:
    """One JSON object on one line."""
    return to_text(entry_json(entry), None) + "\n"


def csv_header() -> str:
    """The names of the columns."""
    return _csv(COLUMNS)


def csv_line(entry: Entry) -> str:
    """One row (RFC 4180, lines ended as on Unix). What a spreadsheet would run as a formula gets an apostrophe in front
    (OWASP, CSV Injection): names come from outside."""
    said = entry_json(entry)
    return _csv([_cell(said[column]) for column in COLUMNS])


def sha256sum_line(entry: Entry) -> str:
    """A stored file's line for `sha256sum -c`, run in the destination; empty for any other entry.

    Backslashes and line breaks are escaped, and the line then begins with a backslash (GNU coreutils, `md5sum`).
    """
    stored = entry.stored
    if stored is None:
        return ""
    path = "./-" if stored.path == "-" else stored.path  # a lone dash means standard input
    escaped = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == path else chr(92)}{stored.sha256}  {escaped}\n"


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    plain = "".join(c if c.isprintable() or c in "\n\u200c\u200d" else "\ufffd" for c in value)
    return f"'{plain}" if _FORMULA.match(value) else plain


def _csv(cells: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
