"""What happens in a pass, as log entries: one event a line, each with its pass, and with its job where it has one."""

import logging
from dataclasses import fields
from typing import Any

import structlog
from structlog.stdlib import BoundLogger, ProcessorFormatter

from syncer.core.events import (
    BytesArrived,
    EntryLost,
    EntryMalformed,
    Event,
    FetchFailed,
    FetchStarted,
    HookFailed,
    ListingEnded,
    PageListed,
    PassEnded,
    PassStarted,
    SettingsReread,
    Standing,
)
from syncer.core.report import Report
from syncer.reporting.lines import line_of, standing_of
from syncer.reporting.log import EVENTS


class EventLog:
    """An observer that logs every event but the arrival of bytes."""

    def __init__(self) -> None:
        self._log: BoundLogger = structlog.wrap_logger(
            logging.getLogger(EVENTS),
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.filter_by_level,
                structlog.stdlib.add_log_level,
                ProcessorFormatter.wrap_for_formatter,
            ],
            wrapper_class=BoundLogger,
            cache_logger_on_first_use=True,
        )
        self._pass: int | None = None

    def notify(self, event: Event) -> None:
        if isinstance(event, BytesArrived):
            return
        if isinstance(event, PassStarted):
            # Bound to the pass's own context: what other modules log in it carries the number too.
            self._pass = event.pass_id
            structlog.contextvars.bind_contextvars(**{"pass": event.pass_id})
        self._log.log(_level(event), _name(event), **_details(event))
        if isinstance(event, PassEnded):
            structlog.contextvars.unbind_contextvars("pass")

    def report(self, pass_report: Report) -> None:
        """How a pass went, its counts in full."""
        told = pass_report.to_json()
        counts = {key: told[key] for key in ("exit_code", "reason", "balanced", "listing", "jobs", "transfer")}
        level = logging.INFO if pass_report.exit_code == 0 else logging.WARNING
        words = f"{pass_report.jobs.stored:,} stored, {pass_report.jobs.pending:,} pending"
        if pass_report.reason:
            words = f"{words}: {pass_report.reason}"
        number = {} if self._pass is None else {"pass": self._pass}
        self._log.log(level, "pass_report", message=words, **number, **counts)


def _level(event: Event) -> int:
    match event:
        case EntryLost() | ListingEnded(reason=str()):
            return logging.ERROR
        case EntryMalformed() | HookFailed() | FetchFailed(next_attempt_at=None) | SettingsReread(problem=str()):
            return logging.WARNING
        case PassEnded(exit_code=code) if code:
            return logging.WARNING
        case FetchStarted() | PageListed() | Standing():
            return logging.DEBUG
        case _:
            return logging.INFO


def _name(event: Event) -> str:
    """`FileStored` is `file_stored` to machines."""
    name = type(event).__name__
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)[1:]


def _details(event: Event) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for item in fields(event):
        value = getattr(event, item.name)
        if item.name in ("listing", "entry"):
            details |= {inner.name: getattr(value, inner.name) for inner in fields(value)}
        elif value is not None:
            details["job" if item.name == "id" else item.name] = value
    details.pop("pass_id", None)
    if "id" in details:
        details["job"] = details.pop("id")
    details = {key: value for key, value in details.items() if value is not None}
    details["message"] = line_of(event, every_file=True) or _plainly(event)
    return details


def _plainly(event: Event) -> str:
    match event:
        case PassEnded(exit_code=code):
            return f"the pass ended with exit code {code}"
        case FetchStarted(name=name):
            return f"fetching {name}"
        case PageListed(index=index, jobs=jobs):
            return f"page {index} listed, {jobs} jobs so far"
        case Standing():
            return standing_of(event)
        case _:
            return _name(event).replace("_", " ")
