"""Asks puremagic what kind of file a body is, by its first bytes."""

from functools import cache
from types import ModuleType

LONG_ENOUGH = 3
"""Bytes of a signature that say something: shorter ones turn up by chance in any stream of bytes."""


def kind_of(opening: bytes) -> str | None:
    """The media type whose signature the opening carries; None where it carries none that says something.

    puremagic knows hundreds of kinds, and pages badly (no `<HTML>`, no byte order mark, no JSON list): those are
    `core.openings.looks_like_page`'s.
    """
    library = _library()
    try:
        found = library.magic_string(opening)
    except (library.PureError, ValueError):
        return None
    said = [one for one in found if len(one.byte_match) >= LONG_ENOUGH and opening.startswith(one.byte_match)]
    best = max(said, key=lambda one: (one.confidence, len(one.byte_match)), default=None)
    return (best.mime_type or None) if best is not None else None


@cache
def _library() -> ModuleType:
    import puremagic  # noqa: PLC0415 - read only for a body that begins like no film, which is seldom

    return puremagic
