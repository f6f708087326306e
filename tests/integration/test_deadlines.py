"""Links that die while they are fetched, over real HTTP: who is saved when only the right order, or a choice, saves."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from simulation.traces import Film, Trace, Way, optimum

from syncer.sandbox.faults_wire import Slow
from syncer.sandbox.model import LinkOrigin, LinkRules, PageRules, Rules, SandboxJob
from syncer.sandbox.scenarios import Scenario

LIFE = timedelta(hours=24)
SECOND = timedelta(seconds=1)
KB = 1000
OURS = 0.08
"""The share of an evening that may be the machine's own work where the line is to decide."""


@dataclass(frozen=True)
class Evening:
    """Files as (bytes, seconds until the link dies), and the line they share. `stretch` makes it all slower alike:
    what is short of time on a busy machine is not the line then, but the line it is about."""

    films: tuple[tuple[int, float], ...]
    rate: float  # bytes a second
    stretch: float = 1.0

    def scenario(self):
        """Links live from completion, whoever asks: no relink saves anybody."""
        rules = Rules(links=LinkRules(origin=LinkOrigin.COMPLETION, ttl=LIFE), pages=PageRules(cap=20))
        return Scenario("deadlines", "", rules, storage=(Slow(rate=self.rate / self.stretch, shared=True),))

    def jobs(self):
        """Listed latest deadline first. Links die at whole seconds: none before its time."""
        now = datetime.now(UTC).replace(microsecond=0) + SECOND
        for n, (size, seconds) in enumerate(sorted(self.films, key=lambda film: film[1])):
            born = now + seconds * self.stretch * SECOND - LIFE
            yield SandboxJob(f"film-{n:02}", f"Film {n}.mp4", size=size, created_at=born, completed_at=born)

    def optimum(self):
        films = tuple(Film(str(n), size, until) for n, (size, until) in enumerate(self.films))
        return optimum(Trace(films, Way(((0.0, self.rate),))))

    def saved_as_listed(self):
        """How many one who fetches as listed could save at most."""
        films = sorted(self.films, key=lambda film: -film[1])
        arrived = [sum(size for size, _ in films[: n + 1]) / self.rate for n in range(len(films))]
        return sum(at <= until for at, (_, until) in zip(arrived, films, strict=True))


async def at_this_machine_s_pace(site, evening, least):
    """The evening slowed down until what the machine itself takes for these files is a small part of it.

    That is measured with nothing in the way: no limit to the line, and links that live. On an idle machine it is less
    than a second; the cores of a build are another matter, and no test of who is saved.
    """
    films = [SandboxJob(f"film-{n:02}", f"Film {n}.mp4", size=size) for n, (size, _) in enumerate(evening.films)]
    here, begun = site(films), time.monotonic()
    report = await here.sync()
    took = time.monotonic() - begun
    assert report.jobs.stored == len(films)
    return replace(evening, stretch=max(least, took / (OURS * max(seconds for _, seconds in evening.films))))


async def fetched(site, evening):
    """The ids that came home; the first pass, with nothing to fetch, makes the ledger and the destination."""
    here = site([], evening.scenario())
    await here.sync()
    for job in evening.jobs():
        here.sandbox.store.add(job)
    report = await here.sync()
    stored = await here.entries("stored")
    assert report.jobs.stored == len(stored)
    assert report.exit_code == (0 if len(stored) == len(evening.films) else 7)
    for entry in stored.values():
        assert (here.dest / entry.stored.path).stat().st_size == entry.stored.size
        assert entry.stored.sha256 == here.sandbox.digests(entry.id).sha256
    return stored


FEASIBLE = tuple((400 * KB, 4 + 8 * n / 59) for n in range(60))
"""Sixty links that die four to twelve seconds from now, and 24 MB between them."""

CROWDED = (
    *((600 * KB, 3 + 9 * n / 39) for n in range(40)),
    *((100 * KB, 10 + 4 * n / 39) for n in range(40)),
)
"""Eighty files, the large ones due first, and twice what a line of a megabyte a second carries."""


async def check_feasible(site, evening):
    assert evening.optimum() == 60 > evening.saved_as_listed() + 15
    assert len(await fetched(site, evening)) == 60


async def check_crowded(site, evening, share):
    best = evening.optimum()
    assert 50 < best < 60
    assert len(await fetched(site, evening)) >= share * best


@pytest.mark.timeout(300)
async def test_sixty_files_that_only_deadline_order_saves_are_all_saved(site):
    await check_feasible(site, await at_this_machine_s_pace(site, Evening(FEASIBLE, 2500 * KB), 2.5))


@pytest.mark.timeout(300)
async def test_of_twice_what_the_line_carries_nearly_as_much_is_saved_as_can_be(site):
    await check_crowded(site, await at_this_machine_s_pace(site, Evening(CROWDED, 1000 * KB), 2.0), 0.85)


@pytest.mark.long
async def test_sixty_links_that_die_in_four_to_twelve_seconds(site):
    await check_feasible(site, Evening(FEASIBLE, 2500 * KB))


@pytest.mark.long
async def test_eighty_files_in_fourteen_seconds(site):
    await check_crowded(site, Evening(CROWDED, 1000 * KB), 0.85)
