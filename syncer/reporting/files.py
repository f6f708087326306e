"""Writes files for people and scripts, the run report first: whole or not at all."""

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from syncer.core.errors import UsageError
from syncer.core.report import Report

_UNSEEN = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def to_text(value: Any, indent: int | None = 2) -> str:
    """A value as JSON that UTF-8 takes and a terminal can show: control and directional characters are escaped."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    text = text.encode("utf-8", "replace").decode("utf-8")
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def check_report_target(target: str) -> None:
    """Raises UsageError before a pass where its report could not be written after it."""
    folder = Path(target).parent
    if target != "-" and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise UsageError(f"The report cannot be written: {folder} is no folder to write to.", hint="Check --report.")
    if target != "-" and Path(target).is_dir():
        raise UsageError(f"The report cannot be written: {target} is a folder.", hint="Name a file with --report.")


def write_report(report: Report, target: str) -> None:
    """The report as JSON to the file `target`, replaced atomically, or to standard output for `-`.

    Raises UsageError where the file cannot be written.
    """
    text = to_text(report.to_json()) + "\n"
    # A link is followed, and what is no plain file (a pipe, /dev/stdout) is written to and stays what it is.
    path = Path(target).resolve()
    try:
        if target == "-":
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        replace_text(path, text)
    except OSError as error:
        raise UsageError(f"The report cannot be written to {target}: {error.strerror}.") from None


def replace_text(path: Path, text: str) -> None:
    """Put a file with `text` under `path`, whole or not at all, for its owner's eyes only. Raises OSError."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
