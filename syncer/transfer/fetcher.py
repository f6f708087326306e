"""The Fetcher port over httpx: links in, bytes out; the API key is never anywhere near."""

import asyncio
import contextlib
import logging
import math
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import getproxies

import httpx

from syncer._version import __version__
from syncer.core.errors import FetchError, Interrupted, UsageError
from syncer.core.model import Link
from syncer.core.ports import Clock
from syncer.core.redact import host_of
from syncer.core.resume import PROBE, Answer, Ask
from syncer.transfer.exchange import HttpExchange, Reply
from syncer.transfer.failures import NETWORK, explain
from syncer.transfer.head import expected_length, read_head
from syncer.transfer.plain import Requests, plain_link
from syncer.transfer.pouring import End
from syncer.transfer.proxies import routes
from syncer.transfer.redirects import is_redirect, next_hop, parse_link
from syncer.transfer.throttle import Throttle
from syncer.transfer.transport import ThreadTransport

PATIENCE = 4
"""So many times the timeouts may an answer's head take in all: a host that drips must not hold a place for ever."""

_ERROR_BODY = 4096  # bytes read of an answer that is no success
_HEADERS = {
    "accept": "*/*",
    "accept-encoding": "identity",  # lengths, ranges and checksums are of the file as it lies there
    "connection": "keep-alive",
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
        total_timeout: float | None = None,
        connections: int = 8,
        throttle: Throttle | None = None,
        ca_bundle: str | None = None,
        proxy: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Timeouts in seconds: to connect, without a byte before a transfer counts as stalled, for an answer in all.

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
        self._total_timeout = total_timeout
        self._total = min(PATIENCE * (connect_timeout + read_timeout), total_timeout or math.inf)
        self._timeout = httpx.Timeout(read_timeout, connect=connect_timeout, pool=connect_timeout)
        self._timeouts = self._timeout.as_dict()
        self._requests = Requests(_HEADERS)
        self._http: httpx.AsyncClient | None = None
        self._direct: ThreadTransport | None = None  # past the client, where it would only cost time
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
        http, self._http, self._direct = self._http, None, None
        pool, self._pool = self._pool, None
        if http is not None:
            await http.aclose()
        if pool is not None:
            pool.shutdown(wait=False)

    def open(self, link: Link, ask: Ask) -> "_Opening":
        """Ask for bytes. Raises Interrupted where no answer came, NotTheFile for a link or redirect not to be used."""
        return _Opening(self, link, ask)

    async def ask(self, link: Link, ask: Ask) -> tuple[HttpExchange, Reply]:
        """As `open`; the reply is to be closed."""
        assert self._pool is not None, "used outside `async with`"  # noqa: S101
        limit = self._total_timeout
        end = None if limit is None else End(limit, time.monotonic() + limit)
        reply, answer = await self._follow(link, ask)
        return HttpExchange(answer, reply, self._explain, (self._throttle, end), self._pool), reply

    async def probe(self, link: Link) -> Answer:
        """The head of the answer to `core.resume.PROBE`; whoever ignores ranges is hung up on before its body."""
        reply, answer = await self._follow(link, PROBE)
        try:
            if answer.status == 206 and expected_length(answer) == 1:
                # Read to its end, the connection can be used again; the head is had, whatever becomes of the byte.
                with contextlib.suppress(*NETWORK):
                    async with aclosing(reply.stream.pieces()) as pieces:
                        async for _ in pieces:
                            pass
            return answer
        finally:
            await reply.close()

    async def _follow(self, link: Link, ask: Ask) -> tuple[Reply, Answer]:
        """The first answer that is no redirect. The Range headers go along to every hop; nothing else does."""
        reply, host = await self._first(link, ask)
        seen: list[httpx.URL] = []
        while True:
            try:
                status, location, body = reply.status, None, b""
                if status not in (200, 206):
                    location, body = reply.location, await self._opening(reply)
                if location is None or not is_redirect(status, location):
                    now = self._clock.now()
                    return reply, read_head(status, reply.headers, host=host, now=now, error_body=body)
                seen = seen or [parse_link(link.url, host)]
                seen.append(next_hop(seen, location))
            except BaseException:
                await reply.close()
                raise
            await reply.close()
            reply, host = await self._send(seen[-1], ask), seen[-1].host

    async def _first(self, link: Link, ask: Ask) -> tuple[Reply, str]:
        """The answer to the link itself, and its host. Ordinary links go the shortest way there is."""
        plain = None if self._direct is None else plain_link(link.url)
        if self._direct is None or plain is None:
            url = parse_link(link.url, host_of(link.url))
            return await self._send(url, ask), url.host
        try:
            request = self._requests.get(plain.netloc, plain.target, _more(ask))
            async with asyncio.timeout(self._total):
                head, body = await self._direct.ask(plain.origin, request, self._timeouts)
            return Reply.direct(head, body), plain.host
        except TimeoutError:
            problem = self._too_late(plain.host)
        except NETWORK as error:
            problem = self._explain(error, plain.host)
        raise problem

    async def _send(self, url: httpx.URL, ask: Ask) -> Reply:
        assert self._http is not None, "used outside `async with`"  # noqa: S101
        try:
            request = self._http.build_request("GET", url, headers=_more(ask))
            async with asyncio.timeout(self._total):
                return Reply.by_client(await self._http.send(request, stream=True))
        except TimeoutError:
            problem = self._too_late(url.host)
        except NETWORK as error:
            problem = self._explain(error, url.host)
        raise problem

    async def _opening(self, reply: Reply) -> bytes:
        """The first bytes of an error body, as far as they come; read whole, they leave the connection usable."""
        opening = b""
        with contextlib.suppress(httpx.HTTPError, OSError, TimeoutError):
            async with asyncio.timeout(self._read_timeout), aclosing(reply.stream.pieces()) as pieces:
                async for piece in pieces:
                    opening += piece
                    if len(opening) >= _ERROR_BODY:
                        break
        return opening[:_ERROR_BODY]

    def _too_late(self, host: str) -> FetchError:
        return Interrupted(f"{host} gave no answer within {self._total:g} s.")

    def _explain(self, error: Exception, host: str) -> FetchError:
        return explain(error, host, read_timeout=self._read_timeout, connect_timeout=self._connect_timeout)

    def _client(self) -> httpx.AsyncClient:
        try:
            tls = _authorities(self._ca_bundle) if self._ca_bundle else httpx.create_ssl_context()
            tls.set_alpn_protocols(["http/1.1"])
            proxies = {"all://": self._proxy} if self._proxy else routes(getproxies())
            ours = ThreadTransport(tls, self._connections)
            http = httpx.AsyncClient(
                headers=_HEADERS,
                timeout=self._timeout,
                follow_redirects=False,
                transport=self._transport or ours,
                mounts={where: self._through(proxy, tls) for where, proxy in proxies.items()},
            )
        except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
            kind = type(error).__name__
        else:
            # What one storage sets as a cookie is nobody else's business, and memory must not grow with files.
            http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            self._direct = None if proxies or self._transport else ours
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


class _Opening:
    """An exchange for as long as its context lasts: by hand, since each file has one."""

    def __init__(self, fetcher: HttpFetcher, link: Link, ask: Ask) -> None:
        self._asked = (fetcher, link, ask)
        self._reply: Reply | None = None

    async def __aenter__(self) -> HttpExchange:
        fetcher, link, ask = self._asked
        exchange, self._reply = await fetcher.ask(link, ask)
        return exchange

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._reply is not None  # noqa: S101 - for the type checker
        await self._reply.close()


def _more(ask: Ask) -> dict[bytes, bytes]:
    """Raises UnicodeError for an If-Range that no header can hold."""
    return {name.encode("ascii"): value.encode("latin-1") for name, value in ask.headers().items()}


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
