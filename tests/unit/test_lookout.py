"""A look ahead is a hint: what it says is fresh, nobody waits for it, and a destination in trouble ends nothing."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from fakes.destination import FakeDestination, FakeDisk, Published
from fakes.source import START, ManualClock

from syncer.core.model import Claim, Entry, RemoteStatus, State
from syncer.core.naming import Naming
from syncer.runner.lookout import LATELY, Lookout, likely_path


def claim_of(job_id, **more):
    entry = Entry(job_id, f"{job_id}.mp4", RemoteStatus.DONE, START, None, State.CLAIMED)
    return Claim(replace(entry, **more), "token", START)


@pytest.fixture
def disk():
    return FakeDisk()


@pytest.fixture
async def parts(disk):
    destination = FakeDestination(disk)
    await destination.bind("ledger-1", "dest-1")
    return SimpleNamespace(destination=destination, clock=ManualClock())


@pytest.fixture
async def lookout(parts):
    made = Lookout(parts.destination, parts.clock, Naming())
    yield made
    await made.close()


async def looked(lookout, *claims):
    lookout.look(claims)
    await asyncio.wait_for(lookout._task, 30)


async def test_who_has_neither_a_partial_nor_a_file_in_the_way_is_known_once(lookout, disk):
    free, taken, held = claim_of("free"), claim_of("taken"), claim_of("held")
    disk.files[likely_path(taken, Naming())] = Published(b"a stranger's", None)
    disk.partials["held"] = bytearray(b"bytes")
    await looked(lookout, free, taken, held)
    assert (lookout.take(taken), lookout.take(held), lookout.take(claim_of("another"))) == (None, None, None)
    assert lookout.take(free).path == likely_path(free, Naming())
    assert lookout.take(free) is None


async def test_the_path_that_was_reserved_before_is_the_likely_one(lookout):
    claim = claim_of("job", path="2026/reserved.mp4")
    await looked(lookout, claim)
    free = lookout.take(claim)
    assert (free.path, free.is_final) == ("2026/reserved.mp4", True)


@pytest.mark.parametrize(("name", "is_final"), [("film.mp4", True), ("film", False), ("v1.2", False), (None, False)])
async def test_a_name_without_an_extension_leaves_its_path_to_the_storage(lookout, name, is_final):
    claim = claim_of("job", name=name)
    await looked(lookout, claim)
    assert lookout.take(claim).is_final is is_final


async def test_what_is_known_is_forgotten_when_it_is_no_longer_fresh(lookout, parts):
    first, second = claim_of("first"), claim_of("second")
    await looked(lookout, first)
    parts.clock.advance(LATELY)
    await looked(lookout, second)
    assert lookout.take(first) is None
    assert set(lookout._known) == {"second"}


async def test_what_a_look_finds_that_began_before_the_file_is_not_believed(lookout):
    claim, again = claim_of("job"), claim_of("job")
    lookout.look([claim])
    await asyncio.sleep(0)  # under way
    assert lookout.take(claim) is None
    await asyncio.wait_for(lookout._task, 30)
    assert lookout.take(claim) is None
    lookout.look([claim])
    await asyncio.sleep(0)
    assert lookout.take(claim) is None
    lookout.look([again])
    await asyncio.wait_for(lookout._task, 30)
    assert lookout.take(again) is not None


async def test_claims_that_come_during_a_look_are_looked_for_next(lookout):
    claims = [claim_of(f"job-{number}") for number in range(9)]
    for claim in claims:
        lookout.look([claim])
        await asyncio.sleep(0)
    await asyncio.wait_for(lookout._task, 30)
    assert all(lookout.take(claim) for claim in claims)


async def test_a_destination_that_is_gone_is_met_by_whoever_writes_there(lookout, disk):
    disk.gone = True
    claim = claim_of("job")
    await looked(lookout, claim)
    assert lookout.take(claim) is None
    disk.gone = False
    await looked(lookout, claim)
    assert lookout.take(claim) is not None


async def test_closed_it_looks_no_further(lookout, parts):
    begun = asyncio.Event()

    async def hang(_):
        begun.set()
        await asyncio.Event().wait()

    parts.destination.look = hang
    lookout.look([claim_of("job")])
    await begun.wait()
    await asyncio.wait_for(lookout.close(), 30)
    assert lookout._task.done()
