"""The schema's history: migrations lead where the tables are, lose nothing, and no other file is touched."""
# ruff: noqa: ASYNC240 - the files are small, and no loop waits for them

import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from helpers.postgres import cluster, dump

from syncer.core.errors import LedgerError
from syncer.core.model import State
from syncer.ledger import open_ledger, schema
from syncer.ledger.engine import make_file, open_engine, place_of
from syncer.ledger.tables import metadata

SCRIPTS = ScriptDirectory.from_config(schema.config())
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def engine(path: Path) -> Iterator[sa.Engine]:
    make_file(path)
    made = open_engine(place_of(path))
    yield made
    made.dispose()


def migrate(engine: sa.Engine, revision: str) -> None:
    with engine.begin() as connection:
        command.upgrade(schema.config(connection), revision)


def test_history_is_one_line() -> None:
    assert SCRIPTS.get_heads() == [REVISIONS[-1]]
    assert all(script.doc for script in SCRIPTS.walk_revisions())
    assert schema._known() == (REVISIONS[-1], frozenset(REVISIONS)), "the files' names say what Alembic reads in them"


def test_alembic_finds_nothing_to_do(engine: sa.Engine) -> None:
    migrate(engine, "head")
    with engine.begin() as connection:
        command.check(schema.config(connection))


def test_a_schema_from_scratch_equals_a_migrated_one(engine: sa.Engine) -> None:
    migrate(engine, "head")
    scratch = sa.create_engine("sqlite://")
    metadata.create_all(scratch)
    wanted, found = shape(scratch), shape(engine)
    scratch.dispose()
    found.pop("alembic_version")
    assert found == wanted


def shape(engine: sa.Engine) -> dict[str, Any]:
    """All that SQLAlchemy can read back of a schema."""
    look = sa.inspect(engine)
    return {
        table: {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"], c["default"], c["primary_key"])
                for c in look.get_columns(table)
            ],
            "key": look.get_pk_constraint(table),
            "uniques": sorted(look.get_unique_constraints(table), key=lambda u: str(u["name"])),
            "indexes": sorted(map(plain, look.get_indexes(table)), key=lambda i: str(i["name"])),
            "checks": look.get_check_constraints(table),
            "foreign": look.get_foreign_keys(table),
        }
        for table in look.get_table_names()
    }


def plain(index: Any) -> dict[str, Any]:
    """An index with its condition as text: as SQLAlchemy reads it back, no two are equal."""
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": options}


@pytest.mark.parametrize("revision", REVISIONS)
async def test_every_schema_there_ever_was_comes_up_with_its_data(engine: sa.Engine, path: Path, revision: str) -> None:
    migrate(engine, revision)
    before = fill(engine)
    engine.dispose()
    assert schema.upgrade(path) == (revision, REVISIONS[-1])
    after = contents(engine)
    for table, rows in before.items():
        assert len(after[table]) == len(rows)
        for old, new in zip(rows, after[table], strict=True):
            kept = old.keys() & new.keys()
            assert {k: old[k] for k in kept} == {k: new[k] for k in kept}
    ledger = await open_ledger(path)
    assert {e.state async for e in ledger.entries()} == {State.PENDING, State.STORED, State.LOST}
    assert len(await ledger.last_passes(9)) == 3
    await ledger.close()


def fill(engine: sa.Engine) -> dict[str, list[dict[str, Any]]]:
    """Rows in every table, whatever columns the schema of the day has."""
    tables = sa.MetaData()
    tables.reflect(engine)
    with engine.begin() as connection:
        for table in tables.tables.values():
            if table.name != "alembic_version":
                numbers = (1,) if table.name == "ledger_info" else (1, 2, 3)
                rows = [{c.name: sample(c, n) for c in table.columns} for n in numbers]
                connection.execute(sa.insert(table), rows)
    return contents(engine)


WORDS = {"state": ("pending", "stored", "lost"), "status": ("done",) * 3, "fault": (None, "missing", None)}
"""Columns that hold one word of a few."""


def sample(column: sa.Column[Any], number: int) -> Any:
    """A likely value of a column, another one for each number."""
    if column.name in WORDS:
        return WORDS[column.name][number - 1]
    kind = column.type
    if isinstance(kind, sa.DateTime):
        return datetime(2026, 11, number, 3, 4, 5, 678901)  # noqa: DTZ001
    if isinstance(kind, sa.Boolean):
        return number % 2 == 0
    if isinstance(kind, sa.JSON):
        return {"margins": {"3": number}, "least_margin": 1.5, "reasons": {"no link": number}}
    return number if isinstance(kind, sa.Integer) else f"{column.name} {number} \u2603"


def contents(engine: sa.Engine) -> dict[str, list[dict[str, Any]]]:
    tables = sa.MetaData()
    tables.reflect(engine)
    with engine.begin() as connection:
        return {
            table.name: [
                dict(row._mapping) for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in tables.tables.values()
            if table.name != "alembic_version"
        }


async def test_a_new_ledger_is_as_one_that_went_through_every_migration(tmp_path: Path) -> None:
    dumps = []
    for make in (schema._make_new, lambda connection, _: schema._migrate(connection)):
        path = tmp_path / f"{len(dumps)}.db"
        build(path, make)
        with sqlite3.connect(path) as connection:
            pragmas = [connection.execute(f"PRAGMA {name}").fetchone() for name in PRAGMAS]
            # How a statement is broken into lines is all that the two may differ in.
            dumps.append((pragmas, sorted(" ".join(line.split()) for line in connection.iterdump())))
        connection.close()
    assert dumps[0] == dumps[1]
    assert any(REVISIONS[-1] in line for line in dumps[0][1])


PRAGMAS = ("application_id", "auto_vacuum", "encoding", "journal_mode", "page_size", "user_version")
"""What an SQLite file says of itself beside its tables."""


@pytest.mark.needs("postgres")
def test_a_new_ledger_in_postgresql_is_as_one_that_went_through_every_migration() -> None:
    dumps = []
    with cluster() as database:
        for make in (schema._make_new, lambda connection, _: schema._migrate(connection)):
            place = database()
            build(place, make)
            dumps.append(dump(place))
    assert dumps[0] == dumps[1]
    assert any(REVISIONS[-1] in line for line in dumps[0])


def build(location: str | Path, make: Callable[[sa.Connection, str], None]) -> None:
    place = place_of(location)
    if place.path is not None:
        make_file(place.path)
    engine = open_engine(place)
    with engine.begin() as connection:
        make(connection, REVISIONS[-1])
    engine.dispose()


async def test_a_new_ledger_needs_no_second_look(path: Path) -> None:
    assert schema.upgrade(path) == (None, REVISIONS[-1])
    assert schema.upgrade(path) == (REVISIONS[-1], REVISIONS[-1])
    assert schema.revisions(path) == schema.Revisions(REVISIONS[-1], REVISIONS[-1])
    assert {file.name for file in path.parent.iterdir()} == {"ledger.db", "ledger.db.lock"}, "nothing to back up"


async def test_the_same_ledger_keeps_its_id(path: Path) -> None:
    ids = set()
    for _ in range(2):
        ledger = await open_ledger(path)
        ids.add((await ledger.binding()).ledger_id)
        await ledger.close()
    assert len(ids) == 1


async def test_an_empty_file_is_a_ledger_that_was_never_made(path: Path) -> None:
    path.touch()
    with pytest.raises(LedgerError, match="There is no ledger"):
        await open_ledger(path, upgrade=False)
    await (await open_ledger(path)).close()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_newer_ledger_is_refused_and_left_alone(path: Path) -> None:
    await (await open_ledger(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = path.read_bytes()
    for attempt in (open_ledger(path), open_ledger(path, read_only=True)):
        with pytest.raises(LedgerError, match="newer syncer") as caught:
            await attempt
        assert (caught.value.exit_code, "Upgrade syncer" in caught.value.hint) == (9, True)
    with pytest.raises(LedgerError, match="newer syncer"):
        schema.upgrade(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "garbage", [b"x", b"\x00\x00\x00\x20ftypmp42" * 999, b"{}", b"SQLite format 3\0" + b"\xff" * 9]
)
async def test_what_is_no_ledger_is_refused_and_left_alone(path: Path, garbage: bytes) -> None:
    path.write_bytes(garbage)
    before = path.stat()
    for read_only in (False, True):
        with pytest.raises(LedgerError) as caught:
            await open_ledger(path, read_only=read_only)
        assert (caught.value.exit_code, bool(caught.value.hint)) == (9, True)
    assert path.read_bytes() == garbage
    assert path.stat().st_mtime_ns == before.st_mtime_ns


async def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="not a ledger of syncer") as caught:
        await open_ledger(path)
    assert caught.value.exit_code == 9
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (before, 0o644)


def test_a_developers_alembic_works_on_a_url(path: Path) -> None:
    config = schema.config()
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    command.upgrade(config, "head")
    command.check(config)
    assert schema.revisions(path).current == REVISIONS[-1]
