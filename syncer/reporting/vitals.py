"""How a watch does, for those who ask over HTTP: its metrics and its health."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest

from syncer.core.events import (
    BytesArrived,
    EntryLost,
    Event,
    FetchFailed,
    FileStored,
    PageListed,
    PassEnded,
    PassPlanned,
    PassStarted,
)
from syncer.core.health import Vitals, judge
from syncer.core.report import ExitCode, Report
from syncer.reporting.files import to_text
from syncer.reporting.listen import Page
from syncer.reporting.metrics import build


class WatchVitals:
    """An observer that counts, and answers for `/metrics` and `/healthz`. The exit code of each pass is told it too."""

    def __init__(self, profile: str, interval: float, now: Callable[[], datetime]) -> None:
        """`interval` in seconds."""
        self._profile = profile
        self._now = now
        self._vitals = Vitals(now(), timedelta(seconds=interval))
        self._report: Report | None = None
        self._next_at: datetime | None = None
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._received = self._counter("received_bytes", "Bytes that came over the wire.")
        self._stored = self._counter("stored_files", "Files stored.")
        self._failed = self._counter("failed_tries", "Tries to fetch a file that failed.")
        self._lost = self._counter("lost_files", "Files lost to expiry.")
        self._passes = Counter(
            "syncer_passes", "Passes, by exit code.", ["profile", "exit_code"], registry=self._registry
        )
        self._running = self._gauge("pass_running", "1 while a pass runs.")
        self._next = self._gauge("next_pass_timestamp_seconds", "When the next pass is to begin.")

    def set_interval(self, seconds: float) -> None:
        """The watch has another interval now."""
        self._vitals = replace(self._vitals, interval=timedelta(seconds=seconds))

    def notify(self, event: Event) -> None:
        match event:
            case PassStarted():
                self._running.set(1)
                self._seen()
            case PageListed():
                self._seen()
            case BytesArrived(count=count):
                self._received.inc(count)
                self._seen()
            case FileStored():
                self._stored.inc()
            case FetchFailed():
                self._failed.inc()
            case EntryLost():
                self._lost.inc()
            case PassEnded():
                self._running.set(0)
            case PassPlanned(at=at):
                self._next_at = at
                self._next.set(at.timestamp())
            case _:
                pass

    def learn(self, report: Report) -> None:
        """One more pass, begun or not; one that waits for another's end says nothing of this watch."""
        if report.exit_code == ExitCode.LEDGER_HELD:
            return
        self._report = report
        self._running.set(0)  # a pass that the ledger failed in has not ended by itself
        self._passes.labels(self._profile, str(int(report.exit_code))).inc()
        self._vitals = replace(
            self._vitals,
            last_success_at=report.finished_at if report.is_well else self._vitals.last_success_at,
            failing=not report.is_well,
            deadline=report.deadlines.earliest,
        )

    def metrics(self) -> Page:
        """Everything, in Prometheus' text format."""
        body = generate_latest(self._registry)
        if self._report is not None:
            body += generate_latest(build(self._report, self._profile, self._vitals.last_success_at))
        return Page(body, content_type=CONTENT_TYPE_LATEST)

    def health(self) -> Page:
        """200 where all is well, 503 and why where it is not."""
        reasons = judge(self._vitals, self._now())
        told = {
            "status": "unwell" if reasons else "ok",
            "reasons": list(reasons),
            "last_success_at": _iso(self._vitals.last_success_at),
            "next_pass_at": _iso(self._next_at),
        }
        return Page(f"{to_text(told)}\n".encode(), 503 if reasons else 200, "application/json")

    def _seen(self) -> None:
        self._vitals = replace(self._vitals, last_sign_at=self._now())

    def _counter(self, name: str, meaning: str) -> Counter:
        counter = Counter(f"syncer_{name}", meaning, ["profile"], registry=self._registry)
        return counter.labels(self._profile)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        gauge = Gauge(f"syncer_{name}", meaning, ["profile"], registry=self._registry)
        return gauge.labels(self._profile)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
