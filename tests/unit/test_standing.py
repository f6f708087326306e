"""How a catch-up stands: said in lines elsewhere than on a terminal, and in a line of its own among the bars on one."""

import io

from syncer.core.events import PassEnded, PassStarted, Standing
from syncer.reporting.lines import Lines
from syncer.reporting.progress import Bars


def test_it_is_said_at_once_then_now_and_then_and_at_the_end():
    said, now = [], [0.0]
    lines = Lines(said.append, every_file=True, monotonic=lambda: now[0])
    lines.notify(Standing(0, 5, 0, 100, None, 4200.0))
    lines.notify(Standing(3, 5, 0, 97, None, 4199.0))  # too soon
    now[0] = 11.0
    lines.notify(Standing(3, 5, 0, 97, None, 4189.0))
    now[0] = 30.0
    lines.notify(Standing(3, 5, 0, 97, None, 4170.0))  # nothing new
    lines.notify(Standing(98, 0, 2, 0, None, None))
    assert said == [
        "saved 0, at risk 5, lost 0; 70 min to the nearest deadline",
        "saved 3, at risk 5, lost 0; 70 min to the nearest deadline",
        "saved 98, at risk 0, lost 2",
    ]


def test_on_a_terminal_it_has_a_line_of_its_own():
    stream = io.StringIO()
    bars = Bars(stream)
    bars.notify(Standing(0, 0, 0, 1, None, None))  # before the pass there is nothing to draw on
    bars.notify(PassStarted(1, "/videos"))
    bars.notify(Standing(1, 2, 3, 4, None, 90.0))
    assert "saved 1, at risk 2, lost 3; 90 s to the nearest deadline" in stream.getvalue()
    bars.notify(PassEnded(0))
