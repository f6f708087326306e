"""Looking back: bands, heights, sums."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from syncer.core.history import BANDS, History, Night, band_name, banded, scaled
from syncer.core.model import Story, Tally

NOW = datetime(2026, 11, 5, tzinfo=UTC)


def night(**more):
    told = {"id": 1, "started_at": NOW, "finished_at": NOW + timedelta(seconds=10), "exit_code": 0, "listed": 1,
            "standing": Tally(), "fetched": 1, "bytes": 1000, "retries": 0, "failed": 0, "story": Story()}  # fmt: skip
    return Night(**{**told, **more})


@given(st.dictionaries(st.integers(-1, 60), st.integers(0, 1000)))
def test_every_file_is_in_one_band(margins):
    assert sum(banded(margins)) == sum(margins.values())


def test_bands_by_example():
    assert banded({-1: 2, 0: 1, 2: 4, 23: 5}) == [2, 1, 4, 0, 0, 0, 5]
    assert [band_name(n) for n in (0, 1, len(BANDS) - 1)] == ["after it", "0 to 1 h", "18 h and more"]


@given(st.lists(st.integers(0, 10**15), max_size=50))
def test_heights_keep_the_order_and_hide_nothing(values):
    heights = scaled(values)
    assert all((height > 0) == (value > 0) for height, value in zip(heights, values, strict=True))
    assert max(heights, default=0) in (0, 100.0)
    assert sorted(heights) == [height for _, height in sorted(zip(values, heights, strict=True))]


def test_rates_reasons_and_margins_of_several_passes():
    busy = night(story=Story({3: 1}, 11000.0, {"no link": 2, "storage busy": 1}))
    idle = night(bytes=0, story=Story())
    died = night(finished_at=None, exit_code=None, story=Story({0: 1}, 60.0, {"storage busy": 1}))
    history = History(NOW, None, {}, (busy, idle, died))
    assert [n.rate for n in history.nights] == [100.0, None, None]
    assert history.reasons == [("no link", 2), ("storage busy", 2)]
    assert history.least_margin == 60.0
