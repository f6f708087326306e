"""fsyncs of one folder that are asked for at once: fewer calls, and none that came too early for anyone it answers."""

import asyncio
import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from syncer.destination.hands import Hands
from syncer.destination.syncs import SharedSyncs


class Disk:
    """A disk whose fsync lasts until it is let go on; it knows what each one covered."""

    def __init__(self, failing=()):
        self.names = set()
        self.durable = set()
        self.count = 0
        self.failing = failing
        self.busy = threading.Event()
        self.go = threading.Event()

    def sync(self, _fd):
        self.count += 1
        number, covered = self.count, set(self.names)
        self.busy.set()
        assert self.go.wait(30)
        if number in self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.durable |= covered


@pytest.fixture
def folder(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def run(disk, fd, count):
    """`count` threads that each make a name and want it on disk; the first is under way when the others come."""
    shared, waiting = SharedSyncs(disk.sync), threading.Barrier(count)

    def publish(name):
        disk.names.add(name)
        if name:
            waiting.wait(30)
        shared.sync(fd)
        return name in disk.durable

    with ThreadPoolExecutor(count) as pool:
        first = pool.submit(publish, 0)
        assert disk.busy.wait(30)
        others = [pool.submit(publish, name) for name in range(1, count)]
        waiting.wait(30)
        state = next(iter(shared._folders.values()))
        while state.users < count:
            time.sleep(0.001)
        disk.go.set()
        answers = [future.exception(30) or future.result() for future in (first, *others)]
    assert shared._folders == {}
    return answers


def test_all_that_wait_are_answered_by_one_that_began_after_they_came(folder):
    disk = Disk()
    assert run(disk, folder, 8) == [True] * 8
    assert disk.count <= 3


def test_one_that_fails_fails_for_all_it_was_to_answer(folder):
    disk = Disk(failing=(2,))
    first, *others = run(disk, folder, 8)
    assert first is True
    failed = [answer for answer in others if isinstance(answer, OSError)]
    assert failed
    assert all(answer.errno == errno.EIO for answer in failed)
    assert all(answer is True for answer in others if answer not in failed)


def test_folders_do_not_wait_for_each_other(tmp_path, folder):
    disk = Disk()
    (tmp_path / "inner").mkdir()
    inner = os.open(tmp_path / "inner", os.O_RDONLY)
    shared = SharedSyncs(lambda fd: disk.sync(fd) if fd == folder else None)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(shared.sync, folder)
        assert disk.busy.wait(30)
        shared.sync(inner)
        assert not slow.done()
        disk.go.set()
        slow.result(30)
    os.close(inner)


async def test_hands_give_back_results_and_errors_and_never_more_threads_than_asked_for():
    hands, seen = Hands(3), set()

    def work(number):
        seen.add(threading.get_ident())
        if number % 7 == 0:
            raise ValueError(number)
        return number

    async def ask(number):
        try:
            return await hands.do(work, number)
        except ValueError as error:
            return -error.args[0]

    answers = await asyncio.gather(*(ask(n) for n in range(200)))
    assert answers == [-n if n % 7 == 0 else n for n in range(200)]
    assert len(seen) <= 3
    hands.close()
    with pytest.raises(RuntimeError):
        await hands.do(work, 1)


async def test_a_cancelled_call_is_waited_for():
    hands, begun, go, ended = Hands(1), threading.Event(), threading.Event(), []

    def work():
        begun.set()
        assert go.wait(30)
        ended.append(True)

    task = asyncio.create_task(hands.do(work))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
    hands.close()
