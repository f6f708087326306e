"""The user's own commands: one for each stored file, one for each pass.

What happened is told by the environment, never on a command line and never through a shell, so that no name from
outside can become a command. The key, the links and syncer's own settings are not in that environment.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syncer.children import DEVNULL, Child
from syncer.core.environment import clean
from syncer.core.events import HookFailed
from syncer.core.model import StoredFile
from syncer.core.ports import Observer
from syncer.core.report import ExitCode, Report
from syncer.core.text import one_line

_log = logging.getLogger(__name__)

LONGEST = 4096
"""Bytes of one value: names from outside may be of any length, and an environment may not."""

GRACE = 2.0
"""Seconds between asking a command that takes too long to end, and ending it."""

WHEN_STOPPED = 4.0
"""Seconds for a command when a pass was stopped: whoever stops syncer waits for it."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments, and the seconds it may take."""

    argv: tuple[str, ...]
    timeout: float


class StoredHook:
    """`core.ports.Hook`: runs a command for each stored file, in the worker that stored it."""

    def __init__(self, command: Command, destination: str, environ: Mapping[str, str], observer: Observer) -> None:
        self._command = command
        self._destination = destination
        self._environ = clean(environ)
        self._observer = observer

    async def stored(self, job_id: str, name: str | None, file: StoredFile) -> None:
        told = {
            "ID": job_id,
            "NAME": name or "",
            "PATH": f"{self._destination.rstrip('/')}/{file.path}",
            "RELATIVE_PATH": file.path,
            "DEST": self._destination,
            "SIZE": str(file.size),
            "SHA256": file.sha256,
            "STORED_AT": file.stored_at.isoformat(),
        }
        problem = await run(self._command, self._environ | _variables(told))
        if problem is not None:
            self._observer.notify(HookFailed("--on-stored", problem, job_id, one_line(name, 80) or job_id))


@dataclass(frozen=True, slots=True)
class AfterPass:
    """Runs a command after each pass, begun or not."""

    command: Command
    destination: str
    environ: Mapping[str, str]

    async def run(self, report: Report) -> None:
        """A command that fails is warned of and changes nothing."""
        told = {
            "EXIT_CODE": str(int(report.exit_code)),
            "BALANCED": str(int(report.balanced)),
            "FETCHED": str(report.transfer.fetched),
            "BYTES": str(report.transfer.bytes),
            "LISTED": str(report.listing.jobs),
            "STORED": str(report.jobs.stored),
            "PENDING": str(report.jobs.pending),
            "LOST": str(len(report.deadlines.lost)),
            "DEST": self.destination,
            "REASON": report.reason or "",
        }
        command = self.command
        if report.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
            command = Command(command.argv, min(command.timeout, WHEN_STOPPED))
        problem = await run(command, clean(self.environ) | _variables(told))
        if problem is not None:
            _log.warning("the --on-pass command %s", problem)


def _variables(told: Mapping[str, str]) -> dict[str, str]:
    return {f"SYNCER_{name}": _fit(value) for name, value in told.items()}


def _fit(value: str) -> str:
    """A value that an environment takes: no NUL, valid UTF-8, not too long."""
    plain = value.replace("\0", "\ufffd").encode("utf-8", "replace")[:LONGEST]
    return plain.decode("utf-8", "ignore")


async def run(command: Command, environ: Mapping[str, str]) -> str | None:
    """Run a command to its end; what went wrong, as the end of a sentence. Cancelled, it is soon over."""
    # Standard output carries only what was asked for. It can be ended with all that it started.
    child = Child(command.argv, environ, output=_stderr(), leads_session=True)
    try:
        is_over = await child.ends(within=command.timeout)
    except asyncio.CancelledError:
        # It may be about to finish, and it will not be run again.
        await child.ends(within=min(command.timeout, WHEN_STOPPED))
        await _end(child)
        raise
    if not is_over:
        await _end(child)
        return f"took longer than {command.timeout:g} s and was ended"
    outcome = child.outcome
    if isinstance(outcome, OSError):
        return f"cannot be run: {outcome.strerror}"
    return None if outcome == 0 else f"ended with {outcome}"


async def _end(child: Child) -> None:
    if not await child.ends(within=0):
        child.signal(signal.SIGTERM)
        await child.ends(within=GRACE)
        # Whatever it started and left behind goes too.
        child.signal(signal.SIGKILL)
        await child.ends()


def _stderr() -> int:
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return DEVNULL


def command_of(argv: Sequence[str], timeout: float) -> Command | None:
    """None where the user names no command."""
    return Command(tuple(argv), timeout) if argv else None
