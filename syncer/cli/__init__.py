"""The command line: argv to command to exit code."""

import os
import signal
import sys
from types import FrameType

from syncer.cli.output import ensure_streams, flush_streams, say
from syncer.core.errors import SyncerError


def main() -> None:
    """Entry point of `syncer`: every error is one sentence and a way out, every exit code one of the documented."""
    signal.signal(signal.SIGTERM, _terminate)
    ensure_streams()
    code = _run(sys.argv[1:])
    flush_streams()
    sys.exit(code)


def _terminate(number: int, _: FrameType | None) -> None:
    """SIGTERM outside a pass; a pass has its own way to stop."""
    raise SystemExit(128 + number)


def _run(argv: list[str]) -> int:
    from syncer.cli.root import syncer

    try:
        code = syncer.main(args=argv, prog_name="syncer", standalone_mode=False)
    except SyncerError as error:
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _say("Stopped.", 130)
    except Exception as error:  # noqa: BLE001 - the last line of defence against a traceback
        return _other(error)
    return code if isinstance(code, int) else 0


def _other(error: Exception) -> int:
    import click

    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.Abort):
        return _say("Stopped.", 130)
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if os.environ.get("SYNCER_DEBUG"):
        raise error
    kind = type(error).__name__
    return _say(
        f"Internal error ({kind}). Nothing that was stored is lost. "
        "Please report it with what SYNCER_DEBUG=1 prints when you run the same command again.",
        1,
    )


def _say(text: str, code: int) -> int:
    from syncer.core.redact import redact

    say(f"syncer: {redact(text)}")
    return code
