"""Standard output and error that nobody may be reading: what cannot be said must not change how a pass ended."""

import contextlib
import os
import sys


def say(text: str) -> None:
    """A line for people, on standard error, as far as somebody listens."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def ensure_streams() -> None:
    """Give a process that was started with closed streams some to write to."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - for good


def flush_streams() -> None:
    """Flush both; a stream whose reader left is put aside, so that the interpreter does not stumble over it at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
