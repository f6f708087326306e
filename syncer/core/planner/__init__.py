"""Which entry next, and which cannot make it: deadlines, sizes and the measured rate decide."""

from syncer.core.planner.order import extend, order
from syncer.core.planner.queue import Decision, Planner
from syncer.core.planner.select import expected_load, forecast, seconds_left
from syncer.core.planner.task import Outlook, Prefer, Task

__all__ = [
    "Decision",
    "Outlook",
    "Planner",
    "Prefer",
    "Task",
    "expected_load",
    "extend",
    "forecast",
    "order",
    "seconds_left",
]
