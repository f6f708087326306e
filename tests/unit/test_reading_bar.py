"""The bar of verify and adopt: drawn for people, silent for scripts."""

import io

from syncer.core.verify import Finding
from syncer.reporting.reading import ReadingBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def use(stream, **options):
    found = []
    bar = ReadingBar(stream, found.append, delay=0, **options)
    bar.expect(2, 2000)
    for path in ("a", "b"):
        bar.read(1500)  # more than was expected, in the end
        bar.looked(path)
    bar.found(Finding("job", "a"))
    bar.close()
    assert found == [Finding("job", "a")]
    return stream.getvalue()


def test_on_a_terminal_a_bar_is_drawn_and_taken_away():
    text = use(Terminal())
    assert "reading" in text
    assert text.endswith("\r")


def test_elsewhere_and_when_quiet_there_is_none():
    assert use(io.StringIO()) == ""
    assert use(Terminal(), quiet=True) == ""
