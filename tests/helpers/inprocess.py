"""The `syncer` command from argv to exit code, without the price of a process: for tests that run it many times."""

import contextlib
import io
import os
from dataclasses import dataclass
from unittest import mock

from syncer import cli


@dataclass
class Done:
    """As subprocess.CompletedProcess."""

    returncode: int
    stdout: str
    stderr: str


def invoke(here, *argv, **environ):
    """The command, run to its end on this thread, as at `here`; not from within an event loop."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, here.environ(**environ), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = cli._run([*map(str, argv)])
    return Done(code, out.getvalue(), err.getvalue())
