"""Stands between a body and its partial, and lets nothing through that is not the file."""

from syncer.core.errors import FileChanged, LengthMismatch, NotTheFile
from syncer.core.ports import Sink
from syncer.core.resume import looks_like_page

_OPENING = 64
"""Bytes of a body that are looked at before any is written."""


class Intake:
    """A Sink before a Sink.

    `tail` is what the body must begin with, because it is on disk already: compared, never written again. Without
    one, the body's opening is checked not to be a page. `room` is the most bytes that may be written, None if the
    storage promised no length.
    """

    def __init__(self, sink: Sink, *, tail: bytes = b"", room: int | None = None) -> None:
        self._sink = sink
        self._tail = memoryview(tail)
        self._room = room
        self._opening: bytearray | None = None if tail else bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Raises FileChanged, NotTheFile or LengthMismatch; then nothing of `data` was written."""
        view = memoryview(data)
        if self._tail:
            view = self._compare(view)
        if self._opening is not None:
            self._opening += view
            if len(self._opening) < _OPENING:
                return
            view = memoryview(self._release())
        self._pass_on(view)

    @property
    def holds_back(self) -> bool:
        """Whether `finish` has anything to do."""
        return self._opening is not None

    def finish(self) -> None:
        """The body has ended; a body shorter than an opening is let through now."""
        if self._opening is not None:
            self._pass_on(memoryview(self._release()))

    def _compare(self, view: memoryview) -> memoryview:
        count = min(len(view), len(self._tail))
        if view[:count] != self._tail[:count]:
            raise FileChanged("The file at the storage differs from what is on disk already.")
        self._tail = self._tail[count:]
        return view[count:]

    def _release(self) -> bytes:
        opening = bytes(self._opening or b"")
        if looks_like_page(opening):
            raise NotTheFile("The storage sent a page instead of the file.")
        self._opening = None
        return opening

    def _pass_on(self, view: memoryview) -> None:
        if self._room is not None:
            if len(view) > self._room:
                raise LengthMismatch("The storage sent more bytes than it promised.")
            self._room -= len(view)
        if view:
            self._sink.write(view)
