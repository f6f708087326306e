"""What a storage said, whichever transport heard it, and its body's way to a sink."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import httpx

from syncer.core.errors import FetchError, Interrupted, LengthMismatch, NotTheFile
from syncer.core.ports import Sink
from syncer.core.resume import Answer
from syncer.transfer.failures import NETWORK
from syncer.transfer.gather import Gather
from syncer.transfer.head import expected_length
from syncer.transfer.pouring import End
from syncer.transfer.throttle import Throttle
from syncer.transfer.transport import BODY, Body, Pourable
from syncer.transfer.wire_head import Head

SMALL = 256 * 1024
"""Bytes of a body that may wait in memory until it is whole: a way into a thread for it alone would cost more."""


class Stream(Protocol):
    """A body that can be read on the event loop, once."""

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """Raises what is in `failures.NETWORK`."""
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of any status, its body unread."""

    status: int
    headers: list[tuple[bytes, bytes]]
    stream: Stream
    pourable: Pourable | None

    @classmethod
    def direct(cls, head: Head, body: Body) -> "Reply":
        """From our own transport, asked without a client before it."""
        return cls(head.status, head.headers, body, body)

    @classmethod
    def by_client(cls, response: httpx.Response) -> "Reply":
        """From whichever transport httpx chose."""
        return cls(response.status_code, response.headers.raw, _ByClient(response), response.extensions.get(BODY))

    @property
    def location(self) -> str | None:
        """Where it sends us, if anywhere."""
        headers: dict[str, str] = dict(httpx.Headers(self.headers))
        return headers.get("location")

    async def close(self) -> None:
        """Give the connection back, or close it where the body was not read whole."""
        with contextlib.suppress(httpx.HTTPError, OSError):
            await self.stream.aclose()


class _ByClient:
    """A Stream over httpx's response."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """httpx promises an iterator; that it is a generator, which can be closed in time, it does not say."""
        pieces = self._response.aiter_raw()
        assert isinstance(pieces, AsyncGenerator)  # noqa: S101 - for the type checker
        return pieces

    async def aclose(self) -> None:
        await self._response.aclose()


class HttpExchange:
    """`core.ports.Exchange`: the head read, the body waiting on the wire."""

    def __init__(
        self,
        answer: Answer,
        reply: Reply,
        explain_error: Callable[[Exception, str], FetchError],
        limits: tuple[Throttle | None, End | None],
        threads: Executor,
    ) -> None:
        """`limits` are that on the rate and that on the time, where there are any."""
        self._answer = answer
        self._reply = reply
        self._explain = explain_error
        self._throttle, self._end = limits
        self._threads = threads

    @property
    def answer(self) -> Answer:
        return self._answer

    async def take(self) -> bytes | None:
        """All of a body of up to SMALL bytes, where it comes within a moment and nobody limits the rate.

        Its connection is free for another request from then on.
        """
        body, answer = self._reply.pourable, self._answer
        if body is None or self._throttle is not None or answer.status not in (200, 206):
            return None
        expected = expected_length(answer)
        if expected is None or expected > SMALL:
            return None
        return await body.take(expected)

    async def pour(self, sink: Sink, progress: Callable[[int], None]) -> None:
        """Send the body to `sink` in blocks of up to 1 MiB, at least every half second.

        However the body ends, what arrived of it is with the sink; only a cancelled call gives up what the sink does
        not have yet. Raises Interrupted where the body broke, stalled or fell short, LengthMismatch where it was
        longer than its head said, NotTheFile, before the first byte, where nothing would tell a whole body from a
        cut one (RFC 9112 §8), and whatever the sink raises.
        """
        answer = self._answer
        if answer.status not in (200, 206):
            raise NotTheFile(f"{answer.host} answered {answer.status} instead of the file.")
        expected = expected_length(answer)
        if expected is None and not answer.chunked:
            raise NotTheFile(f"{answer.host} did not say how long the file is, so its end could not be proven.")
        body = self._reply.pourable
        if body is None:
            count = await self._move(Gather(sink, progress, self._threads))
        else:
            count = await self._pour(body, sink, progress)
        if expected is not None and count < expected:
            raise Interrupted(f"{answer.host} ended the connection after {count} of {expected} bytes.")
        if expected is not None and count > expected:
            raise LengthMismatch(f"{answer.host} sent {count} bytes when it had promised {expected}.")

    async def close(self) -> None:
        await self._reply.close()

    async def _pour(self, body: Pourable, sink: Sink, progress: Callable[[int], None]) -> int:
        """The body straight to the sink, in a thread; the number of bytes."""
        try:
            return await body.pour_into(sink, progress, self._threads, self._throttle, self._end)
        except httpx.HTTPError as error:
            problem = self._explain(error, self._answer.host)
        raise problem

    async def _move(self, gather: Gather) -> int:
        """Bytes from the wire until the body's end; their number."""
        count = 0
        try:
            async with aclosing(self._pieces()) as pieces:
                async for piece in pieces:
                    count += len(piece)
                    await self._hand_over(piece, gather)
        except FetchError:
            await gather.end()
            raise
        except BaseException:
            await self._reply.close()
            await gather.abandon()
            raise
        await gather.end()
        return count

    async def _hand_over(self, piece: bytes, gather: Gather) -> None:
        """A piece to the sink, no faster than the limit on the rate; httpx has read it by then, so it is cut here."""
        if self._throttle is None:
            await gather.add(piece)
            return
        begin = 0
        while begin < len(piece):
            count = await self._throttle.grant(len(piece) - begin)
            await gather.add(piece[begin : begin + count])
            begin += count

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes off the wire; only what the network raises is explained here."""
        try:
            async with aclosing(self._reply.stream.pieces()) as pieces:
                async for piece in pieces:
                    if self._end is not None:
                        self._end.check()
                    yield piece
        except NETWORK as error:
            problem = self._explain(error, self._answer.host)
        else:
            return
        raise problem
