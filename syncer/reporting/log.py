"""Logging set up once, with secrets taken out of every record on its way."""

import logging
from typing import TextIO

from syncer.core.redact import redact

LIBRARIES = ("httpx", "httpcore", "alembic", "sqlalchemy", "uvicorn", "filelock")
"""Libraries that log URLs, headers or parameters of their own accord."""


class Redacting(logging.Formatter):
    """A formatter whose every line, tracebacks included, has gone through `core.redact`."""

    def __init__(self, fmt: str, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(fmt)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), self._secrets)


def configure(stream: TextIO, verbosity: int, secrets: tuple[str, ...] = ()) -> None:
    """Send syncer's log to `stream`: warnings, or with 1 what happens, or with 2 everything of ours."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(min(verbosity, 2), logging.DEBUG)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        Redacting("syncer: %(message)s" if verbosity < 2 else "%(asctime)s %(name)s: %(message)s", secrets)
    )
    root = logging.getLogger("syncer")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False


def quieten_libraries() -> None:
    """Keep libraries from logging links and headers, whatever the application that embeds syncer logs itself."""
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)
