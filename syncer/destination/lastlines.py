"""Which line of the manifest is the last of its id: kept in a temporary file, so that no memory grows with the list."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from syncer.core.errors import DestinationRefused

_SET_UP = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA temp_store = FILE",
    "PRAGMA cache_size = -8192",  # KiB
    "CREATE TABLE last (id BLOB PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID",
)


class LastLines:
    """The highest line number of each key. Blocking; SQLite's private database on disk, gone when it is closed."""

    def __init__(self) -> None:
        with _translated():
            self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            for statement in _SET_UP:
                self._database.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._database.close()

    def note(self, lines: Iterable[tuple[bytes, int]]) -> None:
        """Keys with their line numbers, in the order of the list. Raises DestinationRefused without room for them."""
        with _translated():
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR REPLACE INTO last VALUES (?, ?)", lines)
            self._database.execute("COMMIT")

    def are_last(self, lines: Iterable[tuple[bytes, int]]) -> list[bool]:
        """Of each, whether it is the last of its key."""
        with _translated():
            ask = "SELECT 1 FROM last WHERE id = ? AND line = ?"
            return [self._database.execute(ask, line).fetchone() is not None for line in lines]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error:
        raise DestinationRefused(
            "The manifest cannot be gone through: there is no room for temporary files.",
            hint="Free some space in the system's temporary folder, or point SQLITE_TMPDIR at another.",
        ) from None
