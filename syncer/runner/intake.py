"""Stands between a body and its partial, and lets nothing through that is not the file."""

from syncer.core import openings
from syncer.core.errors import FileChanged, LengthMismatch, NotTheFile, TooLarge
from syncer.core.ports import Sink
from syncer.runner.sniffing import kind_of


class Intake:
    """A Sink before a Sink.

    `tail` is what the body must begin with, because it is on disk already: compared, never written again. Without
    one, the body's opening is checked to be no page, and under a media type of films or sound (`declared`) no other
    kind of file. `room` is the most bytes that may be written, None if the storage promised no length; `most` is the
    most that the user allows.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        tail: bytes = b"",
        room: int | None = None,
        most: int | None = None,
        declared: str | None = None,
    ) -> None:
        self._sink = sink
        self._tail = memoryview(tail)
        self._room = room
        self._most = most
        self._declared = declared
        self._opening: bytearray | None = None if tail else bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Raises FileChanged, NotTheFile, LengthMismatch or TooLarge; then nothing of `data` was written."""
        view = memoryview(data)
        if self._tail:
            view = self._compare(view)
        if self._opening is not None:
            if self._opening or len(view) < openings.LOOKED_AT:
                self._opening += view
                if len(self._opening) < openings.LOOKED_AT:
                    return
                view = memoryview(self._opening)
            self._look_at(view)
        self._pass_on(view)

    @property
    def holds_back(self) -> bool:
        """Whether `finish` has anything to do."""
        return self._opening is not None or bool(self._tail)

    def finish(self) -> None:
        """The body has ended; a body shorter than an opening is let through now.

        Raises FileChanged where the body ended within what it had to begin with.
        """
        if self._tail:
            raise FileChanged("The file at the storage ends before what is on disk already.")
        if self._opening is not None:
            opening = memoryview(self._opening)
            self._look_at(opening)
            self._pass_on(opening)

    def _compare(self, view: memoryview) -> memoryview:
        count = min(len(view), len(self._tail))
        if view[:count] != self._tail[:count]:
            raise FileChanged("The file at the storage differs from what is on disk already.")
        self._tail = self._tail[count:]
        return view[count:]

    def _look_at(self, view: memoryview) -> None:
        self._refuse_other_kind(bytes(view[: openings.LOOKED_AT]))
        self._opening = None

    def _refuse_other_kind(self, opening: bytes) -> None:
        if openings.looks_like_page(opening):
            raise NotTheFile("The storage sent a page instead of the file.")
        if not openings.is_media_type(self._declared) or openings.opens_like_media(opening):
            return
        if openings.is_text(opening):
            raise NotTheFile(f"The storage sent text instead of the file, and called it {self._declared}.")
        kind = kind_of(opening)
        if kind is not None and openings.belies(kind):
            raise NotTheFile(f"The storage sent {kind} instead of the file, and called it {self._declared}.")

    def _pass_on(self, view: memoryview) -> None:
        if self._room is not None:
            if len(view) > self._room:
                raise LengthMismatch("The storage sent more bytes than it promised.")
            self._room -= len(view)
        if self._most is not None:
            if len(view) > self._most:
                raise TooLarge("The storage sends more bytes than --max-file-size allows.")
            self._most -= len(view)
        if view:
            self._sink.write(view)
