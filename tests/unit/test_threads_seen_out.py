"""Work in threads is seen out: nobody goes on while a thread still writes, however often he is cancelled."""

import asyncio
import threading
import time

import pytest

from syncer.destination.hands import FEW, Hands
from syncer.runner.offload import offload


async def by_hands(call):
    hands = Hands(1)
    try:
        return await hands.do(call)
    finally:
        hands.close()


@pytest.mark.parametrize("carry", [offload, by_hands])
async def test_a_call_in_a_thread_is_waited_for_however_often_the_wait_is_cancelled(carry):
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work():
        begun.set()
        may_end.wait(30)
        ended.set()

    task = asyncio.create_task(carry(work))
    await asyncio.to_thread(begun.wait, 30)
    for _ in range(3):
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


@pytest.mark.parametrize("carry", [offload, by_hands])
async def test_what_the_call_gives_or_raises_comes_out(carry):
    assert await carry(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await carry(lambda: 1 / 0)


async def test_where_jobs_wait_more_hands_come_and_go_again():
    others = set(threading.enumerate())
    hands, go, begun = Hands(9), threading.Event(), threading.Semaphore(0)

    def hang():
        begun.release()
        go.wait(30)

    hung = [asyncio.create_task(hands.do(hang)) for _ in range(9)]
    for _ in hung:
        assert await asyncio.to_thread(begun.acquire, timeout=30)
    go.set()
    await asyncio.gather(*hung)

    def mine():
        return sum(thread.name == "syncer-files" for thread in set(threading.enumerate()) - others)

    assert mine() == 9
    for _ in range(3000):
        await asyncio.gather(*(hands.do(time.sleep, 0) for _ in range(4)))
        if mine() <= FEW:
            break
    assert mine() <= FEW
    hands.close()
