"""What earlier passes came to, as far as it matters to those who are told of the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from syncer.core.report import ExitCode, Report

STOPPED = (None, ExitCode.INTERRUPTED, ExitCode.TERMINATED)
"""Exit codes that say nothing of how things stand: a pass that died, or was stopped."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A pass before this one; without an exit code it died."""

    exit_code: int | None
    finished_at: datetime | None


def last_told(earlier: Sequence[Earlier]) -> int | None:
    """The exit code of the last pass that says how things stood; None where there is none."""
    return next((past.exit_code for past in earlier if past.exit_code not in STOPPED), None)


def last_success(report: Report, earlier: Sequence[Earlier]) -> datetime | None:
    """When a pass last balanced and lost nothing, this one included."""
    if report.is_well:
        return report.finished_at
    ends = [past.finished_at for past in earlier if past.exit_code in (ExitCode.OK, ExitCode.FAILED)]
    return max((end for end in ends if end is not None), default=None)


def with_own(own: Earlier | None, earlier: Sequence[Earlier]) -> list[Earlier]:
    """`earlier` with a pass before it that the ledger may not know, where that one is newer than all of them."""
    newest = max((past.finished_at for past in earlier if past.finished_at is not None), default=None)
    if own is None or own.finished_at is None or (newest is not None and newest >= own.finished_at):
        return list(earlier)
    return [own, *earlier]
