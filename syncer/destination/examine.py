"""Tries out what a destination's file system lets be done, in a folder of its own; never in a foreign destination."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from syncer.core.doctor import FolderFacts
from syncer.core.errors import DestinationForeign
from syncer.core.mounts import Mount, mount_of
from syncer.core.naming import PRIVATE
from syncer.destination.marker import Site

TRIAL = "doctor"
"""Folder inside `.syncer` that the trials are made in and that goes away with them."""

_ODD_NAMES = ("a:b", "a?b", "end.", "end ", "CON.mp4", "x" * 255)


def examine(root: Path, ledger_id: str | None, destination_id: str | None, mounts: tuple[Mount, ...]) -> FolderFacts:
    """The facts of the folder. Blocking. `destination_id` is None for a ledger that belongs to none yet."""
    root = root.absolute()
    mount = mount_of(os.path.realpath(root), mounts)
    if not root.is_dir():
        state = "unbound" if destination_id is None and root.parent.is_dir() and not root.exists() else "none"
        return FolderFacts(str(root), exists=False, marker=state, mount=mount)
    marker = _marker(root, ledger_id, destination_id)
    free, total = _room(root)
    if marker != "ours":
        return FolderFacts(str(root), exists=True, marker=marker, free=free, total=total, mount=mount)
    trial = Trial(root / PRIVATE / TRIAL)
    failed = trial.run()
    return FolderFacts(
        str(root),
        exists=True,
        marker=marker,
        free=free,
        total=total,
        mount=mount,
        folds_case=trial.folds_case,
        refused_names=tuple(trial.refused),
        no_folder_sync=trial.no_folder_sync,
        no_link=trial.no_link,
        no_times=trial.no_times,
        failed=failed,
    )


def _marker(root: Path, ledger_id: str | None, destination_id: str | None) -> str:
    site = Site(root)
    try:
        found = site.identify(ledger_id or "")
    except DestinationForeign as error:
        return "unreadable" if "can be read" in error.message else "foreign"
    if found is None:
        return "none" if destination_id else "unbound"
    return "ours" if destination_id in (None, found) else "foreign"


def _room(root: Path) -> tuple[int | None, int | None]:
    try:
        usage = shutil.disk_usage(root)
    except OSError:
        return None, None
    return usage.free, usage.total


class Trial:
    """A few small files made, fsynced, linked, renamed, dated, and taken away again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.folds_case = False
        self.refused: list[str] = []
        self.no_folder_sync = ""
        self.no_link = ""
        self.no_times = ""

    def run(self) -> str:
        """Why the trials that a pass cannot do without failed; empty if they did not."""
        try:
            self._folder.mkdir(exist_ok=True)
            self._write_and_rename()
            self.no_folder_sync = _why_not(self._sync_folder)
            self.no_link = _why_not(lambda: os.link(self._folder / "two", self._folder / "three"))
            self.no_times = _why_not(lambda: os.utime(self._folder / "two", (1_000_000_000, 1_000_000_000)))
            self.folds_case = (self._folder / "TWO").exists()
            self.refused = [name[:12] for name in _ODD_NAMES if _why_not(lambda name=name: self._make(name))]  # type: ignore[misc]
        except OSError as error:
            return (error.strerror or type(error).__name__).lower()
        finally:
            with contextlib.suppress(OSError):
                shutil.rmtree(self._folder)
        return ""

    def _write_and_rename(self) -> None:
        with (self._folder / "one").open("wb") as file:
            file.write(b"\0" * 65536)
            file.flush()
            os.fsync(file.fileno())
        (self._folder / "one").rename(self._folder / "two")
        if (self._folder / "two").stat().st_size != 65536:
            raise OSError(0, "what was written has another length")

    def _sync_folder(self) -> None:
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _make(self, name: str) -> None:
        (self._folder / name).write_bytes(b"")
        if name not in {path.name for path in self._folder.iterdir()}:
            raise OSError(0, "it was given another name")


def _why_not(call: Callable[[], None]) -> str:
    """Why the call failed, as the system says it; empty if it did not."""
    try:
        call()
    except OSError as error:
        return (error.strerror or type(error).__name__).lower()
    return ""
