"""Where a pass may ask to be scheduled as work in the background."""

import pytest

from syncer.cli.batch import is_unfiltered


@pytest.mark.parametrize(
    ("status", "may"),
    [
        ("Name:\tsyncer\nSeccomp:\t0\nSeccomp_filters:\t0\n", True),
        ("Name:\tsyncer\nSeccomp:\t2\nSeccomp_filters:\t1\n", False),
        ("Name:\tsyncer\nSeccomp:\t1\n", False),
        ("Name:\tSeccomp:\t0\n", False),
        ("Name:\tsyncer\n", False),
        ("", False),
    ],
    ids=["none", "a filter", "strict", "a name that looks so", "not told", "nothing"],
)
def test_it_is_tried_only_where_no_filter_could_mind(status, may):
    assert is_unfiltered(status) is may
