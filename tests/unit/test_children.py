"""Programs beside this one: how each of them ends, or why it never began."""

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.crewed import children_of, is_alive

from syncer.children import Child

HERE = dict(os.environ)
FOREVER = (sys.executable, "-c", "import signal; signal.pause()")


async def end_of(*argv, **more):
    child = Child(argv, HERE, **more)
    assert await child.ends(within=60)
    return child.outcome


async def text_of(path):
    """What a program writes there, once it has."""
    async with asyncio.timeout(60):
        while not (path.exists() and path.read_text().endswith("\n")):  # noqa: ASYNC110 - it is another's doing
            await asyncio.sleep(0.01)
    return path.read_text().strip()


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM)])
async def test_its_code_is_told_or_the_signal_that_ended_it(script, code):
    assert await end_of("sh", "-c", script) == code


@pytest.mark.parametrize(
    ("argv", "number"),
    [(("./no-such-program",), errno.ENOENT), (("/",), errno.EACCES), (("true", "a\0b"), errno.EINVAL)],
)
async def test_one_that_cannot_be_begun_says_why(argv, number):
    outcome = await end_of(*argv)
    assert isinstance(outcome, OSError)
    assert outcome.errno == number


async def test_what_it_says_goes_where_it_is_told_to_and_it_hears_nothing(tmp_path):
    with (tmp_path / "said").open("w") as said:
        assert await end_of("sh", "-c", "cat; echo out; echo err >&2", output=said.fileno()) == 0
    assert (tmp_path / "said").read_text() == "out\nerr\n"


async def test_a_socket_is_lent_to_it_and_to_nobody_else():
    ours, theirs = socket.socketpair()
    with ours, socket.socket() as other:
        number = theirs.fileno()
        script = f"import os; os.write({number}, b'here'); os.fstat({other.fileno()})"
        assert await end_of(sys.executable, "-c", script, lent=theirs) == 1  # the other is not there
        assert ours.recv(10) == b"here"
        assert theirs.fileno() == -1
        assert ours.recv(10) == b""  # nobody has it any more


async def test_a_socket_for_one_that_cannot_be_begun_is_closed():
    ours, theirs = socket.socketpair()
    with ours:
        assert isinstance(await end_of("./no-such-program", lent=theirs), OSError)
        assert ours.recv(10) == b""


async def test_who_gives_up_waiting_leaves_it_as_it_is():
    child = Child(FOREVER, HERE)
    assert not await child.ends(within=0.05)
    waiting = asyncio.create_task(child.ends())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not await child.ends(within=0)
    child.signal(signal.SIGKILL)
    assert await child.ends(within=60)
    assert child.outcome == -signal.SIGKILL
    child.signal(signal.SIGKILL)  # nothing is left of it


async def test_what_it_began_is_signalled_with_it_where_it_leads_a_session(tmp_path):
    grandchild = f"{sys.executable} -c 'import signal; signal.pause()' & echo $! > {tmp_path / 'pid'}; wait"
    child = Child(("sh", "-c", grandchild), HERE, leads_session=True)
    pid = int(await text_of(tmp_path / "pid"))
    child.signal(signal.SIGKILL)
    assert await child.ends(within=60)
    async with asyncio.timeout(60):
        while is_alive(pid):  # noqa: ASYNC110 - another process is what is waited for
            await asyncio.sleep(0.01)


async def test_one_that_is_not_wanted_before_it_begins_counts_as_ended_and_is_not_left_behind(tmp_path):
    """Its thread has not come to it yet, or it is just begun: in either case nothing of it stays."""
    script = f"echo $$ > {tmp_path / 'pid'}; exec sleep 60"
    child = Child(("sh", "-c", script), HERE)
    child.signal(signal.SIGTERM)
    assert await child.ends(within=60)
    assert child.outcome == -signal.SIGTERM
    async with asyncio.timeout(60):
        while children_of(os.getpid(), str(tmp_path)):  # noqa: ASYNC110 - another process is what is waited for
            await asyncio.sleep(0.01)


def test_without_a_thread_for_it_it_is_not_begun():
    """In a process that has no memory left for a thread."""
    script = """
import asyncio, resource, socket, sys, threading
from syncer.children import Child
async def main():
    ours, theirs = socket.socketpair()
    threading.stack_size(1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    child = Child(("true",), {}, lent=theirs)
    assert await child.ends(within=0)
    print(child.outcome.strerror, theirs.fileno())
asyncio.run(main())
"""
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    assert told.stdout.split() == [*os.strerror(errno.EAGAIN).split(), "-1"]
