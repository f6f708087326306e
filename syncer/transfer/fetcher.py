"""The Fetcher port over httpx: one client, links in, bytes out; the API key is never anywhere near."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import getproxies

import httpx

from syncer._version import __version__
from syncer.core.errors import FetchError, Interrupted, LengthMismatch, NotTheFile, UsageError
from syncer.core.model import Link
from syncer.core.ports import Clock, Sink
from syncer.core.redact import host_of
from syncer.core.resume import PROBE, Answer, Ask
from syncer.transfer.failures import NETWORK, explain
from syncer.transfer.gather import Gather
from syncer.transfer.head import expected_length, read_head
from syncer.transfer.proxies import routes
from syncer.transfer.redirects import is_redirect, next_hop, parse_link
from syncer.transfer.throttle import Throttle
from syncer.transfer.transport import BODY, Pourable, ThreadTransport

_ERROR_BODY = 4096  # bytes read of an answer that is no success
_HEADERS = {
    "accept": "*/*",
    "accept-encoding": "identity",  # lengths, ranges and checksums are of the file as it lies there
    "user-agent": f"videodb-syncer/{__version__}",
}


class HttpFetcher:
    """`core.ports.Fetcher` over one `httpx.AsyncClient`; `async with` opens and closes it.

    HTTP/1.1, connections kept alive and reused, redirects followed at most five deep and never from https to http.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        connect_timeout: float = 15.0,
        read_timeout: float = 60.0,
        connections: int = 8,
        throttle: Throttle | None = None,
        ca_bundle: str | None = None,
        proxy: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Timeouts in seconds: to connect, and without a byte before a transfer counts as stalled.

        `connections` is the number of files at once: the pool of connections and of writing threads has that size.
        `ca_bundle` is a file or folder that replaces the usual authorities; without it and `proxy` the environment
        counts as httpx reads it (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, ...). `transport` is what carries everything
        that no proxy stands before, instead of a ThreadTransport.
        """
        self._clock = clock
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._connections = connections
        self._throttle = throttle
        self._ca_bundle = ca_bundle
        self._proxy = proxy
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        self._pool: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> Self:
        """Raises UsageError where the proxy or the certificates cannot be used."""
        _quieten()
        self._http = self._client()
        self._pool = ThreadPoolExecutor(self._connections, thread_name_prefix="syncer-write")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        http, self._http = self._http, None
        pool, self._pool = self._pool, None
        if http is not None:
            await http.aclose()
        if pool is not None:
            pool.shutdown(wait=False)

    @asynccontextmanager
    async def open(self, link: Link, ask: Ask) -> AsyncIterator["HttpExchange"]:
        """Ask for bytes. Raises Interrupted where no answer came, NotTheFile for a link or redirect not to be used."""
        assert self._http is not None and self._pool is not None, "used outside `async with`"  # noqa: PT018, S101
        response, answer = await self._follow(self._http, link, ask)
        try:
            yield HttpExchange(answer, response, self._explain, self._throttle, self._pool)
        finally:
            await _close(response)

    async def probe(self, link: Link) -> Answer:
        """The head of the answer to `core.resume.PROBE`; whoever ignores ranges is hung up on before its body."""
        assert self._http is not None, "used outside `async with`"  # noqa: S101
        response, answer = await self._follow(self._http, link, PROBE)
        try:
            if answer.status == 206 and expected_length(answer) == 1:
                # Read to its end, the connection can be used again; the head is had, whatever becomes of the byte.
                with contextlib.suppress(*NETWORK):
                    await response.aread()
            return answer
        finally:
            await _close(response)

    async def _follow(self, http: httpx.AsyncClient, link: Link, ask: Ask) -> tuple[httpx.Response, Answer]:
        """The first answer that is no redirect. The Range headers go along to every hop; nothing else does."""
        seen = [parse_link(link.url, host_of(link.url))]
        while True:
            response = await self._send(http, seen[-1], ask)
            status, location = response.status_code, response.headers.get("location")
            try:
                body = b"" if status in (200, 206) else await self._opening(response)
                if not is_redirect(status, location):
                    now, host = self._clock.now(), seen[-1].host
                    return response, read_head(status, response.headers.raw, host=host, now=now, error_body=body)
                seen.append(next_hop(seen, location))
            except BaseException:
                await _close(response)
                raise
            await _close(response)

    async def _send(self, http: httpx.AsyncClient, url: httpx.URL, ask: Ask) -> httpx.Response:
        try:
            headers = {name.encode("ascii"): value.encode("latin-1") for name, value in ask.headers().items()}
            return await http.send(http.build_request("GET", url, headers=headers), stream=True)
        except NETWORK as error:
            problem = self._explain(error, url.host)
        raise problem

    async def _opening(self, response: httpx.Response) -> bytes:
        """The first bytes of an error body, as far as they come; read whole, they leave the connection usable."""
        opening = b""
        with contextlib.suppress(httpx.HTTPError, OSError, TimeoutError):
            async with asyncio.timeout(self._read_timeout), aclosing(_raw(response)) as pieces:
                async for piece in pieces:
                    opening += piece
                    if len(opening) >= _ERROR_BODY:
                        break
        return opening[:_ERROR_BODY]

    def _explain(self, error: Exception, host: str) -> FetchError:
        return explain(error, host, read_timeout=self._read_timeout, connect_timeout=self._connect_timeout)

    def _client(self) -> httpx.AsyncClient:
        try:
            tls = _authorities(self._ca_bundle) if self._ca_bundle else httpx.create_ssl_context()
            tls.set_alpn_protocols(["http/1.1"])
            proxies = {"all://": self._proxy} if self._proxy else routes(getproxies())
            http = httpx.AsyncClient(
                headers=_HEADERS,
                timeout=httpx.Timeout(self._read_timeout, connect=self._connect_timeout, pool=self._connect_timeout),
                follow_redirects=False,
                transport=self._transport or ThreadTransport(tls, self._connections),
                mounts={where: self._through(proxy, tls) for where, proxy in proxies.items()},
            )
        except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
            kind = type(error).__name__
        else:
            # What one storage sets as a cookie is nobody else's business, and memory must not grow with files.
            http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            return http
        raise UsageError(
            f"The proxy or the certificates configured for the storage cannot be used ({kind}).",
            hint="Look at the proxy setting, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR.",
        )

    def _through(self, proxy: str | None, tls: ssl.SSLContext) -> httpx.AsyncBaseTransport | None:
        """httpx's own transport, which knows proxies; None where there is to be none."""
        if proxy is None:
            return None
        limits = httpx.Limits(
            max_connections=self._connections, max_keepalive_connections=self._connections, keepalive_expiry=30.0
        )
        return httpx.AsyncHTTPTransport(verify=tls, proxy=proxy, limits=limits)


class HttpExchange:
    """`core.ports.Exchange`: the head read, the body waiting on the wire."""

    def __init__(
        self,
        answer: Answer,
        response: httpx.Response,
        explain_error: Callable[[Exception, str], FetchError],
        throttle: Throttle | None,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._answer = answer
        self._response = response
        self._explain = explain_error
        self._throttle = throttle
        self._pool = pool

    @property
    def answer(self) -> Answer:
        return self._answer

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
        body: Pourable | None = self._response.extensions.get(BODY) if self._throttle is None else None
        if body is None:
            count = await self._move(Gather(sink, progress, self._pool))
        else:
            count = await self._pour(body, sink, progress)
        if expected is not None and count < expected:
            raise Interrupted(f"{answer.host} ended the connection after {count} of {expected} bytes.")
        if expected is not None and count > expected:
            raise LengthMismatch(f"{answer.host} sent {count} bytes when it had promised {expected}.")

    async def _pour(self, body: Pourable, sink: Sink, progress: Callable[[int], None]) -> int:
        """The body straight to the sink, in a thread; the number of bytes."""
        try:
            return await body.pour_into(sink, progress, self._pool)
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
            await _close(self._response)
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
            async with aclosing(_raw(self._response)) as pieces:
                async for piece in pieces:
                    yield piece
        except NETWORK as error:
            problem = self._explain(error, self._answer.host)
        else:
            return
        raise problem


def _raw(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """httpx promises an iterator; that it is a generator, which can be closed in time, it does not say."""
    pieces = response.aiter_raw()
    assert isinstance(pieces, AsyncGenerator)  # noqa: S101 - for the type checker
    return pieces


async def _close(response: httpx.Response) -> None:
    """Give the connection back, or close it where its body was not read whole."""
    with contextlib.suppress(httpx.HTTPError, OSError):
        await response.aclose()


def _authorities(bundle: str) -> ssl.SSLContext:
    path = Path(bundle)
    if path.is_dir():
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)


def _quieten() -> None:
    """These libraries log whole links and Location headers, below warnings; a link is a password for its file."""
    for name in ("httpx", "httpcore"):
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)
