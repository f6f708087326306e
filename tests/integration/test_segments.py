"""One large file over several connections, against a storage that gives each of them little."""

from helpers.site import jobs

from syncer.sandbox.faults_wire import Slow
from syncer.sandbox.scenarios import Scenario

M = 1024 * 1024
RATE = 2 * M
OPTIONS = {"segments": "4", "segment_size": "1M"}


def parts(here):
    """The ranges that were asked for, in order."""
    return [seen for seen in here.storage_requests() if seen.range is not None]


async def test_a_thin_line_is_shared_out(site):
    here = site(jobs(1, size=40 * M), Scenario("thin", storage=(Slow(rate=RATE),)), **OPTIONS)
    report = await here.sync()
    assert report.exit_code == 0
    await here.check_whole()
    assert len(parts(here)) >= 3
    sent = sum(seen.body_bytes for seen in here.storage_requests())
    assert sent < 1.1 * 40 * M
