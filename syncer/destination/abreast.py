"""Coroutines side by side in one thread: each goes up to its next pause, and what all want there is done in one call.

For work on many files that a file system does best together: the fsync of one commits the journal for all, and a folder
that got many names needs one fsync.
"""

from collections.abc import Callable, Coroutine, Generator, Iterable
from typing import Any, NamedTuple

Steps = Coroutine[Any, None, Any]
Over = Callable[[Any, BaseException | None], object]
"""Told once how one of them ended: its result, or what it raised."""


class Want(NamedTuple):
    """What is to be done at a pause, in one call with what others want of that kind; None is to wait for them only."""

    call: Callable[[list[Any]], object] | None
    item: Any


class Pause:
    """Awaited by what goes side by side with others. Raises what the call raised, as it does in all who wanted it."""

    def __init__(self, want: Want) -> None:
        self._want = want

    def __await__(self) -> Generator[Want, None, None]:
        yield self._want


def go_abreast(works: Iterable[tuple[Steps, Over]]) -> None:
    """See them all through. Blocking. One that fails, or awaits anything but a `Pause`, ends by itself."""
    going: list[tuple[Steps, Over, BaseException | None]] = [(steps, over, None) for steps, over in works]
    while going:
        wants: dict[Callable[[list[Any]], object] | None, list[tuple[Steps, Over, Any]]] = {}
        for steps, over, error in going:
            want = _step(steps, over, error)
            if want is not None:
                wants.setdefault(want.call, []).append((steps, over, want.item))
        going = []
        for call, group in wants.items():
            error = None if call is None else _error_of(call, [item for _, _, item in group])
            going += [(steps, over, error) for steps, over, _ in group]


def _step(steps: Steps, over: Over, error: BaseException | None) -> Want | None:
    """On to its next pause, and what it wants there; None where it has ended."""
    try:
        want = steps.send(None) if error is None else steps.throw(error)
        if isinstance(want, Want):
            return want
        steps.close()
        over(None, AssertionError("what goes side by side in a thread awaited something else"))
    except StopIteration as end:
        over(end.value, None)
    except BaseException as caught:  # noqa: BLE001 - it is raised where the work was given
        over(None, caught)
    return None


def _error_of(call: Callable[[list[Any]], object], items: list[Any]) -> BaseException | None:
    try:
        call(items)
    except BaseException as caught:  # noqa: BLE001 - it is raised in whoever wanted it done
        return caught
    return None
