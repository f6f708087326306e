"""Tells systemd how a watch does, in the plain datagrams of sd_notify(3); without a socket it tells nobody.

No library is needed for one sendto, and the one on the package index has not been kept since 2017.
"""

import contextlib
import socket
import time
from collections.abc import Mapping

from syncer.core.events import Event, ListingEnded, PassPlanned, PassStarted
from syncer.core.ports import Clock
from syncer.core.text import one_line


class Systemd:
    """An observer too: what happens becomes the unit's status line."""

    def __init__(self, environ: Mapping[str, str], process_id: int) -> None:
        """`environ` holds NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID where systemd started the process."""
        self._path = environ.get("NOTIFY_SOCKET", "")
        self._every = _watchdog_period(environ, process_id)

    def ready(self) -> None:
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def reloading(self) -> None:
        """Until the next `ready`. The time is what Type=notify-reload asks for."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, text: str) -> None:
        self._send(f"STATUS={one_line(text, 200)}")

    async def keep_alive(self, clock: Clock) -> None:
        """Feed the watchdog, twice in its time, for as long as the event loop turns; returns where there is none."""
        while self._every is not None:
            self._send("WATCHDOG=1")
            await clock.sleep(self._every)

    def notify(self, event: Event) -> None:
        match event:
            case PassStarted(pass_id=number):
                self.status(f"pass {number}: listing")
            case ListingEnded(listing=listing, due=due):
                self.status(f"{listing.jobs} jobs listed, {due} to fetch")
            case PassPlanned(at=at):
                self.status(f"next pass at {at:%Y-%m-%d %H:%M:%S} UTC")
            case _:
                pass

    def _send(self, text: str) -> None:
        if not self._path:
            return
        address = f"\0{self._path[1:]}" if self._path.startswith("@") else self._path
        # Whoever does not listen is not told: a watch must not end for want of a listener.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
        ):
            channel.setblocking(False)  # noqa: FBT003 - the standard library's signature
            channel.sendto(text.encode("utf-8", "replace"), address)


def _watchdog_period(environ: Mapping[str, str], process_id: int) -> float | None:
    """Seconds between two signs of life: half of what systemd allows (sd_watchdog_enabled(3)); None without one."""
    try:
        allowed = int(environ.get("WATCHDOG_USEC", ""))
        meant = int(environ.get("WATCHDOG_PID") or process_id)
    except ValueError:
        return None
    return allowed / 2_000_000 if allowed > 0 and meant == process_id else None
