"""Raw answers over a real socket, and what a fetcher makes of them: for comparing transports with each other."""

import asyncio
import contextlib
import itertools
import socket
import struct
from dataclasses import dataclass, field
from typing import Self

import httpx

from syncer.core.errors import SyncerError
from syncer.core.model import Link
from syncer.core.resume import Answer, Ask
from syncer.runner.clock import SystemClock
from syncer.transfer import HttpFetcher

WHOLE = Ask()


@dataclass(frozen=True)
class Reply:
    """What a server says to one request: these pieces one after the other, and then it closes, resets, or stays."""

    pieces: tuple[bytes, ...]
    then: str = "close"

    @classmethod
    def of(cls, data: bytes, *cuts: int, then: str = "close") -> "Reply":
        places = sorted({0, len(data), *(cut for cut in cuts if 0 < cut < len(data))})
        return cls(tuple(data[a:b] for a, b in itertools.pairwise(places)), then)


@dataclass(frozen=True)
class Outcome:
    """All that can be seen of a fetch: the head, the bytes, the error's class and sentence."""

    answer: Answer | None
    content: bytes
    error: str


@dataclass
class RawServer:
    """Answers the nth request that reaches it, on whatever connection, with the nth of `replies`."""

    replies: list[Reply] = field(default_factory=list)
    port: int = 0
    connections: int = 0
    _tasks: set[asyncio.Task] = field(default_factory=set)

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def hang_up(self) -> None:
        """No connection from before answers any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        self.connections += 1
        try:
            writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            then = "stay"
            while then == "stay" and await reader.readuntil(b"\r\n\r\n"):
                then = await self._answer(writer)
            if then == "reset":
                linger = struct.pack("ii", 1, 0)
                writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, writer: asyncio.StreamWriter) -> str:
        reply = self.replies.pop(0)
        for piece in reply.pieces:
            writer.write(piece)
            await writer.drain()
            for _ in range(4):  # so that the client, on the same loop, may meet the seam
                await asyncio.sleep(0)
        return reply.then


class Sink:
    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, data) -> None:
        self.content += data


async def outcome_of(fetcher: HttpFetcher, link: Link, ask: Ask = WHOLE) -> Outcome:
    """Fetch, and tell what came of it. What is no error of ours comes out."""
    sink, told, answer, error = Sink(), [], None, ""
    try:
        async with fetcher.open(link, ask) as exchange:
            answer = exchange.answer
            await exchange.pour(sink, told.append)
    except SyncerError as raised:
        error = f"{type(raised).__name__}: {raised}"
    assert sum(told) == len(sink.content)
    return Outcome(answer, bytes(sink.content), error)


class Pair:
    """Our own transport and httpx's, side by side, each with a raw server of its own."""

    def __init__(self, read_timeout: float = 10) -> None:
        self._stack = contextlib.AsyncExitStack()
        self._read_timeout = read_timeout
        self.sides: list[tuple[HttpFetcher, RawServer]] = []

    async def __aenter__(self) -> Self:
        limits = httpx.Limits(max_connections=8, max_keepalive_connections=8, keepalive_expiry=30)
        for transport in (None, httpx.AsyncHTTPTransport(limits=limits)):
            fetcher, server = self.fetcher(transport), RawServer()
            await self._stack.enter_async_context(fetcher)
            await self._stack.enter_async_context(await server.start())
            self.sides.append((fetcher, server))
        return self

    def fetcher(self, transport: httpx.AsyncBaseTransport | None) -> HttpFetcher:
        timeout = self._read_timeout
        return HttpFetcher(clock=SystemClock(), read_timeout=timeout, connect_timeout=timeout, transport=transport)

    async def __aexit__(self, *_: object) -> None:
        for _, server in self.sides:
            await server.hang_up()
        await self._stack.aclose()

    async def outcomes(self, *replies: Reply, ask: Ask = WHOLE) -> tuple[list[Outcome], list[Outcome]]:
        """What each makes of these replies, asked for one after the other; the connections are new to the first."""
        seen = []
        for fetcher, server in self.sides:
            server.replies = list(replies)
            link = Link(f"http://127.0.0.1:{server.port}/film?sig=x", None)
            seen.append([await outcome_of(fetcher, link, ask) for _ in replies])
            await server.hang_up()
        return seen[0], seen[1]
