"""How fast the line is and how large files are, as far as this pass knows: measured in one place, read in all."""

from dataclasses import dataclass, field

from syncer.core import relinking
from syncer.core.model import Entry
from syncer.core.rates import Line
from syncer.core.sizes import Sizes


@dataclass(slots=True)
class Pace:
    """Written by whoever measures, on the event loop's thread only."""

    line: Line = field(default_factory=Line)
    sizes: Sizes = field(default_factory=Sizes)

    def seconds_for(self, entry: Entry, on_disk: int) -> float:
        """How long the rest of this entry's file may take, generously; sizes nobody has told are estimated."""
        size = entry.promise.size
        whole: float | None = size
        if size is None and self.sizes.seen:
            whole = self.sizes.expected(on_disk)
        rate = self.line.connection or self.line.total
        return relinking.seconds_needed(None if whole is None else whole - on_disk, rate)
