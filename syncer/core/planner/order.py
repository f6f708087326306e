"""Whole entries by deadline: the one whose link dies first comes first (optimal where everything fits).

Source: J. R. Jackson, 1955: ordering by due date minimises the greatest lateness on one line.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from syncer.core.model import Entry, Plan

_NEVER = datetime.max.replace(tzinfo=UTC)


def order(due: Iterable[Entry]) -> list[Entry]:
    """Due entries, the most pressing first; ties by age and id, so that the same input gives the same plan.

    An entry without a link comes first: it costs one request, and only its answer tells the deadline.
    """
    return sorted(due, key=_urgency)


def _urgency(entry: Entry) -> tuple[bool, datetime, datetime, str]:
    has_link = entry.link is not None
    return has_link, entry.deadline or _NEVER, entry.created_at or _NEVER, entry.id


def extend(plan: Plan, entry: Entry, now: datetime, show: int = 20) -> Plan:
    """The plan with one more pending entry in it; it keeps the `show` most pressing ones by name."""
    link, size = entry.link, entry.promise.size
    deadline = entry.deadline
    earliest = plan.earliest_deadline
    if deadline is not None and (earliest is None or deadline < earliest):
        earliest = deadline
    is_dead = link is not None and not link.estimated and deadline is not None and deadline <= now
    first = plan.first
    if len(first) < show or _urgency(entry) < _urgency(first[-1]):
        first = tuple(order((*first, entry))[:show])
    return replace(
        plan,
        files=plan.files + 1,
        known_bytes=plan.known_bytes + (size or 0),
        unknown_sizes=plan.unknown_sizes + (size is None),
        no_link=plan.no_link + (link is None),
        earliest_deadline=earliest,
        dead=plan.dead + is_dead,
        first=first,
    )
