"""A transport for httpx: HTTP/1.1 downloads whose bodies a thread carries from the socket straight to a sink."""

import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from typing import Protocol

import httpx

from syncer.core.ports import Sink
from syncer.transfer.buffers import Buffers
from syncer.transfer.dial import Origin, dial
from syncer.transfer.pool import Pool
from syncer.transfer.pouring import End, Line, Pouring
from syncer.transfer.throttle import Throttle
from syncer.transfer.wire import Wire
from syncer.transfer.wire_head import Dialogue, Head, serialise

BODY = "syncer.body"
"""The key in `httpx.Response.extensions` under which a Pourable is found, where the transport has one."""

_PIECE = 64 * 1024
_MOMENT = 0.25  # seconds that a small body may be silent and is still waited for
_READS = 16  # after which it is not waited for either
_HEAD = 128 * 1024  # bytes read at once for a head: a small file comes along with it


class Pourable(Protocol):
    """A body that can be sent to a sink without passing through the event loop."""

    async def take(self, length: int) -> bytes | None:
        """All of it, where it has this length and comes within a moment; its connection is given back then.

        Else None, and nothing of it is lost to `pour_into`.
        """
        ...

    async def pour_into(
        self,
        sink: Sink,
        progress: Callable[[int], None],
        threads: Executor,
        throttle: Throttle | None = None,
        end: End | None = None,
    ) -> int:
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
        self._buffers = Buffers()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As `ask`, for any user of httpx."""
        if request.method != "GET":
            raise httpx.UnsupportedProtocol("only GET is carried")
        asked = serialise(request.url.raw_path, request.headers.raw)
        head, body = await self.ask(Origin.of(request.url), asked, request.extensions.get("timeout", {}))
        return httpx.Response(
            head.status,
            headers=head.headers,
            stream=body,
            extensions={"http_version": head.version, "reason_phrase": head.reason, BODY: body},
        )

    async def ask(self, origin: Origin, request: bytes, timeouts: Mapping[str, float | None]) -> tuple[Head, "Body"]:
        """The answer's head, and its body, to be closed.

        `timeouts` are httpx's: seconds to `connect`, without a byte (`read`, `write`), for a place in the `pool`.
        Raises httpx's errors. A kept connection that died before it answered is replaced once, unseen.
        """
        await self._pool.enter(timeouts.get("pool"))
        try:
            wire = self._pool.idle(origin)
            if wire is not None:
                dialogue = Dialogue()
                try:
                    return await self._speak(origin, wire, (request, dialogue), timeouts)
                except (httpx.NetworkError, httpx.RemoteProtocolError):
                    if dialogue.heard:
                        raise
            wire = await self._pool.new(origin, timeouts.get("connect"))
            return await self._speak(origin, wire, (request, Dialogue()), timeouts)
        except BaseException:
            self._pool.leave()
            raise

    async def _speak(
        self, origin: Origin, wire: Wire, said: tuple[bytes, Dialogue], timeouts: Mapping[str, float | None]
    ) -> tuple[Head, "Body"]:
        """A connection that gives no answer is closed."""
        (request, dialogue), silence = said, timeouts.get("read")
        try:
            # A server may refuse before it has read all, and say so: what it said is looked for in any case.
            with contextlib.suppress(httpx.WriteError):
                await wire.send(request, timeouts.get("write"))
            head = dialogue.feed(await wire.answer(_HEAD, silence))
            while head is None:
                head = dialogue.feed(await wire.receive(_HEAD, silence))
        except BaseException:
            wire.close()
            raise

        def release(is_fit: bool) -> None:  # noqa: FBT001 - a callback
            if is_fit:
                self._pool.keep(origin, wire)
            else:
                wire.close()
            self._pool.leave()

        return head, Body(wire, head, silence, self._buffers, release)

    async def aclose(self) -> None:
        """Close what is idle; the others close as their answers do."""
        self._pool.close()


class Body(httpx.AsyncByteStream):
    """An answer's body: read piece by piece as httpx does, or poured; once, and then closed."""

    def __init__(
        self,
        wire: Wire,
        head: Head,
        read_timeout: float | None,
        buffers: Buffers,
        release: Callable[[bool], None],
    ) -> None:
        """`release` is called once, with whether the connection is fit for another request."""
        self._wire = wire
        self._framing = head.framing
        self._keeps = head.keeps
        self._rest = head.rest
        self._read_timeout = read_timeout
        self._buffers = buffers
        self._trouble: httpx.ReadError | None = None  # met by `take`, and not told yet
        self._release: Callable[[bool], None] | None = release

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.pieces()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, on the event loop. Raises httpx's errors."""
        while not self._framing.ended:
            data, self._rest = self._rest, b""
            if not data and self._trouble is not None:
                raise self._trouble
            if not data:
                data = await self._wire.receive(_PIECE, self._read_timeout)
            if not data:
                self._framing.eof()
                continue
            for piece in self._framing.take(data):
                yield bytes(piece)

    async def take(self, length: int) -> bytes | None:
        if self._framing.room != length:
            return None
        for _ in range(_READS):
            if len(self._rest) >= length:
                rest, self._rest = self._rest, b""
                data = b"".join(self._framing.take(rest))
                self._let_go()
                return data
            try:
                more = await self._wire.receive(length - len(self._rest), _MOMENT)
            except httpx.ReadTimeout:
                return None
            except httpx.ReadError as error:
                self._trouble = error
                return None
            if not more:
                return None
            self._rest += more
        return None

    async def pour_into(
        self,
        sink: Sink,
        progress: Callable[[int], None],
        threads: Executor,
        throttle: Throttle | None = None,
        end: End | None = None,
    ) -> int:
        rest, self._rest = self._rest, b""
        self._wire.leave()
        line = Line(self._wire, self._framing, rest, self._read_timeout, self._buffers, throttle, end, self._trouble)
        pouring = Pouring(line, sink, progress)
        return await pouring.carry(threads)

    async def aclose(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release(self._framing.ended and self._framing.is_clean and self._keeps and not self._rest)
