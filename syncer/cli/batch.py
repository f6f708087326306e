"""Tells Linux that a pass is work which computes, and which nobody waits for at a keyboard."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")


def as_batch() -> None:
    """Have this thread, and whatever it begins from now on, scheduled as SCHED_BATCH: threads that hand work to each
    other push one another off the processor half as often. See sched(7).

    Without effect where the system has no such thing or does not allow it.
    """
    with suppress(AttributeError, OSError):
        if is_unfiltered(_STATUS.read_text(encoding="ascii", errors="replace")):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def is_unfiltered(status: str) -> bool:
    """Whether a process of this /proc/PID/status may try any system call: a filter (seccomp(2)) may end one for it."""
    return "Seccomp:\t0" in status.splitlines()
