"""Signed links of the sandbox: what they say of their end, and that nobody else can make one."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.sandbox.links import BadLinkError, sign, verify, with_hop
from syncer.sandbox.model import LinkForm

MADE = datetime(2026, 11, 20, 12, 0, 0, 987654, tzinfo=UTC)
DAY = timedelta(hours=24)
DIES = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SAID = {
    LinkForm.GOOG: {"X-Goog-Date": "20261120T120000Z", "X-Goog-Expires": "86400"},
    LinkForm.AMZ: {"X-Amz-Date": "20261120T120000Z", "X-Amz-Expires": "86400"},
    LinkForm.EPOCH: {"Expires": str(int(DIES.timestamp()))},
    LinkForm.AZURE: {"se": "2026-11-21T12:00:00Z"},
    LinkForm.NONE: {},
}


@pytest.mark.parametrize("form", LinkForm)
def test_a_link_says_its_end_in_its_own_way_and_grants_its_file(form):
    path, query = sign(b"secret", "a/b", form, MADE, DAY, 3)
    told = {name: values[0] for name, values in parse_qs(query).items()}
    assert SAID[form].items() <= told.items()
    link = verify(b"secret", path, query)
    assert (link.job_id, link.expires_at, link.generation, link.hop) == ("a/b", DIES, 3, 0)


def test_a_link_that_does_not_say_its_end_has_no_word_of_it():
    _, query = sign(b"secret", "a", LinkForm.NONE, MADE, DAY, 0)
    assert set(parse_qs(query)) == {"generation", "k", "token"}
    assert str(int(DIES.timestamp())) not in query


@pytest.mark.parametrize("form", LinkForm)
def test_a_changed_link_grants_nothing(form):
    path, query = sign(b"secret", "a", form, MADE, DAY, 0)
    other, _ = sign(b"secret", "b", form, MADE, DAY, 0)
    for tampered in [(other, query), (path, query + "&x=1"), (path, ""), (path, query.replace("=0", "=1", 1))]:
        with pytest.raises(BadLinkError):
            verify(b"secret", *tampered)
    with pytest.raises(BadLinkError):
        verify(b"other secret", path, query)


def test_redirects_are_counted_outside_the_signature():
    path, query = sign(b"secret", "a", LinkForm.GOOG, MADE, DAY, 0)
    assert verify(b"secret", path, with_hop(with_hop(query, 1), 2)).hop == 2


@given(st.text())
def test_any_id_comes_back_and_stays_one_segment(job_id):
    path, query = sign(b"secret", job_id, LinkForm.GOOG, MADE, DAY, 0)
    assert verify(b"secret", path, query).job_id == job_id
    assert path.count("/") == 2
