"""Logging set up once: for people or for machines, to a stream and a file, with secrets taken out of every record.

Entries come from structlog (the events of a pass) and from the standard library (ours and other libraries'); all go
through the same formatter, whose last step before rendering is the scrubber. https://www.structlog.org/en/stable/.
"""

import logging
import logging.handlers
import os
import sys
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from syncer.core.errors import UsageError
from syncer.core.text import one_line
from syncer.reporting.files import to_text
from syncer.reporting.scrub import Scrubber

LIBRARIES = ("httpx", "httpcore", "alembic", "sqlalchemy", "uvicorn", "filelock")
"""Libraries that log URLs, headers or parameters of their own accord."""

EVENTS = "syncer.events"
"""The logger of what happens in a pass; see `reporting.eventlog`."""

FILE_BYTES = 10 << 20
FILES_KEPT = 5
"""A log file that grows beyond 10 MiB is put aside as FILE.1; five of them are kept."""

WIDEST = 2000
"""Columns of a message for people; the names of pass and job get a tenth of them."""

_scrubber = Scrubber()
_PRIORITY = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}  # sd-daemon(3)
_FIRST = ("timestamp", "level", "event", "pass", "job", "message")


@dataclass(frozen=True, slots=True)
class Style:
    """How a stream of log lines looks. `shows_events` is False where an observer tells them to people already."""

    as_json: bool = False
    dated: bool = False
    journal: bool = False  # priority prefixes in the place of times: the journal has its own
    shows_events: bool = True


def protect(secret: str) -> None:
    """Hide this text in every log record from now on."""
    _scrubber.protect(secret)


def configure(stream: TextIO, verbosity: int, style: Style, file: str | None = None) -> None:
    """Send the log to `stream`: warnings, or with 1 what happens, or with 2 everything of ours; less than 0, as 0.
    What happens goes to `file` in any case.

    Other libraries' warnings go the same way. Raises UsageError where the file cannot be written.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[max(0, min(verbosity, 2))]
    handlers: list[logging.Handler] = [_Stream(stream, style, level)]
    if file:
        handlers.append(_file_handler(Path(file).expanduser(), style, min(level, logging.INFO)))
    root, ours = logging.getLogger(), logging.getLogger("syncer")
    for logger in (root, ours):
        for old in [h for h in logger.handlers if isinstance(h, _Stream | _File)]:
            logger.removeHandler(old)
            old.close()
    for handler in handlers:
        root.addHandler(handler)
    ours.setLevel(min(handler.level for handler in handlers))
    logging.captureWarnings(capture=True)


def quieten_libraries() -> None:
    """Keep libraries from logging links and headers, whatever the application that embeds syncer logs itself."""
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)


def is_journal(stream: TextIO, told: str | None) -> bool:
    """Whether `stream` leads to systemd's journal; `told` is JOURNAL_STREAM, the journal's device and inode.

    Source: systemd.exec(5): the variable alone proves nothing, because children inherit it.
    """
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return told == f"{found.st_dev}:{found.st_ino}"


class _Stream(logging.StreamHandler[TextIO]):
    """Lines on a terminal or a pipe, above any progress bars."""

    def __init__(self, stream: TextIO, style: Style, level: int) -> None:
        super().__init__(stream)
        self.setLevel(level)
        self.setFormatter(_Late(style))
        if not style.shows_events:
            self.addFilter(lambda record: record.name != EVENTS)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            tqdm.write(self.format(record), file=self.stream)
            self.flush()
        except Exception:  # noqa: BLE001 - nobody may be reading, and a record may be unprintable
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """The standard library would print the record as it is, secrets included."""


class _File(logging.handlers.RotatingFileHandler):
    """A log file that does not grow for ever; a full disk under it changes nothing else."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """See `_Stream`."""


def _file_handler(path: Path, style: Style, level: int) -> logging.Handler:
    try:
        handler = _File(path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            f"The log file {path} cannot be written: {error.strerror}.", hint="Check --log-file."
        ) from None
    handler.setLevel(level)
    handler.setFormatter(_Late(Style(as_json=style.as_json, dated=True)))
    return handler


class _Late(logging.Formatter):
    """Made with the first record: a pass without trouble logs none, and structlog takes a while to load."""

    def __init__(self, style: Style) -> None:
        super().__init__()
        self._look = style
        self._made: logging.Formatter | None = None

    def format(self, record: logging.LogRecord) -> str:
        if self._made is None:
            self._made = _formatter(self._look)
        return self._made.format(record)


def _formatter(style: Style) -> logging.Formatter:
    import structlog  # noqa: PLC0415 - see _Late
    from structlog.stdlib import ProcessorFormatter  # noqa: PLC0415

    return ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            _as_message,
        ],
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            ProcessorFormatter.remove_processors_meta,
            _scrubber,
            _render_json(style) if style.as_json else _render_text(style),
        ],
    )


def _as_message(logger: Any, name: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ARG001
    """A standard record is all message; its event has one name."""
    entry["message"], entry["event"] = entry.get("event"), "log"
    return entry


def _prefix(style: Style, level: str) -> str:
    return f"<{_PRIORITY.get(level, 5)}>" if style.journal else ""


def _render_json(style: Style) -> Callable[[Any, str, MutableMapping[str, Any]], str]:
    def render(logger: Any, name: str, entry: MutableMapping[str, Any]) -> str:  # noqa: ARG001
        if style.journal:
            entry.pop("timestamp", None)
        ordered = {key: entry[key] for key in _FIRST if key in entry} | dict(entry)
        return _prefix(style, str(entry.get("level"))) + to_text(ordered, indent=None)

    return render


def _render_text(style: Style) -> Callable[[Any, str, MutableMapping[str, Any]], str]:
    def render(logger: Any, name: str, entry: MutableMapping[str, Any]) -> str:  # noqa: ARG001
        level = str(entry.get("level", "info"))
        head = f"{str(entry.get('timestamp', ''))[:19]}Z {level:<7} " if style.dated and not style.journal else ""
        words = one_line(str(entry.get("message") or entry.get("event")), WIDEST)
        told = [f"{key}={_shown(entry[key], WIDEST // 10)}" for key in ("pass", "job") if key in entry]
        if not style.dated:
            head, told = "syncer: ", []
        if "exception" in entry:
            told.append(f"exception={_shown(entry['exception'], WIDEST)}")
        return _prefix(style, level) + head + "  ".join([words, *told])

    return render


def _shown(value: Any, width: int) -> str:
    text = one_line(str(value).replace("\n", " | "), width)
    return to_text(text, indent=None) if " " in text or not text else text


def default_style(stream: TextIO, *, as_json: bool, dated: bool, shows_events: bool) -> Style:
    """The style for `stream`, which may be the journal."""
    journal = is_journal(stream, os.environ.get("JOURNAL_STREAM"))
    return Style(as_json, dated, journal, shows_events)


def stderr_style(*, as_json: bool = False, dated: bool = False, shows_events: bool = False) -> Style:
    """The style for standard error."""
    return default_style(sys.stderr, as_json=as_json, dated=dated, shows_events=shows_events)
