"""Whatever JSON or text comes in, wire, links and error texts keep their promises."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncer.core.errors import ApiRefused, SyncerError
from syncer.core.model import Job, RemoteStatus
from syncer.videodb.answers import Answer, Asked, Hitch, decode, give_up, judge
from syncer.videodb.links import read_expiry
from syncer.videodb.telling import tell
from syncer.videodb.times import EARLIEST, LATEST
from syncer.videodb.wire import WireError, marks_of, page_ids, parse_job, parse_page

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
KEY = "sk-0123456789abcdef"
SIGNATURE = "c0ffee5ecret"

wild = st.text(st.characters(exclude_categories=()), max_size=40)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), wild),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(wild, inner, max_size=4)),
    max_leaves=8,
)
urls = st.builds(
    lambda name, value, rest: f"https://h.example/a.mp4?{name}={value}&{rest}",
    st.sampled_from(["Expires", "exp", "se", "X-Goog-Date", "X-Goog-Expires", "X-Amz-Date", "X-Amz-Expires", "Policy"]),
    st.one_of(wild, st.integers().map(str), st.floats().map(str), st.datetimes().map(datetime.isoformat)),
    wild,
)
entries = st.one_of(
    values,
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.one_of(wild, st.integers(), values),
            "name": st.one_of(wild, values),
            "status": st.one_of(st.sampled_from(["done", "Processing", "error", "completed"]), values),
            "created_at": st.one_of(st.datetimes().map(datetime.isoformat), st.integers(), st.floats(), values),
            "download_url": st.one_of(urls, wild, values),
            "error": values,
            "output_url": values,
        },
    ),
)


def check(job: Job) -> None:
    """A job that the ledger, the fetcher and a log can all live with."""
    assert job.id
    for text in (job.id, job.name, job.error):
        if text is not None:
            text.encode("utf-8")
            assert "\0" not in text
    if job.created_at is not None:
        assert EARLIEST <= job.created_at < LATEST
        assert job.created_at.utcoffset() == timedelta(0)
    if job.link is not None:
        assert job.status is RemoteStatus.DONE
        assert job.link.url.lower().startswith(("http://", "https://"))
        job.link.url.encode("utf-8")
        assert job.link.expires_at is not None


@given(st.lists(entries, max_size=12), st.integers(0, 10_000))
@settings(max_examples=400, deadline=None)
def test_a_page_of_anything_loses_no_entry(listed, index):
    body = {"data": {"downloads": listed}}
    page = parse_page(body, index, NOW)
    marks = marks_of(body, page)
    assert page.length == len(listed) == len(page_ids(page, marks))
    assert len(set(marks)) == len(marks)
    assert not set(marks) & {job.id for job in page.jobs}
    assert page_ids(page, marks) == page_ids(parse_page(body, index, NOW), marks_of(body, page))
    for job in page.jobs:
        check(job)
    for malformed in page.malformed:
        assert malformed.page == index
        (malformed.reason + (malformed.id or "")).encode("utf-8")
        assert malformed.reason.isprintable()


@given(st.dictionaries(st.sampled_from(["data", "downloads", "status", "success", "id"]), values))
@settings(max_examples=300, deadline=None)
def test_any_envelope_is_a_page_or_an_error(body):
    try:
        parse_page(body, 0, NOW)
    except WireError as caught:
        told = str(caught)
    else:
        told = ""
    assert told.isprintable() or not told


@given(st.one_of(entries, values), st.one_of(wild, values), st.text(min_size=1, max_size=20))
@settings(max_examples=400, deadline=None)
def test_any_answer_to_a_look_up_is_the_job_or_an_error(data, status, asked):
    try:
        told = parse_job({"success": True, "status": status, "data": data}, asked, NOW).id
    except (WireError, ApiRefused) as caught:
        told = str(caught)
        asked = told
    assert told == asked


@given(st.one_of(wild, urls), st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))))
@settings(max_examples=600, deadline=None)
def test_reading_an_expiry_never_fails(url, created_at):
    link = read_expiry(url, created_at, NOW)
    assert link.url == url
    assert link.expires_at is not None
    assert link.expires_at.tzinfo is not None


@given(st.datetimes(datetime(2001, 9, 10), datetime(2199, 1, 1)), st.integers(1, 604800))  # noqa: DTZ001 - UTC follows
@settings(max_examples=200, deadline=None)
def test_what_a_link_says_is_what_is_read(moment, life):
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    compact = moment.strftime("%Y%m%dT%H%M%SZ")
    dies = moment + timedelta(seconds=life)
    for query, expected in (
        (f"X-Goog-Date={compact}&X-Goog-Expires={life}", dies),
        (f"x-amz-expires={life}&x-amz-date={compact}", dies),
        (f"Expires={int(moment.timestamp())}", moment),
        (f"exp={int(moment.timestamp() * 1000)}", moment),
        (f"se={moment.isoformat().replace('+00:00', 'Z')}", moment),
    ):
        link = read_expiry(f"https://h/a?{query}", None, NOW)
        assert (link.expires_at, link.estimated) == (expected, False), query


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_an_object_or_nothing(body):
    decoded = decode(body)
    assert decoded is None or isinstance(decoded, dict)


STATUSES = [200, 302, 400, 401, 402, 403, 404, 409, 422, 429, 500, 503]
BOTH = (True, True)
messages = st.lists(
    st.one_of(
        wild,
        st.sampled_from(
            [
                KEY,
                f" {KEY} ",
                f"x-access-token: {KEY}",
                f"https://h/a?X-Goog-Signature={SIGNATURE}&b=1",
                f" /a?Signature={SIGNATURE}",
                f" X-Goog-Signature={SIGNATURE} ",
                f" a=1&sig={SIGNATURE}",
                f" https://user:{KEY}@h/",
            ]
        ),
    ),
    max_size=6,
).map("".join)


@given(
    messages,
    st.sampled_from([200, 400, 401, 402, 403, 404, 409, 422, 429, 500, 503, 302]),
    st.booleans(),
    st.booleans(),
)
@example("x" * 3995 + " " + KEY, 500, *BOTH)
@example("y" * 3990 + KEY, 500, *BOTH)
@settings(max_examples=600, deadline=None)
def test_no_answer_gets_a_secret_into_an_error(message, status, of_job, repeatable):
    body = json.dumps({"success": False, "message": message, "error_code": message}).encode()
    answer = Answer(status, body, retry_after=message, location=f"https://other/{message}")
    asked = Asked("api.example", (KEY,), of_job=of_job, repeatable=repeatable)
    try:
        outcome = judge(answer, asked, NOW)
        assert isinstance(outcome, Hitch)
        errors = [give_up(outcome, 5), give_up(outcome, 1, final=True), give_up(outcome, 1, ordered=NOW)]
    except SyncerError as caught:
        errors = [caught]
    for error in errors:
        assert error.__context__ is None
        told = str(error) + repr(error) + repr(vars(error))
        assert KEY not in told
        assert SIGNATURE not in told
        assert "\n" not in str(error)
        assert len(str(error)) < 500


@given(wild, st.integers(20, 80))
@settings(max_examples=200, deadline=None)
def test_foreign_words_are_told_on_one_short_printable_line(text, limit):
    line = tell(text, limit=limit)
    assert len(line) <= limit
    assert line.isprintable()
    line.encode("utf-8")
