"""Statements that are carried out for row after row, written out once for the database they go to."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import StatementError

_Bind = tuple[str | None, Callable[[Any], Any], Any]
"""Its name and how a value is put down; or no name, and the value that is the same for all rows."""


class Written:
    """An update or an insert, and how its parameters become what the driver takes.

    SQLAlchemy puts them together anew for each row, which takes it twice as long as it takes SQLite to write them.
    """

    def __init__(self, statement: sa.Update | sa.Insert, dialect: Dialect, columns: Sequence[str] = ()) -> None:
        """`columns` are those that rows give values for by their names, beside the statement's own parameters."""
        compiled = statement.compile(dialect=dialect, column_keys=list(columns))
        names = compiled.positiontup
        self._sql = str(compiled)
        self._shaped: Callable[[list[Any]], Any] = tuple
        if names is None:
            names = list(compiled.binds)
            self._shaped = lambda values: dict(zip(names, values, strict=True))
        self._binds = [_bind_of(compiled.binds[name], name, dialect) for name in names]

    def carry_out(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """How many rows were met; each of `rows` has all parameters for one. Raises SQLAlchemy's errors only."""
        binds, shaped = self._binds, self._shaped
        try:
            values = [shaped([put(row[name]) if name else fixed for name, put, fixed in binds]) for row in rows]
        except Exception as error:
            raise StatementError(type(error).__name__, self._sql, None, error, hide_parameters=True) from error
        return connection.exec_driver_sql(self._sql, values).rowcount


@lru_cache(maxsize=256)
def written(statement: sa.Update, dialect: Dialect) -> Written:
    """The one for this very statement: alike ones are to be the same object."""
    return Written(statement, dialect)


def _bind_of(bind: sa.BindParameter[Any], name: str, dialect: Dialect) -> _Bind:
    put = bind.type.dialect_impl(dialect).bind_processor(dialect) or _as_it_is
    return (name, put, None) if bind.required else (None, put, put(bind.value))


def _as_it_is(value: Any) -> Any:
    return value
