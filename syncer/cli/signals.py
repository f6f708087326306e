"""Ctrl-C and SIGTERM: the first ends a pass cleanly, the second at once."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

from syncer.cli.output import say
from syncer.runner.parts import Stop

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stopping(stop: Stop, told: str = "stopping; partials are kept.") -> Iterator[None]:
    """While inside, SIGINT and SIGTERM ask `stop`; exit codes are 128 plus the signal's number, as shells have it."""
    loop = asyncio.get_running_loop()
    asked = False

    def ask(number: int) -> None:
        nonlocal asked
        if asked:
            # Nothing is at stake: whatever a kill leaves behind heals on the next pass (I3).
            os._exit(128 + number)
        asked = True
        stop.ask(128 + number)
        say(f"\nsyncer: {told} Once more to stop at once.")

    with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C stays the interpreter's own
        for number in SIGNALS:
            loop.add_signal_handler(number, ask, number)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in SIGNALS:
                loop.remove_signal_handler(number)
