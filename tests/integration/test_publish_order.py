"""What the kernel is asked for, in which order: nothing has a name, or is stored, before it is on disk (I1, I2).

The real command under strace, many small files at once into one folder, so that fsyncs and commits are shared.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest
from helpers.site import jobs

STRACE = shutil.which("strace")
COUNT = 24

_UNFINISHED = re.compile(r"^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$", re.DOTALL)
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
_WHOLE = re.compile(r"^(\d+) +(\w+)\((.*)$", re.DOTALL)


@dataclass
class Call:
    """A system call: the lines of the trace on which it began and on which it had ended."""

    name: str
    text: str
    begun: int
    ended: int


def calls_of(lines):
    """Every call that succeeded, in the order of beginning."""
    calls, open_calls = [], {}
    for number, line in enumerate(lines):
        if match := _UNFINISHED.match(line):
            thread, name, text = match.groups()
            call = open_calls[thread] = Call(name, text, number, sys.maxsize)
            calls.append(call)
        elif match := _RESUMED.match(line):
            thread, _, rest = match.groups()
            if call := open_calls.pop(thread, None):
                call.text, call.ended = call.text + rest, number
        elif match := _WHOLE.match(line):
            _, name, text = match.groups()
            calls.append(Call(name, text, number, number))
    return [call for call in calls if not re.search(r"= -1 E\w+ \(", call.text[-80:])]


@pytest.fixture
def traced(site):
    """A pass under strace: the site, and the calls in order."""
    assert STRACE is not None, "install strace, as .ci/run does"
    one = site(jobs(COUNT, size=3000))
    log = one.folder / "strace.log"
    what = "trace=fsync,fdatasync,link,linkat,rename,renameat,renameat2,pwrite64"
    before = [STRACE, "-f", "-y", "-s", "5000", "-e", what, "-o", str(log)]
    command = [*before, sys.executable, "-m", "syncer", "run", str(one.dest), "--workers", "16"]
    done = subprocess.run(command, env=one.environ(), capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return one, calls_of(log.read_text(errors="replace").splitlines())


async def test_file_then_name_then_folder_then_ledger(traced):
    one, calls = traced
    await one.check_whole()
    syncs = [call for call in calls if call.name in ("fsync", "fdatasync")]
    commits = [call for call in calls if call.name == "pwrite64" and "ledger.db-wal" in call.text]
    for entry in (await one.entries("stored")).values():
        folder, _, name = entry.stored.path.rpartition("/")
        named = next(c for c in calls if c.name.startswith(("link", "rename")) and f'"{name}"' in c.text)
        partial = re.search(r'"([0-9a-f]{40}\.part)"', named.text).group(1)
        settled = next(c for c in commits if entry.stored.sha256 in c.text)
        on_disk = [c for c in syncs if partial in c.text and c.ended < named.begun]
        assert on_disk, f"{name} got its name before its bytes were on disk"
        covered = [c for c in syncs if f"{folder}>" in c.text and named.ended < c.begun and c.ended < settled.begun]
        assert covered, f"{name} was settled before its folder was on disk"
        durable = [c for c in syncs if "ledger.db-wal" in c.text and c.begun > settled.ended]
        assert durable, f"{name} was settled in a transaction that was never fsynced"


async def test_what_waits_together_shares_what_it_waits_for(traced):
    """One fsync a file, and of the folder never more than of files; how many less is chance."""
    one, calls = traced
    syncs = [call for call in calls if call.name in ("fsync", "fdatasync")]
    assert len([c for c in syncs if ".part>" in c.text]) == COUNT
    folder = next(iter((await one.entries("stored")).values())).stored.path.rpartition("/")[0]
    assert 1 <= len([c for c in syncs if f"{folder}>" in c.text]) <= COUNT + 2
