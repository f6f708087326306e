"""Runs a sandbox on loopback: in a thread of its own for tests, or for ever for the command line."""

import asyncio
import contextlib
import ipaddress
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from syncer.sandbox.box import WIRE, Sandbox

_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


class _Protocol(H11Protocol):
    """HTTP/1.1 that lets the application reach the connection under it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        application = self.app

        async def with_wire(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[WIRE] = (self.transport, self.flow)
            await application(scope, receive, send)

        self.app = with_wire


class _Server(uvicorn.Server):
    """A server that says when it listens, stops at once when told, and leaves signals to its caller."""

    def __init__(self, sandbox: Sandbox, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                sandbox,
                http=_Protocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=75,
                backlog=512,
            )
        )
        self._ready = ready
        self._halt: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._halt = asyncio.Event()
        await super().startup(sockets)
        self._ready()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        if self._halt is not None:
            await self._halt.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for sock in sockets or []:
            sock.close()
        for connection in list(self.server_state.connections):
            getattr(connection, "transport").abort()  # noqa: B009 - uvicorn's union of protocols hides it
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=1)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def halt(self) -> None:
        """Stops the server. Callable from any thread, and more than once."""
        if self._loop is not None and self._halt is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._halt.set)


class running:  # noqa: N801 - reads as a verb: `async with running(sandbox)`
    """Runs the sandbox in a thread with an event loop of its own: `with running(s):` or `async with running(s):`.

    `host` must be a loopback address or `localhost`, else ValueError. Port 0 takes a free one. The storage has a
    port of its own, so that it is another origin than the API; `storage_port=None` puts it on the API's.
    """

    def __init__(self, sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0, storage_port: int | None = 0) -> None:
        self._sandbox = sandbox
        self._where = (_loopback(host), port, storage_port)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Sandbox:
        ready = threading.Event()
        sockets = _bind(self._sandbox, *self._where)
        server = self._server = _Server(self._sandbox, ready.set)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=sockets)), name="syncer-sandbox", daemon=True
        )
        self._thread.start()
        if not ready.wait(_START_SECONDS):
            raise RuntimeError("the sandbox did not start")
        return self._sandbox

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.halt()
            self._thread.join(_STOP_SECONDS)

    async def __aenter__(self) -> Sandbox:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)


async def serve(
    sandbox: Sandbox,
    host: str = "127.0.0.1",
    port: int = 0,
    storage_port: int | None = 0,
    on_ready: Callable[[Sandbox], Awaitable[None] | None] | None = None,
) -> int | None:
    """Runs the sandbox in this event loop until SIGINT or SIGTERM, or until cancelled; the signal's number.

    Signals are taken in the main thread only and given back at the end. `on_ready` is called, and awaited where it
    gives something to await, once the port is open. Raises ValueError for a host that is not loopback and OSError
    for a port that is taken.
    """
    sockets = _bind(sandbox, _loopback(host), port, storage_port)
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    server = _Server(sandbox, ready.set)
    caught: list[int] = []

    def stop(number: int) -> None:
        caught.append(number)
        server.halt()

    with _signals(loop, stop):
        serving = asyncio.create_task(server.serve(sockets=sockets))
        waiting = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            told = None if on_ready is None else on_ready(sandbox)
            if told is not None:
                await told
            await asyncio.shield(serving)
        finally:
            waiting.cancel()
            server.halt()
            await serving
    return caught[0] if caught else None


def serve_forever(
    sandbox: Sandbox,
    host: str = "127.0.0.1",
    port: int = 0,
    storage_port: int | None = 0,
    on_ready: Callable[[Sandbox], None] | None = None,
) -> int | None:
    """`serve` with an event loop of its own; blocks. The number of the signal that ended it."""
    return asyncio.run(serve(sandbox, host, port, storage_port, on_ready))


@contextlib.contextmanager
def _signals(loop: asyncio.AbstractEventLoop, stop: Callable[[int], None]) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    for number in numbers:
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _loopback(host: str) -> str:
    """The address to bind. Raises ValueError for any that other machines could reach."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        inside = ipaddress.ip_address(address).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise ValueError(f"the sandbox listens on loopback only, not on {host}")
    return address


def _bind(sandbox: Sandbox, address: str, port: int, storage_port: int | None) -> list[socket.socket]:
    api = _listener(address, port)
    try:
        sockets = [api] if storage_port is None else [api, _listener(address, storage_port)]
    except OSError:
        api.close()
        raise
    base, storage = (_url(address, sock) for sock in (sockets[0], sockets[-1]))
    sandbox.bind(base, storage, _url("localhost", sockets[-1]))
    return sockets


def _listener(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else asyncio leaves Nagle on
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def _url(host: str, sock: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{sock.getsockname()[1]}"
