"""Handles of the proven destination and of folders in it, for one piece of work or all that begin at about its time."""

import os
from collections.abc import Callable
from threading import Lock


class Handles:
    """The folder whose marker was read, and folders opened below it; all are closed together.

    Whoever uses them is counted by `Site`. Safe to use from several threads.
    """

    def __init__(self, root: int, at: float) -> None:
        """`root` is the open folder; `at` the moment of the monotonic clock before its marker was read."""
        self.root = root
        self.at = at
        self.users = 1
        self._folders: dict[str, int] = {}
        self._forgotten: list[int] = []
        self._lock = Lock()

    def folder(self, path: str, open_it: Callable[[int], int]) -> int:
        """A handle of the folder at `path`, opened by `open_it(root)` when it is first asked for."""
        found = self._folders.get(path)
        if found is not None:
            return found
        fd = open_it(self.root)
        with self._lock:
            kept = self._folders.setdefault(path, fd)
        if kept != fd:  # another thread was quicker
            os.close(fd)
        return kept

    def forget(self, path: str) -> None:
        """The folder at `path` is another by now, or none: whoever asks next has it opened anew."""
        with self._lock:
            fd = self._folders.pop(path, None)
            if fd is not None:
                self._forgotten.append(fd)  # somebody may be using it

    def close(self) -> None:
        """Nobody uses them any more."""
        for fd in (self.root, *self._folders.values(), *self._forgotten):
            os.close(fd)
