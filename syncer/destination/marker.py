"""The marker `DEST/.syncer/destination.json`: proves that a folder is the destination a ledger belongs to (I5)."""

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

from syncer.core.errors import DestinationForeign, DestinationMissing, DestinationRefused
from syncer.core.naming import PRIVATE
from syncer.destination.handles import Handles
from syncer.destination.system import (
    NEVER_FOLLOW,
    OPEN_FOLDER,
    closing,
    make_folder,
    place,
    sync_folder,
    translated,
    write_all,
)

MARKER = f"{PRIVATE}/destination.json"
VERSION = 1

FRESH = 0.1
"""Seconds for which a proof serves what is done in one go: a step behind an fsync that took longer looks anew."""

_NAME = MARKER.rpartition("/")[2]

_MOST = 64 * 1024  # bytes of a marker that are read
_WAY_OUT = (
    "Mount it, or give --dest the folder this ledger belongs to; "
    "`syncer adopt DEST` binds a new ledger to files already there."
)


@dataclass(frozen=True, slots=True)
class Marker:
    """What the marker says."""

    id: str  # of the destination
    ledger_id: str


class Site:
    """The destination's folder. Opened anew for each piece of work, and proven each time.

    What is done relative to the handle is done in the folder whose marker was read, even if the mount under its path
    vanishes a moment later: nothing can end up on the disk below the mount point.
    """

    def __init__(self, root: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic` says by seconds how old a proof is."""
        self._monotonic = monotonic
        self.root = root
        self.translated = translated(root)  # for a `with`
        self.expected: str | None = None  # the destination's id, once proven
        self._understood: tuple[bytes, Marker] | None = None  # what the marker said last, word for word
        self._one_go = _OneGo()
        self._lock = threading.Lock()
        self._latest: Handles | None = None  # those that steps in one go share; kept open for the next

    def opened(self) -> "_Opened":
        """Handles of the proven folder, for a `with`. Raises DestinationMissing or DestinationForeign."""
        if self.expected is None:
            raise AssertionError("the destination is used before it was proven")
        with self.translated:
            handles = self._shared(self.expected) if self._one_go.going else self._proven(self.expected)
        return _Opened(handles, self._leave, self.translated)

    def _proven(self, destination_id: str) -> Handles:
        at = self._monotonic()
        fd = self._open()
        try:
            self._check(fd, destination_id)
        except BaseException:
            os.close(fd)
            raise
        return Handles(fd, at)

    def _shared(self, destination_id: str) -> Handles:
        with self._lock:
            latest = self._latest
            if latest is not None and self._monotonic() - latest.at <= FRESH:
                latest.users += 1
                return latest
        fresh = self._proven(destination_id)
        self._put_by(fresh)
        return fresh

    def _put_by(self, fresh: Handles | None) -> None:
        """Share these from now on; those before them go once nobody uses them."""
        with self._lock:
            before, self._latest = self._latest, fresh
            is_idle = before is not None and not before.users
        if before is not None and is_idle:
            before.close()

    def _leave(self, handles: Handles) -> None:
        with self._lock:
            handles.users -= 1
            is_over = not handles.users and handles is not self._latest
        if is_over:
            handles.close()

    def rest(self) -> None:
        """Keep nothing open while nothing is done: what is open keeps a file system from being unmounted."""
        self._put_by(None)

    def one_go(self) -> "_OneGo":
        """For steps taken one right after the other, in a `with`: a proof holds for all that begin while it is fresh,
        those of other threads in one go too."""
        return self._one_go

    def prove(self, destination_id: str) -> None:
        """Raises DestinationMissing or DestinationForeign unless the marker carries this id; later work keeps to it."""
        with self.translated, closing(self._open()) as fd:
            self._check(fd, destination_id)
        self.expected = destination_id
        self.rest()

    def identify(self, ledger_id: str) -> str | None:
        """The id on the marker; None without a folder or a marker. Raises DestinationForeign for another ledger's."""
        with self.translated:
            try:
                fd = os.open(self.root, OPEN_FOLDER)
            except (FileNotFoundError, NotADirectoryError):
                return None
            with closing(fd):
                marker = self._read(fd)
        if marker is not None:
            self._refuse_foreign(marker, ledger_id)
        return marker.id if marker else None

    def marked(self) -> str | None:
        """The id on the marker, whichever ledger's it is; None without a readable one. Raises DestinationMissing."""
        with self.translated, closing(self._open()) as fd:
            try:
                marker = self._read(fd)
            except DestinationForeign:
                return None  # damaged: whoever asks wants to put another in its place
        return marker.id if marker else None

    def rebind(self, marker: Marker, at: datetime) -> None:
        """Put this marker in the place of whatever marker is there, durably: the other ledger loses the folder."""
        with self.translated, closing(self._open()) as fd:
            make_folder(PRIVATE, fd)
            with closing(self._open_private(fd)) as private:
                draft, _ = self._draft(private, marker, at)
                os.rename(draft, _NAME, src_dir_fd=private, dst_dir_fd=private)
                sync_folder(private)
            sync_folder(fd)
        self.expected = marker.id
        self.rest()

    def bind(self, marker: Marker, at: datetime) -> None:
        """Write the marker, durably; the folder is made if only its last part is missing."""
        with self.translated, closing(self._open_or_make()) as fd:
            make_folder(PRIVATE, fd)
            with closing(self._open_private(fd)) as private:
                found = self._read(fd)
                if found is None:
                    found = self._write(fd, private, marker, at)
                if found != marker:
                    self._refuse_foreign(found, marker.ledger_id)
                    raise DestinationForeign(
                        f"The marker {self.root / MARKER} is that of another destination.", hint=_WAY_OUT
                    )
                with contextlib.suppress(FileNotFoundError):  # that of a bind killed between its two names
                    os.unlink(_draft_name(marker), dir_fd=private)
                sync_folder(private)
            sync_folder(fd)
        self.expected = marker.id
        self.rest()

    def private(self, handles: Handles) -> int:
        """A handle of `.syncer`, one of `handles`."""
        return handles.folder(PRIVATE, self._open_private)

    def _open(self) -> int:
        try:
            return os.open(self.root, OPEN_FOLDER)
        except (FileNotFoundError, NotADirectoryError):
            raise DestinationMissing(f"There is no folder {self.root}: is it not mounted?", hint=_WAY_OUT) from None

    def _open_or_make(self) -> int:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return os.open(self.root, OPEN_FOLDER)
        if self.root.exists():
            raise DestinationRefused(f"{self.root} is a file, not a folder.", hint="Give --dest a folder.")
        parent = self.root.parent
        if not parent.is_dir():
            raise DestinationMissing(
                f"There is no folder {parent} in which {self.root.name} could be made: is it not mounted?",
                hint="Mount it, or make it; only the last part of a new destination is made for you.",
            )
        with contextlib.suppress(FileExistsError):
            self.root.mkdir()
        with closing(os.open(parent, OPEN_FOLDER)) as above:
            sync_folder(above)
        return os.open(self.root, OPEN_FOLDER)

    def _open_private(self, fd: int) -> int:
        try:
            return os.open(PRIVATE, OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=fd)
        except NotADirectoryError:
            raise DestinationForeign(
                f"{self.root / PRIVATE} is a file or a link, not a folder.",
                hint="Move it away: syncer keeps notes there.",
            ) from None

    def _check(self, fd: int, destination_id: str) -> None:
        marker = self._read(fd)
        if marker is None:
            raise DestinationForeign(f"There is no marker {self.root / MARKER}.", hint=_WAY_OUT)
        if marker.id != destination_id:
            raise DestinationForeign(f"The marker {self.root / MARKER} is that of another destination.", hint=_WAY_OUT)

    def _refuse_foreign(self, marker: Marker, ledger_id: str) -> None:
        if marker.ledger_id != ledger_id:
            raise DestinationForeign(
                f"The marker {self.root / MARKER} belongs to another ledger.",
                hint="Give --ledger the one that filled this folder, or --dest another folder; "
                "`syncer adopt DEST` binds a new ledger to files already there.",
            )

    def _read(self, fd: int) -> Marker | None:
        try:
            with closing(os.open(MARKER, os.O_RDONLY | NEVER_FOLLOW, dir_fd=fd)) as handle:
                text = os.read(handle, _MOST)
        except FileNotFoundError:
            return None
        except (NotADirectoryError, IsADirectoryError):
            text = b""
        except OSError as error:
            if not (self.root / MARKER).is_symlink():
                raise
            raise self._unreadable() from error
        # Read each time, for the marker may be another's by now; understood once, for that is what costs.
        if self._understood is None or self._understood[0] != text:
            self._understood = (text, self._parse(text))
        return self._understood[1]

    def _parse(self, text: bytes) -> Marker:
        try:
            said = json.loads(text)
            version, ids = said["version"], (said["id"], said["ledger_id"])
        except (ValueError, TypeError, LookupError, RecursionError):
            raise self._unreadable() from None
        if version != VERSION or not all(isinstance(word, str) and word for word in ids):
            raise self._unreadable()
        return Marker(*ids)

    def _unreadable(self) -> DestinationForeign:
        return DestinationForeign(
            f"The marker {self.root / MARKER} is there and is none that can be read.", hint=_WAY_OUT
        )

    def _write(self, fd: int, private: int, marker: Marker, at: datetime) -> Marker:
        """The marker that is there afterwards: ours, or that of somebody who was quicker."""
        draft, own = self._draft(private, marker, at)
        try:
            place((draft, private), (_NAME, private), own)
        except FileExistsError:
            os.unlink(draft, dir_fd=private)
            return self._read(fd) or marker
        return marker

    def _draft(self, private: int, marker: Marker, at: datetime) -> tuple[str, os.stat_result]:
        """The marker under a name of its own, fsynced: the name, and the file's stat."""
        said = {
            "version": VERSION,
            "id": marker.id,
            "ledger_id": marker.ledger_id,
            "created_at": at.isoformat().replace("+00:00", "Z"),
        }
        draft = _draft_name(marker)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=private)  # never written over: it may be the marker under its first name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NEVER_FOLLOW
        with closing(os.open(draft, flags, 0o666, dir_fd=private)) as handle:
            write_all(handle, (json.dumps(said) + "\n").encode())
            os.fsync(handle)
            return draft, os.fstat(handle)


class _OneGo(threading.local):
    """How many works this thread does in one go."""

    going = 0

    def __enter__(self) -> None:
        self.going += 1

    def __exit__(self, *_: object) -> None:
        self.going -= 1


class _Opened:
    """Handles that are in use until it ends; errors of the system are translated."""

    __slots__ = ("_handles", "_leave", "_translated")

    def __init__(self, handles: Handles, leave: Callable[[Handles], None], translated: translated) -> None:
        self._handles = handles
        self._leave = leave
        self._translated = translated

    def __enter__(self) -> Handles:
        return self._handles

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._translated:
            self._leave(self._handles)
        self._translated.__exit__(kind, error, trace)


def _draft_name(marker: Marker) -> str:
    """One a ledger, so that the draft of a bind that was killed makes way for the next."""
    return f"destination.{hashlib.sha256(marker.ledger_id.encode()).hexdigest()[:12]}.tmp"
