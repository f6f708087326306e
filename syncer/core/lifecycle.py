"""The states of an entry and the table of allowed moves; an illegal move is an error, never an accident."""

from dataclasses import dataclass
from datetime import datetime

from syncer.core.model import (
    Follow,
    HandBack,
    Job,
    Link,
    Lose,
    Outcome,
    Park,
    RemoteStatus,
    Retry,
    Sighting,
    State,
    Stored,
)

MOVES: dict[State, frozenset[State]] = {
    State.PROCESSING: frozenset({State.PENDING, State.REMOTE_ERROR, State.FILTERED}),
    State.PENDING: frozenset({State.CLAIMED, State.PROCESSING, State.REMOTE_ERROR, State.FILTERED}),
    State.CLAIMED: frozenset(
        {State.STORED, State.PENDING, State.LOST, State.PROCESSING, State.REMOTE_ERROR},
    ),
    State.STORED: frozenset({State.PENDING}),
    State.REMOTE_ERROR: frozenset({State.PENDING, State.PROCESSING, State.FILTERED}),
    State.LOST: frozenset({State.PENDING, State.PROCESSING, State.REMOTE_ERROR, State.FILTERED}),
    State.FILTERED: frozenset({State.PENDING, State.PROCESSING, State.REMOTE_ERROR}),
}
"""From each state, where an entry may go. Staying is always allowed and is not listed."""

STAYING = frozenset({State.STORED, State.CLAIMED})
"""States that no listing changes: the file, or the worker, knows better."""

_BY_STATUS = {
    RemoteStatus.PROCESSING: State.PROCESSING,
    RemoteStatus.DONE: State.PENDING,
    RemoteStatus.ERROR: State.REMOTE_ERROR,
}


class IllegalMoveError(AssertionError):
    """The program tried a move that the table does not have: a bug."""


def move(old: State, new: State) -> State:
    """`new`, if an entry in `old` may go there. Raises IllegalMoveError otherwise."""
    if new is not old and new not in MOVES[old]:
        raise IllegalMoveError(f"an entry cannot go from {old} to {new}")
    return new


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger already holds of a job when a page brings it again."""

    state: State
    link: Link | None


def on_listed(known: Known | None, sighting: Sighting, at: datetime) -> State:
    """The state of an entry after the listing brought it at `at`.

    A stored entry stays stored and a claimed one claimed, whatever the list says. A lost one comes back only with
    another link than the one that was refused (I7), and with none that died as early: an account full of dead links,
    signed anew for every list, would be refused all over again each time.
    """
    job = sighting.job
    wanted = State.FILTERED if sighting.filtered else _BY_STATUS[job.status]
    if known is None:
        return wanted
    if known.state in STAYING:
        return known.state
    if known.state is State.LOST and wanted is State.PENDING and not _may_live(known.link, job.link, at):
        return State.LOST
    return move(known.state, wanted)


def _may_live(refused: Link | None, new: Link | None, at: datetime) -> bool:
    """Whether a listed link is worth a try after the refused one. Our clock alone never says no: it may be wrong."""
    if new is None or refused is None:
        return new is not None
    if new.url == refused.url:
        return False
    if new.estimated or new.expires_at is None or refused.expires_at is None:
        return True
    return new.expires_at > at or new.expires_at > refused.expires_at


def merge_link(known: Known | None, job: Job) -> Link | None:
    """The link to keep: the listed one, with an estimated death never moved on by seeing the same link again.

    A job listed without a link keeps the one it had: an old link may still live, none certainly does not.
    """
    if known is None or job.link is None:
        return job.link or (known.link if known else None)
    same = known.link is not None and known.link.url == job.link.url
    return known.link if same else job.link


@dataclass(frozen=True, slots=True)
class Settlement:
    """What settling writes: the new state, and why and when it is to be tried again."""

    state: State
    reason: str | None = None
    not_before: datetime | None = None
    parked: bool = False  # nothing more in this pass
    forgive: bool = False  # the try does not count against the entry in this pass


def settle(outcome: Outcome) -> Settlement:
    """How a claim that ended in `outcome` is written down."""
    settlement = _settlement_of(outcome)
    move(State.CLAIMED, settlement.state)
    return settlement


def _settlement_of(outcome: Outcome) -> Settlement:
    match outcome:
        case Stored():
            return Settlement(State.STORED)
        case Retry():
            return Settlement(State.PENDING, outcome.reason, outcome.at, forgive=outcome.progressed)
        case Park():
            return Settlement(State.PENDING, outcome.reason, outcome.at if outcome.ordered else None, parked=True)
        case Lose():
            return Settlement(State.LOST, outcome.reason)
        case HandBack():
            return Settlement(State.PENDING, forgive=True)
        case Follow():
            state = _BY_STATUS[outcome.status]
            return Settlement(state, outcome.reason, parked=state is State.PENDING)
