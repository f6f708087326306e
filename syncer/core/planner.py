"""Which entry next: the one whose link dies first (earliest deadline first, optimal where everything fits).

Source: J. R. Jackson, 1955: ordering by due date minimises the greatest lateness on one line.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from syncer.core.model import Entry, Plan, State

_NEVER = datetime.max.replace(tzinfo=UTC)


def order(due: Iterable[Entry]) -> list[Entry]:
    """Due entries, the most pressing first; ties by age and id, so that the same input gives the same plan.

    An entry without a link comes first: it costs one request, and only its answer tells the deadline.
    """
    return sorted(due, key=_urgency)


def _urgency(entry: Entry) -> tuple[bool, datetime, datetime, str]:
    has_link = entry.link is not None
    return has_link, entry.deadline or _NEVER, entry.created_at or _NEVER, entry.id


def plan(entries: Iterable[Entry]) -> Plan:
    """What a pass over `entries` would bring, as far as it can be told without asking the storage."""
    due = tuple(order(e for e in entries if e.state is State.PENDING))
    sizes = [e.promise.size for e in due]
    deadlines = [e.deadline for e in due if e.deadline is not None]
    return Plan(
        due=due,
        known_bytes=sum(s for s in sizes if s is not None),
        unknown_sizes=sum(1 for s in sizes if s is None),
        earliest_deadline=min(deadlines, default=None),
    )
