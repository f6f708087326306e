"""From JSON to jobs: every form that the sources name, and hostile ones."""

from datetime import UTC, datetime

import pytest

from syncer.core.errors import ApiRefused
from syncer.core.model import RemoteStatus
from syncer.videodb.answers import decode
from syncer.videodb.times import read_moment
from syncer.videodb.wire import WireError, fold_status, is_failed_job, marks_of, page_ids, parse_job, parse_page

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
URL = "https://storage.googleapis.com/b/a.mp4?X-Goog-Date=20261123T000000Z&X-Goog-Expires=86400&X-Goog-Signature=s"


def entry(**changes):
    told = {"id": "download-1", "name": "Film.mp4", "status": "done", "created_at": "2026-11-23T03:12:30.556060"}
    return told | {"download_url": URL} | changes


def page(*entries):
    return parse_page({"success": True, "data": {"downloads": list(entries)}}, 4, NOW)


def one(**changes):
    parsed = page(entry(**changes))
    assert not parsed.malformed
    return parsed.jobs[0]


def test_an_entry_as_documented():
    job = one()
    assert (job.id, job.name, job.status) == ("download-1", "Film.mp4", RemoteStatus.DONE)
    assert job.created_at == datetime(2026, 11, 23, 3, 12, 30, 556060, tzinfo=UTC)
    assert job.link is not None
    assert (job.link.url, job.link.expires_at) == (URL, datetime(2026, 11, 24, tzinfo=UTC))


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"downloads": [entry()]}},
        {"data": [entry()]},
        {"downloads": [entry()]},
        {"data": {}, "downloads": [entry()]},
        {"data": None, "downloads": [entry()]},
        {"success": True, "data": {"downloads": [entry(unknown={"deep": [1]})], "more": 1}, "extra": None},
    ],
)
def test_envelopes_of_a_page(body):
    assert [job.id for job in parse_page(body, 0, NOW).jobs] == ["download-1"]


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": {"downloads": None}}, {"data": {"downloads": {}}}])
def test_an_answer_without_a_list_is_no_page(body):
    with pytest.raises(WireError):
        parse_page(body, 0, NOW)


@pytest.mark.parametrize(
    ("broken", "reason", "job_id"),
    [
        (None, "object", None),
        (7, "object", None),
        ("download-1", "object", None),
        ([], "object", None),
        ({}, "no id", None),
        (entry(id=None), "no id", None),
        (entry(id=""), "no id", None),
        (entry(id=True), "no id", None),
        (entry(id=1.5), "no id", None),
        (entry(id={"a": 1}), "no id", None),
        (entry(id="x" * 1025), "longer", None),
        (entry(id=10**2000), "no id", None),
        (entry(id="bad\ud800"), "Unicode", "bad\ufffd"),
        (entry(status=None), "no status", "download-1"),
        (entry(status=5), "no status", "download-1"),
        (entry(status="exploded"), "unknown: 'exploded'", "download-1"),
        (entry(status="done" * 100), "unknown", "download-1"),
    ],
)
def test_a_malformed_entry_is_told_and_the_rest_of_the_page_counts(broken, reason, job_id):
    parsed = page(entry(id="a"), broken, entry(id="b"))
    assert [job.id for job in parsed.jobs] == ["a", "b"]
    (told,) = parsed.malformed
    assert (told.page, told.position, told.id) == (4, 1, job_id)
    assert reason in told.reason
    assert page_ids(parsed, ["mark"]) == ["a", "mark", "b"]
    assert parsed.length == 3


def test_marks_tell_malformed_entries_apart_and_know_them_again():
    garbage = [None, None, 7, {"name": "x"}, {"name": "y"}, entry(status="?", download_url="https://h/?new=1")]
    again = [None, entry(status="?", download_url="https://h/?new=2"), 7]
    first = {"data": garbage}
    marks = marks_of(first, parse_page(first, 0, NOW))
    assert len(set(marks)) == len(garbage)
    second = {"data": again}
    assert set(marks_of(second, parse_page(second, 1, NOW))) < set(marks)


@pytest.mark.parametrize(
    ("value", "text"), [(12345, "12345"), (0, "0"), (-7, "-7"), (" a ", " a "), ("a\0b", "a\ufffdb")]
)
def test_ids_that_are_taken(value, text):
    assert one(id=value).id == text


@pytest.mark.parametrize("name", [None, 5, [], {"text": "x"}, True])
def test_no_job_is_lost_for_its_name(name):
    assert one(name=name).name is None


@pytest.mark.parametrize(
    ("name", "kept"),
    [("", ""), ("a\0b", "a\ufffdb"), ("x\ud83d", "x\ufffd"), ("🎬\n", "🎬\n"), ("L" * 9000, "L" * 9000)],
)
def test_names_are_kept_as_far_as_text_can_be_stored(name, kept):
    assert one(name=name).name == kept


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2025-05-29T03:12:30.556060", "2025-05-29T03:12:30.556060+00:00"),
        ("2025-05-29T03:12:30Z", "2025-05-29T03:12:30+00:00"),
        ("2025-05-29t03:12:30z", "2025-05-29T03:12:30+00:00"),
        (" 2025-05-29 03:12:30 ", "2025-05-29T03:12:30+00:00"),
        ("2025-05-29T03:12:30.123456789+05:30", "2025-05-28T21:42:30.123456+00:00"),
        ("2025-05-29T03:12:30+0000", "2025-05-29T03:12:30+00:00"),
        ("Thu, 29 May 2025 03:12:30 GMT", "2025-05-29T03:12:30+00:00"),
        ("2025-05-29", "2025-05-29T00:00:00+00:00"),
        (1748488350, "2025-05-29T03:12:30+00:00"),
        (1748488350.5, "2025-05-29T03:12:30.500000+00:00"),
        (1748488350000, "2025-05-29T03:12:30+00:00"),
        (1748488350000000, "2025-05-29T03:12:30+00:00"),
        ("1748488350", "2025-05-29T03:12:30+00:00"),
        ("1748488350000", "2025-05-29T03:12:30+00:00"),
    ],
)
def test_times_in_every_form(value, moment):
    assert one(created_at=value).created_at == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    "value",
    [
        None, "", "yesterday", "2025-13-45T99:99:99", [], {}, True, 0, -1, 5, 10**30, float("nan"), float("inf"),
        "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "99999-01-01T00:00:00Z",
        "9" * 5000, "\u0662\u0660\u0662\u0665-\u0660\u0665-\u0662\u0669",
    ],
)  # fmt: skip
def test_no_job_is_lost_for_a_strange_time(value):
    assert one(created_at=value).created_at is None
    assert one(created_at=value).link.estimated is False


@pytest.mark.parametrize(
    "value",
    [
        None, "", "   ", 5, [], True, "x", "/storage/a.mp4", "ftp://h/a", "javascript:alert(1)", "file:///etc/passwd",
        "https://", "https:///a", "http://[::1", "https://h:99999/a", "https://h/a\nb", "https://h/\0", "https://h/\ud800",
        "https://a b/c", "https://h/" + "x" * 20000, "//h/a",
    ],
)  # fmt: skip
def test_a_link_that_cannot_be_one_is_none(value):
    job = one(download_url=value)
    assert job.status is RemoteStatus.DONE
    assert job.link is None


@pytest.mark.parametrize(
    "value", ["http://127.0.0.1:8080/a", "HTTPS://Host/a?b#c", " https://h/a ", "https://h/My film.mp4"]
)
def test_links_that_are_taken(value):
    assert one(download_url=value).link.url == value.strip()


def test_a_missing_link_and_a_link_before_the_job_is_done_are_none():
    bare = entry()
    del bare["download_url"]
    assert page(bare).jobs[0].link is None
    assert one(status="processing").link is None
    assert one(status="error").link is None


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["done", "DONE", "Completed", "complete", " success ", "finished"], RemoteStatus.DONE),
        (["processing", "pending", "in progress", "in_progress", "In-Progress", "queued"], RemoteStatus.PROCESSING),
        (["error", "FAILED", "failure"], RemoteStatus.ERROR),
        (["", "archived", "done!", "do ne"], None),
    ],
)
def test_words_of_status(words, status):
    assert {fold_status(word) for word in words} == {status}


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        ("no credit", "no credit"),
        ({"message": "codec\nunknown"}, "codec unknown"),
        (None, None),
        (5, None),
        ("", None),
        (f"see {URL}", "see https://storage.googleapis.com/b/a.mp4?[hidden]"),
        ("key sk-abcdef123", "key [hidden]"),
    ],
)
def test_the_words_of_an_error_are_kept_without_secrets(error, kept):
    assert one(status="error", error=error).error == kept


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"success": True, "data": entry()}, RemoteStatus.DONE),
        ({"success": True, "data": entry(id=None)}, RemoteStatus.DONE),
        ({"success": True, "status": "done", "data": {"download_url": URL}}, RemoteStatus.DONE),
        ({"success": True, "data": {"id": "download-1", "download_url": URL}}, RemoteStatus.DONE),
        (entry(), RemoteStatus.DONE),
        (
            {"success": True, "status": "processing", "data": {"id": "download-1", "output_url": "x"}},
            RemoteStatus.PROCESSING,
        ),
        (
            {"success": True, "status": "in progress", "data": {"id": "job-77", "output_url": "x"}},
            RemoteStatus.PROCESSING,
        ),
        ({"success": True, "data": {"id": "download-1", "output_url": "x"}}, RemoteStatus.PROCESSING),
        ({"success": True, "status": "processing", "data": {}}, RemoteStatus.PROCESSING),
        ({"success": False, "message": "m", "data": entry(status="failed", error="e")}, RemoteStatus.ERROR),
        ({"success": True, "status": "failed", "data": {}}, RemoteStatus.ERROR),
    ],
)
def test_answers_to_a_look_up(body, status):
    job = parse_job(body, "download-1", NOW)
    assert (job.id, job.status) == ("download-1", status)
    assert (job.link is not None) == (status is RemoteStatus.DONE)


def test_a_numeric_id_answers_for_its_text():
    assert parse_job({"data": entry(id=77)}, "77", NOW).id == "77"


@pytest.mark.parametrize("other", ["download-2", 5])
def test_the_answer_for_another_job_is_refused(other):
    with pytest.raises(ApiRefused):
        parse_job({"data": entry(id=other)}, "download-1", NOW)


@pytest.mark.parametrize(
    "body",
    [{"data": []}, {"data": None}, {"data": 5}, {}, {"data": {"id": "download-1"}}, {"status": "odd", "data": {}}],
)
def test_an_answer_that_is_no_job(body):
    with pytest.raises(WireError):
        parse_job(body, "download-1", NOW)


@pytest.mark.parametrize("odd", [{"a": 1}, [], True, 1.5])
def test_an_answer_with_an_odd_id_is_refused(odd):
    with pytest.raises(ApiRefused):
        parse_job({"data": entry(id=odd)}, "download-1", NOW)


def test_a_failed_job_may_come_in_a_refusal():
    assert is_failed_job({"success": False, "data": {"status": "error"}})
    assert not is_failed_job({"success": False, "data": {"status": "done"}})
    assert not is_failed_job({"success": False, "status": "error", "message": "There is no such download"})


def test_one_bad_byte_costs_one_entry():
    body = decode(b'{"data": [{"id": "a\xff", "status": "done"}, {"id": "b", "name": "\xff", "status": "done"}]}')
    assert body is not None
    parsed = parse_page(body, 0, NOW)
    assert [(job.id, job.name) for job in parsed.jobs] == [("b", "\ufffd")]
    assert len(parsed.malformed) == 1


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'"x"', b"null", b"{", b"[" * 100_000, b"\xff\xfe\x00", b"\x00" * 9]
)
def test_bodies_that_are_no_object(body):
    assert decode(body) is None


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf"])
def test_a_number_beyond_reason_and_a_byte_order_mark_cost_nothing(prefix):
    body = decode(prefix + b'{"x": ' + b"9" * 9000 + b', "y": NaN}')
    assert body is not None
    assert body["x"] is None


def test_moments_never_raise_for_other_types():
    assert read_moment(object()) is None
