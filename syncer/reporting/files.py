"""Writes the run report: whole or not at all."""

import json
import os
import sys
import tempfile
from pathlib import Path

from syncer.core.errors import UsageError
from syncer.core.report import Report


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
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n"
    if target == "-":
        sys.stdout.write(text.encode("utf-8", "replace").decode("utf-8"))
        sys.stdout.flush()
        return
    path = Path(target)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"The report cannot be written to {path}: {error.strerror}.") from None
