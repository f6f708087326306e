"""When a link dies, by each form that signed links have."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from syncer.videodb.links import read_expiry

CREATED = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
SEEN = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DIES = datetime(2026, 11, 24, 3, 12, 30, tzinfo=UTC)
EPOCH = int(DIES.timestamp())


def policy(epoch):
    text = json.dumps({"Statement": [{"Resource": "*", "Condition": {"DateLessThan": {"AWS:EpochTime": epoch}}}]})
    return base64.b64encode(text.encode()).decode().translate(str.maketrans("+=/", "-_~"))


@pytest.mark.parametrize(
    "query",
    [
        "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Date=20261123T031230Z&X-Goog-Expires=86400&X-Goog-Signature=ab",
        "x-goog-date=20261123T031230Z&x-GOOG-expires=86400",
        "X-Goog-Expires=86400&X-Goog-Date=20261123t031230z",
        "X-Amz-Date=20261123T031230Z&X-Amz-Expires=86400&X-Amz-Signature=ab",
        "X%2DAmz%2DDate=20261123T031230Z&X%2DAmz%2DExpires=86400",
        f"GoogleAccessId=a&Expires={EPOCH}&Signature=b",
        f"expires={EPOCH}",
        f"expires={EPOCH}000",
        f"exp={EPOCH}",
        f"EXP={EPOCH}.0",
        "sv=2022&se=2026-11-24T03%3A12%3A30Z&sig=x",
        "se=2026-11-24T03:12:30.0000000Z",
        "se=2026-11-24T05%3A12%3A30%2B02%3A00",
        f"Policy={policy(EPOCH)}&Key-Pair-Id=K",
    ],
)
def test_every_form_is_read(query):
    url = f"https://storage.example/a.mp4?{query}"
    link = read_expiry(url, CREATED, SEEN)
    assert (link.url, link.expires_at, link.estimated) == (url, DIES, False)


@pytest.mark.parametrize(
    "query",
    [
        "X-Goog-Date=20261123T031230Z",
        "X-Goog-Expires=86400",
        "X-Goog-Date=20261323T031230Z&X-Goog-Expires=86400",
        "X-Goog-Date=20261123T031230Z&X-Goog-Expires=-1",
        "X-Goog-Date=20261123T031230Z&X-Goog-Expires=0",
        "X-Goog-Date=20261123T031230Z&X-Goog-Expires=" + "9" * 400,
        "X-Amz-Date=yesterday&X-Amz-Expires=86400",
        "Expires=3600",
        "Expires=0",
        "Expires=-5",
        "Expires=1e400",
        "Expires=nan",
        "Expires=\u0663\u0664\u0665\u0666\u0667\u0668\u0669\u0660\u0661\u0662",
        "Expires=" + "9" * 300,
        "se=soon",
        "se=",
        "exp",
        "Policy=%%%",
        "Policy=e30_",
        "Policy=" + policy("soon"),
        "Policy=" + policy(None),
        "other=1",
        "",
    ],
)
def test_nonsense_counts_as_absent(query):
    link = read_expiry(f"https://storage.example/a.mp4?{query}", CREATED, SEEN)
    assert (link.expires_at, link.estimated) == (CREATED + timedelta(hours=24), True)


def test_nonsense_in_one_form_leaves_the_next():
    url = f"https://h/a?X-Goog-Date=bad&X-Goog-Expires=86400&Expires=12&expires={EPOCH}"
    assert read_expiry(url, None, SEEN).expires_at == DIES


def test_v4_comes_before_the_rest():
    url = f"https://h/a?exp=1&Expires={EPOCH + 999}&X-Goog-Date=20261123T031230Z&X-Goog-Expires=86400"
    assert read_expiry(url, None, SEEN).expires_at == DIES


def test_an_estimate_counts_from_creation_or_else_from_the_first_sight():
    assert read_expiry("https://h/a", None, SEEN).expires_at == SEEN + timedelta(hours=24)
    assert read_expiry("https://h/a", CREATED, SEEN).expires_at == CREATED + timedelta(hours=24)
    assert read_expiry("https://h/a", datetime.max.replace(tzinfo=UTC), SEEN).estimated


def test_what_stands_in_path_or_fragment_is_no_parameter():
    assert read_expiry(f"https://h/Expires={EPOCH}#?Expires={EPOCH}", None, SEEN).estimated


def test_the_link_stays_out_of_repr():
    assert "secret" not in repr(read_expiry("https://h/a?sig=secret", None, SEEN))
