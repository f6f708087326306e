"""Group commit: writes that wait at the same time share one transaction, and one fsync."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa

from syncer.core.errors import StaleClaim

T = TypeVar("T")
Work = Callable[[sa.Connection], Any]

MOST = 256
"""Writes in one transaction: a bound on how long the first of them waits for the last."""


@dataclass(frozen=True, slots=True)
class Fenced:
    """An update of one row that is there only while its fence holds. Many with the same statement go in one call."""

    statement: sa.Update
    parameters: dict[str, Any]
    otherwise: Callable[[sa.Connection], bool]  # where no row was met: what that means, or StaleClaim

    def __call__(self, connection: sa.Connection) -> bool:
        """Whether the row was written. Raises what `otherwise` raises."""
        met = connection.execute(self.statement, self.parameters).rowcount
        return met == 1 or self.otherwise(connection)


class _SomeMissedError(Exception):
    """Of many updates in one call not each met its row; which one did not, each has to find out by itself."""


@dataclass(slots=True)
class _Waiting:
    """One write and whoever waits for it."""

    work: Work
    caller: "asyncio.Future[Any]"
    result: Any = field(default=None)
    error: BaseException | None = field(default=None)


class GroupCommit:
    """Runs writes in a thread, in the order they were asked for; none is answered before it is committed (I2).

    While one transaction is being committed the writes that arrive gather for the next: no write waits for company. A
    write that raises StaleClaim has written nothing, and the others go on. Where one fails in any other way the
    transaction is rolled back and each of its writes gets one of its own: no write fails for another's sake.
    """

    def __init__(self, thread: Executor, engine: sa.Engine, translated: Callable[[Callable[[], None]], None]) -> None:
        """`thread` has one worker. `translated` calls what it is given; what the database raises it turns into
        syncer's own errors."""
        self._thread = thread
        self._engine = engine
        self._translated = translated
        self._queue: deque[_Waiting] = deque()
        self._flight: asyncio.Future[None] | None = None

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` returned, once it is committed."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(work, loop.create_future())
        self._queue.append(waiting)
        if self._flight is None:
            self._take_off(loop)
        result: T = await waiting.caller
        return result

    async def landed(self) -> None:
        """Returns when no write is under way or waiting."""
        while self._flight is not None:
            await asyncio.wait([self._flight])

    def _take_off(self, loop: asyncio.AbstractEventLoop) -> None:
        group: list[_Waiting] = []
        while self._queue and len(group) < MOST:
            waiting = self._queue.popleft()
            if not waiting.caller.cancelled():  # given up before it was begun: as if never asked for
                group.append(waiting)
        if not group:
            return
        self._flight = loop.run_in_executor(self._thread, self._commit, group)
        self._flight.add_done_callback(lambda flight: self._land(loop, flight, group))

    def _land(self, loop: asyncio.AbstractEventLoop, flight: "asyncio.Future[None]", group: list[_Waiting]) -> None:
        self._flight = None
        failure = asyncio.CancelledError() if flight.cancelled() else flight.exception()
        for waiting in group:
            if waiting.caller.done():
                continue  # nobody waits any more; it is written all the same
            error = failure or waiting.error
            if error is None:
                waiting.caller.set_result(waiting.result)
            elif isinstance(error, asyncio.CancelledError):
                waiting.caller.cancel()
            else:
                waiting.caller.set_exception(error)
        if self._queue:
            self._take_off(loop)

    def _commit(self, group: list[_Waiting]) -> None:
        """In the thread: all in one transaction; where that fails, each by itself."""
        if len(group) > 1:
            try:
                self._together(group)
            except Exception:  # noqa: BLE001 - whatever it was, each write meets it again by itself
                for waiting in group:
                    waiting.result = waiting.error = None
            else:
                return
        for waiting in group:
            try:
                self._translated(lambda alone=[waiting]: self._together(alone))  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001 - it is the caller's to hear
                waiting.error = error

    def _together(self, group: list[_Waiting]) -> None:
        """Nobody in the group waited for another in it, so in which order they are written makes no difference."""
        alike: dict[int, list[_Waiting]] = defaultdict(list)
        with self._engine.begin() as connection:
            for waiting in group:
                if isinstance(waiting.work, Fenced):
                    alike[id(waiting.work.statement)].append(waiting)
                else:
                    _carry_out(waiting, connection)
            for same in alike.values():
                _carry_out_all(same, connection)


def _carry_out(waiting: _Waiting, connection: sa.Connection) -> None:
    try:
        waiting.result = waiting.work(connection)
    except StaleClaim as stale:
        waiting.error = stale


def _carry_out_all(same: list[_Waiting], connection: sa.Connection) -> None:
    if len(same) == 1:
        _carry_out(same[0], connection)
        return
    works = [waiting.work for waiting in same if isinstance(waiting.work, Fenced)]
    if connection.execute(works[0].statement, [work.parameters for work in works]).rowcount != len(works):
        raise _SomeMissedError
    for waiting in same:
        waiting.result = True
