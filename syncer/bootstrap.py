"""The only place that builds the concrete parts and hands them to each other.

What only one command works with is loaded when it runs: no pass waits for what looks at an archive or plans.
"""

import asyncio
import logging
import os
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.config import Settings, load, resolve_key
from syncer.core.errors import SyncerError, UsageError
from syncer.core.filters import JobFilter
from syncer.core.naming import Naming
from syncer.core.planner import Prefer
from syncer.core.ports import Clock, Helper, Inventory, Ledger, Observer, Source, Watcher
from syncer.core.report import Report
from syncer.core.retry import RetryPolicy
from syncer.core.space import free_above
from syncer.core.timetable import Timetable
from syncer.core.verify import Remedy, Sample
from syncer.destination.folder import FolderDestination
from syncer.helper import HelperProcess, Setup
from syncer.ledger import open_ledger
from syncer.ledger.engine import place_of
from syncer.reporting.hooks import AfterPass, StoredHook, command_of
from syncer.reporting.log import protect, quieten_libraries
from syncer.reporting.observers import Observers
from syncer.reporting.past import Earlier
from syncer.reporting.tell import Listeners, Tell
from syncer.runner.clock import SystemClock
from syncer.runner.limits import Limits
from syncer.runner.one_pass import run_pass
from syncer.runner.parts import Parts, Rules, Stop
from syncer.runner.probe import AT_ONCE, Prober
from syncer.transfer.fetcher import HttpFetcher
from syncer.transfer.throttle import Throttle
from syncer.videodb.client import ApiClient
from syncer.videodb.lister import VideoDb

if TYPE_CHECKING:
    from syncer.runner.adoption import Adoption
    from syncer.runner.planning import Forecast
    from syncer.runner.verification import Verification

REMEMBERED = 50
"""Passes that are looked back at for what was told of before."""
MEASURED = 10
"""Passes whose rate a forecast goes by."""


async def sync(
    settings: Settings | None = None,
    *,
    observer: Observer | None = None,
    stop: Stop | None = None,
    tell: Tell | None = None,
    bwlimit: Callable[[], Timetable] | None = None,
) -> Report:
    """One pass: everything that is due comes home. Returns the report; its `exit_code` is 0 when all is well.

    `settings` default to the environment and the configuration file. `observer` hears `syncer.core.events` as they
    happen; `stop` ends the pass early and cleanly. Trouble that ends a pass under way is in the report. Raises
    UsageError before anything is touched, and LedgerError where there is no ledger to work with.

    `tell` and `bwlimit` are for a program that makes pass after pass: who is told of all of them, and the limit on
    the rate, asked for anew all the time.
    """
    settings = load() if settings is None else settings
    quieten_libraries()
    tell = listeners(settings) if tell is None else tell
    await tell.begins()
    earlier: list[Earlier] = []
    try:
        report = await _one_pass(settings, Observers([] if observer is None else [observer]), stop, earlier, bwlimit)
    except SyncerError as error:
        await tell.could_not_begin(error, SystemClock().now(), earlier)
        raise
    await tell.ended(report, earlier)
    return report


def listeners(settings: Settings, *, patient: bool = False) -> Tell:
    """Who is told of passes made with these settings. Raises UsageError where a library is missing."""
    on_pass = command_of(settings.on_pass, settings.hook_timeout)
    return Tell(
        Listeners(
            settings.ping_url,
            settings.notify,
            settings.metrics_file,
            AfterPass(on_pass, settings.dest or "", os.environ) if on_pass else None,
            settings.profile or "default",
            patient,
        )
    )


async def _one_pass(
    settings: Settings,
    observer: Observer,
    stop: Stop | None,
    earlier: list[Earlier],
    bwlimit: Callable[[], Timetable] | None,
) -> Report:
    """The report of the pass; those before it go into `earlier`, the newest first."""
    root, key = _root(settings), await asyncio.to_thread(resolve_key, settings)
    protect(key)
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(settings.ledger_location)
        stack.push_async_callback(ledger.close)
        earlier += [Earlier(past.exit_code, past.finished_at) for past in await ledger.last_passes(REMEMBERED)]
        throttle = _throttle(settings, bwlimit)
        parts = await stack.enter_async_context(_parts(settings, observer, ledger, (root, key), throttle))
        return await run_pass(parts, _rules(settings), stop)


async def plan(settings: Settings, *, probe: bool = False) -> "Forecast":
    """What a pass would do now. Works on a copy of the ledger; neither ledger nor destination is written.

    With `probe` the storage is asked for each size that is not known, one byte a file. Raises KeyRefused,
    ListingFailed and LedgerError; UsageError for settings that cannot be used.
    """
    from syncer.runner.planning import Means, forecast, speed_of

    quieten_libraries()
    key, clock = await asyncio.to_thread(resolve_key, settings), SystemClock()
    free_bytes = await asyncio.to_thread(_free_bytes, settings)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syncer-plan-")))
        copied, moved = folder / "empty.db", []
        if await asyncio.to_thread(_exists, settings.ledger_location):
            original = await open_ledger(settings.ledger_location, read_only=True)
            try:
                copied, moved = await original.snapshot(folder), await original.last_passes(MEASURED)
            finally:
                await original.close()
        copy = await open_ledger(copied)
        stack.push_async_callback(copy.close)
        prober = None
        if probe:
            prober = Prober(await stack.enter_async_context(storage_fetcher(settings, clock)), clock)
        source = await stack.enter_async_context(_source(settings, key, clock, Observers([])))
        speed = speed_of(settings.rate, [one.moved for one in moved], settings.bwlimit.rate(clock.now().astimezone()))
        means = Means(speed, settings.workers, free_bytes, Prefer(settings.prefer), prober)
        return await forecast(source, copy, _filter(settings), clock, means)


async def adopt(settings: Settings, watcher: Watcher, stop: Stop, *, dry_run: bool) -> "Adoption":
    """Bind the ledger to a destination that is filled already (see `runner.adoption`).

    The list of jobs helps where a key is at hand; none is needed.
    """
    from syncer.runner import adoption
    from syncer.runner.expectation import list_expected

    quieten_libraries()
    clock, location = SystemClock(), settings.ledger_location
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syncer-adopt-")))
        if dry_run:
            location = await _copied(location, folder)
        ledger, scratch, listed = [
            await open_ledger(place) for place in (location, folder / "scratch.db", folder / "listed.db")
        ]
        for opened in (ledger, scratch, listed):
            stack.push_async_callback(opened.close)
        destination = FolderDestination(_root(settings), clock=clock)
        stack.push_async_callback(destination.close)
        naming = Naming(settings.name_template)

        async def expected() -> Inventory | None:
            key = await asyncio.to_thread(_key_if_any, settings)
            if key is None or "{id" not in naming.template:
                return None
            async with _source(settings, key, clock, Observers([])) as source:
                await list_expected(source, listed, naming, clock.now())
            return listed

        parts = adoption.Takeover(
            ledger, scratch, destination, clock, watcher, random.SystemRandom(), naming, expected, settings.workers
        )
        return await adoption.adopt(parts, stop, dry_run=dry_run)


async def _copied(location: str, folder: Path) -> str:
    """A copy of the ledger in `folder`, or where there is none the place for an empty one."""
    if not await asyncio.to_thread(_exists, location):
        return str(folder / "empty.db")
    original = await open_ledger(location, read_only=True)
    try:
        return str(await original.snapshot(folder))
    finally:
        await original.close()


def _key_if_any(settings: Settings) -> str | None:
    try:
        return resolve_key(settings)
    except UsageError:
        return None


async def verify(settings: Settings, watcher: Watcher, sample: Sample, stop: Stop, remedy: Remedy) -> "Verification":
    """Read stored files back and hold them against the ledger (see `runner.verification`).

    Without a destination in the settings it is the ledger's own.
    """
    from syncer.runner import verification

    quieten_libraries()
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(
            settings.ledger_location, upgrade=await asyncio.to_thread(_exists, settings.ledger_location)
        )
        stack.push_async_callback(ledger.close)
        location = settings.dest or (await ledger.binding()).location or settings.destination
        destination = FolderDestination(_root(replace(settings, dest=location)), clock=clock)
        stack.push_async_callback(destination.close)
        scene = verification.Scene(ledger, destination, clock, watcher, settings.workers)
        return await verification.verify(scene, sample, stop, remedy)


@asynccontextmanager
async def _parts(
    settings: Settings, observer: Observer, ledger: Ledger, where: tuple[Path, str], throttle: Throttle | None
) -> AsyncIterator[Parts]:
    (root, key), clock = where, SystemClock()
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(_source(settings, key, clock, observer))
        fetcher = await stack.enter_async_context(storage_fetcher(settings, clock, throttle))
        destination = FolderDestination(root, clock=clock, min_free=settings.min_free)
        stack.push_async_callback(destination.close)
        on_stored = command_of(settings.on_stored, settings.hook_timeout)
        hook = StoredHook(on_stored, destination.location, os.environ, observer) if on_stored else None
        yield Parts(
            source,
            ledger,
            fetcher,
            destination,
            observer,
            clock,
            random.SystemRandom(),
            hook,
            helpers=_helpers(settings, root),
            is_limited=lambda: throttle is not None and throttle.is_on,
        )


@asynccontextmanager
async def _source(settings: Settings, key: str, clock: Clock, observer: Observer) -> AsyncIterator[Source]:
    async with api_client(settings, key, clock, observer) as client:
        yield VideoDb(client, clock=clock, observer=observer, page_size=settings.page_size)


def api_client(settings: Settings, key: str, clock: Clock, observer: Observer) -> ApiClient:
    """To be opened by `async with`."""
    return ApiClient(
        settings.base_url,
        key,
        clock=clock,
        rng=random.SystemRandom(),
        requests_per_second=settings.api_rate,
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        policy=RetryPolicy(tries=settings.tries),
        observer=observer,
        ca_bundle=settings.ca_bundle,
        proxy=settings.proxy,
    )


def _throttle(settings: Settings, bwlimit: Callable[[], Timetable] | None) -> Throttle | None:
    """The limit on the rate; None where there is none and will be none."""
    clock, table = SystemClock(), bwlimit or (lambda: settings.bwlimit)
    if bwlimit is None and not settings.bwlimit.steps:
        return None
    return Throttle(lambda: table().rate(clock.now().astimezone()), clock=clock)


def storage_fetcher(settings: Settings, clock: Clock, throttle: Throttle | None = None) -> HttpFetcher:
    """To be opened by `async with`."""
    return HttpFetcher(
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        total_timeout=settings.total_timeout,
        connections=settings.workers + AT_ONCE,
        throttle=throttle,
        clock=clock,
        ca_bundle=settings.ca_bundle,
        proxy=settings.proxy,
    )


def _helpers(settings: Settings, root: Path) -> tuple[Helper, ...]:
    """Processes beside this one, none of them begun; with it no more than there are processors."""
    setup = Setup(
        destination=str(root.absolute()),
        min_free=settings.min_free,
        naming=settings.name_template,
        workers=settings.workers,
        max_file_size=settings.max_file_size,
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        total_timeout=settings.total_timeout,
        ca_bundle=settings.ca_bundle,
        proxy=settings.proxy,
        log_level=logging.getLogger("syncer").getEffectiveLevel(),
    )
    return tuple(HelperProcess(setup) for _ in range(min(settings.processes, _processors()) - 1))


def _processors() -> int:
    """Those this process may use; where that cannot be told (macOS, a filter on system calls), all of them."""
    if hasattr(os, "sched_getaffinity"):
        with suppress(OSError):
            return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _rules(settings: Settings) -> Rules:
    return Rules(
        workers=settings.workers,
        naming=Naming(settings.name_template),
        jobs=_filter(settings),
        policy=RetryPolicy(tries=settings.tries),
        prefer=Prefer(settings.prefer),
        regenerate=settings.regenerate,
        catch_up=settings.catch_up,
        remake_patience=settings.regenerate_wait,
        max_file_size=settings.max_file_size,
        segments=settings.segments,
        segment_size=settings.segment_size,
        limits=Limits(settings.max_files, settings.max_bytes, settings.max_duration),
    )


def _root(settings: Settings) -> Path:
    return Path(settings.destination).expanduser()


def _exists(ledger: str) -> bool:
    path = place_of(ledger).path
    return path is None or path.exists()


def _filter(settings: Settings) -> JobFilter:
    return JobFilter(settings.include, settings.exclude, settings.since, settings.until)


def _free_bytes(settings: Settings) -> int | None:
    """Free space above the floor where the destination is or will be; None where that cannot be told."""
    if not settings.dest:
        return None
    root = Path(settings.dest).expanduser()
    for folder in (root, root.parent):
        try:
            found = shutil.disk_usage(folder)
        except OSError:
            continue
        return free_above(settings.min_free, found.total, found.free)
    return None
