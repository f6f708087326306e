"""From a host's name to a connection that can be spoken on: look up, connect, shake hands."""

import asyncio
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from syncer.transfer.wire import Wire, ready

STAGGER = 0.25
"""Seconds that an address has before the next one is tried beside it (RFC 8305 §5)."""

_PORTS = {"http": 80, "https": 443}

Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""As `socket.getaddrinfo` gives it: family, kind, protocol, name, and where."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who is spoken to: connections to the same origin are interchangeable."""

    secure: bool
    host: str  # ASCII; an IPv6 address without its brackets
    port: int

    @classmethod
    def of(cls, url: httpx.URL) -> "Origin":
        """Raises httpx.UnsupportedProtocol for anything but http and https."""
        if url.scheme not in _PORTS:
            raise httpx.UnsupportedProtocol("neither http nor https")
        return cls(url.scheme == "https", url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme])


async def dial(origin: Origin, tls: ssl.SSLContext, timeout: float | None) -> Wire:  # noqa: ASYNC109
    """A new connection. Raises httpx.ConnectTimeout after `timeout` seconds for all of it, httpx.ConnectError.

    Every address of the name is tried, the families in turn. Cancelled, it leaves no socket open; a look-up cannot
    be stopped and ends unheard.
    """
    try:
        async with asyncio.timeout(timeout):
            return Wire(await _connected(origin, tls))
    except TimeoutError as error:
        if error.errno is None:
            raise httpx.ConnectTimeout("") from None
        raise httpx.ConnectError(str(error)) from error  # the kernel's patience, not ours
    except OSError as error:
        raise httpx.ConnectError(str(error)) from error


async def _connected(origin: Origin, tls: ssl.SSLContext) -> socket.socket:
    sock = await _first(in_turn(await _look_up(origin.host, origin.port)))
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return await _shake_hands(sock, tls, origin.host) if origin.secure else sock
    except BaseException:
        sock.close()
        raise


async def _look_up(host: str, port: int) -> list[Address]:
    """Every address of a host. Raises socket.gaierror."""

    def ask(flags: int = 0) -> list[Address]:
        try:
            return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))
        except UnicodeError as error:  # a label of more than 63 letters
            raise socket.gaierror(socket.EAI_NONAME, "no name can be so") from error

    with suppress(socket.gaierror):
        return ask(socket.AI_NUMERICHOST)  # an address already: nobody is asked
    return await _in_a_thread_of_its_own(ask)


def in_turn(addresses: Iterable[Address]) -> list[Address]:
    """The addresses in the resolver's order, but the families one after the other (RFC 8305 §4)."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    rounds = itertools.zip_longest(*families.values())
    return [address for round_ in rounds for address in round_ if address is not None]


async def _first(addresses: list[Address]) -> socket.socket:
    """The first that connects, each given a head start before the next. Raises the first one's OSError."""
    if len(addresses) == 1:
        return await _connect(addresses[0])
    waiting, troubles = list(reversed(addresses)), list[OSError]()
    running: set[asyncio.Task[socket.socket]] = set()
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_connect(waiting.pop())))
            done, _ = await asyncio.wait(
                running, timeout=STAGGER if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                try:
                    sock = task.result()
                except OSError as error:
                    troubles.append(error)
                    running.discard(task)
                else:
                    running.discard(task)
                    return sock
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_hang_up_on)
    raise troubles[0] if troubles else OSError("the name has no address")


async def _connect(address: Address) -> socket.socket:
    family, kind, protocol, _, place = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(0)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock


def _hang_up_on(task: asyncio.Task[socket.socket]) -> None:
    """A connection that came too late to be wanted."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _shake_hands(sock: socket.socket, tls: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    secured = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                await ready(secured, writing=False)
            except ssl.SSLWantWriteError:
                await ready(secured, writing=True)
            else:
                return secured
    except BaseException:
        secured.close()
        raise


async def _in_a_thread_of_its_own(call: Callable[[], list[Address]]) -> list[Address]:
    """What blocks for as long as it likes, where nobody waits for it: neither a pool's other users nor the exit."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[list[Address]] = loop.create_future()

    def settle(found: list[Address], error: Exception | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(found)
        else:
            outcome.set_exception(error)

    def run() -> None:
        found, trouble = list[Address](), None
        try:
            found = call()
        except Exception as error:  # noqa: BLE001 - handed over
            trouble = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, found, trouble)

    threading.Thread(target=run, name="syncer-lookup", daemon=True).start()
    return await outcome
