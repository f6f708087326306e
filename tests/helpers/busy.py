"""The `syncer` command where its processor is busy all the time, by the clock that tells of that: it calls for help.

`BUSY_PYTHON` is what the interpreter is said to be, for what is begun beside it.
"""

import os
import sys
import time

time.process_time = time.monotonic  # before anything asks for it
sys.executable = os.environ.pop("BUSY_PYTHON", sys.executable)

from syncer.cli import main  # noqa: E402 - the clock comes first

if __name__ == "__main__":
    main()
