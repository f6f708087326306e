"""A disk that takes its time when a process is begun: it is asked about each file that is open here.

Whoever begins a process waits for that; the event loop must not, or every transfer stands still meanwhile.
"""

import asyncio
import os
import signal
from contextlib import asynccontextmanager, suppress

import pytest
from helpers.crewed import children_of, helpers_of, setup_of
from helpers.mounted import ailing
from helpers.site import jobs

from syncer.children import Child
from syncer.core.errors import Declined
from syncer.helper import HelperProcess
from syncer.reporting.hooks import Command, run

SLOW = 1.5


@pytest.fixture
def disk(tmp_path):
    """A slow disk with a file on it that is open here."""
    with ailing(tmp_path / "disk") as disk, (disk.point / "open").open("wb", buffering=0):
        disk.slow("flush", SLOW)
        yield disk
        disk.heal()


@asynccontextmanager
async def turns_of_others():
    """How many turns others had."""
    had = []

    async def tick():
        while True:
            await asyncio.sleep(0.01)
            had.append(None)

    ticking = asyncio.create_task(tick())
    yield had
    ticking.cancel()


@pytest.mark.usefixtures("disk")
async def test_a_users_command_is_begun_beside_the_rest():
    async with turns_of_others() as had:
        assert await run(Command(("true",), 60.0), dict(os.environ)) is None
    assert len(had) >= 20  # of a hundred and fifty


@pytest.mark.usefixtures("disk")
async def test_a_second_process_is_begun_beside_the_rest(site):
    helper = HelperProcess(setup_of(site(jobs(1))))
    async with turns_of_others() as had:
        with suppress(Declined):  # there is no destination yet
            await helper.start("dest-1")
    await helper.end()
    assert len(had) >= 20


@pytest.mark.usefixtures("disk")
async def test_what_is_given_up_while_it_begins_is_over_at_once_and_not_left_behind():
    child = Child(("sleep", "59.875"), dict(os.environ))
    assert not await child.ends(within=0.1)
    assert not child.is_begun
    child.signal(signal.SIGTERM)
    assert await child.ends(within=0)
    async with asyncio.timeout(60):
        while not child.is_begun:  # noqa: ASYNC110 - the disk is what is waited for
            await asyncio.sleep(0.01)
        while children_of(os.getpid(), "59.875"):  # noqa: ASYNC110 - it is killed, and its end heard
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("disk")
async def test_a_second_process_that_is_told_to_end_while_it_begins_is_not_waited_for(site):
    helper = HelperProcess(setup_of(site(jobs(1))), grace=0.1)
    starting = asyncio.create_task(helper.start("dest-1"))
    await asyncio.sleep(0.1)
    starting.cancel()
    await helper.end()
    assert not helper._child.is_begun
    async with asyncio.timeout(60):
        while not helper._child.is_begun or helpers_of(os.getpid()):  # noqa: ASYNC110 - the disk is what is waited for
            await asyncio.sleep(0.01)
