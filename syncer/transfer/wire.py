"""One connection to a storage, plain or TLS: the event loop drives it for heads, a thread for bodies, never both."""

import asyncio
import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, cast

import httpx

T = TypeVar("T")

TICK = 0.25
"""Seconds after which a thread that waits for bytes looks up: what it has is handed over, and silence is counted."""

_DECRYPTING = threading.Semaphore(2)
"""Threads that take TLS apart at once. More would pass the interpreter's lock around with every record of 16 KiB: a
switch of threads each, for a lock that two keep busy. None of them waits for a line while it holds one of these."""

_WAITS = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """A connected socket, its TLS handshake done. Raises httpx's errors, like any transport of httpx.

    `send` and `receive` belong to the event loop's thread, `receive_into` and `wait` to any other; whoever lets one
    thread go on waits for the other to be done. `hang_up` may be called at any time: a blocked `wait` returns at once.

    The event loop listens to a plain one all the time, from its first answer to `leave`: to be told so for each answer
    would be two calls of the system a file. What it has heard is no word on what came: it may not have listened since.
    """

    def __init__(self, sock: socket.socket) -> None:
        """`sock` must be connected, and of the non-blocking kind."""
        self._sock = sock
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self._trouble: httpx.ReadError | None = None  # met behind bytes that were given out first
        self._is_to_write = False  # what TLS has to do before a thread can read on
        self._loop: asyncio.AbstractEventLoop | None = None  # while it listens
        self._waiter: asyncio.Future[bytes | OSError | None] | None = None  # for what comes next
        self._most = 0  # bytes of it

    async def send(self, data: bytes, timeout: float | None) -> None:  # noqa: ASYNC109 - of each silence, not of the call
        """Raises httpx.WriteTimeout after so many seconds in which nothing could be sent, httpx.WriteError."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except _WAITS as wait:
                if not await ready(self._sock, writing=_writes(wait, otherwise=True), timeout=timeout):
                    raise httpx.WriteTimeout("") from None
            except OSError as error:
                raise httpx.WriteError(str(error)) from error

    async def receive(self, most: int, timeout: float | None) -> bytes:  # noqa: ASYNC109 - see `send`
        """Up to `most` bytes; none at the connection's end. Raises httpx.ReadTimeout, httpx.ReadError."""
        while True:
            try:
                return self._sock.recv(most)
            except _WAITS as wait:
                if self._tls is None:
                    return await self._come(most, timeout)
                if not await ready(self._sock, writing=_writes(wait, otherwise=False), timeout=timeout):
                    raise httpx.ReadTimeout("") from None
            except OSError as error:
                raise httpx.ReadError(str(error)) from error

    async def answer(self, most: int, timeout: float | None) -> bytes:  # noqa: ASYNC109 - see `send`
        """As `receive`, right after a request was sent: an answer is still to come, so it is waited for first."""
        # What TLS has read and not given out yet would be waited for in vain.
        return await (self._come(most, timeout) if self._tls is None else self.receive(most, timeout))

    async def _come(self, most: int, timeout: float | None) -> bytes:  # noqa: ASYNC109 - see `send`
        """The next bytes of a plain connection, read as the event loop hears of them: once, and not once more."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self.leave()
            self._loop = loop
            loop.add_reader(self._sock.fileno(), self._heard)
        self._waiter, self._most = loop.create_future(), most
        timer = None if timeout is None else loop.call_later(timeout, _settle, self._waiter, None)
        try:
            came = await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
        if came is None:
            raise httpx.ReadTimeout("")
        if isinstance(came, OSError):
            raise httpx.ReadError(str(came)) from came
        return came

    def _heard(self) -> None:
        """Something came, or more of what is being read."""
        if self._waiter is None:
            if self._has_more():  # it stays where it is: to be told of it again and again is of no use
                self.leave()
        elif not self._waiter.done():
            try:
                self._waiter.set_result(self._sock.recv(self._most))
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._waiter.set_result(error)

    def leave(self) -> None:
        """The event loop listens no longer; a thread may."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.remove_reader(self._sock.fileno())

    def receive_into(self, view: memoryview) -> int | None:
        """The bytes put into `view`, 0 at the connection's end, None where there are none now: then `wait`.

        Raises httpx.ReadError, once all that came before it was given out.
        """
        if self._trouble is not None:
            raise self._trouble
        if self._tls is not None:
            with _DECRYPTING:
                return self._records_into(self._tls, view)
        try:
            return self._sock.recv_into(view)
        except _WAITS:
            return None
        except OSError as error:
            raise httpx.ReadError(str(error)) from error

    def _records_into(self, tls: ssl.SSLSocket, view: memoryview) -> int | None:
        """All that is there, of which TLS gives out one record at a time (RFC 8446 §5.1)."""
        # What `recv_into` comes to; the way there costs as much as a twentieth of the whole, with the lock held.
        read = cast("Callable[[int, memoryview], int]", tls.read)
        count, room = 0, len(view)
        try:
            while count < room and (more := read(room - count, view[count:])):
                count += more
        except _WAITS as wait:
            self._is_to_write = _writes(wait, otherwise=False)
            return count or None
        except OSError as error:
            trouble = httpx.ReadError(str(error))
            if not count:
                raise trouble from error
            self._trouble = trouble
        return count

    def wait(self) -> bool:
        """Blocking: whether there may be something to `receive_into` now; False after a TICK in which there was not."""
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT if self._is_to_write else select.POLLIN)
        return bool(poll.poll(1000 * TICK))

    def is_stale(self) -> bool:
        """Whether an idle connection has been closed by its server, or said something that nobody asked for."""
        if self._trouble is not None:
            return True
        if self._tls is not None and self._tls.pending():
            return True  # read off the socket with the last answer, and out of the poll's sight
        return self._has_more()

    def _has_more(self) -> bool:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def hang_up(self) -> None:
        """End the connection, and leave the socket open for the thread that may be using it."""
        with suppress(OSError):
            # SSLSocket's own would forget that there is TLS: a thread's next read would take cipher text for bytes.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Only when no thread is using it any more."""
        self.leave()
        with suppress(OSError):
            self._sock.close()


async def ready(sock: socket.socket, *, writing: bool, timeout: float | None = None) -> bool:  # noqa: ASYNC109
    """Wait until the socket can be read from, or written to; False after `timeout` seconds in which it could not."""
    loop, descriptor = asyncio.get_running_loop(), sock.fileno()
    waiter: asyncio.Future[str] = loop.create_future()
    (loop.add_writer if writing else loop.add_reader)(descriptor, _settle, waiter, "ready")
    timer = None if timeout is None else loop.call_later(timeout, _settle, waiter, "late")
    try:
        return await waiter == "ready"
    finally:
        (loop.remove_writer if writing else loop.remove_reader)(descriptor)
        if timer is not None:
            timer.cancel()


def _settle(waiter: asyncio.Future[T], how: T) -> None:
    if not waiter.done():
        waiter.set_result(how)


def _writes(wait: OSError, *, otherwise: bool) -> bool:
    """Whether the socket wants to write before it can go on: TLS may have to in order to read, and the reverse."""
    match wait:
        case ssl.SSLWantReadError():
            return False
        case ssl.SSLWantWriteError():
            return True
    return otherwise
