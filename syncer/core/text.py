"""Text from outside made fit for a terminal, a log line and a report."""

import unicodedata

_JOINERS = "\u200c\u200d"  # they carry meaning in several scripts and in emoji, and do nothing else


def one_line(text: str | None, width: int) -> str:
    """`text` on one line, printable, within `width` columns: no control characters, no escape sequences.

    Wide characters count as two columns, combining ones as none.
    """
    plain = " ".join(_printable(text or "").split())
    if columns(plain) <= width:
        return plain
    kept, used = [], 0
    for c in plain:
        used += columns(c)
        if used > width - 1:
            break
        kept.append(c)
    return "".join(kept) + "…"


def _printable(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    valid = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() or c in _JOINERS else " " for c in valid)


def columns(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) or c in _JOINERS else 2 if unicodedata.east_asian_width(c) in "FW" else 1
        for c in text
    )
