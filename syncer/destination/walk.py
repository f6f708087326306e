"""Every file a user sees in the destination, in bounded memory: one open folder for each level of depth, no more."""

import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from syncer.core.naming import PRIVATE
from syncer.core.verify import is_kept_apart
from syncer.destination.marker import Site
from syncer.destination.system import OPEN_FOLDER

HUNK = 500
"""Files looked up in one go."""


@dataclass(slots=True)
class _Level:
    """A folder that is being read."""

    path: str  # relative, with a `/` at its end; empty for the destination itself
    fd: int
    inside: Iterator[os.DirEntry[str]]  # closed with the folder


class Walk:
    """Regular files below the destination, some at a time. Blocking; `close` it.

    No link is followed. Left out are `.syncer`, waste bins, hidden folders, folders that may not be read, and names
    that are no text.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._levels: list[_Level] = []
        self._files = self._walk()

    def some(self) -> list[tuple[str, int]]:
        """The next files, with their bytes; none at the end. Raises DestinationError."""
        with self._site.translated:
            return list(islice(self._files, HUNK))

    def close(self) -> None:
        """Let go of every folder."""
        self._files.close()
        while self._levels:
            self._leave()

    def _walk(self) -> Generator[tuple[str, int], None, None]:
        with self._site.opened() as here:
            self._enter("", os.dup(here.root))
        while self._levels:
            level = self._levels[-1]
            found = next(level.inside, None)
            if found is None:
                self._leave()
            elif found.is_dir(follow_symlinks=False):
                self._descend(level, found.name)
            elif found.is_file(follow_symlinks=False) and _is_text(found.name):
                with suppress(FileNotFoundError):  # it went while the folder was being read
                    yield level.path + found.name, found.stat(follow_symlinks=False).st_size

    def _descend(self, level: _Level, name: str) -> None:
        if is_kept_apart(name) or name.casefold() == PRIVATE or not _is_text(name):
            return
        with suppress(PermissionError, FileNotFoundError, NotADirectoryError):
            self._enter(f"{level.path}{name}/", os.open(name, OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=level.fd))

    def _enter(self, path: str, fd: int) -> None:
        try:
            inside = os.scandir(fd)
        except BaseException:
            os.close(fd)
            raise
        self._levels.append(_Level(path, fd, inside))

    def _leave(self) -> None:
        level = self._levels.pop()
        close = getattr(level.inside, "close", None)
        if close is not None:
            close()
        os.close(level.fd)


def _is_text(name: str) -> bool:
    """Whether a name can be written down: one that is no UTF-8 is none that syncer gave."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
