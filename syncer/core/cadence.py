"""When a watch begins its next pass: after the interval, sooner where something asks for it, later while all fails."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from syncer.core.report import ExitCode, Report

SHORTEST = 60.0
"""Seconds between two passes, at the least, unless the interval itself is shorter."""

MAKING = 300.0
"""Seconds until jobs that VideoDB is making are looked for again, and files that failed are tried again, at first."""

LONGEST_BACKOFF = 900.0
"""Seconds between two passes of a watch that fails, at the most, unless the interval itself is longer."""

HELD = 30.0
"""Seconds until a ledger that another pass holds is asked for again."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """What the user asked of a watch. Times in seconds, each from the end of a pass to the beginning of the next."""

    interval: float = 3600.0
    jitter: float = 0.1  # the part of a wait that may be taken off at random, so that many watches do not march in step

    @property
    def shortest(self) -> float:
        return min(SHORTEST, self.interval)


@dataclass(frozen=True, slots=True)
class Past:
    """What the passes so far have shown, as far as the next one depends on it."""

    ended_at: datetime
    exit_code: int
    failures: int = 0  # passes in a row that could not do their work
    idle: int = 0  # passes in a row that left the same behind: files that failed, jobs in the making
    processing: int = 0
    pending: int = 0
    limited: bool = False  # the user's own limit ended the pass, and what is left may wait
    deadline: datetime | None = None  # the first one of what is left
    next_attempt_at: datetime | None = None  # the first moment a storage named for what is left


@dataclass(frozen=True, slots=True)
class NextPass:
    """When, and what asks for it, as the end of a sentence."""

    at: datetime
    why: str


def learn(past: Past | None, report: Report) -> Past:
    """What is known after one more pass, which `report` tells of."""
    code = report.exit_code
    failed = code not in (ExitCode.OK, ExitCode.FAILED, ExitCode.LOST, ExitCode.LEDGER_HELD)
    same = past is not None and (past.processing, past.pending) == (report.jobs.processing, report.jobs.pending)
    later = [f.next_attempt_at for f in report.failures if f.next_attempt_at > report.finished_at]
    return Past(
        ended_at=report.finished_at,
        exit_code=code,
        failures=(past.failures if past else 0) + 1 if failed else 0,
        idle=past.idle + 1 if past is not None and same else 0,
        processing=report.jobs.processing,
        pending=report.jobs.pending,
        limited=report.limited,
        deadline=report.deadlines.earliest,
        next_attempt_at=min(later, default=None),
    )


def next_pass(cadence: Cadence, past: Past, chance: float) -> NextPass:
    """When to begin again; `chance` (0 to 1) places the jitter. Never sooner than `cadence.shortest` after the end."""
    if past.exit_code == ExitCode.LEDGER_HELD:
        wait, why = min(HELD, cadence.interval), "another pass holds the ledger"
    elif past.failures:
        wait, why = _backoff(cadence, past.failures), "the last pass failed"
    else:
        wait, why = cadence.interval, "the interval"
    for sooner, reason in _reasons(cadence, past):
        if sooner < wait:
            wait, why = sooner, reason
    wait = max(min(wait, cadence.shortest), wait * (1.0 - cadence.jitter * chance))
    return NextPass(past.ended_at + timedelta(seconds=wait), why)


def _backoff(cadence: Cadence, failures: int) -> float:
    """Doubling from the shortest wait on, up to the interval or a quarter of an hour, whichever is longer."""
    doubled: float = cadence.shortest * 2.0 ** min(failures - 1, 20)
    return min(doubled, max(cadence.interval, LONGEST_BACKOFF))


def _reasons(cadence: Cadence, past: Past) -> list[tuple[float, str]]:
    """What asks for a pass before its time, and how many seconds after the last one."""
    found: list[tuple[float, str]] = []
    patience = max(cadence.shortest, MAKING) * 2.0 ** min(past.idle, 20)
    if not past.failures and past.exit_code != ExitCode.LEDGER_HELD:
        if past.processing:
            found.append((patience, "jobs that VideoDB is making"))
        if past.pending and not past.limited:
            found.append((patience, "files that are still pending"))
        if past.next_attempt_at is not None:
            ordered = (past.next_attempt_at - past.ended_at).total_seconds()
            found.append((max(cadence.shortest, ordered), "the moment a storage asked for"))
    if past.deadline is not None and past.deadline > past.ended_at:
        # Half the time that is left, again and again: several tries before the link dies, and none of them hurried.
        half = (past.deadline - past.ended_at).total_seconds() / 2
        found.append((max(cadence.shortest, half), "a link that dies soon"))
    return found
