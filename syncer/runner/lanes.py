"""The connections of a pass: one a file until its bytes are here, and those that large files have beside it."""

import math
from collections.abc import Callable
from datetime import datetime

from syncer.core import segments
from syncer.core.ports import Clock
from syncer.core.rates import Line, Rates


class Lanes:
    """Measures the line by connections, and lends slots that are free: to the file whose link dies first, as long as
    another connection is likely to carry more, and only until a file needs them. On the event loop's thread only.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rates = Rates()
        self._files = 0
        self._spare = 0
        self._lent: dict[object, Callable[[], None]] = {}  # how to take each back, the newest last
        self._asking: dict[object, float] = {}  # when their links die
        self._done_with = set[str]()  # ids of files that run and need no connection any more
        self._on_free: Callable[[], object] = lambda: None

    @property
    def line(self) -> Line:
        """As measured so far."""
        return self._rates.line()

    def arrived(self, count: int) -> None:
        """So many bytes came."""
        self._rates.arrived(self._clock.monotonic(), count)

    @property
    def finishing(self) -> int:
        """Files that run and need no connection any more."""
        return len(self._done_with)

    def when_free(self, call: Callable[[], object]) -> None:
        """Call it whenever a file needs its connection no longer."""
        self._on_free = call

    def done_with(self, job_id: str) -> None:
        """All bytes of this file are here: it is still to be written, proven and published."""
        self._done_with.add(job_id)
        self._on_free()

    def ended(self, job_id: str) -> None:
        """This file runs no longer."""
        self._done_with.discard(job_id)

    def told(self, files: int, spare: int | None = None) -> None:
        """So many files run; and so many slots no file needs, where that was decided anew. What is lent beyond that is
        taken back at once."""
        self._files = files
        self._spare = self._spare if spare is None else spare
        while len(self._lent) > self._spare:
            _, take_back = self._lent.popitem()
            take_back()
        self._count()

    def ask(self, who: object, dies_at: datetime | None) -> bool:
        """Whether `who`, whose link dies then, may have one connection more; until `withdraw` it is asked for."""
        self._asking[who] = math.inf if dies_at is None else dies_at.timestamp()
        if len(self._lent) >= self._spare or not segments.pays(self.line, self._files + len(self._lent)):
            return False
        return self._asking[who] <= min(self._asking.values())

    def withdraw(self, who: object) -> None:
        """`who` has no use for another one, for now."""
        self._asking.pop(who, None)

    def lend(self, connection: object, take_back: Callable[[], None]) -> None:
        """This connection uses a slot until `give_back`, or until `take_back` is called: then it is to end at once."""
        self._lent[connection] = take_back
        self._count()

    def give_back(self, connection: object) -> None:
        """It has ended; told again, nothing happens."""
        if self._lent.pop(connection, None) is not None:
            self._count()

    def _count(self) -> None:
        self._rates.running(self._clock.monotonic(), self._files + len(self._lent))
