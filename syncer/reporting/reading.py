"""A bar for reading files back, and what was found, told as it is found."""

from collections.abc import Callable
from typing import Any, TextIO

from tqdm import tqdm

from syncer.core.verify import Finding


class ReadingBar:
    """A `core.ports.Watcher`: a bar on `stream` where that is a terminal; findings go to `tell`."""

    def __init__(
        self, stream: TextIO, tell: Callable[[Finding], None], *, quiet: bool = False, delay: float = 1
    ) -> None:
        """`delay` is the seconds before which no bar is drawn: what is done by then needs none."""
        self._tell = tell
        self._files = 0
        self._expected = 0
        options: dict[str, Any] = {"unit": "B", "unit_scale": True, "unit_divisor": 1024, "dynamic_ncols": True}
        off = quiet or not stream.isatty()
        self._bar: tqdm[None] = tqdm(file=stream, desc="reading", leave=False, delay=delay, disable=off, **options)

    def expect(self, files: int, size: int) -> None:
        self._expected = files
        self._bar.total = size or None
        self._describe()

    def read(self, count: int) -> None:
        if self._bar.total and self._bar.n + count > self._bar.total:
            self._bar.total = None  # it was a guess
        self._bar.update(count)

    def looked(self, path: str) -> None:  # noqa: ARG002 - a bar has no room for paths
        self._files += 1
        self._describe()

    def found(self, finding: Finding) -> None:
        self._bar.clear()
        self._tell(finding)

    def _describe(self) -> None:
        files = f"{self._files:,}/{max(self._expected, self._files):,} files"
        self._bar.set_description_str(files, refresh=False)
        self._bar.update(0)  # drawn when its time has come

    def close(self) -> None:
        """Take the bar off the screen."""
        self._bar.close()
