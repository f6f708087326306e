"""Hostile text on a terminal: no escape sequence, no second line, no more columns than it was given."""

from hypothesis import given
from hypothesis import strategies as st

from syncer.core.text import columns, one_line


@given(st.text(max_size=200), st.integers(2, 80))
def test_what_comes_out_is_harmless(text, width):
    line = one_line(text, width)
    assert columns(line) <= width
    assert line.replace("\u200c", "").replace("\u200d", "").isprintable()
    assert len(line.splitlines()) <= 1


def test_escape_sequences_lose_their_teeth():
    assert one_line("a\x1b[2Jb\nc\u202ed", 40) == "a [2Jb c d"


def test_wide_characters_count_twice():
    assert one_line("東京の夜景", 10) == "東京の夜景"
    assert one_line("東京の夜景", 9) == "東京の夜…"
    assert one_line(None, 5) == ""
