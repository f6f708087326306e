"""Tells those who watch how passes go: the dead-man's switch, the messages, the metrics file, the user's command."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from syncer.core.errors import LedgerHeld, SyncerError
from syncer.core.report import Report, not_begun
from syncer.reporting.hooks import AfterPass
from syncer.reporting.notify import load_apprise, notify
from syncer.reporting.past import Earlier, last_success, with_own
from syncer.reporting.ping import Ping
from syncer.reporting.summary import summarise


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told. `patient` says that a pass which found the ledger held will be tried again by itself."""

    ping_url: str | None = None
    notify: tuple[str, ...] = ()
    metrics_file: str | None = None
    on_pass: AfterPass | None = None
    profile: str = "default"
    patient: bool = False


class Tell:
    """Tells them, pass after pass."""

    def __init__(self, listeners: Listeners) -> None:
        """Raises UsageError where a library that a listener needs is not installed."""
        self._listeners = listeners
        self._ping = Ping(listeners.ping_url) if listeners.ping_url else None
        self._begun = False
        self._last: Earlier | None = None  # of this process: a pass that did not begin is in no ledger
        if listeners.notify:
            load_apprise()

    async def begins(self) -> None:
        """A pass is about to begin; it may wait for the ledger first, and is told of once."""
        if self._ping and not self._begun:
            await self._ping.started()
        self._begun = True

    async def ended(self, report: Report, earlier: Sequence[Earlier]) -> None:
        """A pass is over; `earlier` are those before it, the newest first. Raises UsageError for the metrics file."""
        self._begun = False
        if self._ping:
            await self._ping.ended(well=report.is_well, reason=summarise(report))
        await self._publish(report, earlier)

    async def could_not_begin(self, error: SyncerError, at: datetime, earlier: Sequence[Earlier]) -> None:
        """`error` kept a pass from beginning. Another pass that holds the ledger tells of itself."""
        if isinstance(error, LedgerHeld):
            if not self._listeners.patient:
                self._begun = False
                await self._fail(error)
            return
        self._begun = False
        await self._fail(error)
        await self._publish(not_begun(at, error), earlier)

    async def _fail(self, error: SyncerError) -> None:
        if self._ping:
            await self._ping.ended(well=False, reason=str(error))

    async def _publish(self, report: Report, earlier: Sequence[Earlier]) -> None:
        told = self._listeners
        history = with_own(self._last, earlier)
        self._last = Earlier(report.exit_code, report.finished_at)
        if told.on_pass:
            await told.on_pass.run(report)
        if told.notify:
            await notify(told.notify, report, history)
        if told.metrics_file:
            from syncer.reporting.metrics import write_metrics  # noqa: PLC0415 - its library is loaded for few

            path, since = Path(told.metrics_file), last_success(report, history)
            await asyncio.to_thread(write_metrics, report, path, told.profile, since)
