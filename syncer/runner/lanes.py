"""The connections of a pass: one a file, and those beside it that large files may have while no file needs the slot."""

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

    @property
    def line(self) -> Line:
        """As measured so far."""
        return self._rates.line()

    def arrived(self, count: int) -> None:
        """So many bytes came."""
        self._rates.arrived(self._clock.monotonic(), count)

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
