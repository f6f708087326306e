"""Ctrl-C and SIGTERM: the first ends a pass cleanly, the second at once."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator

from syncer.cli.output import say
from syncer.runner.parts import Stop

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stopping(
    stop: Stop,
    told: str = "stopping; partials are kept.",
    *,
    on_hangup: Callable[[], None] | None = None,
    patience: float | None = None,
) -> Iterator[None]:
    """While inside, SIGINT and SIGTERM ask `stop`; exit codes are 128 plus the signal's number, as shells have it.

    Where nothing has ended `patience` seconds after the first, the process does. `on_hangup` is called for a SIGHUP,
    unless that means that the terminal the process was started from is gone: then it is a SIGTERM.
    """
    loop = asyncio.get_running_loop()
    asked, had_terminal = False, _has_terminal()

    def ask(number: int) -> None:
        nonlocal asked
        if asked:
            # Nothing is at stake: whatever a kill leaves behind heals on the next pass (I3).
            os._exit(128 + number)
        asked = True
        stop.ask(128 + number)
        if patience is not None:
            loop.call_later(patience, os._exit, 128 + number)
        say(f"\nsyncer: {told} Once more to stop at once.")

    def hangup() -> None:
        if on_hangup is None or (had_terminal and not _has_terminal()):
            ask(signal.SIGTERM)
        else:
            on_hangup()

    with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C stays the interpreter's own
        for number in SIGNALS:
            loop.add_signal_handler(number, ask, number)
        if on_hangup is not None:
            loop.add_signal_handler(signal.SIGHUP, hangup)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in SIGNALS:
                loop.remove_signal_handler(number)
            if on_hangup is not None:
                loop.remove_signal_handler(signal.SIGHUP)


def _has_terminal() -> bool:
    """Whether the process has a controlling terminal that is still there (tty(4): else /dev/tty cannot be opened)."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
