"""Builds what a watch is made of, and keeps it in force: the settings, read again when asked, and those who look on."""

import asyncio
import logging
import os
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from syncer.bootstrap import listeners, sync
from syncer.config import Settings, with_key
from syncer.core.cadence import Cadence
from syncer.core.errors import SyncerError
from syncer.core.events import SettingsReread
from syncer.core.ports import Observer
from syncer.core.report import ExitCode, Report, not_begun
from syncer.reporting.listen import Listener
from syncer.reporting.observers import Observers
from syncer.reporting.systemd import Systemd
from syncer.reporting.vitals import WatchVitals
from syncer.runner.clock import SystemClock
from syncer.runner.parts import Stop
from syncer.runner.watch import Watch, WatchParts

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the command line brings: how to read the settings again, and who hears of each pass."""

    reread: Callable[[], Settings]
    observer: Observer
    on_report: Callable[[Settings, Report], None]
    reload_asked: asyncio.Event


async def watch(settings: Settings, desk: Desk, stop: Stop) -> int:
    """Pass after pass until `stop` is asked for; its exit code. Raises UsageError before the first one."""
    return await _Watching(await asyncio.to_thread(with_key, settings), settings, desk, stop).run()


class _Watching:
    """The one place that knows the settings in force; everybody else asks or is told."""

    def __init__(self, settings: Settings, unresolved: Settings, desk: Desk, stop: Stop) -> None:
        self._settings = settings
        self._unresolved = unresolved
        self._desk = desk
        self._stop = stop
        self._clock = SystemClock()
        self._systemd = Systemd(os.environ, os.getpid())
        self._vitals = WatchVitals(settings.profile or "default", settings.interval, self._clock.now)
        self._observer = Observers([desk.observer, self._systemd, self._vitals])
        self._tell = listeners(settings, patient=True)
        parts = WatchParts(self._one_pass, self._observer, self._clock, random.SystemRandom())
        self._watch = Watch(parts, Cadence(settings.interval), stop)

    async def run(self) -> int:
        async with AsyncExitStack() as stack:
            if self._settings.listen is not None:
                host, port = self._settings.listen
                pages = {"/metrics": self._vitals.metrics, "/healthz": self._vitals.health}
                listener = await stack.enter_async_context(Listener(host, port, pages))
                _log.info("listening on %s:%d", host, listener.port)
            await stack.enter_async_context(_beside(self._systemd.keep_alive(self._clock)))
            await stack.enter_async_context(_beside(self._heed_reloads()))
            await stack.enter_async_context(_beside(self._say_when_stopping()))
            self._systemd.ready()
            return await self._watch.run()

    async def _one_pass(self) -> Report:
        """One pass with the settings in force. It never raises: the watch goes on, whatever became of a pass."""
        try:
            report = await sync(
                self._settings,
                observer=self._observer,
                stop=self._stop,
                tell=self._tell,
                bwlimit=lambda: self._settings.bwlimit,
            )
        except SyncerError as error:
            _log.warning("%s", error)
            report = not_begun(self._clock.now(), error)
        except Exception as error:  # noqa: BLE001 - see above
            _log.exception("unexpected error; the watch goes on")
            bug = SyncerError(f"Internal error ({type(error).__name__}).")
            report = not_begun(self._clock.now(), bug)
        self._vitals.learn(report)
        self._desk.on_report(self._settings, report)
        if report.exit_code == ExitCode.KEY_REFUSED:
            await self._ask_for_the_key_again()
        return report

    async def _ask_for_the_key_again(self) -> None:
        """The key may have been replaced where it is kept; a prompt each pass would be too much."""
        with suppress(SyncerError):
            self._settings = await asyncio.to_thread(with_key, self._unresolved)

    async def _heed_reloads(self) -> None:
        while True:
            await self._desk.reload_asked.wait()
            self._desk.reload_asked.clear()
            self._systemd.reloading()
            await self._reload()
            self._systemd.ready()

    async def _reload(self) -> None:
        """Take the configuration as it is now; the limit on the rate holds at once, the rest from the next pass on."""
        try:
            unresolved = await asyncio.to_thread(self._desk.reread)
            settings = await asyncio.to_thread(with_key, unresolved)
            tell = listeners(settings, patient=True)
        except SyncerError as error:
            self._observer.notify(SettingsReread(str(error)))
            return
        self._settings, self._unresolved, self._tell = settings, unresolved, tell
        self._vitals.set_interval(settings.interval)
        self._observer.notify(SettingsReread())
        self._watch.set_cadence(Cadence(settings.interval))

    async def _say_when_stopping(self) -> None:
        await self._stop.asked()
        self._systemd.stopping()


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Have `work` done beside what is inside; at its end it is cancelled."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
