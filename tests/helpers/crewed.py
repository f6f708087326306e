"""Passes with a second process: begun because the first one looks busy, seen through /proc, and held amid files."""

import contextlib
import logging
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from helpers.timed import parts_of

from syncer.core.naming import Naming
from syncer.helper import HelperProcess, Setup
from syncer.runner.clock import SystemClock
from syncer.runner.one_pass import run_pass
from syncer.runner.parts import Rules
from syncer.sandbox.faults_wire import Slow, Stall
from syncer.sandbox.model import SandboxJob
from syncer.sandbox.scenarios import HEALTHY

BUSY = Path(__file__).with_name("busy.py")
SIZE = 60_000
STALLS_AT = SIZE // 2
STALLED = (Stall(after=STALLS_AT),)
PACED = (Slow(rate=20 * SIZE, shared=True),)  # so many files a second


def faulty(*faults):
    return replace(HEALTHY, storage=faults)


def films(count=300, size=SIZE):
    return [SandboxJob(f"film-{n:03}", f"Film {n}.mp4", size=size) for n in range(count)]


def children_of(pid, word):
    """The processes that this one began and that have the word on their command line."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            with contextlib.suppress(OSError):
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid and word.encode() in (place / "cmdline").read_bytes():
                    found.append(int(place.name))
    return found


def helpers_of(pid):
    """The processes that bring files for this one."""
    return children_of(pid, "syncer.helping")


def is_alive(pid):
    """Whether a process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _open_in(pid):
    """What a process has open: where each handle leads to, and how large that is."""
    found = []
    with contextlib.suppress(OSError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append((fd.readlink(), fd.stat().st_size))
    return found


def partials_of(pid, sizes=range(1, 1 << 40)):
    """The partials of these sizes that a process has open; without any, those that it has written to."""
    return [target for target, size in _open_in(pid) if target.suffix == ".part" and size in sizes]


def sockets_of(pid):
    """How many sockets a process has open; a helper that has asked for nothing has its channel and its event loop's."""
    return sum(target.name.startswith("socket:") for target, _ in _open_in(pid))


def start_busy(here, *argv, **environ):
    """The command in a session of its own, begun; it calls for help as soon as there is enough to do."""
    more = {"SYNCER_READ_TIMEOUT": "3", **environ}
    return subprocess.Popen(
        [sys.executable, "-P", str(BUSY), *map(str, argv)],
        env=here.environ(**more),
        cwd=here.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def amid_files(here, pid):
    """Wait for the helper of this process, and until it is in the middle of a file that goes no further; its pid."""
    here.sandbox.set_scenario(faulty(*PACED))
    here.until(lambda: helpers_of(pid), 60)
    (helper,) = helpers_of(pid)
    here.until(lambda: sockets_of(helper) > 3, 60)
    for _ in range(10):
        here.sandbox.set_scenario(faulty(*STALLED))
        with contextlib.suppress(AssertionError):
            here.until(lambda: partials_of(helper, (STALLS_AT,)), 2)  # and not one that is about to be whole
            return helper
        # None of those that stall went its way. Those that have stalled are to end before others may.
        begun = len(here.storage_requests())
        here.sandbox.set_scenario(faulty(*PACED))
        here.until(lambda begun=begun: len(here.storage_requests()) > begun + 15, 60)
    raise AssertionError("the helper was not given a file")


class Unhurried(SystemClock):
    """Real time, of which a tenth is told: on a machine that is busy nothing seems to have been long ago."""

    def monotonic(self):
        return time.monotonic() / 10


class Known(HelperProcess):
    """A helper that is begun before its pass, so that it is there when the first file is; and what it was given."""

    def __init__(self, setup):
        super().__init__(setup)
        self.given = []

    async def start(self, destination_id):
        if not self.is_ready:
            await super().start(destination_id)

    async def bring(self, errand, lead):
        self.given.append(errand.id)
        return await super().bring(errand, lead)


def setup_of(here, **more):
    told = {
        "destination": str(here.dest),
        "min_free": 0,
        "naming": Naming().template,
        "workers": 4,
        "max_file_size": None,
        "connect_timeout": 15.0,
        "read_timeout": 20.0,
        "total_timeout": None,
        "ca_bundle": None,
        "proxy": None,
        "log_level": logging.WARNING,
    }
    return Setup(**{**told, **more})


async def helped_pass(here, observer=None, *, helped=True, begin=True, **rules):
    """One whole pass whose processor is the bound, by its clock; its report and its helper.

    The ledger has its destination already.
    """
    helper = Known(setup_of(here))
    async with parts_of(here, observer, clock=Unhurried()) as parts:
        helpers = (helper,) if helped else ()
        if helped and begin:
            await helper.start((await parts.ledger.binding()).destination_id)
        more = {"rng": random.Random(1), "helpers": helpers, "cpu_seconds": parts.clock.monotonic}
        report = await run_pass(replace(parts, **more), Rules(**rules))
    assert here.sandbox.token_leaks == 0
    assert report.balanced
    assert helpers_of(os.getpid()) == []
    return report, helper
