"""Several observers as one, none of which can harm the pass or another."""

import logging
from collections.abc import Sequence

from syncer.core.events import Event
from syncer.core.ports import Observer

_log = logging.getLogger(__name__)


class Observers:
    """Tells each in turn. One that raises is dropped with a warning; the pass goes on (I8)."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = list(observers)

    def notify(self, event: Event) -> None:
        for observer in tuple(self._observers):
            try:
                observer.notify(event)
            except Exception as error:  # noqa: BLE001 - an observer is the user's code
                self._observers.remove(observer)
                _log.warning("observer %s failed and is left out: %s", type(observer).__name__, type(error).__name__)
