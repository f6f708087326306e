"""Heads and framing of HTTP/1.1 as h11 reads them; only the bytes of plain bodies go by beside it. No IO in here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import h11
import httpx

LARGEST_HEAD = 100 * 1024
"""Bytes after which a head, or a line between chunks, that does not end is no HTTP: what httpx allows too."""

_BLANK_LINE = re.compile(rb"\n\r?\n")

# What nearly every file comes with, and everyone reads alike; all else is h11's to judge.
_FIELD = rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([!-~](?:[ -~]*[!-~])?)[ \t]*\r\n"
_ORDINARY = re.compile(rb"HTTP/1\.1 (200|206) ([A-Za-z ]*)\r\n((?:" + _FIELD + rb")+)\r\n")
_FIELDS = re.compile(_FIELD)
_LENGTH = re.compile(rb"[0-9]{1,19}")
_LONGEST_ORDINARY = 16 * 1024

# An answer is read the same way whatever was asked for: h11 only has to know that something was.
_ANY_GET = h11.Request(method="GET", target="/", headers=[("Host", "any")])
_END = h11.EndOfMessage()


class Framing(Protocol):
    """Where a body ends, as its head said (RFC 9112 §6.3)."""

    @property
    def ended(self) -> bool: ...

    @property
    def is_clean(self) -> bool:
        """Whether, the body being over, the connection has nothing in it but what comes next."""
        ...

    @property
    def room(self) -> int | None:
        """How many bytes of the connection are the body and nothing else; None where they must go through `take`."""
        ...

    def passed(self, count: int) -> None:
        """So many bytes of the body, within `room`, were read past this."""
        ...

    def take(self, data: bytes) -> Iterator[bytes]:
        """The body's share of what came in. Raises httpx.RemoteProtocolError behind the last that is good."""
        ...

    def eof(self) -> None:
        """The connection ended. Raises httpx.RemoteProtocolError where the body had not."""
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """A final answer's head, and whatever came in behind it."""

    version: bytes
    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    framing: Framing
    keeps: bool  # whether the server will take another request on this connection
    rest: bytes


def serialise(target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    """A GET request. Raises httpx.LocalProtocolError for what no request may say."""
    connection = h11.Connection(h11.CLIENT)
    try:
        asked = connection.send(h11.Request(method="GET", target=target, headers=headers))
        return asked + connection.send(h11.EndOfMessage())
    except h11.LocalProtocolError as error:
        raise httpx.LocalProtocolError(str(error)) from error


class Dialogue:
    """The answer to one GET request without a body."""

    def __init__(self) -> None:
        self._seam = b""  # the end of what h11 has of an unfinished head
        self._begun = False  # whether there was anything to read
        self.heard = False  # whether any byte of an answer came; empty lines before it are none

    @cached_property
    def _h11(self) -> h11.Connection:
        """Made where it is needed: that takes as long as all else about a head."""
        made = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
        made.send(_ANY_GET)
        made.send(_END)
        return made

    def feed(self, data: bytes) -> Head | None:
        """What came in, nothing at the connection's end; the head once it is whole, 1xx answers passed over.

        Raises httpx.RemoteProtocolError for what is no HTTP.
        """
        if not data:
            if self.heard:
                self._next(b"")
            raise httpx.RemoteProtocolError("the connection ended without an answer")
        if not self._begun and (head := _ordinary(data)) is not None:
            self._begun = self.heard = True
            return head
        self._begun, self.heard = True, self.heard or bool(data.strip(b"\r\n"))
        while data:
            end = self._end_of_head(data)
            fed, rest = (data, b"") if end is None else (data[:end], data[end:])
            event = self._next(fed)
            if isinstance(event, h11.Response):
                return self._head(event, rest)
            self._seam = b"" if isinstance(event, h11.InformationalResponse) else (self._seam + fed)[-2:]
            data = rest
        return None

    def _end_of_head(self, data: bytes) -> int | None:
        """Where in `data` the blank line ends, which may have begun in the bytes before."""
        across = _BLANK_LINE.search(self._seam + data[:2])
        if across:
            return across.end() - len(self._seam)
        found = _BLANK_LINE.search(data)
        return found.end() if found else None

    def _next(self, data: bytes) -> object:
        return _next(self._h11, data)

    def _head(self, event: h11.Response, rest: bytes) -> Head:
        names = {name for name, _ in event.headers}
        return Head(
            version=b"HTTP/" + event.http_version,
            status=event.status_code,
            reason=event.reason,
            headers=event.headers.raw_items(),
            framing=self._framing(event),
            # Two framings at once is how requests are smuggled: of such a server nothing further is believed.
            keeps=self._h11.our_state is not h11.MUST_CLOSE and not {b"content-length", b"transfer-encoding"} <= names,
            rest=rest,
        )

    def _framing(self, event: h11.Response) -> Framing:
        """RFC 9112 §6.3 for the answer to a GET. h11 has made sure that each header stands once and is well formed."""
        headers = dict(event.headers)
        if event.status_code in (204, 304):
            return Counted(0)
        if b"transfer-encoding" in headers:
            return Chunked(self._h11)
        if b"content-length" in headers:
            return Counted(int(headers[b"content-length"]))
        return Closed()


def _ordinary(data: bytes) -> Head | None:
    """The head that `data` begins with, read as h11 would; None where it is not whole, or not of the usual kind."""
    end = data.find(b"\r\n\r\n", 0, _LONGEST_ORDINARY) + 4
    match = _ORDINARY.fullmatch(data, 0, end) if end >= 4 else None
    if match is None:
        return None
    headers = _FIELDS.findall(match[3])
    length = None
    for name, value in headers:
        match name.lower():
            case b"content-length" if length is None and _LENGTH.fullmatch(value):
                length = int(value)
            case b"connection" if value.lower() == b"keep-alive":
                pass
            case b"content-length" | b"connection" | b"transfer-encoding":
                return None
    if length is None:
        return None
    status, reason = int(match[1]), match[2]
    return Head(b"HTTP/1.1", status, reason, headers, Counted(length), keeps=True, rest=data[end:])


class Counted:
    """Ends after as many bytes as Content-Length says."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.is_clean = True

    @property
    def ended(self) -> bool:
        return self._left == 0

    @property
    def room(self) -> int | None:
        return self._left

    def passed(self, count: int) -> None:
        self._left -= count

    def take(self, data: bytes) -> Iterator[bytes]:
        mine = data[: self._left]
        self._left -= len(mine)
        self.is_clean = self.is_clean and len(mine) == len(data)
        if mine:
            yield mine

    def eof(self) -> None:
        if self._left:
            raise httpx.RemoteProtocolError("the connection ended before the body did")


class Closed:
    """Ends where the connection does; nothing tells whether all of it came."""

    is_clean = False
    room = None

    def __init__(self) -> None:
        self.ended = False

    def passed(self, count: int) -> None: ...

    def take(self, data: bytes) -> Iterator[bytes]:
        yield data

    def eof(self) -> None:
        self.ended = True


class Chunked:
    """Ends with the last chunk and its trailer (RFC 9112 §7.1), read by h11."""

    room = None

    def __init__(self, connection: h11.Connection) -> None:
        """`connection` has read the head, and nothing behind it."""
        self._h11 = connection
        self.ended = False

    @property
    def is_clean(self) -> bool:
        return not self._h11.trailing_data[0]

    def passed(self, count: int) -> None: ...

    def take(self, data: bytes) -> Iterator[bytes]:
        event = _next(self._h11, data)
        while isinstance(event, h11.Data):
            yield event.data
            event = _next(self._h11, None)
        self.ended = isinstance(event, h11.EndOfMessage)

    def eof(self) -> None:
        _next(self._h11, b"")


def _next(connection: h11.Connection, data: bytes | None) -> object:
    """h11's next event, after `data` if there is any. Raises httpx.RemoteProtocolError."""
    try:
        if data is not None:
            connection.receive_data(data)
        return connection.next_event()
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
