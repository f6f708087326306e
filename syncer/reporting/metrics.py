"""The last pass as Prometheus metrics in a text file, for node_exporter's textfile collector.

Names follow https://prometheus.io/docs/practices/naming/: base units, and the unit in the name.
"""

from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from syncer.core.errors import UsageError
from syncer.core.model import Tally
from syncer.core.report import Report, Transfer


def write_metrics(report: Report, path: Path, profile: str, last_success: datetime | None = None) -> None:
    """Replace the file at `path` atomically. Raises UsageError where it cannot be written."""
    try:
        write_to_textfile(str(path), build(report, profile, last_success))
    except OSError as error:
        raise UsageError(f"The metrics file {path} cannot be written: {error.strerror}.") from None


def build(report: Report, profile: str, last_success: datetime | None = None) -> CollectorRegistry:
    """Every metric of one pass, labelled with the profile it was for.

    `last_success` is when a pass last balanced and lost nothing, this one included.
    """
    registry = CollectorRegistry()

    def put(name: str, meaning: str, value: float, **labels: str) -> None:
        gauge = Gauge(f"syncer_{name}", meaning, ["profile", *labels], registry=registry)
        gauge.labels(profile, *labels.values()).set(value)

    started, finished = report.started_at.timestamp(), report.finished_at.timestamp()
    put("pass_started_timestamp_seconds", "When the last pass began.", started)
    put("pass_finished_timestamp_seconds", "When the last pass ended.", finished)
    if last_success is not None:
        put("last_success_timestamp_seconds", "When a pass last balanced and lost nothing.", last_success.timestamp())
    put("pass_exit_code", "Exit code of the last pass.", report.exit_code)
    put("pass_balanced", "1 if every listed job is accounted for.", report.balanced)
    put("pass_listing_complete", "1 if the list was read to its end.", report.listing.complete)
    put("pass_malformed_entries", "Entries of the list that could not be read.", report.listing.malformed)
    put("pass_lost_files", "Files lost to expiry in the last pass.", len(report.deadlines.lost))
    put("at_risk_files", "Pending files whose link dies within a day.", len(report.deadlines.at_risk))
    if report.deadlines.earliest is not None:
        deadline = report.deadlines.earliest.timestamp()
        put("earliest_deadline_timestamp_seconds", "When the first link of a pending file dies.", deadline)
    moved = Gauge("syncer_pass_transfer", "What the last pass did.", ["profile", "kind"], registry=registry)
    for kind in sorted(set(Transfer.__dataclass_fields__) - {"bytes"}):
        moved.labels(profile, kind).set(getattr(report.transfer, kind))
    put("pass_received_bytes", "Bytes that came over the wire in the last pass.", report.transfer.bytes)
    jobs = Gauge("syncer_jobs", "Listed jobs by state.", ["profile", "state"], registry=registry)
    for state in Tally.__dataclass_fields__:
        jobs.labels(profile, state).set(getattr(report.jobs, state))
    return registry
