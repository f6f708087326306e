"""Programs beside this one: the event loop waits neither for their beginning nor for their end.

A new process lets go of its copy of every file that is open here, and close(2) may have to ask the disk: NFS and FUSE
flush then. Whoever begins a process is held up for as long, and so a thread does it.
"""

import asyncio
import errno
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

DEVNULL = subprocess.DEVNULL


class Child:
    """A program, begun at once. Made and used on the event loop's thread."""

    def __init__(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        *,
        output: int = DEVNULL,
        lent: socket.socket | None = None,
        leads_session: bool = False,
    ) -> None:
        """`output` takes what it says on either of its outputs; it hears nothing. `lent` is under the same number
        there, and is closed here. What leads a session is signalled with all that it began."""
        self._leads_session = leads_session
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[int | OSError] = self._loop.create_future()
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_unwanted = False

        def live() -> None:
            self._live(tuple(argv), dict(environ), output, lent)

        try:
            threading.Thread(target=live, name="syncer-child", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            self._settle(OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)))
            if lent is not None:
                lent.close()

    @property
    def is_begun(self) -> bool:
        with self._guard:
            return self._process is not None

    @property
    def outcome(self) -> int | OSError:
        """Of one that has ended: its exit code, below zero the signal that ended it; or why it never began."""
        return self._end.result()

    async def ends(self, within: float | None = None) -> bool:
        """Whether it has, at the latest after so many seconds; whoever gives up waiting leaves it as it is."""
        await asyncio.wait([self._end], timeout=within)
        return self._end.done()

    def signal(self, number: int) -> None:
        """Without effect where nothing is left of it. One that has not begun yet counts as ended by this, and is
        killed should it still begin."""
        with self._guard:
            process = self._process
            self._is_unwanted = True
        if process is None:
            self._settle(-number)
        elif self._leads_session or not self._end.done():
            self._send(process, number)

    def _live(self, argv: tuple[str, ...], environ: dict[str, str], output: int, lent: socket.socket | None) -> None:
        """In its thread."""
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own command, or ours; without a shell
                argv,
                env=environ,
                stdin=DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=() if lent is None else (lent.fileno(),),
                start_new_session=self._leads_session,
            )
        except (OSError, ValueError) as error:
            self._tell(error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error)))
            return
        else:
            with self._guard:
                self._process = process
                is_unwanted = self._is_unwanted
        finally:  # not before it is known what became of it: whoever is at the other end hears of this
            if lent is not None:
                lent.close()
        if is_unwanted:
            self._send(process, signal.SIGKILL)
        self._tell(process.wait())

    def _send(self, process: subprocess.Popen[bytes], number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if self._leads_session:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)

    def _tell(self, outcome: int | OSError) -> None:
        with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, outcome)

    def _settle(self, outcome: int | OSError) -> None:
        if not self._end.done():
            self._end.set_result(outcome)
