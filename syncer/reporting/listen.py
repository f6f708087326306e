"""A very small HTTP server for a few pages that scrapers and health checks ask for; it knows no secrets."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from syncer.core.errors import UsageError

HEAD = 8192
"""Bytes of a request, at the most."""

PATIENCE = 5.0
"""Seconds a client has to ask, and to take its answer."""

AT_ONCE = 32
"""Clients at once; more are hung up on."""

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered."""

    body: bytes
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"


class Listener:
    """Serves `pages`, each made anew for each request, while inside `async with`. One request a connection."""

    def __init__(self, host: str, port: int, pages: Mapping[str, Callable[[], Page]]) -> None:
        self._where = (host, port)
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._clients = 0

    @property
    def port(self) -> int:
        """The port in use; another than asked for where that was 0."""
        assert self._server is not None  # noqa: S101 - for the type checker
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        """Raises UsageError where the address cannot be had."""
        host, port = self._where
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=HEAD)
        except OSError as error:
            reason = error.strerror or "no such host"
            raise UsageError(f"Nothing can listen on {host}:{port}: {reason}.", hint="Check --listen.") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= AT_ONCE:
                async with asyncio.timeout(PATIENCE):
                    writer.write(await self._answer(reader))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            self._clients -= 1
            with contextlib.suppress(OSError):
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _bytes_of(Page(b"too long\n", 400))
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _bytes_of(Page(b"this is no HTTP/1.1 request\n", 400))
        method, target = words[0], words[1].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _bytes_of(Page(b"only GET and HEAD\n", 405))
        make = self._pages.get(target)
        page = make() if make else Page(f"there are {', '.join(self._pages)}\n".encode(), 404)
        return _bytes_of(page, with_body=method == "GET")


def _bytes_of(page: Page, *, with_body: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {page.status} {_REASONS[page.status]}\r\n"
        f"content-type: {page.content_type}\r\n"
        f"content-length: {len(page.body)}\r\n"
        "cache-control: no-store\r\n"
        "x-content-type-options: nosniff\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (page.body if with_body else b"")
