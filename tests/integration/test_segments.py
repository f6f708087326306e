"""One large file over several connections, against a storage that gives each of them little."""

import asyncio
from pathlib import Path

from helpers.site import jobs

from syncer.core.events import BytesArrived
from syncer.sandbox import HEALTHY, Slow
from syncer.sandbox.scenarios import Scenario

M = 1024 * 1024
SIZE = 32 * M
THIN = Scenario("thin", storage=(Slow(rate=2 * M),))
OPTIONS = {"segment_size": "1M"}


class Watching:
    """An observer that looks at the storage's log as bytes arrive."""

    def __init__(self, here):
        self._here = here
        self.at_once = 0
        self.bytes = 0

    def notify(self, event):
        if isinstance(event, BytesArrived):
            self.bytes += event.count
            ports = {seen.port for seen in self._here.storage_requests() if not seen.over and self._is_open(seen)}
            self.at_once = max(self.at_once, len(ports))

    @staticmethod
    def _is_open(seen):
        """Whether the client has it still, by the kernel's table (tcp(7)): the storage is told later of a hang-up."""
        table = Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()
        rows = (line.split()[1:4] for line in table[1:])
        return any(local.endswith(f":{seen.port:04X}") and state == "01" for local, _, state in rows)


async def test_a_thin_line_is_shared_out(site):
    here = site(jobs(1, size=SIZE), THIN, **OPTIONS)
    watching = Watching(here)
    report = await here.sync(observer=watching)
    assert report.exit_code == 0
    assert 2 <= watching.at_once <= 4
    ranges = [seen for seen in here.storage_requests() if seen.range is not None]
    assert {seen.status for seen in ranges} == {206}
    assert len({seen.if_range for seen in ranges}) == 1
    assert watching.bytes == report.transfer.bytes == SIZE
    # More than arrived was on its way when the first connection, which had asked for all, was hung up on.
    assert sum(seen.body_bytes for seen in here.storage_requests()) < 1.1 * SIZE
    await here.check_whole()


async def test_it_takes_slots_that_no_file_needs_and_the_users_leave(site):
    """Two files on two workers, one file on one, and a file that is not to be parted: a connection each."""
    runs = []
    for count, options in ((2, {"workers": "2"}), (1, {"workers": "1"}), (1, {"segments": "1"})):
        here = site(jobs(count, size=18 * M), THIN, **OPTIONS, **options)
        runs.append((here, asyncio.create_task(here.sync())))
    for here, run in runs:
        assert (await run).exit_code == 0
        assert [seen.range for seen in here.storage_requests()] == [None] * len(here.files())
        await here.check_whole()


async def test_a_fast_line_needs_no_second_connection(site):
    here = site(jobs(1, size=16 * M), HEALTHY, **OPTIONS)
    assert (await here.sync()).exit_code == 0
    assert [seen.range for seen in here.storage_requests()] == [None]
    await here.check_whole()
