"""A transport for httpx: HTTP/1.1 downloads whose bodies a thread carries from the socket straight to a sink."""

import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from typing import Protocol

import httpx

from syncer.core.ports import Sink
from syncer.transfer.dial import Origin, dial
from syncer.transfer.pool import Pool
from syncer.transfer.pouring import Pouring
from syncer.transfer.wire import Wire
from syncer.transfer.wire_head import Dialogue, Head

BODY = "syncer.body"
"""The key in `httpx.Response.extensions` under which a Pourable is found, where the transport has one."""

_PIECE = 64 * 1024
_HEAD = 128 * 1024  # bytes read at once for a head: a small file comes along with it


class Pourable(Protocol):
    """A body that can be sent to a sink without passing through the event loop."""

    async def pour_into(self, sink: Sink, progress: Callable[[int], None], threads: Executor) -> int:
        """Send it, once, in blocks of up to 1 MiB, at least every half second; how many bytes it had.

        `progress` is told counts of bytes that the sink has, on the event loop's thread, a few times a second. Raises
        httpx's errors where the wire broke, and then what had come is with the sink; what sink or progress raise.
        """
        ...


class ThreadTransport(httpx.AsyncBaseTransport):
    """Carries GET over http and https. Heads are read on the event loop, bodies by the threads of `pour_into`."""

    def __init__(self, tls: ssl.SSLContext, connections: int) -> None:
        """`connections` is the most at once, those kept alive included."""
        self._pool = Pool(connections, lambda origin, timeout: dial(origin, tls, timeout))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx's errors. A kept connection that died before it answered is replaced once, unseen."""
        if request.method != "GET":
            raise httpx.UnsupportedProtocol("only GET is carried")
        origin = Origin.of(request.url)
        timeouts = request.extensions.get("timeout", {})
        dialogue = _dialogue(request)
        await self._pool.enter(timeouts.get("pool"))
        try:
            wire = self._pool.idle(origin)
            if wire is not None:
                try:
                    return self._response(origin, wire, await _ask(wire, dialogue, timeouts), timeouts)
                except (httpx.NetworkError, httpx.RemoteProtocolError):
                    if dialogue.heard:
                        raise
                dialogue = _dialogue(request)
            wire = await self._pool.new(origin, timeouts.get("connect"))
            return self._response(origin, wire, await _ask(wire, dialogue, timeouts), timeouts)
        except BaseException:
            self._pool.leave()
            raise

    def _response(self, origin: Origin, wire: Wire, head: Head, timeouts: dict[str, float | None]) -> httpx.Response:
        def release(is_fit: bool) -> None:  # noqa: FBT001 - a callback
            if is_fit:
                self._pool.keep(origin, wire)
            else:
                wire.close()
            self._pool.leave()

        body = Body(wire, head, timeouts.get("read"), release)
        return httpx.Response(
            head.status,
            headers=head.headers,
            stream=body,
            extensions={"http_version": head.version, "reason_phrase": head.reason, BODY: body},
        )

    async def aclose(self) -> None:
        """Close what is idle; the others close as their answers do."""
        self._pool.close()


def _dialogue(request: httpx.Request) -> Dialogue:
    return Dialogue(b"GET", request.url.raw_path, request.headers.raw)


async def _ask(wire: Wire, dialogue: Dialogue, timeouts: dict[str, float | None]) -> Head:
    """The answer's head. A connection that gives none is closed."""
    try:
        # A server may refuse before it has read all, and say so: what it said is looked for in any case.
        with contextlib.suppress(httpx.WriteError):
            await wire.send(dialogue.request, timeouts.get("write"))
        head = None
        while head is None:
            head = dialogue.feed(await wire.receive(_HEAD, timeouts.get("read")))
    except BaseException:
        wire.close()
        raise
    return head


class Body(httpx.AsyncByteStream):
    """An answer's body: read piece by piece as httpx does, or poured; once, and then closed."""

    def __init__(self, wire: Wire, head: Head, read_timeout: float | None, release: Callable[[bool], None]) -> None:
        """`release` is called once, with whether the connection is fit for another request."""
        self._wire = wire
        self._framing = head.framing
        self._keeps = head.keeps
        self._rest = head.rest
        self._read_timeout = read_timeout
        self._release: Callable[[bool], None] | None = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._framing.ended:
            data, self._rest = self._rest, b""
            if not data:
                data = await self._wire.receive(_PIECE, self._read_timeout)
            if not data:
                self._framing.eof()
            for piece in self._framing.take(data) if data else ():
                yield bytes(piece)

    async def pour_into(self, sink: Sink, progress: Callable[[int], None], threads: Executor) -> int:
        rest, self._rest = self._rest, b""
        self._wire.lend()
        try:
            pouring = Pouring(self._wire, self._framing, rest, self._read_timeout, sink=sink, progress=progress)
            return await pouring.carry(threads)
        finally:
            self._wire.take_back()

    async def aclose(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release(self._framing.ended and self._framing.is_clean and self._keeps and not self._rest)
