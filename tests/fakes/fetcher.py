"""A storage and its Fetcher in memory: objects under URLs, ranges and If-Range honoured, faults by appointment."""

import asyncio
import base64
import hashlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import google_crc32c

from syncer.core.errors import Interrupted
from syncer.core.model import Link
from syncer.core.ports import Sink
from syncer.core.resume import PROBE, Answer, Ask, ContentRange


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies under a URL."""

    content: bytes
    etag: str | None = '"v1"'
    last_modified: str | None = "Wed, 01 Jan 2025 00:00:00 GMT"
    content_type: str | None = "video/mp4"
    checksums: bool = True
    ranges: bool = True


@dataclass(frozen=True, slots=True)
class Refuse:
    """The answer is a refusal."""

    status: int = 403
    retry_after: datetime | None = None
    expired_token: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """The body breaks after so many bytes."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer comes."""


@dataclass(slots=True)
class Hang:
    """The body stops after so many bytes until `go_on` is set; `reached` is set then."""

    after: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Lie:
    """The head is made over before it is given out."""

    change: Callable[[Answer], Answer]


Fault = Refuse | Cut | Silent | Hang | Lie


class FakeFetcher:
    """`core.ports.Fetcher` over `objects`. A URL without an object is answered 404."""

    def __init__(self, block: int = 64 * 1024) -> None:
        """`block` is how many bytes a sink is given at once."""
        self.objects: dict[str, Stored] = {}
        self.asks: list[tuple[str, Ask]] = []  # every request, as it came
        self.open_now = 0  # exchanges
        self.served = 0  # bytes of body that probes were answered with
        self._block = block
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._standing: dict[str, Fault] = {}

    def fail_next(self, url: str, *faults: Fault) -> None:
        """The next requests for `url` meet these faults, one each."""
        self._faults[url].extend(faults)

    def fail_always(self, url: str, fault: Fault | None) -> None:
        """Every request for `url` that no other fault is meant for meets this one; None ends that."""
        self._standing.pop(url, None)
        if fault is not None:
            self._standing[url] = fault

    @asynccontextmanager
    async def open(self, link: Link, ask: Ask) -> AsyncIterator["FakeExchange"]:
        self.asks.append((link.url, ask))
        await asyncio.sleep(0)
        waiting = self._faults[link.url]
        fault = waiting.popleft() if waiting else self._standing.get(link.url)
        if isinstance(fault, Silent):
            raise Interrupted("storage.test sent no byte for 60 s.")
        answer, body = _answer(self.objects.get(link.url), ask, fault)
        self.open_now += 1
        try:
            yield FakeExchange(answer, body, fault, self._block)
        finally:
            self.open_now -= 1

    async def probe(self, link: Link) -> Answer:
        async with self.open(link, PROBE) as exchange:
            self.served += len(exchange.body) if exchange.answer.status == 206 else 0
            return exchange.answer


class FakeExchange:
    """`core.ports.Exchange` over bytes in memory."""

    def __init__(self, answer: Answer, body: bytes, fault: Fault | None, block: int) -> None:
        self.answer = answer
        self.body = body
        self._fault = fault
        self._block = block

    async def pour(self, sink: Sink, progress: Callable[[int], None]) -> None:
        stop = self._fault.after if isinstance(self._fault, Cut | Hang) else len(self.body)
        await self._send(0, min(stop, len(self.body)), sink, progress)
        if isinstance(self._fault, Cut):
            raise Interrupted("storage.test ended the connection early, or spoke no HTTP.")
        if isinstance(self._fault, Hang):
            self._fault.reached.set()
            await self._fault.go_on.wait()
            await self._send(stop, len(self.body), sink, progress)

    async def take(self) -> bytes | None:
        whole = not isinstance(self._fault, Cut | Hang) and self.answer.status in (200, 206)
        return self.body if whole and len(self.body) <= self._block else None

    async def close(self) -> None:
        """Nobody is sending."""

    async def _send(self, start: int, stop: int, sink: Sink, progress: Callable[[int], None]) -> None:
        for at in range(start, stop, self._block):
            piece = self.body[at : min(at + self._block, stop)]
            await asyncio.to_thread(sink.write, piece)
            progress(len(piece))


def _answer(stored: Stored | None, ask: Ask, fault: Fault | None) -> tuple[Answer, bytes]:
    if isinstance(fault, Refuse):
        refusal = Answer(
            fault.status, "storage.test", 0, retry_after=fault.retry_after, expired_token=fault.expired_token
        )
        return refusal, b""
    answer, body = (Answer(404, "storage.test", 0), b"") if stored is None else _honest(stored, ask)
    return (fault.change(answer) if isinstance(fault, Lie) else answer), body


def _honest(stored: Stored, ask: Ask) -> tuple[Answer, bytes]:
    size = len(stored.content)
    holds = ask.if_range is None or ask.if_range in (stored.etag, stored.last_modified)
    md5, crc32c = (_md5(stored.content), _crc32c(stored.content)) if stored.checksums else (None, None)
    start, status, span = 0, 200, None
    if not ask.is_whole and stored.ranges and holds:
        if ask.start >= size:
            return Answer(416, "storage.test", 0, content_range=ContentRange(None, None, size)), b""
        last = size - 1 if ask.last is None else min(ask.last, size - 1)
        start, status, span = ask.start, 206, ContentRange(ask.start, last, size)
        size = last + 1
    answer = Answer(
        status,
        "storage.test",
        size - start,
        content_range=span,
        content_type=stored.content_type,
        etag=stored.etag,
        last_modified=stored.last_modified,
        md5=md5,
        crc32c=crc32c,
        gives_ranges=stored.ranges,
    )
    return answer, stored.content[start:size]


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _crc32c(content: bytes) -> str:
    return google_crc32c.value(content).to_bytes(4, "big").hex()


def goog_hash(content: bytes) -> str:
    """The `x-goog-hash` header of some bytes."""
    crc = base64.b64encode(bytes.fromhex(_crc32c(content))).decode()
    return f"crc32c={crc},md5={base64.b64encode(bytes.fromhex(_md5(content))).decode()}"
