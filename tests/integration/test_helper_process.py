"""The helper's process: what it is told and what it is not, how it begins, and that it never stays behind."""

import asyncio
import os
import signal
from dataclasses import astuple, replace
from datetime import timedelta
from pathlib import Path

import pytest
from helpers.crewed import helpers_of, is_alive, partials_of, setup_of
from helpers.site import CREATED, jobs

from syncer.core.errands import Errand, Free
from syncer.core.errors import Declined
from syncer.core.model import Link
from syncer.destination import FolderDestination
from syncer.helper import HelperProcess
from syncer.helper.process import GRACE
from syncer.runner.clock import SystemClock
from syncer.sandbox import Slow, Stall
from syncer.sandbox.scenarios import HEALTHY

SECRETS = ("VIDEO_DB_API_KEY", "VIDEODB_API_KEY")
SIZE = 3_000_000


class Quiet:
    """A Lead that agrees to everything."""

    def __init__(self):
        self.some = asyncio.Event()

    async def reserve(self, path, promise):
        return True

    def arrived(self, count):
        self.some.set()

    def done_with_line(self):
        pass


@pytest.fixture
async def here(site):
    made = site(jobs(3, size=SIZE))
    async with FolderDestination(made.dest, clock=SystemClock()) as destination:
        await destination.bind("ledger-1", "dest-1")
    return made


@pytest.fixture
async def make(here):
    """Make a helper; whatever becomes of the test, it is ended, and no process is left."""
    made = []

    def one(*, grace=GRACE, **more):
        made.append(HelperProcess(setup_of(here, **more), grace=grace))
        return made[-1]

    yield one
    for helper in made:
        await asyncio.wait_for(helper.end(), 60)
    await until(lambda: helpers_of(os.getpid()) == [])


def errand_of(here, number=0):
    job = here.sandbox.store.all()[number]
    link = Link(here.sandbox.link(job), CREATED + timedelta(days=1))
    return Errand(job.id, job.name, job.created_at, link, Free("elsewhere", 0.0))


async def until(holds):
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - another process is what is waited for
            await asyncio.sleep(0.01)


def said_of(pid):
    """What anybody who may look at a process sees of it."""
    return [Path(f"/proc/{pid}/{about}").read_bytes() for about in ("environ", "cmdline")]


async def test_neither_key_nor_link_is_in_its_environment_or_its_command_line(here, make, monkeypatch):
    for name in SECRETS:
        monkeypatch.setenv(name, here.sandbox.api_key)
    monkeypatch.setenv("LEFT_IN", "what a proxy or a locale needs")
    here.sandbox.set_scenario(replace(HEALTHY, storage=(Stall(after=2_000_000),)))
    helper, errand, lead = make(), errand_of(here), Quiet()
    await helper.start("dest-1")
    bringing = asyncio.create_task(helper.bring(errand, lead))
    await asyncio.wait_for(lead.some.wait(), 60)
    (pid,) = helpers_of(os.getpid())
    environ, command = said_of(pid)
    for secret in (here.sandbox.api_key, errand.link.url, errand.link.url.partition("?")[2], *SECRETS):
        assert secret.encode() not in environ + command
    assert b"LEFT_IN=" in environ
    assert here.sandbox.api_key not in str(astuple(setup_of(here)))
    await helper.end()
    with pytest.raises(Declined):
        await bringing
    assert not is_alive(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_killed_it_declines_what_it_had_and_all_that_follows(here, make, number):
    """Stopped first, it has answers waiting that it never reads: those are lost with it."""
    here.sandbox.set_scenario(replace(HEALTHY, storage=(Slow(rate=SIZE),)))
    helper = make()
    await helper.start("dest-1")
    bringing = asyncio.create_task(helper.bring(errand_of(here), Quiet()))
    (pid,) = helpers_of(os.getpid())
    await until(lambda: partials_of(pid))
    os.kill(pid, number)
    late = asyncio.create_task(helper.bring(errand_of(here, 1), Quiet()))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    for task in (bringing, late):
        with pytest.raises(Declined, match="has ended"):
            await asyncio.wait_for(task, 60)
    assert not helper.is_ready
    with pytest.raises(Declined, match="has ended"):
        await helper.bring(errand_of(here, 2), Quiet())
    await helper.end()
    await helper.end()
    assert here.files() == {}


async def test_one_that_does_not_hear_that_it_is_to_stop_is_killed(here, make):
    """Or Ctrl-C would wait for it for ever."""
    here.sandbox.set_scenario(replace(HEALTHY, storage=(Slow(rate=SIZE),)))
    helper = make(grace=0.1)
    await helper.start("dest-1")
    (pid,) = helpers_of(os.getpid())
    bringing = asyncio.create_task(helper.bring(errand_of(here), Quiet()))
    await until(lambda: partials_of(pid))
    os.kill(pid, signal.SIGSTOP)
    bringing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(bringing), 60)
    assert not is_alive(pid)
    assert not helper.is_ready


async def test_one_that_nobody_understands_is_killed(make, monkeypatch):
    """Or whoever waits for it would wait for ever."""
    monkeypatch.setattr("syncer.helper.process.MODULE", "helpers.babbler")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    helper = make()
    with pytest.raises(Declined, match="has ended"):
        await asyncio.wait_for(helper.start("dest-1"), 60)
    assert not helper.is_ready


async def test_cancelled_it_is_heard_once_the_partial_is_let_go_of(here, make):
    here.sandbox.set_scenario(replace(HEALTHY, storage=(Slow(rate=SIZE),)))
    helper, lead = make(), Quiet()
    await helper.start("dest-1")
    (pid,) = helpers_of(os.getpid())
    bringing = asyncio.create_task(helper.bring(errand_of(here), lead))
    await until(lambda: partials_of(pid))
    bringing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(bringing), 60)
    assert partials_of(pid) == []
    assert len(here.partials()) == 1
    await helper.end()


async def test_one_that_is_told_to_end_while_it_begins_is_gone(here, make):
    """Whatever it has come to by then: nothing waits for it, and no handle is left over."""
    for turns in (0, 1, 2, 5, 50):
        helper = make()
        starting = asyncio.create_task(helper.start("dest-1"))
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        assert starting.cancelled()
        await asyncio.wait_for(helper.end(), 60)
        assert not helper.is_ready
        assert helpers_of(os.getpid()) == []


async def test_ended_by_another_hand_its_start_is_declined(here, make):
    helper = make()
    starting = asyncio.create_task(helper.start("dest-1"))
    await until(lambda: helpers_of(os.getpid()))
    for pid in helpers_of(os.getpid()):
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(Declined, match="has ended"):
        await asyncio.wait_for(starting, 60)
    await helper.end()


async def test_a_destination_that_is_not_there_is_declined_by_its_start(here, make):
    helper = make(destination=str(here.folder / "nowhere"))
    with pytest.raises(Declined):
        await asyncio.wait_for(helper.start("dest-1"), 60)
    await helper.end()
    assert not (here.folder / "nowhere").exists()


async def test_the_folder_it_is_begun_in_is_not_where_its_code_comes_from(here, make, monkeypatch):
    (here.folder / "syncer").mkdir()
    (here.folder / "syncer" / "__init__.py").write_text("raise SystemExit\n")
    (here.folder / "json.py").write_text("raise SystemExit\n")
    monkeypatch.chdir(here.folder)
    helper = make()
    await asyncio.wait_for(helper.start("dest-1"), 60)
    file = await asyncio.wait_for(helper.bring(errand_of(here), Quiet()), 60)
    assert file.sha256 == here.sandbox.digests(errand_of(here).id).sha256
    await helper.end()


async def test_what_it_logs_is_logged_here(make, caplog):
    """Where the secrets are taken out of it."""
    helper = make()
    await helper.start("dest-1")
    with caplog.at_level("WARNING"):
        helper._hear(helper._channel, ["log", "syncer.runner.fetch", 30, "100 % of a %s"])
        helper._hear(helper._channel, ["arrived", "an errand that is over", 5])
    assert [(one.name, one.getMessage()) for one in caplog.records] == [("syncer.runner.fetch", "100 % of a %s")]
    await helper.end()
