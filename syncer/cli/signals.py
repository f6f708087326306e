"""Ctrl-C and SIGTERM: the first ends a pass cleanly, the second at once."""

import asyncio
import contextlib
import functools
import logging
import os
import signal
from collections.abc import Callable, Iterator

from syncer.cli.output import say
from syncer.runner.parts import Stop

_log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stopping(
    stop: Stop,
    told: str | None = "stopping; partials are kept.",
    *,
    on_hangup: Callable[[], None] | None = None,
    patience: float | None = None,
) -> Iterator[None]:
    """While inside, SIGINT and SIGTERM ask `stop`; exit codes are 128 plus the signal's number, as shells have it.

    `told` is said for people; None puts it into the log. Where nothing has ended `patience` seconds after the first
    signal, the process does. `on_hangup` is called for a SIGHUP, unless that means that the terminal the process was
    started from is gone: then it is a SIGTERM.
    """
    loop = asyncio.get_running_loop()
    ask, had_terminal = _Ask(stop, told, patience), _has_terminal()

    def hangup() -> None:
        if on_hangup is None or (had_terminal and not _has_terminal()):
            ask(signal.SIGTERM)
        else:
            on_hangup()

    handlers: dict[int, Callable[[], None]] = {number: functools.partial(ask, number) for number in SIGNALS}
    if on_hangup is not None:
        handlers[signal.SIGHUP] = hangup
    with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C stays the interpreter's own
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in handlers:
                loop.remove_signal_handler(number)


class _Ask:
    """What a signal does: the first asks, the second ends the process."""

    def __init__(self, stop: Stop, told: str | None, patience: float | None) -> None:
        self._stop = stop
        self._told = told
        self._patience = patience
        self._asked = False

    def __call__(self, number: int) -> None:
        if self._asked:
            # Nothing is at stake: whatever a kill leaves behind heals on the next pass (I3).
            os._exit(128 + number)
        self._asked = True
        self._stop.ask(128 + number)
        if self._patience is not None:
            asyncio.get_running_loop().call_later(self._patience, os._exit, 128 + number)
        if self._told is None:
            _log.warning("stopping; partials are kept")
        else:
            say(f"\nsyncer: {self._told} Once more to stop at once.")


def _has_terminal() -> bool:
    """Whether the process has a controlling terminal that is still there (tty(4): else /dev/tty cannot be opened)."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
