"""SIGKILL at any moment, two hundred times: nothing wrong, nothing missing, nothing left over, little fetched twice."""

import json
import signal
import threading
import time

import pytest
from helpers.site import CREATED
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from syncer.sandbox.faults_wire import Slow
from syncer.sandbox.model import Rules, SandboxJob
from syncer.sandbox.scenarios import HEALTHY, Scenario

SIZES = (300_000, 3_000_000, 9_000_000, 20_000_000)
RATE = 8_000_000  # bytes a second and file: a kill meets bodies in all their stages

MOMENTS = st.one_of(
    st.tuples(st.just("request"), st.integers(0, 1500)),
    st.tuples(st.just("request"), st.integers(0, 300)),
    st.tuples(st.just("start"), st.integers(0, 3000)),
)
"""When to kill: milliseconds from a command's first request to the storage, or from its start."""


def steady(times):
    """So many examples, the same in each run."""
    return settings(
        max_examples=times,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


class Killer:
    """Starts passes and kills them; there is always something to fetch."""

    def __init__(self, here):
        self.here, self.made, self.killed, self.ended, self.begun = here, 0, 0, 0, 0

    def supply(self):
        """As many jobs open as a pass can bring in the time it is given."""
        stored = sum(1 for _ in (self.here.dest / "2026").rglob("*.mp4")) if self.here.dest.exists() else 0
        while self.made - stored < 8:
            size = SIZES[self.made % len(SIZES)]
            self.here.sandbox.add(SandboxJob(f"film-{self.made:04}", "Film.mp4", size=size, created_at=CREATED))
            self.made += 1

    def kill(self, after, milliseconds):
        """One pass, killed at its moment; False where it was over by then."""
        self.supply()
        before = len(self.here.storage_requests())
        process = self.here.start("run", self.here.dest, "-q", "--workers", "4")
        if after == "request":
            self.here.until(lambda: len(self.here.storage_requests()) > before or process.poll() is not None, 60)
        threading.Event().wait(milliseconds / 1000)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.begun += any(path.stat().st_size for path in self.here.partials())
        self.killed += process.returncode == -signal.SIGKILL
        self.ended += process.returncode != -signal.SIGKILL


async def kill_many(site, times):
    """The figures of it, once a last pass, left in peace, has ended."""
    here = site([], Scenario("paced", "", Rules(), (), (Slow(rate=RATE),)))
    killer, begun = Killer(here), time.monotonic()

    @steady(times)
    @given(MOMENTS)
    def schedule(moment):
        killer.kill(*moment)

    schedule()
    here.sandbox.set_scenario(HEALTHY)
    report = await here.sync()
    assert report.exit_code == 0, report
    await here.check_whole()  # 0 wrong, 0 missing, 0 partials
    served = sum(seen.body_bytes for seen in here.storage_requests())
    stored = sum(entry.stored.size for entry in (await here.entries("stored")).values())
    return {
        "kills": killer.killed,
        "of these with a file half fetched": killer.begun,
        "passes that ended before": killer.ended,
        "files": killer.made,
        "bytes stored": stored,
        "bytes served": served,
        "served over stored": round(served / stored, 4),
        "wrong": 0,
        "missing": 0,
        "partials left": len(here.partials()),
        "seconds": round(time.monotonic() - begun),
    }


@pytest.mark.timeout(600)
async def test_kills_at_random_moments_heal(site):
    figures = await kill_many(site, 6)
    assert figures["kills"] >= 3
    assert figures["of these with a file half fetched"] >= 2
    assert figures["partials left"] == 0


@pytest.mark.long
@pytest.mark.timeout(7200)
async def test_two_hundred_kills_at_random_moments_heal(site):
    """The figures go to standard output, which `pytest -s` shows."""
    figures = await kill_many(site, 220)
    text = json.dumps(figures, indent=2)
    print(text)  # noqa: T201 - the point of it
    assert figures["kills"] >= 200
    assert figures["of these with a file half fetched"] >= 100
    assert figures["partials left"] == 0
    assert figures["served over stored"] < 1.25
