"""The run report and the exit code that follows from it: a pass that cannot account for every job says so."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from syncer.core.errors import SyncerError
from syncer.core.model import Listing, Tally

VERSION = 1
MOST_NAMED = 10_000
"""The most failures, ids at risk and lost ids a report names; its counts are always whole."""


class ExitCode(IntEnum):
    """Stable and documented; scripts rely on them."""

    OK = 0
    BUG = 1
    USAGE = 2
    KEY_REFUSED = 3
    LISTING_FAILED = 4
    DESTINATION = 5
    FAILED = 6
    LOST = 7
    LEDGER_HELD = 8
    LEDGER_DAMAGED = 9
    VERIFY_FAILED = 10
    INTERRUPTED = 130
    TERMINATED = 143


GRAVITY = (
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
    ExitCode.BUG,
    ExitCode.LEDGER_DAMAGED,
    ExitCode.DESTINATION,
    ExitCode.KEY_REFUSED,
    ExitCode.LISTING_FAILED,
    ExitCode.LOST,
    ExitCode.FAILED,
)
"""The gravest first."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a pass moved. `bytes` came over the wire; `failed` counts entries whose last try failed."""

    fetched: int = 0
    bytes: int = 0
    resumed: int = 0
    restarted: int = 0
    relinked: int = 0
    retries: int = 0
    failed: int = 0
    recovered: int = 0  # published by a pass that died before it could settle


@dataclass(frozen=True, slots=True)
class Failure:
    """An entry that is pending and was tried, or could not be."""

    id: str
    name: str | None
    reason: str
    attempts: int
    next_attempt_at: datetime


@dataclass(frozen=True, slots=True)
class Loss:
    """A file lost in this pass. `bytes` is its size as the storage told it, else an estimate, else None."""

    id: str
    name: str | None
    reason: str
    bytes: int | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Deadlines:
    """`at_risk`: pending, and the link dies within a day of the pass's end. `lost`: lost in this pass."""

    earliest: datetime | None = None
    at_risk: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One pass, whole. `to_json` gives the documented form."""

    started_at: datetime
    finished_at: datetime
    exit_code: int
    listing: Listing
    jobs: Tally
    transfer: Transfer
    deadlines: Deadlines
    failures: tuple[Failure, ...] = ()
    losses: tuple[Loss, ...] = ()  # those of `deadlines.lost`, with what there is to say of each
    reason: str | None = field(default=None)  # one sentence, where the pass ended early
    limited: bool = False  # the user's own limit on a pass ended it, and left files for the next

    @property
    def balanced(self) -> bool:
        """Whether every listed job is accounted for."""
        return is_balanced(self.listing, self.jobs)

    @property
    def is_well(self) -> bool:
        """Whether nobody need look: it balances, and at the worst some files wait for the next pass."""
        return self.balanced and not self.deadlines.lost and self.exit_code in (ExitCode.OK, ExitCode.FAILED)

    @property
    def lost_bytes(self) -> int | None:
        """The size of the damage, estimates included; None where nothing tells it."""
        known = [one.bytes for one in self.losses if one.bytes is not None]
        return sum(known) if known or not self.losses else None

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; times are ISO 8601 in UTC."""
        jobs, listing, transfer = self.jobs, self.listing, self.transfer
        return {
            "version": VERSION,
            "started_at": _iso(self.started_at),
            "finished_at": _iso(self.finished_at),
            "exit_code": int(self.exit_code),
            "reason": self.reason,
            "listing": {
                "pages": listing.pages,
                "jobs": listing.jobs,
                "malformed": listing.malformed,
                "complete": listing.complete,
            },
            "jobs": {
                "listed": listing.jobs,
                "stored": jobs.stored,
                "pending": jobs.pending,
                "processing": jobs.processing,
                "remote_error": jobs.remote_error,
                "lost": jobs.lost,
                "filtered": jobs.filtered,
            },
            "balanced": self.balanced,
            "transfer": {name: getattr(transfer, name) for name in Transfer.__dataclass_fields__},
            "deadlines": {
                "earliest": _iso(self.deadlines.earliest),
                "at_risk": list(self.deadlines.at_risk),
                "lost": list(self.deadlines.lost),
            },
            "failures": [
                {
                    "id": f.id,
                    "name": f.name,
                    "reason": f.reason,
                    "attempts": f.attempts,
                    "next_attempt_at": _iso(f.next_attempt_at),
                }
                for f in self.failures
            ],
            "losses": [
                {"id": one.id, "name": one.name, "reason": one.reason, "bytes": one.bytes, "estimated": one.estimated}
                for one in self.losses
            ],
            "lost_bytes": self.lost_bytes,
        }


def not_begun(at: datetime, error: SyncerError) -> Report:
    """The report of a pass that `error` kept from beginning: nothing was listed, and nothing is known."""
    return Report(at, at, error.exit_code, Listing(), Tally(), Transfer(), Deadlines(), reason=str(error))


def is_balanced(listing: Listing, jobs: Tally) -> bool:
    """Listed = stored + pending + processing + remote_error + lost + filtered (I9)."""
    return listing.jobs == jobs.total


def gravest(codes: set[int]) -> int:
    """The one exit code of a pass to which several apply."""
    for code in GRAVITY:
        if code in codes:
            return int(code)
    return max(codes, default=0)


def judge_pass(
    listing: Listing,
    jobs: Tally,
    *,
    lost_now: int,
    unfinished: int,
    error_code: int | None,
) -> int:
    """The exit code of a pass: `lost_now` entries were lost in it, `unfinished` are pending, listed or not.

    `error_code` is that of what ended the pass early, if anything did.
    """
    codes: set[int] = set()
    if error_code is not None:
        codes.add(error_code)
    if not listing.complete:
        codes.add(ExitCode.LISTING_FAILED)
    if lost_now:
        codes.add(ExitCode.LOST)
    if unfinished or jobs.pending:
        codes.add(ExitCode.FAILED)
    if not codes and not is_balanced(listing, jobs):
        codes.add(ExitCode.BUG)
    return gravest(codes)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
