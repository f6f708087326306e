"""What is asked for, and what each kind of answer means."""

from dataclasses import replace

import pytest

from syncer.core.errors import ChecksumMismatch, LengthMismatch, LinkRefused, NotTheFile, StorageBusy, TooLarge
from syncer.core.model import Promise
from syncer.core.openings import belies, is_media_type, is_text, looks_like_page, opens_like_media
from syncer.core.resume import (
    OVERLAP,
    PROBE,
    Answer,
    Append,
    Ask,
    AskAgain,
    Complete,
    ContentRange,
    FromStart,
    ask,
    check_whole,
    judge,
    refuse_too_large,
    size_told,
)

HELD = Promise(size=1_000_000, etag='"v1"', last_modified="Mon, 02 Nov 2026 10:00:00 GMT", content_type="video/mp4")
ASKED = Ask(start=500_000 - OVERLAP, overlap=OVERLAP, if_range='"v1"')


def part(first=ASKED.start, last=999_999, total=1_000_000, **more):
    return Answer(status=206, host="h", content_range=ContentRange(first, last, total), **{"etag": '"v1"'} | more)


def test_nothing_on_disk_asks_for_the_whole():
    assert ask(0, HELD) == Ask()
    assert ask(0, HELD).headers() == {}


def test_a_partial_asks_for_the_rest_and_an_overlap():
    asked = ask(500_000, HELD)
    assert asked == ASKED
    assert asked.headers() == {"Range": f"bytes={500_000 - OVERLAP}-", "If-Range": '"v1"'}


def test_a_small_partial_overlaps_whole():
    assert ask(10, HELD) == Ask(start=0, overlap=10, if_range='"v1"')
    assert ask(10, HELD).headers()["Range"] == "bytes=0-"


def test_a_partial_longer_than_the_file_is_not_continued():
    assert ask(1_000_001, HELD) == Ask()


@pytest.mark.parametrize(
    ("promise", "validator"),
    [
        (Promise(etag='W/"weak"', last_modified="d"), None),
        (Promise(last_modified="Mon, 02 Nov 2026 10:00:00 GMT"), "Mon, 02 Nov 2026 10:00:00 GMT"),
        (Promise(), None),
    ],
)
def test_only_a_strong_validator_goes_into_if_range(promise, validator):
    assert ask(100, promise).if_range == validator


def test_a_matching_part_is_appended():
    assert judge(ASKED, HELD, part()) == Append(OVERLAP, HELD)


def test_the_whole_file_for_a_range_starts_over():
    verdict = judge(ASKED, HELD, Answer(status=200, length=7, etag='"v2"'))
    assert verdict == FromStart(Promise(size=7, etag='"v2"'), changed=True)


def test_the_whole_file_when_asked_for_is_no_change():
    assert judge(Ask(), Promise(), Answer(status=200, length=7)) == FromStart(Promise(size=7), changed=False)


@pytest.mark.parametrize(
    "answer",
    [
        part(etag='"v2"'),
        part(total=2_000_000, last=1_999_999),
        part(etag=None, last_modified="Tue, 03 Nov 2026 10:00:00 GMT"),
        Answer(status=416, host="h", content_range=ContentRange(None, None, 1_000_000)),
        Answer(status=416, host="h"),
    ],
)
def test_another_version_or_no_such_range_drops_the_partial(answer):
    assert isinstance(judge(ASKED, HELD, answer), AskAgain)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (part(first=0), NotTheFile),
        (part(first=ASKED.start + 1), NotTheFile),
        (part(last=600_000), NotTheFile),
        (part(length=3), NotTheFile),
        (Answer(status=206, host="h"), NotTheFile),
        (Answer(status=206, host="h", content_type="multipart/byteranges"), NotTheFile),
        (Answer(status=200, host="h", content_type="text/html"), NotTheFile),
        (Answer(status=200, host="h", content_type="application/json"), NotTheFile),
        (Answer(status=200, host="h", content_type="application/xml"), NotTheFile),
        (Answer(status=200, host="h", content_type="image/png"), NotTheFile),
        (Answer(status=200, host="h", content_type="application/pdf"), NotTheFile),
        (Answer(status=200, host="h", encoding="gzip"), NotTheFile),
        (Answer(status=204, host="h"), NotTheFile),
        (Answer(status=302, host="h"), NotTheFile),
        (Answer(status=400, host="h"), NotTheFile),
        (Answer(status=400, host="h", expired_token=True), LinkRefused),
        (Answer(status=401, host="h"), LinkRefused),
        (Answer(status=403, host="h", content_type="application/xml"), LinkRefused),
        (Answer(status=404, host="h"), LinkRefused),
        (Answer(status=410, host="h"), LinkRefused),
        (Answer(status=429, host="h"), StorageBusy),
        (Answer(status=500, host="h"), StorageBusy),
        (Answer(status=503, host="h", content_type="text/html"), StorageBusy),
        (Answer(status=501, host="h"), NotTheFile),
    ],
)
def test_what_is_good_for_nothing_says_why(answer, error):
    with pytest.raises(error):
        judge(ASKED, HELD, answer)


def test_a_part_of_a_file_that_was_asked_for_whole_is_refused():
    with pytest.raises(NotTheFile):
        judge(Ask(), Promise(), part(first=1))


@pytest.mark.parametrize(
    ("first", "last", "total"), [(0, 999_998, 1_000_000), (0, 999_999, None), (1, 999_999, 1_000_000)]
)
def test_a_part_that_is_not_the_whole_is_no_answer_to_a_request_for_it(first, last, total):
    try:
        verdict = judge(Ask(), Promise(), part(first, last, total))
    except NotTheFile:
        return
    assert isinstance(verdict, AskAgain)


def test_the_whole_file_as_one_part_is_the_file_and_owes_nothing_to_an_older_promise():
    verdict = judge(Ask(), replace(HELD, md5="0" * 32), part(first=0, etag='"v2"', length=1_000_000))
    assert verdict == FromStart(Promise(size=1_000_000, etag='"v2"'), changed=False)


WHOLE = ask(1_000_000, HELD)


@pytest.mark.parametrize(
    ("held", "answer"),
    [
        (HELD, Answer(416, "h", content_range=ContentRange(None, None, 1_000_000))),
        (HELD, Answer(416, "h", content_range=ContentRange(None, None, 1_000_000), etag='"v1"')),
        (replace(HELD, md5="0" * 32), Answer(416, "h")),
        (replace(HELD, etag=None, last_modified=None, crc32c="0" * 8), Answer(416, "h")),
    ],
)
def test_a_416_for_a_partial_that_is_whole_has_nothing_to_add(held, answer):
    assert judge(ask(1_000_000, held), held, answer) == Complete(held)


@pytest.mark.parametrize(
    ("on_disk", "held", "answer"),
    [
        (999_999, HELD, Answer(416, "h", content_range=ContentRange(None, None, 1_000_000))),
        (1_000_000, HELD, Answer(416, "h", content_range=ContentRange(None, None, 999_999))),
        (1_000_000, HELD, Answer(416, "h", content_range=ContentRange(None, None, 1_000_000), etag='"v2"')),
        (1_000_000, HELD, Answer(416, "h")),
        (1_000_000, Promise(1_000_000), Answer(416, "h", content_range=ContentRange(None, None, 1_000_000))),
        (1_000_000, Promise(None, '"v1"'), Answer(416, "h", content_range=ContentRange(None, None, 1_000_000))),
        (1_000_000, Promise(1_000_000, 'W/"1"'), Answer(416, "h", content_range=ContentRange(None, None, 1_000_000))),
    ],
)
def test_a_416_that_proves_nothing_starts_over(on_disk, held, answer):
    assert isinstance(judge(ask(on_disk, held), held, answer), AskAgain)


def test_a_file_that_turns_out_shorter_than_the_partial_starts_over():
    asked = ask(500_000, Promise())
    assert isinstance(judge(asked, Promise(), part(last=499_998, total=499_999, etag=None)), AskAgain)


@pytest.mark.parametrize(
    ("held", "answered"),
    [
        ('"v1"', None),  # If-Range was honoured; RFC 9110 §15.3.7 lets a 206 leave out what the client has
        (None, '"v1"'),  # another host may say more; the overlap is compared in any case
        ('W/"v1"', 'W/"v1"'),
    ],
)
def test_a_validator_on_one_side_only_is_no_other_version(held, answered):
    promise = replace(HELD, etag=held)
    verdict = judge(replace(ASKED, if_range=None), promise, part(etag=answered))
    assert verdict == Append(OVERLAP, replace(HELD, etag=answered or held))


def test_a_weakened_validator_is_another_version():
    assert isinstance(judge(ASKED, HELD, part(etag='W/"v1"')), AskAgain)


def test_a_file_may_be_as_large_as_allowed_and_no_larger():
    refuse_too_large(Promise(10), 10)
    refuse_too_large(Promise(None), 10)
    refuse_too_large(Promise(10), None)
    with pytest.raises(TooLarge, match="max-file-size"):
        refuse_too_large(Promise(11), 10)


def test_a_416_for_the_whole_file_is_no_reason_to_ask_again():
    with pytest.raises(NotTheFile):
        judge(Ask(), Promise(), Answer(status=416, host="h"))


def test_a_part_of_unknown_total_is_held_against_the_size_that_is_known():
    assert judge(ASKED, HELD, part(total=None)) == Append(OVERLAP, HELD)
    with pytest.raises(NotTheFile):
        judge(ASKED, HELD, part(last=999_998, total=None))
    assert isinstance(judge(ASKED, HELD, part(last=1_000_000, total=None)), AskAgain)


def test_a_part_of_unknown_total_proves_no_end_of_a_file_of_unknown_size():
    assert isinstance(judge(ASKED, Promise(etag='"v1"'), part(total=None)), AskAgain)


@pytest.mark.parametrize(
    "opening",
    [
        b"<!DOCTYPE html>",
        b"  \r\n<html>",
        b"<?xml version",
        b'{"success": false}',
        b"[]",
        b"\xef\xbb\xbf<Error>",
        b"<h1>403",
        b"<!-- proxy -->",
        "<html>".encode("utf-16"),
        b"{}",
        b"[ {",
    ],
)
def test_pages_are_known_by_their_opening(opening):
    assert looks_like_page(opening)


@pytest.mark.parametrize(
    "opening",
    [
        b"\0\0\0\x20ftypisom",
        b"\x1aE\xdf\xa3",
        b"RIFF....AVI ",
        b"G@\x11\x10",
        b"ID3\x04",
        b"",
        b"\xff\xfb",
        b"\xff\xfe\x90\0",
        b"{binary",
        b"[1",
        b"<\x07random",
        b"{}\0",
    ],
)
def test_videos_are_no_pages(opening):
    assert not looks_like_page(opening)


@pytest.mark.parametrize(
    "opening",
    [
        b"\0\0\0\x18ftypisom",
        b"\0\0\0\x08wide\0\0",
        b"\x1aE\xdf\xa3",
        b"RIFF\xf0\0\0\0AVI ",
        b"G@\x11\x10",
        b"ID3\x04",
        b"OggS\0",
        b"\0\0\x01\xba",
    ],
)
def test_films_are_known_by_their_opening(opening):
    assert opens_like_media(opening)
    assert not is_text(opening)


def test_text_is_text_to_its_last_byte():
    assert is_text(b"Access denied.\n")
    assert is_text("Zugriff verweigert: ungültig"[:27].encode()[:-1])
    assert not is_text(b"")
    assert not is_text(b"text\0")
    assert not is_text(b"text\xff\xfe")


def test_only_films_and_sound_can_be_belied():
    assert is_media_type("video/mp4")
    assert is_media_type("audio/mpeg")
    assert not is_media_type("application/octet-stream")
    assert not is_media_type(None)
    assert belies("application/zip")
    assert belies("application/vnd.openxmlformats-officedocument.wordprocessingml.document")
    assert not belies("video/mp4")
    assert not belies("audio/x-sndr")


def test_wholeness_is_length_and_checksum():
    promise = Promise(size=3, md5="aa", crc32c="bb")
    assert check_whole(promise, 3, {"sha256": "x", "md5": "aa", "crc32c": "bb"}) is None
    assert isinstance(check_whole(promise, 2, {}), LengthMismatch)
    assert isinstance(check_whole(promise, 4, {}), LengthMismatch)
    assert isinstance(check_whole(promise, 3, {"md5": "ab"}), ChecksumMismatch)
    assert isinstance(check_whole(promise, 3, {"crc32c": "ab"}), ChecksumMismatch)
    assert check_whole(Promise(), 3, {"md5": "ab"}) is None


def test_an_empty_file_needs_the_storages_checksum_to_be_one():
    assert isinstance(check_whole(Promise(size=0), 0, {}), NotTheFile)
    assert isinstance(check_whole(Promise(), 0, {}), NotTheFile)
    assert check_whole(Promise(size=0, md5="d4"), 0, {"md5": "d4"}) is None
    assert check_whole(Promise(size=0, crc32c="00000000"), 0, {"crc32c": "00000000"}) is None


def test_a_probe_asks_for_the_first_byte():
    assert PROBE.headers() == {"Range": "bytes=0-0"}
    assert not PROBE.is_whole


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        (Answer(206, "h", 1, content_range=ContentRange(0, 0, 12_345)), 12_345),
        (Answer(206, "h", 1, content_range=ContentRange(0, 0, None)), None),
        (Answer(200, "h", 12_345), 12_345),
        (Answer(200, "h", None, chunked=True), None),
        (Answer(200, "h", None, chunked=True, stored_length=12_345), 12_345),
        (Answer(416, "h", 0, content_range=ContentRange(None, None, 0)), 0),
    ],
)
def test_what_a_probe_tells_of_the_size(answer, size):
    assert size_told(answer) == size


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(403, "h"), LinkRefused),
        (Answer(400, "h", expired_token=True), LinkRefused),
        (Answer(503, "h"), StorageBusy),
        (Answer(416, "h", content_range=ContentRange(None, None, 5)), NotTheFile),
        (Answer(200, "h", 300, content_type="text/html"), NotTheFile),
        (Answer(206, "h", 1, content_range=ContentRange(7, 7, 100)), NotTheFile),
        (Answer(206, "h", 1), NotTheFile),
    ],
)
def test_a_probe_that_is_not_answered_tells_nothing(answer, error):
    with pytest.raises(error):
        size_told(answer)
