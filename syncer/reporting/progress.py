"""Progress on a terminal: one bar for the pass, one for each file that takes long enough to be looked at."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

from tqdm import tqdm

from syncer.core.events import (
    BytesArrived,
    Event,
    FetchFailed,
    FetchRestarted,
    FetchStarted,
    FetchYielded,
    FileStored,
    ListingEnded,
    PageListed,
    PassEnded,
    PassStarted,
    Standing,
)
from syncer.core.text import columns, one_line
from syncer.reporting.lines import line_of, standing_of

REFRESH = 0.25
"""Seconds between two drawings of a bar, at the least."""

GROWN = 1.0
"""Seconds that a file runs before it gets a bar of its own."""

_WHOLE = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"
_OPEN = "{desc} {n_fmt} [{elapsed}, {rate_fmt}]"
_FILE = "  {desc} {percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} {rate_fmt}"


class Bars:
    """An observer that draws bars on `stream`, and troubles as lines above them."""

    def __init__(
        self, stream: TextIO, *, every_file: bool = False, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._every_file = every_file
        self._monotonic = monotonic
        self._drawn = 0.0  # when the pass was last described
        self._pass: tqdm[None] | None = None
        self._standing: tqdm[None] | None = None
        self._young: dict[str, _Young] = {}
        self._files: dict[str, tqdm[None]] = {}
        self._listed = 0
        self._due: int | None = None
        self._stored = 0
        self._sizes = _Sizes()

    def notify(self, event: Event) -> None:
        self._write(event)
        match event:
            case PassStarted():
                self._pass = self._bar(desc="listing", bar_format=_OPEN, leave=False)
            case PageListed(jobs=jobs):
                self._listed = jobs
            case ListingEnded(due=due):
                self._due = due + self._stored
            case FetchStarted():
                self._begin(event)
                return
            case BytesArrived():
                self._advance(event)
                return
            case FileStored() | FetchFailed() | FetchRestarted() | FetchYielded():
                self._shut(event)
                if self._monotonic() < self._drawn + REFRESH:
                    return
            case Standing():
                self._stand(event)
                return
            case PassEnded():
                self.close()
                return
            case _:
                return
        self._describe()

    def _write(self, event: Event) -> None:
        line = line_of(event, every_file=self._every_file)
        if line is not None:
            tqdm.write(line, file=self._stream)

    def close(self) -> None:
        """Take every bar off the screen."""
        for bar in (*self._files.values(), self._standing, self._pass):
            if bar is not None:
                bar.close()
        self._files.clear()
        self._young.clear()
        self._pass = self._standing = None

    def _stand(self, event: Standing) -> None:
        """A line of its own below that of the pass, for as long as a catch-up runs."""
        if self._pass is None:
            return
        if self._standing is None:
            self._standing = self._bar(bar_format="{desc}", leave=False)
        self._standing.desc = f"  {standing_of(event)}"
        self._standing.refresh()

    def _bar(self, **options: Any) -> "tqdm[None]":
        bar: tqdm[None] = tqdm(
            file=self._stream,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            dynamic_ncols=True,
            mininterval=REFRESH,
            miniters=1,
            smoothing=0.1,
            **options,
        )
        return bar

    def _begin(self, event: FetchStarted) -> None:
        if self._pass is None or event.id in self._files:
            return
        self._young[event.id] = _Young(event, self._monotonic() + GROWN)
        self._sizes.begun(event.id, event.size, event.offset)

    def _advance(self, event: BytesArrived) -> None:
        if self._pass is not None:
            self._pass.update(event.count)
        young = self._young.get(event.id)
        if young is not None:
            young.count += event.count
            if self._monotonic() >= young.grown_at:
                self._files[event.id] = self._bar_of(self._young.pop(event.id))
        elif event.id in self._files:
            self._files[event.id].update(event.count)

    def _bar_of(self, young: "_Young") -> "tqdm[None]":
        event = young.event
        start = event.offset + young.count
        return self._bar(desc=_shorten(event.name), total=event.size, initial=start, bar_format=_FILE, leave=False)

    def _shut(self, event: FileStored | FetchFailed | FetchRestarted | FetchYielded) -> None:
        self._young.pop(event.id, None)
        bar = self._files.pop(event.id, None)
        if bar is not None:
            bar.close()
        self._sizes.ended(event.id)
        self._stored += isinstance(event, FileStored)

    def _describe(self) -> None:
        bar = self._pass
        if bar is None:
            return
        self._drawn = self._monotonic()
        if self._due is None:
            bar.desc = f"listing, {self._listed:,} jobs so far; {self._stored:,} files stored,"
        else:
            bar.desc = f"{self._stored:,}/{self._due:,} files"
            bar.total = self._sizes.estimate(self._due - self._stored, int(bar.n))
            bar.bar_format = _WHOLE if bar.total else _OPEN
        bar.refresh()


@dataclass(slots=True)
class _Young:
    """A file that has no bar yet: drawing one for each of thousands of small ones would cost more than they do."""

    event: FetchStarted
    grown_at: float  # by the monotonic clock
    count: int = 0  # bytes arrived


class _Sizes:
    """How many bytes are still to come: known of running files, the mean of those met for the others."""

    def __init__(self) -> None:
        self._running: dict[str, int] = {}
        self._met = 0
        self._sum = 0

    def begun(self, job: str, size: int | None, offset: int) -> None:
        if size is not None:
            self._running[job] = size - offset
            self._met += 1
            self._sum += size

    def ended(self, job: str) -> None:
        self._running.pop(job, None)

    def estimate(self, files_left: int, arrived: int) -> int | None:
        if not self._met:
            return None
        waiting = max(0, files_left - len(self._running))
        return arrived + sum(self._running.values()) // 2 + waiting * self._sum // self._met


def _shorten(name: str, width: int = 32) -> str:
    short = one_line(name, width)
    return short + " " * (width - columns(short))
