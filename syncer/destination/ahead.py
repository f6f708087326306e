"""The bytes of a partial that came before their turn, and the map beside it that says where they lie:
`DEST/.syncer/partial/<hash of id>.map`."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterable
from threading import Lock

from syncer.core.segments import MOST_MAP, Map, Span, dump, load, merged, to_go_on_with
from syncer.destination.system import NEVER_FOLLOW, closing, sync_folder, write_all

_PRIVATE_MODE = 0o600
_ANEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NEVER_FOLLOW


class Ahead:
    """Where bytes lie beyond the front, which is the end of those that are hashed. Safe to use from several threads.

    A partial with bytes ahead has a map on disk, from before the first of them was written until there are none or all
    of the file is there: without one it is a partial that was written in order.
    """

    def __init__(self, version: str, size: int, spans: Iterable[Span] = ()) -> None:
        self.version = version
        self.size = size
        self._spans = merged(spans)
        self._lock = Lock()
        self._noted: Map | None = None

    def add(self, start: int, stop: int) -> None:
        """These bytes are written."""
        with self._lock:
            self._spans = merged([*self._spans, Span(start, stop)])

    def beyond(self, front: int) -> int:
        """Bytes that are not hashed yet."""
        return sum(max(0, span.stop - max(span.start, front)) for span in self._spans)

    def reach(self, front: int) -> int:
        """How far bytes lie without a gap."""
        return next((span.stop for span in self._spans if span.start <= front < span.stop), front)

    def spans(self, front: int) -> tuple[Span, ...]:
        """All that is written."""
        return merged([Span(0, front), *self._spans])

    def news(self, front: int) -> Map | None:
        """The map as it is to be written, None where the last one says as much. What it tells of is written, and has to
        be fsynced before the map is."""
        held = Map(self.version, self.size, self.spans(front))
        return None if held == self._noted else held

    def noted(self, held: Map) -> None:
        """This map is on disk."""
        self._noted = held


class Segment:
    """A Sink for bytes of a partial that come before their turn."""

    def __init__(self, write: Callable[[memoryview, int], None], start: int) -> None:
        """`write` takes bytes, and where the first of them belongs."""
        self._write = write
        self._at = start

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data).cast("B")
        self._write(view, self._at)
        self._at += len(view)


def names_of(name: str) -> tuple[str, str]:
    """The map that belongs to the partial `name`, and what it is called until it is whole."""
    stem = name.removesuffix(".part")
    return f"{stem}.map", f"{stem}.map~"


def read_map(name: str, folder: int) -> Map | None:
    """The partial's map; None without one. Raises ValueError for one that is damaged."""
    try:
        fd = os.open(names_of(name)[0], os.O_RDONLY | NEVER_FOLLOW, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("no plain file") from None
        raise
    with closing(fd):
        held = load(os.read(fd, MOST_MAP))
    if held is None:
        raise ValueError("a damaged map")
    return held


def write_map(name: str, folder: int, held: Map) -> None:
    """Put a map in the place of the last one: on disk, whole or not at all."""
    final, draft = names_of(name)
    with closing(os.open(draft, _ANEW, _PRIVATE_MODE, dir_fd=folder)) as fd:
        write_all(fd, dump(held))
        os.fsync(fd)
    os.replace(draft, final, src_dir_fd=folder, dst_dir_fd=folder)
    sync_folder(folder)


def drop_map(name: str, folder: int) -> None:
    """Take the map away, for good: it must not come back beside another partial."""
    for one in names_of(name):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(one, dir_fd=folder)
    sync_folder(folder)


def settle(fd: int, name: str, folder: int, length: int) -> tuple[int, Ahead | None]:
    """What a partial of `length` bytes holds, with its map: the end of its first span, and what lies ahead.

    A map that is damaged or tells of more than there is goes, and with it what it alone could vouch for: the bytes
    beyond its first span, or all of them. What lies beyond the last span nobody vouches for.
    """
    try:
        held = read_map(name, folder)
    except ValueError:
        return _give_up(fd, name, folder, 0), None
    if held is None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(names_of(name)[1], dir_fd=folder)
        return length, None
    front = next((span.stop for span in held.spans if span.start == 0), 0)
    last = max((span.stop for span in held.spans), default=0)
    if last > length:
        return _give_up(fd, name, folder, front if front <= length else 0), None
    os.ftruncate(fd, last)
    ahead = Ahead(held.version, held.size, [span for span in to_go_on_with(held) if span.start])
    ahead.noted(Map(held.version, held.size, ahead.spans(front)))
    return front, ahead


def _give_up(fd: int, name: str, folder: int, keep: int) -> int:
    """Cut the partial to bytes in order, and only then take the map away."""
    os.ftruncate(fd, keep)
    os.fsync(fd)
    drop_map(name, folder)
    return keep
