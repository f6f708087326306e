"""Passes: who works on the ledger, and what came of it."""

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from syncer.core.lifecycle import move
from syncer.core.model import Listing, State, Story, Tally
from syncer.core.report import ExitCode
from syncer.ledger.lock import held
from syncer.ledger.rows import counts as entry_counts
from syncer.ledger.tables import TALLY_COUNTS, TRANSFER_COUNTS, entries, ledger_info, passes

FIRST_LEASE = timedelta(minutes=10)
"""How long a pass counts as alive before it renews its lease for the first time."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The pass that holds the ledger; `token` fences what is written under its claims."""

    id: int
    token: str


@dataclass(frozen=True, slots=True)
class PassRecord:
    """A pass as the ledger remembers it; without `finished_at` it is running or died."""

    id: int
    started_at: datetime
    finished_at: datetime | None
    host: str
    pid: int
    exit_code: int | None
    listing: Listing
    tally: Tally
    counts: dict[str, int]  # what it transferred, by the names of core.report.Transfer
    story: Story

    @property
    def moved(self) -> tuple[int, float]:
        """Bytes that came over the wire, and the seconds the pass took; 0 of both where it did not end."""
        if self.finished_at is None:
            return 0, 0.0
        return self.counts["bytes"], (self.finished_at - self.started_at).total_seconds()


def begin(connection: sa.Connection, at: datetime, *, alone: bool) -> Pass:
    """Open a pass and take back what dead ones held.

    `alone` says that a lock proves every other pass dead; else leases tell. Raises LedgerHeld.
    """
    if not alone:
        refuse_while_held(connection, at)
    dead = sa.true() if alone else sa.or_(entries.c.lease_until.is_(None), entries.c.lease_until <= at)
    _take_back(connection, dead)
    _forget_delays(connection)
    row = {
        "started_at": at,
        "lease_until": at + FIRST_LEASE,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
    pass_id = connection.scalars(sa.insert(passes).values(row).returning(passes.c.id)).one()
    return Pass(pass_id, f"{pass_id}:{secrets.token_hex(8)}")


def refuse_while_held(connection: sa.Connection, at: datetime) -> None:
    """Raises LedgerHeld where a pass has neither ended nor let its lease run out; later askers wait for this one."""
    connection.execute(sa.select(ledger_info.c.id).with_for_update())
    alive = sa.select(passes.c.id).where(passes.c.finished_at.is_(None), passes.c.lease_until > at)
    if connection.execute(alive.limit(1)).first() is not None:
        raise held()


def _take_back(connection: sa.Connection, whose: sa.ColumnElement[bool]) -> None:
    connection.execute(
        sa.update(entries)
        .where(entries.c.state == State.CLAIMED, whose)
        .values(state=move(State.CLAIMED, State.PENDING), claim=None, lease_until=None)
    )


def _forget_delays(connection: sa.Connection) -> None:
    """A new pass tries anew; only what the storage itself asked for outlives the pass that heard it."""
    own_delay = sa.and_(entries.c.not_before.is_not(None), entries.c.ordered == sa.false())
    connection.execute(
        sa.update(entries)
        .where(entries.c.state == State.PENDING, sa.or_(entries.c.parked == sa.true(), own_delay))
        .values(
            parked=False,
            not_before=sa.case((entries.c.ordered == sa.true(), entries.c.not_before), else_=sa.null()),
        )
    )


def end(
    connection: sa.Connection,
    holder: Pass,
    at: datetime,
    exit_code: int,
    listing: Listing,
    tally: Tally,
    counts: dict[str, int],
    story: Story,
) -> None:
    """Close a pass with its counts; a claim that nobody settled is taken back with it."""
    _take_back(connection, entries.c.claim == holder.token)
    values: dict[str, Any] = {name: getattr(tally, name) for name in TALLY_COUNTS}
    values |= {name: counts.get(name, 0) for name in TRANSFER_COUNTS}
    values |= {
        "finished_at": at,
        "exit_code": exit_code,
        "pages": listing.pages,
        "listed": listing.jobs,
        "malformed": listing.malformed,
        "complete": listing.complete,
        "story": {
            "margins": {str(hours): count for hours, count in story.margins.items()},
            "least_margin": story.least_margin,
            "reasons": dict(story.reasons),
        },
    }
    connection.execute(sa.update(passes).where(passes.c.id == holder.id).values(values))


def abandon(connection: sa.Connection, holder: Pass) -> None:
    """Let a pass count as dead from here on."""
    _take_back(connection, entries.c.claim == holder.token)
    connection.execute(sa.update(passes).where(passes.c.id == holder.id).values(lease_until=passes.c.started_at))


def tally(connection: sa.Connection, pass_id: int) -> Tally:
    """What a pass listed, by state."""
    by_state = entry_counts(connection, pass_id)
    return Tally(
        stored=by_state[State.STORED],
        pending=by_state[State.PENDING] + by_state[State.CLAIMED],
        processing=by_state[State.PROCESSING],
        remote_error=by_state[State.REMOTE_ERROR],
        lost=by_state[State.LOST],
        filtered=by_state[State.FILTERED],
    )


def newest(connection: sa.Connection) -> int:
    """The id of the last pass begun; 0 if there was none."""
    return connection.scalar(sa.select(sa.func.max(passes.c.id))) or 0


def last_in_order(connection: sa.Connection, pass_id: int) -> int:
    """The newest pass before `pass_id` that ended and left the destination in order; 0 if there was none."""
    ended = (passes.c.id < pass_id, passes.c.finished_at.is_not(None), passes.c.exit_code != ExitCode.DESTINATION)
    return connection.scalar(sa.select(sa.func.max(passes.c.id)).where(*ended)) or 0


def last(connection: sa.Connection, limit: int) -> list[PassRecord]:
    """The last passes, the newest first."""
    rows = connection.execute(sa.select(passes).order_by(passes.c.id.desc()).limit(limit))
    return [_record_of(row) for row in rows]


def _record_of(row: sa.Row[Any]) -> PassRecord:
    return PassRecord(
        id=row.id,
        started_at=row.started_at,
        finished_at=row.finished_at,
        host=row.host,
        pid=row.pid,
        exit_code=row.exit_code,
        listing=Listing(row.pages, row.listed, row.malformed, row.complete),
        tally=Tally(**{name: getattr(row, name) for name in TALLY_COUNTS}),
        counts={name: getattr(row, name) for name in TRANSFER_COUNTS},
        story=_story_of(row.story or {}),
    )


def _story_of(told: dict[str, Any]) -> Story:
    margins = {int(hours): count for hours, count in told.get("margins", {}).items()}
    return Story(margins, told.get("least_margin"), told.get("reasons", {}))
