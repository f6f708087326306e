"""Fetching over real sockets with an unpatched client: every way an answer goes wrong, and what is on disk after it."""

import asyncio
import base64
import contextlib
import hashlib
import itertools
import logging
import ssl
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes.fetcher import goog_hash

from syncer._version import __version__
from syncer.core import resume
from syncer.core.errors import FetchError, Interrupted, LengthMismatch, NotTheFile, UsageError
from syncer.core.model import Link, Promise
from syncer.core.resume import Append, Ask, AskAgain, ContentRange
from syncer.destination import FolderDestination
from syncer.runner.clock import SystemClock
from syncer.sandbox import HEALTHY, SCENARIOS, Frame, Framing, Redirect, Sandbox, SandboxJob, running
from syncer.transfer import HttpFetcher, Throttle
from syncer.transfer.gather import BLOCK
from tests.helpers.certificate import vouched

SECRET = "X-Goog-Signature=5ec12e7"
BODY = bytes(range(256)) * 1000
ROOT = Path(__file__).parents[2]

Reply = Callable[["Request"], Awaitable[None]] | bytes


@dataclass
class Request:
    """One request as it came over the wire, and the way back."""

    line: str
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()


@dataclass
class Server:
    """Answers every connection's requests with `replies`, one each, the last one for ever; then lets the client go.

    A reply that is bytes is sent as it is. Where it promises no length, the connection is closed behind it.
    """

    replies: list[Reply]
    port: int = 0
    connections: int = 0
    requests: list[Request] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # a client closed its connection
    tasks: set[asyncio.Task] = field(default_factory=set)

    def link(self, host: str = "127.0.0.1", path: str = "/film", scheme: str = "http") -> Link:
        return Link(f"{scheme}://{host}:{self.port}{path}?{SECRET}", None)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.tasks.add(asyncio.current_task())
        try:
            while request := await _read(reader, writer):
                self.requests.append(request)
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if callable(reply):
                    await reply(request)
                    break
                await request.send(reply)
                if b"\r\ncontent-length" not in reply.lower() and b"chunked" not in reply.lower():
                    break
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            self.left.set()
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = await reader.readline()
        if not line:
            return None
        head += line
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in rest if line)
    return Request(first, {name.lower(): value for name, value in headers.items()}, reader, writer)


@pytest.fixture
async def serve():
    """Start a server with these replies."""
    started = []

    async def start(*replies: Reply, tls: ssl.SSLContext | None = None) -> Server:
        server = Server(list(replies))
        listening = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=tls)
        started.append((server, listening))
        server.port = listening.sockets[0].getsockname()[1]
        return server

    yield start
    for server, listening in started:
        listening.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)


@pytest.fixture
async def fetcher():
    async with HttpFetcher(clock=SystemClock(), read_timeout=5, connect_timeout=5) as made:
        yield made


class Taker:
    def __init__(self) -> None:
        self.content = bytearray()
        self.blocks: list[int] = []
        self.some = threading.Event()

    def write(self, data) -> None:
        self.content += data
        self.blocks.append(len(data))
        self.some.set()


def head(status: int = 200, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Said So", *lines, "", ""]).encode("latin-1")


def whole(body: bytes = BODY, *lines: str) -> bytes:
    return head(200, f"Content-Length: {len(body)}", *lines) + body


async def bring(fetcher: HttpFetcher, link: Link, ask: Ask = Ask(), taker: Taker | None = None):  # noqa: B008 - frozen
    taker, told = taker or Taker(), []
    async with fetcher.open(link, ask) as exchange:
        try:
            await exchange.pour(taker, told.append)
        finally:
            assert sum(told) == len(taker.content)
    return taker, exchange.answer


async def fails(fetcher: HttpFetcher, link: Link, kind: type[FetchError], words: str = ".", ask: Ask = Ask()) -> Taker:  # noqa: B008 - frozen
    """The fetch fails so, and nothing about the link can be read from how."""
    taker = Taker()
    with pytest.raises(kind, match=words) as caught:
        await bring(fetcher, link, ask, taker)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    met, error = set(), caught.value
    while error is not None and id(error) not in met:
        met.add(id(error))
        assert not hasattr(error, "request"), "the library's error hangs on to ours"
        error = error.__cause__ or error.__context__
    return taker


async def test_what_is_sent_and_what_is_not(serve, fetcher):
    server = await serve(whole())
    taker, _ = await bring(fetcher, server.link())
    assert taker.content == BODY
    request = server.requests[0]
    assert request.line == f"GET /film?{SECRET} HTTP/1.1"
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "keep-alive",
        "user-agent": f"videodb-syncer/{__version__}",
    }


async def test_a_range_is_asked_for_with_its_condition(serve, fetcher):
    server = await serve(whole())
    etag = '"caf\xe9"'
    await bring(fetcher, server.link(), Ask(start=100, overlap=50, if_range=etag))
    assert server.requests[0].headers["range"] == "bytes=100-"
    assert server.requests[0].headers["if-range"] == etag


async def test_a_signed_link_reaches_the_server_as_it_was_given(serve, fetcher):
    server = await serve(whole())
    path = "/a%2Fb%20c/%E2%98%83+d~e'(f)*!$,;=:@"
    query = "X-Amz-Credential=A%2F20260101%2Fus&sig=a%2Bb%3D%3D&x=[1]&e=&q=%7e+|"
    await bring(fetcher, Link(f"http://127.0.0.1:{server.port}{path}?{query}", None))
    sent = server.requests[0].line.split(" ")[1]
    assert sent == f"{path}?{query}"


async def test_connections_are_used_again(serve, fetcher):
    refusal = head(404, "Content-Length: 7") + b"<Error>"
    server = await serve(*[whole(), refusal] * 5, whole())
    for number in range(11):
        async with fetcher.open(server.link(), Ask()) as exchange:
            if number % 2 == 0:
                await exchange.pour(Taker(), lambda count: None)
    assert (server.connections, len(server.requests)) == (1, 11)


async def test_no_more_connections_than_told(serve):
    server = await serve(whole())
    async with HttpFetcher(clock=SystemClock(), connections=3) as fetcher:
        await asyncio.gather(*(bring(fetcher, server.link()) for _ in range(20)))
    assert server.connections <= 3


@pytest.mark.parametrize("after", [0, 1, 100_000, len(BODY) - 1])
async def test_cut(serve, fetcher, after):
    async def cut(request: Request) -> None:
        await request.send(head(200, f"Content-Length: {len(BODY)}"), BODY[:after])

    server = await serve(cut)
    taker = await fails(fetcher, server.link(), Interrupted, "127.0.0.1 ended the connection early")
    assert taker.content == BODY[:after]


async def test_cut_between_chunks(serve, fetcher):
    async def cut(request: Request) -> None:
        await request.send(head(200, "Transfer-Encoding: chunked"), b"5\r\nhello\r\n", b"6\r\n wor")

    server = await serve(cut)
    taker = await fails(fetcher, server.link(), Interrupted)
    assert taker.content == b"hello wor"


async def test_chunked_to_its_end_is_whole(serve, fetcher):
    server = await serve(head(200, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n")
    taker, answer = await bring(fetcher, server.link())
    assert taker.content == b"hello"
    assert (answer.chunked, answer.length) == (True, None)


@pytest.mark.parametrize("sent", [100, 99, 101])
async def test_chunks_are_held_against_what_google_has_stored(serve, fetcher, sent):
    async def chunks(request: Request) -> None:
        await request.send(head(200, "Transfer-Encoding: chunked", "x-goog-stored-content-length: 100"))
        await request.send(b"%x\r\n%b\r\n0\r\n\r\n" % (sent, b"x" * sent))

    server = await serve(chunks)
    if sent == 100:
        taker, _ = await bring(fetcher, server.link())
    else:
        kind = Interrupted if sent < 100 else LengthMismatch
        taker = await fails(fetcher, server.link(), kind, "100")
    assert len(taker.content) == sent


async def test_a_body_whose_end_nothing_proves_is_not_begun(serve, fetcher):
    """Ended by closing the connection (RFC 9112 §6.3), a body cut short looks like a whole one."""
    server = await serve(head(200, "Content-Type: video/mp4") + BODY)
    taker = await fails(fetcher, server.link(), NotTheFile, "did not say how long")
    assert taker.blocks == []


@pytest.mark.parametrize("length", [len(BODY), len(BODY) + 1])
async def test_closed_at_its_end_it_is_whole_if_the_length_is_known_otherwise(serve, fetcher, length):
    said = f"x-goog-stored-content-length: {length}"
    server = await serve(head(200, said) + BODY)
    if length == len(BODY):
        taker, _ = await bring(fetcher, server.link())
    else:
        taker = await fails(fetcher, server.link(), Interrupted, f"after {len(BODY)} of {length} bytes")
    assert taker.content == BODY


async def test_stalled(serve):
    stay = asyncio.Event()

    async def stall(request: Request) -> None:
        await request.send(head(200, "Content-Length: 1000"), b"x" * 100)
        await stay.wait()

    server = await serve(stall)
    async with HttpFetcher(clock=SystemClock(), read_timeout=0.3) as fetcher:
        taker = await fails(fetcher, server.link(), Interrupted, "127.0.0.1 sent no byte for 0.3 s")
    stay.set()
    assert taker.content == b"x" * 100


@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
async def test_an_answer_that_takes_too_long_in_all_is_ended_and_what_came_is_kept(serve, framing):
    """It is never silent for long, and so no other limit would end it."""
    piece = b"x" if framing.startswith("Content") else b"1\r\nx\r\n"

    async def drip(request: Request) -> None:
        await request.send(head(200, framing))
        with contextlib.suppress(OSError):
            while True:
                await request.send(piece)
                await asyncio.sleep(0.01)

    server = await serve(drip)
    async with HttpFetcher(clock=SystemClock(), total_timeout=0.5) as fetcher:
        taker = await fails(fetcher, server.link(), Interrupted, "127.0.0.1 took longer than 0.5 s for its answer")
    assert set(taker.content) == set(b"x")


async def test_silent_before_the_head(serve):
    stay = asyncio.Event()

    async def silence(request: Request) -> None:
        await stay.wait()

    server = await serve(silence)
    async with HttpFetcher(clock=SystemClock(), read_timeout=0.3) as fetcher:
        await fails(fetcher, server.link(), Interrupted, "sent no byte")
    stay.set()


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_http(serve, fetcher, reply):
    async def send(request: Request) -> None:
        await request.send(reply)

    server = await serve(send)
    await fails(fetcher, server.link(), FetchError)


async def test_a_head_that_drips_has_an_end(serve):
    async def drip(request: Request) -> None:
        await request.send(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            await request.send(b"x")
            await asyncio.sleep(0.05)

    server = await serve(drip)
    async with HttpFetcher(clock=SystemClock(), read_timeout=0.3, connect_timeout=0.3) as fetcher:
        for link in (server.link(), server.link(path="/./film")):  # the short way, and httpx's
            await fails(fetcher, link, Interrupted, "127.0.0.1 (gave no answer within 2.4 s|sent no byte)")


async def test_nobody_there(serve, fetcher):
    server = await serve(b"")
    link = server.link()
    async with await asyncio.start_server(server.handle, "127.0.0.1", 0) as free:
        port = free.sockets[0].getsockname()[1]
    await fails(fetcher, Link(link.url.replace(str(server.port), str(port)), None), Interrupted, "No connection to 127")
    await fails(fetcher, Link(f"http://nowhere.invalid/?{SECRET}", None), Interrupted, "nowhere.invalid could be")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "film.mp4",
        "ftp://storage.test/film",
        "http://",
        "http://[/film",
        "http://127.0.0.1:99999999/film",
        "http://127.0.0.1:0/film",
        f"http://{'a' * 70}.test/",
        "http://\ud800/",
        "http://a b/",
        "http://storage.test/" + "x" * 70_000,
        "http://user:pass@[::g]/",
        "http://\u2488.test/",
    ],
)
async def test_addresses_that_are_none(fetcher, url):
    await fails(fetcher, Link(f"{url}?{SECRET}", None), FetchError)


async def test_an_if_range_that_no_header_can_hold(serve, fetcher):
    server = await serve(whole())
    for etag in ('"\u2603"', '"a\r\nx: y"'):
        await fails(fetcher, server.link(), NotTheFile, ask=Ask(start=1, overlap=1, if_range=etag))


async def test_a_redirect_to_another_host_carries_the_range_and_nothing_else(serve, fetcher):
    storage = await serve(head(206, "Content-Range: bytes 10-14/15", "Content-Length: 5") + b"hello")
    location = f"Location: http://localhost:{storage.port}/elsewhere?{SECRET}"
    front = await serve(head(302, location, "Content-Length: 0", "Set-Cookie: session=1; Path=/"))
    taker, answer = await bring(fetcher, front.link(), Ask(start=10, overlap=5, if_range='"e"'))
    await bring(fetcher, front.link(), Ask(start=10, overlap=5, if_range='"e"'))
    assert taker.content == b"hello"
    assert (answer.status, answer.host) == (206, "localhost")
    names = {"host", "accept", "accept-encoding", "connection", "user-agent", "range", "if-range"}
    for request in (*front.requests, *storage.requests):
        assert set(request.headers) == names
    assert storage.requests[0].line == f"GET /elsewhere?{SECRET} HTTP/1.1"
    assert front.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_five_redirects_and_no_more(serve, fetcher, status):
    def hop(number: int) -> bytes:
        return head(status, f"Location: /hop-{number}", "Content-Length: 0")

    server = await serve(*(hop(number) for number in range(5)), whole())
    taker, _ = await bring(fetcher, server.link())
    assert taker.content == BODY
    longer = await serve(*(hop(number) for number in range(6)), whole())
    await fails(fetcher, longer.link(), NotTheFile, "more than 5")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (f"/film?{SECRET}", "circle"),
        (f"ftp://127.0.0.1/{SECRET}", "no http or https"),
        (f"file:///{SECRET}", "no http or https"),
    ],
)
async def test_redirects_that_lead_nowhere(serve, fetcher, location, words):
    server = await serve(head(302, f"Location: {location}", "Content-Length: 0"))
    await fails(fetcher, server.link(), NotTheFile, words)


async def test_a_redirect_without_a_location_is_the_answer(serve, fetcher):
    server = await serve(head(302, "Content-Length: 0"))
    async with fetcher.open(server.link(), Ask()) as exchange:
        assert exchange.answer.status == 302
        with pytest.raises(NotTheFile, match="answered 302"):
            await exchange.pour(Taker(), lambda count: None)


@pytest.fixture
def tls(tmp_path):
    """A TLS context for a server, and the file of the authority that vouches for it."""
    return vouched(tmp_path)


async def test_https_with_an_authority_of_ones_own(serve, tls):
    context, bundle = tls
    server = await serve(whole(), tls=context)
    async with HttpFetcher(clock=SystemClock(), ca_bundle=bundle) as fetcher:
        taker, _ = await bring(fetcher, server.link("localhost", scheme="https"))
    assert taker.content == BODY


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_what_a_thread_leaves_behind_a_body_is_not_the_next_answer(serve, tls, scheme):
    """Over TLS the end of the body and what follows share a record: nothing of it is left for the socket to show."""
    context, bundle = tls
    size = 20_000 if scheme == "https" else 300_000  # more than comes along with the head
    replies = whole(bytes(size)) + whole(b"false"), whole(b"second")
    server = await serve(*replies, tls=context if scheme == "https" else None)
    async with HttpFetcher(clock=SystemClock(), ca_bundle=bundle) as fetcher:
        await bring(fetcher, server.link("localhost", scheme=scheme))
        taker, _ = await bring(fetcher, server.link("localhost", scheme=scheme))
    assert taker.content == b"second"
    assert server.connections == 2


async def test_https_without_its_authority_is_not_spoken(serve, tls, fetcher):
    context, _ = tls
    server = await serve(whole(), tls=context)
    await fails(fetcher, server.link("localhost", scheme="https"), Interrupted, "certificate cannot be trusted")


async def test_from_https_to_http_no_redirect_is_followed(serve, tls):
    context, bundle = tls
    plain = await serve(whole())
    front = await serve(head(302, f"Location: {plain.link().url}", "Content-Length: 0"), tls=context)
    async with HttpFetcher(clock=SystemClock(), ca_bundle=bundle) as fetcher:
        await fails(fetcher, front.link("localhost", scheme="https"), NotTheFile, "from https to http")
    assert plain.requests == []


async def test_certificates_and_proxies_that_cannot_be_used_are_said_at_the_start(tmp_path):
    for options in ({"ca_bundle": str(tmp_path / "none.pem")}, {"proxy": "gopher://user:password@host"}):
        with pytest.raises(UsageError) as caught:
            async with HttpFetcher(clock=SystemClock(), **options):
                pass
        assert "password" not in str(caught.value)


async def test_through_a_proxy(serve):
    proxy = await serve(whole())
    async with HttpFetcher(clock=SystemClock(), proxy=f"http://127.0.0.1:{proxy.port}") as fetcher:
        taker, _ = await bring(fetcher, Link(f"http://storage.test/film?{SECRET}", None))
    assert taker.content == BODY
    assert proxy.requests[0].line == f"GET http://storage.test/film?{SECRET} HTTP/1.1"


@pytest.mark.parametrize(
    ("body", "expired"),
    [
        (b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code></Error>", True),
        (b"<Error><Code>InvalidArgument</Code></Error>", False),
        (b"x" * 1_000_000, False),
        (b"", False),
    ],
)
async def test_an_error_body_is_read_as_far_as_it_may_tell_something(serve, fetcher, body, expired):
    server = await serve(head(400, f"Content-Length: {len(body)}", "Retry-After: 3") + body)
    async with fetcher.open(server.link(), Ask()) as exchange:
        assert exchange.answer.status == 400
        assert exchange.answer.expired_token is expired
        assert exchange.answer.retry_after > datetime.now(UTC)


@pytest.mark.parametrize("sent", [b"", b"<Code>ExpiredToken</Code>"])
async def test_an_error_body_that_never_ends_is_not_waited_for(serve, sent):
    stay = asyncio.Event()

    async def drip(request: Request) -> None:
        await request.send(head(400, "Content-Length: 5000"), sent)
        await stay.wait()

    server = await serve(drip)
    hasty = HttpFetcher(clock=SystemClock(), read_timeout=0.3)
    async with hasty, hasty.open(server.link(), Ask()) as exchange:
        assert exchange.answer.status == 400
        assert exchange.answer.expired_token is bool(sent)
    stay.set()


async def test_foreign_encodings_show(serve, fetcher):
    server = await serve(whole(b"\x1f\x8bpacked", "Content-Encoding: gzip"))
    async with fetcher.open(server.link(), Ask()) as exchange:
        assert exchange.answer.encoding == "gzip"
        with pytest.raises(NotTheFile, match="encoded"):
            resume.judge(Ask(), Promise(), exchange.answer)


HELD = Promise(size=15, etag='"e"')
ASKED = Ask(start=10, overlap=4, if_range='"e"')


@pytest.mark.parametrize(
    ("status", "lines", "body", "expected"),
    [
        (206, ["Content-Range: bytes 10-14/15"], b"hello", Append(4, HELD)),
        (206, ["Content-Range: bytes 10-14/*"], b"hello", Append(4, HELD)),
        (206, ["Content-Range: bytes 9-13/15"], b"hello", NotTheFile),
        (206, ["Content-Range: bytes 10-13/15"], b"hell", NotTheFile),
        (206, ["Content-Range: bytes 10-14/16"], b"hello", AskAgain),
        (206, ["Content-Range: bytes 10-14/15", 'ETag: "f"'], b"hello", AskAgain),
        (206, [], b"hello", NotTheFile),
        (206, ["Content-Range: bytes 10-14/15"], b"hell", NotTheFile),
        (206, ["Content-Type: multipart/byteranges; boundary=x"], b"--x", NotTheFile),
        (416, ["Content-Range: bytes */15"], b"", AskAgain),
        (416, ["Content-Range: bytes */9"], b"<Error/>", AskAgain),
        (416, [], b"", AskAgain),
    ],
)
async def test_answers_to_a_range(serve, fetcher, status, lines, body, expected):
    server = await serve(head(status, f"Content-Length: {len(body)}", *lines) + body)
    async with fetcher.open(server.link(), ASKED) as exchange:
        if isinstance(expected, Append):
            assert resume.judge(ASKED, HELD, exchange.answer) == expected
            taker = Taker()
            await exchange.pour(taker, lambda count: None)
            assert taker.content == body
        elif expected is AskAgain:
            assert isinstance(resume.judge(ASKED, HELD, exchange.answer), AskAgain)
        else:
            with pytest.raises(expected):
                resume.judge(ASKED, HELD, exchange.answer)


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("sent", [b"hello", b"hell", b"hello!"])
async def test_a_part_without_a_length_is_held_against_its_range(serve, fetcher, framing, sent):
    async def part(request: Request) -> None:
        lines = ["Content-Range: bytes 10-14/15"] + (["Transfer-Encoding: chunked"] if framing == "chunked" else [])
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(sent), sent) if framing == "chunked" else sent
        await request.send(head(206, *lines), body)

    server = await serve(part)
    if sent == b"hello":
        taker, _ = await bring(fetcher, server.link(), ASKED)
    else:
        kind = Interrupted if len(sent) < 5 else LengthMismatch
        taker = await fails(fetcher, server.link(), kind, ask=ASKED)
    assert taker.content == sent


async def test_checksums_are_read_from_a_real_answer(serve, fetcher):
    md5 = hashlib.md5(BODY, usedforsecurity=False)
    server = await serve(
        whole(BODY, f"Content-MD5: {base64.b64encode(md5.digest()).decode()}", f"x-goog-hash: {goog_hash(BODY)}")
    )
    _, answer = await bring(fetcher, server.link())
    assert answer.md5 == md5.hexdigest()
    assert resume.check_whole(Promise(md5=answer.md5), len(BODY), {"md5": md5.hexdigest()}) is None


async def test_bytes_past_the_length_are_not_the_files(serve, fetcher):
    server = await serve(whole() + b"more")
    taker, _ = await bring(fetcher, server.link())
    assert taker.content == BODY


async def test_cancelled_it_hangs_up_at_once(serve, fetcher):
    async def begin(request: Request) -> None:
        await request.send(head(200, "Content-Length: 1000000"), b"x" * 1000)
        assert await request.reader.read() == b""

    server, taker = await serve(begin), Taker()
    bringing = asyncio.create_task(bring(fetcher, server.link(), taker=taker))
    assert await asyncio.to_thread(taker.some.wait, 10)
    bringing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await bringing
    async with asyncio.timeout(10):
        await server.left.wait()


async def test_cancelled_at_any_moment_it_leaves_a_place_for_the_next(serve):
    """With one connection, one that was not given up would be missed."""
    big = bytes(3 * BLOCK)
    server = await serve(whole(big))
    async with HttpFetcher(clock=SystemClock(), connections=1, read_timeout=60, connect_timeout=60) as fetcher:
        for moment in range(40):
            taker = Taker()
            bringing = asyncio.create_task(bring(fetcher, server.link(), taker=taker))
            for _ in range(moment):
                await asyncio.sleep(0)
            bringing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await bringing
            size = len(taker.content)
            assert big.startswith(taker.content)
            await asyncio.sleep(0)
            assert len(taker.content) == size
        taker, _ = await bring(fetcher, server.link())
    assert taker.content == big


async def test_large_blocks_on_a_fast_line_and_all_of_it_on_a_slow_one(serve, fetcher):
    big = bytes(8 * BLOCK)
    server = await serve(whole(big))
    taker, _ = await bring(fetcher, server.link())
    assert len(taker.content) == len(big)
    assert len(taker.blocks) <= 16


async def test_links_stay_out_of_the_libraries_logs(serve, fetcher, caplog):
    caplog.set_level(logging.DEBUG)
    storage = await serve(whole())
    front = await serve(head(302, f"Location: {storage.link().url}", "Content-Length: 0"))
    await bring(fetcher, front.link())
    assert SECRET not in caplog.text


async def test_a_throttled_fetch_keeps_its_rate(serve):
    clock = SystemClock()
    size, rate = 300_000, 600_000
    server = await serve(whole(bytes(size)))
    throttle = Throttle(lambda: rate, clock)
    async with HttpFetcher(clock=clock, throttle=throttle) as fetcher:
        start = time.monotonic()
        await asyncio.gather(*(bring(fetcher, server.link()) for _ in range(3)))
        took = time.monotonic() - start
    # The quarter of a second that may be caught up on, and one piece of 64 KiB, are free.
    assert took >= (3 * size - 65536) / rate - 0.25


async def test_a_relinked_partial_goes_on_and_ends_with_the_same_digest(tmp_path):
    """Cut again and again, each time under a new link and from wherever the partial ends."""
    size = 1_000_000
    sandbox = Sandbox([SandboxJob("job", "Film", size=size)])
    content = sandbox.content("job").read(0, size)
    async with (
        running(sandbox),
        HttpFetcher(clock=SystemClock()) as fetcher,
        FolderDestination(tmp_path / "dest", clock=SystemClock()) as destination,
    ):
        await destination.bind("ledger-1", "dest-1")
        held = Promise()
        for keep in (0, 1, 65_535, 65_536, 65_537, 500_000, size - 1, size):
            partial = await destination.open_partial("job")
            await partial.begin(0, frozenset())
            partial.write(content[:keep])
            sandbox.advance(timedelta(minutes=1))
            asked = resume.ask(keep, held)
            link = Link(sandbox.link(sandbox.store.get("job")), None)
            async with fetcher.open(link, asked) as exchange:
                verdict = resume.judge(asked, held, exchange.answer)
                taker = Taker()
                await exchange.pour(taker, lambda count: None)
            held = verdict.promise
            overlap = verdict.overlap if isinstance(verdict, Append) else 0
            assert taker.content[:overlap] == await partial.tail(overlap)
            await partial.begin(keep, frozenset({"md5", "crc32c"}))
            partial.write(taker.content[overlap:])
            digests = await partial.finish()
            assert digests["sha256"] == sandbox.digests("job").sha256
            assert resume.check_whole(held, partial.size, digests) is None
            await partial.discard()


@pytest.mark.parametrize("name", sorted(SCENARIOS))
async def test_no_scenario_of_the_sandbox_gets_more_out_of_it_than_our_own_errors(name):
    sandbox = Sandbox([SandboxJob("job", "Film", size=300_000)], SCENARIOS[name])
    async with running(sandbox), HttpFetcher(clock=SystemClock(), read_timeout=1) as fetcher:
        for ask, _ in itertools.product((Ask(), Ask(start=70_000, overlap=65_536)), range(2)):
            with contextlib.suppress(FetchError):
                async with fetcher.open(Link(sandbox.link(sandbox.store.get("job")), None), ask) as exchange:
                    resume.judge(ask, Promise(), exchange.answer)
                    await exchange.pour(Taker(), lambda count: None)
    assert sandbox.token_leaks == 0


@pytest.mark.parametrize("framing", list(Framing))
async def test_redirects_and_framings_of_the_sandbox(framing):
    faults = (Redirect(hops=3), Frame(framing=framing))
    sandbox = Sandbox([SandboxJob("job", "Film", size=300_000)], replace(HEALTHY, storage=faults))
    async with running(sandbox), HttpFetcher(clock=SystemClock()) as fetcher:
        taker, answer = await bring(fetcher, Link(sandbox.link(sandbox.store.get("job")), None))
    assert hashlib.sha256(taker.content).hexdigest() == sandbox.digests("job").sha256
    assert answer.host == "localhost"


MEMORY = """
import asyncio, resource, sys
from pathlib import Path
from syncer.core.model import Link
from syncer.core.resume import Ask
from syncer.destination import FolderDestination
from syncer.runner.clock import SystemClock
from syncer.transfer import HttpFetcher

MIB = bytes(1 << 20)

async def handle(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    size = int(sys.argv[2])
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % (size << 20))
    for _ in range(size):
        writer.write(MIB)
        await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    link = Link(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", None)
    clock = SystemClock()
    async with HttpFetcher(clock=clock) as fetcher, FolderDestination(Path(sys.argv[1]), clock=clock) as destination:
        await destination.bind("l", "d")
        partial = await destination.open_partial("job")
        await partial.begin(0, frozenset({"md5", "crc32c"}))
        async with fetcher.open(link, Ask()) as exchange:
            await exchange.pour(partial, lambda count: None)
        await partial.finish()
        await partial.discard()
    server.close()

asyncio.run(main())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    """The most memory a process ever had, in MiB, for a file of 300 MiB and for one of 1 MiB."""

    def peak(mebibytes: int) -> int:
        command = [sys.executable, "-c", textwrap.dedent(MEMORY), str(tmp_path / "dest"), str(mebibytes)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
        return int(done.stdout)

    assert peak(300) - peak(1) < 40


def test_content_range_reads_as_the_core_has_it():
    assert ContentRange(10, 14, 15).total == HELD.size
