"""Moments in SQLite: written as SQLAlchemy writes them, so that old and new rows sort alike, and read back the same."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from syncer.ledger.tables import UtcDateTime

DIALECT = sqlite.dialect()
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001

write = UtcDateTime().bind_processor(DIALECT)
read = UtcDateTime().result_processor(DIALECT, None)
own = sa.DateTime(timezone=True).dialect_impl(DIALECT).bind_processor(DIALECT)


@given(MOMENTS)
def test_a_moment_is_written_as_sqlalchemy_does_and_read_back(moment):
    text = write(moment)
    assert text == own(moment.astimezone(UTC))
    assert read(text) == moment
    assert read(text).tzinfo is UTC


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_moments_do(one, other):
    assert (write(one) < write(other)) == (one < other)


def test_none_stays_none_and_a_naive_moment_is_refused():
    assert write(None) is None
    assert read(None) is None
    with pytest.raises(ValueError, match="aware"):
        write(datetime(2026, 11, 5))  # noqa: DTZ001
