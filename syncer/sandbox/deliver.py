"""Puts an answer on the wire: honestly through ASGI, or byte by byte where the answer is to break HTTP's rules."""

import asyncio
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.types import Message, Receive, Send
from uvicorn.protocols.http.flow_control import FlowControl

from syncer.sandbox.answers import Answer, Ending, Framing
from syncer.sandbox.content import CHUNK
from syncer.sandbox.observe import RequestLog, Seen

_STEPS = 20  # pieces a second, at least, on a thin line


@dataclass(slots=True)
class Line:
    """A line of limited speed that answers share. Belongs to one event loop."""

    free_at: float = 0.0  # by the loop's clock

    async def carry(self, count: int, rate: float) -> None:
        """Waits until `count` bytes have gone over the line at `rate` bytes a second."""
        now = asyncio.get_running_loop().time()
        self.free_at = max(self.free_at, now) + count / rate
        await asyncio.sleep(self.free_at - now)


@dataclass(slots=True)
class Wire:
    """One client's connection for the time of one answer."""

    transport: asyncio.Transport
    flow: FlowControl
    receive: Receive
    send: Send
    shared: Line  # of the whole sandbox
    own: Line = field(default_factory=Line)

    @property
    def gone(self) -> bool:
        """Whether the connection is closed or closing."""
        return self.transport.is_closing()

    async def left(self, within: float | None = None) -> bool:
        """Waits for the client to leave, for so many seconds at most; whether it did."""
        try:
            async with asyncio.timeout(within):
                message: Message = {}
                while message.get("type") != "http.disconnect":
                    message = await self.receive()
        except TimeoutError:
            return self.gone
        return True


async def deliver(answer: Answer, wire: Wire, log: RequestLog, seen: Seen, date: str) -> None:
    """Sends the answer and notes in the log what is sent. Returns when nothing more will be."""
    answer = answer.written().with_headers(date=date)
    if answer.delay > 0 and await wire.left(answer.delay):
        return
    log.status(seen, answer.status)
    length = None if answer.gzipped else answer.length
    promised = length if answer.promised is None else answer.promised
    lawful = promised == length or answer.framing is Framing.CHUNKED
    if answer.ending is Ending.WHOLE and lawful and answer.framing is not Framing.CLOSE:
        await _by_asgi(answer, wire, log, seen)
    else:
        await _by_hand(answer, wire, log, seen, promised)


async def _by_asgi(answer: Answer, wire: Wire, log: RequestLog, seen: Seen) -> None:
    headers = list(answer.headers.items())
    if answer.framing is Framing.LENGTH:
        headers.append(("content-length", str(answer.length)))
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await wire.send({"type": "http.response.start", "status": answer.status, "headers": raw})
    async for piece in _paced(answer, wire):
        if wire.gone:
            return
        log.body(seen, len(piece))
        await wire.send({"type": "http.response.body", "body": piece, "more_body": True})
    await wire.send({"type": "http.response.body", "body": b"", "more_body": False})


async def _by_hand(answer: Answer, wire: Wire, log: RequestLog, seen: Seen, promised: int | None) -> None:
    wire.transport.set_write_buffer_limits(high=0)
    wire.transport.write(_head(answer, promised))
    left = answer.stop_after
    async for whole in _paced(answer, wire):
        piece = whole if left is None else whole[:left]
        left = None if left is None else left - len(piece)
        if wire.gone:
            return
        if answer.over is not None and answer.over():
            break
        if piece:
            log.body(seen, len(piece))
            wire.transport.write(_chunk(piece) if answer.framing is Framing.CHUNKED else piece)
            await wire.flow.drain()
        if left == 0:
            break
    match answer.ending:
        case Ending.STALL:
            pass
        case Ending.RESET:
            _reset(wire.transport)
        case Ending.CUT:
            wire.transport.close()
        case Ending.WHOLE:
            wire.transport.write(b"0\r\n\r\n" if answer.framing is Framing.CHUNKED else b"")
            wire.transport.close()
    await wire.left()


def _head(answer: Answer, promised: int | None) -> bytes:
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    headers = dict(answer.headers)
    if answer.framing is Framing.CHUNKED:
        headers["transfer-encoding"] = "chunked"
    elif answer.framing is Framing.LENGTH and promised is not None:
        headers["content-length"] = str(promised)
    headers["connection"] = "close"
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _reset(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _paced(answer: Answer, wire: Wire) -> AsyncIterator[bytes]:
    rates = [rate for rate in (answer.rate, answer.shared_rate) if rate is not None]
    step = max(int(min(rates) / _STEPS), 1) if rates else CHUNK
    for piece in _gzipped(answer.pieces()) if answer.gzipped else answer.pieces():
        for at in range(0, len(piece), step):
            part = piece[at : at + step]
            if answer.rate is not None:
                await wire.own.carry(len(part), answer.rate)
            if answer.shared_rate is not None:
                await wire.shared.carry(len(part), answer.shared_rate)
            yield part
            if wire.gone:
                return


def _gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(level=1, wbits=31)
    for piece in pieces:
        packed = packer.compress(piece)
        if packed:
            yield packed
    yield packer.flush()
