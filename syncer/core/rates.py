"""How fast the line is: what it carries altogether and for one transfer, measured over the last minutes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """The way from the storage to here. Bytes a second; None where nothing has been measured yet."""

    total: float | None = None  # all transfers together
    connection: float | None = None  # the most that one transfer gets by itself; None: as much as `total`
    spread: float = 0.0  # of `total`: one standard deviation

    @property
    def lanes(self) -> float:
        """How many transfers fill the line; 1.0 where one does, or where that is not known."""
        if self.total is None or not self.connection:
            return 1.0
        return max(1.0, self.total / self.connection)
