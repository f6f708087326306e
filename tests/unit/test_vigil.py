"""One sleeper wakes many, each at its moment, and none that is gone."""

import asyncio

from syncer.runner.vigil import Vigil


class Clock:
    """Time that passes when told, for whoever sleeps."""

    def __init__(self):
        self.at = 0.0
        self.sleepers = []

    def monotonic(self):
        return self.at

    async def sleep(self, seconds):
        over = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.at + seconds, over))
        await over

    async def pass_to(self, at):
        """Let time go by in steps that nobody sleeps over."""
        await self._settle()
        while due := sorted(((end, over) for end, over in self.sleepers if not over.done() and end <= at), key=first):
            self.at = max(self.at, due[0][0])
            due[0][1].set_result(None)
            await self._settle()
        self.at = at

    async def _settle(self):
        for _ in range(5):
            await asyncio.sleep(0)


def first(pair):
    return pair[0]


async def test_each_is_called_at_its_moment():
    clock, heard = Clock(), []
    vigil = Vigil(clock)
    for seconds in (3.0, 1.0, 2.0):
        vigil.after(seconds, lambda s=seconds: heard.append((s, clock.at)))
    await clock.pass_to(1.5)
    assert heard == [(1.0, 1.0)]
    vigil.after(0.1, lambda: heard.append((0.1, clock.at)))
    await clock.pass_to(5.0)
    assert heard == [(1.0, 1.0), (0.1, 1.6), (2.0, 2.0), (3.0, 3.0)]


async def test_who_is_gone_is_not_called():
    clock, heard = Clock(), []
    vigil = Vigil(clock)
    calls = [vigil.after(1.0, lambda n=n: heard.append(n)) for n in range(4)]
    for one in calls[:3]:
        vigil.give_up(one)
        vigil.give_up(one)
    await clock.pass_to(2.0)
    assert heard == [3]
    vigil.give_up(calls[3])


async def test_nothing_is_left_when_nobody_waits():
    clock = Clock()
    vigil = Vigil(clock)
    for _ in range(1000):
        vigil.give_up(vigil.after(3600.0, lambda: None))
    kept = vigil.after(3600.0, lambda: None)
    for _ in range(1000):
        vigil.give_up(vigil.after(3600.0, lambda: None))
    assert len(vigil._calls) < 100
    vigil.give_up(kept)
    for _ in range(5):
        await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() if task.get_name() == "vigil"] == []
