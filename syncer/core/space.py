"""How much room a destination has: what a file system says of itself, believed only where it makes sense."""

from typing import Final

FLOOR: Final = 256 * 1024 * 1024
"""Bytes left free where the user set no floor of his own."""

SHARE: Final = 50
"""On a small disk the floor is one part in so many of it instead."""


def free_above(floor: int | None, total: int, free: int) -> int | None:
    """Bytes that may still be written before only the floor is free; `total` and `free` as statvfs(3) told them.

    `floor` is None where the user set none. The answer is None where the numbers cannot be true: some network drives
    say 0 or -1 for what they do not know, and a destination must not be refused for that.
    """
    if total <= 0 or not 0 <= free <= total:
        return None
    wanted = min(FLOOR, total // SHARE) if floor is None else floor
    return max(0, free - wanted)
