"""Group commit: writes that wait at the same time share one transaction, and one fsync."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from syncer.core.errors import StaleClaim
from syncer.ledger.engine import lasts
from syncer.ledger.thread import OneThread
from syncer.ledger.written import written

T = TypeVar("T")
Work = Callable[[sa.Connection], Any]

MOST = 256
"""Writes in one transaction: a bound on how long the first of them waits for the last."""

GATHERED = 8
"""Turns of the event loop for which writes gather: an idle one takes so many in no time."""


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

    While one transaction is being committed the writes that arrive gather for the next. What is asked for while the
    event loop has other things to do goes along too, for up to GATHERED of its turns; where it has nothing to do no
    write waits for company. A write that raises StaleClaim has written nothing, and the others go on. Where one fails
    in any other way the transaction is rolled back and each of its writes gets one of its own: no write fails for
    another's sake.
    """

    def __init__(self, thread: OneThread, engine: sa.Engine, translated: Callable[[Callable[[], None]], None]) -> None:
        """`translated` calls what it is given; what the database raises it turns into syncer's own errors."""
        self._thread = thread
        self._engine = engine
        self._translated = translated
        self._queue: deque[_Waiting] = deque()
        self._at_rest = asyncio.Event()  # no write is under way or waiting
        self._at_rest.set()
        self._lasts = lasts(engine)
        self._connection: sa.Connection | None = None  # the thread's; kept, for to open one costs as much as a write

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` returned, once it is committed."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(work, loop.create_future())
        self._queue.append(waiting)
        if self._at_rest.is_set():
            self._at_rest.clear()
            self._gather(loop, GATHERED)
        result: T = await waiting.caller
        return result

    async def landed(self) -> None:
        """Returns when no write is under way or waiting."""
        while not self._at_rest.is_set():
            await self._at_rest.wait()

    async def close(self) -> None:
        """Let go of the database, once every write has landed."""
        await self.landed()
        await self._thread.do(self._hang_up)

    def _gather(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        if turns:
            loop.call_soon(self._gather, loop, turns - 1)
        else:
            self._take_off(loop)

    def _take_off(self, loop: asyncio.AbstractEventLoop) -> None:
        group: list[_Waiting] = []
        while self._queue and len(group) < MOST:
            waiting = self._queue.popleft()
            if not waiting.caller.cancelled():  # given up before it was begun: as if never asked for
                group.append(waiting)
        if group:
            self._thread.give(partial(self._commit, group), partial(self._land, loop, group))
        else:
            self._at_rest.set()

    def _land(
        self, loop: asyncio.AbstractEventLoop, group: list[_Waiting], _: None, failure: BaseException | None
    ) -> None:
        for waiting in group:
            if waiting.caller.done():
                continue  # nobody waits any more; it is written all the same
            error = failure or waiting.error
            if error is None:
                waiting.caller.set_result(waiting.result)
            else:
                waiting.caller.set_exception(error)
        if self._queue:
            self._gather(loop, GATHERED)
        else:
            self._at_rest.set()

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
        connection = self._connection = self._connection or self._engine.connect()
        try:
            with connection.begin():
                for waiting in group:
                    if isinstance(waiting.work, Fenced):
                        alike[id(waiting.work.statement)].append(waiting)
                    else:
                        _carry_out(waiting, connection)
                for same in alike.values():
                    _carry_out_all(same, connection)
        except BaseException:
            self._hang_up()  # it may be broken, and the next write is to find a good one
            raise
        if not self._lasts:
            self._hang_up()  # the pool looks after it

    def _hang_up(self) -> None:
        """In the thread."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


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
    update = written(works[0].statement, connection.dialect)
    if update.carry_out(connection, [work.parameters for work in works]) != len(works):
        raise _SomeMissedError
    for waiting in same:
        waiting.result = True
