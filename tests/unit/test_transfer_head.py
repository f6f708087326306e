"""Reading the head of a storage's answer: every header form seen, and none that breaks it."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core.resume import Answer, ContentRange
from syncer.transfer.head import expected_length, parse_content_range, read_head

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MD5 = bytes(range(16))
CRC32C = bytes.fromhex("0a1b2c3d")


def head(status: int, *headers: tuple[str, str], body: bytes = b"") -> Answer:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return read_head(status, raw, host="storage.test", now=NOW, error_body=body)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_plain_success_says_all_it_has():
    answer = head(
        200,
        ("Content-Length", "1234"),
        ("Content-Type", "Video/MP4; codecs=avc1"),
        ("ETag", '"abc"'),
        ("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT"),
    )
    assert answer == Answer(
        status=200,
        host="storage.test",
        length=1234,
        content_type="video/mp4",
        etag='"abc"',
        last_modified="Wed, 01 Jan 2025 00:00:00 GMT",
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes 0-9/10", ContentRange(0, 9, 10)),
        ("BYTES 5-9/*", ContentRange(5, 9, None)),
        ("bytes */10", ContentRange(None, None, 10)),
        ("bytes  7-7/8", ContentRange(7, 7, 8)),
        (None, None),
        ("", None),
        ("items 0-9/10", None),
        ("bytes 9-0/10", None),
        ("bytes 0-10/10", None),
        ("bytes 0-9", None),
        ("bytes -9/10", None),
        ("bytes */*", None),
        ("bytes 0-9/10, bytes 20-29/30", None),
        ("bytes 0-99999999999999999999/*", None),
        (f"bytes 0-9/{2**63}", None),
        (f"bytes */{2**63}", None),
    ],
)
def test_content_range_by_the_book_or_not_at_all(value, expected):
    assert parse_content_range(value) == expected


@pytest.mark.parametrize("value", ["", "abc", "-1", "1e3", "9" * 30, str(2**63), "\uff11\uff12"])
def test_a_length_that_is_no_number_is_none(value):
    raw = [(b"content-length", value.encode())]
    assert read_head(200, raw, host="h", now=NOW).length is None


def test_chunked_framing_overrides_a_length():
    answer = head(200, ("Transfer-Encoding", "gzip, Chunked"), ("Content-Length", "5"))
    assert (answer.chunked, answer.length) == (True, None)


def test_repeated_headers_that_disagree_are_none():
    assert head(200, ("ETag", '"a"'), ("ETag", '"b"')).etag is None
    assert head(200, ("ETag", '"a"'), ("ETag", '"a"')).etag == '"a"'


def test_an_etag_keeps_every_byte():
    assert head(200, ("ETag", '"\xe9\xff"')).etag == '"\xe9\xff"'


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], None),
        ([("Content-Encoding", "identity")], None),
        ([("Content-Encoding", "")], None),
        ([("Content-Encoding", "GZIP")], "gzip"),
        ([("Content-Encoding", "identity"), ("Content-Encoding", "br, gzip")], "br, gzip"),
    ],
)
def test_encoding(headers, expected):
    assert head(200, *headers).encoding == expected


def test_multipart_shows_in_the_media_type():
    assert head(206, ("Content-Type", "multipart/byteranges; boundary=x")).content_type == "multipart/byteranges"


def test_content_md5_counts_on_a_whole_answer_only():
    header = ("Content-MD5", b64(MD5))
    assert head(200, header).md5 == MD5.hex()
    assert head(206, header).md5 is None


@pytest.mark.parametrize(
    "headers",
    [
        [("x-goog-hash", f"crc32c={b64(CRC32C)},md5={b64(MD5)}")],
        [("x-goog-hash", f"md5={b64(MD5)}, crc32c={b64(CRC32C)}")],
        [("x-goog-hash", f"crc32c={b64(CRC32C)}"), ("X-Goog-Hash", f"md5={b64(MD5)}")],
    ],
)
@pytest.mark.parametrize("status", [200, 206])
def test_google_hashes_are_of_the_whole_object(headers, status):
    answer = head(status, *headers, ("x-goog-stored-content-length", "77"))
    assert (answer.md5, answer.crc32c, answer.stored_length) == (MD5.hex(), "0a1b2c3d", 77)


@pytest.mark.parametrize("value", ["md5=", "md5=%%%", f"md5={b64(b'short')}", "crc32c=AAAAAAAA", "nonsense", "=,=,"])
def test_hashes_that_cannot_be_read_are_none(value):
    answer = head(200, ("x-goog-hash", value), ("content-md5", "!"))
    assert (answer.md5, answer.crc32c) == (None, None)


def test_hashes_of_an_object_held_compressed_are_not_those_of_the_bytes_sent():
    answer = head(
        200,
        ("x-goog-stored-content-encoding", "gzip"),
        ("x-goog-stored-content-length", "5"),
        ("x-goog-hash", f"md5={b64(MD5)}"),
    )
    assert (answer.md5, answer.stored_length) == (None, None)


def test_retry_after_in_both_forms():
    assert head(503, ("Retry-After", "7")).retry_after == NOW + timedelta(seconds=7)
    assert head(429, ("Retry-After", "Sun, 01 Nov 2026 00:01:00 GMT")).retry_after == NOW + timedelta(minutes=1)
    assert head(503, ("Retry-After", "soon")).retry_after is None


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b"<Error><Code>ExpiredToken</Code><Message>Invalid argument.</Message></Error>", True),
        (400, b"<Error><Message>The provided token has EXPIRED.</Message></Error>", True),
        (400, b"<Error><Code>InvalidArgument</Code></Error>", False),
        (400, b" " * 1024 + b"<Code>ExpiredToken</Code>", False),
        (503, b"<Code>ExpiredToken</Code>", False),
        (400, b"", False),
    ],
)
def test_expired_token(status, body, expected):
    assert head(status, body=body).expired_token is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200, length=5, stored_length=6), 5),
        (Answer(206, content_range=ContentRange(3, 9, None)), 7),
        (Answer(206, content_range=ContentRange(None, None, 9), stored_length=9), None),
        (Answer(200, chunked=True, stored_length=6), 6),
        (Answer(200, chunked=True), None),
    ],
)
def test_what_a_body_must_have(answer, expected):
    assert expected_length(answer) == expected


@given(
    st.integers(100, 599),
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"Content-Length",
                    b"Content-Range",
                    b"Content-Type",
                    b"Content-Encoding",
                    b"Content-MD5",
                    b"ETag",
                    b"Retry-After",
                    b"x-goog-hash",
                    b"x-goog-stored-content-length",
                    b"x-goog-stored-content-encoding",
                    b"Transfer-Encoding",
                ]
            ),
            st.binary(max_size=40),
        ),
        max_size=8,
    ),
    st.binary(max_size=100),
)
def test_no_header_breaks_it(status, raw, body):
    answer = read_head(status, raw, host="h", now=NOW, error_body=body)
    assert answer.status == status
    assert answer.length is None or answer.length >= 0


TAG = "0123456789abcdef" * 2
AMAZON = {"server": "AmazonS3", "etag": f'"{TAG}"'}


def md5_of(**headers):
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return read_head(200, raw, host="h", now=NOW).md5


def test_amazons_etag_is_the_md5_of_what_was_uploaded_in_one_piece():
    assert md5_of(**AMAZON) == TAG
    assert md5_of(**AMAZON, x_amz_server_side_encryption="AES256", x_amz_storage_class="STANDARD_IA") == TAG


@pytest.mark.parametrize(
    "headers",
    [
        {**AMAZON, "etag": f'"{TAG}-12"'},
        {**AMAZON, "etag": f'W/"{TAG}"'},
        {**AMAZON, "etag": f'"{TAG.upper()}"'},
        {**AMAZON, "x_amz_server_side_encryption": "aws:kms"},
        {**AMAZON, "x_amz_server_side_encryption": "aws:kms:dsse"},
        {**AMAZON, "x_amz_server_side_encryption_customer_algorithm": "AES256"},
        {**AMAZON, "x_amz_storage_class": "EXPRESS_ONEZONE"},
        {**AMAZON, "server": "nginx"},
        {"etag": f'"{TAG}"', "x_amz_request_id": "1"},
    ],
)
def test_what_only_looks_like_an_md5_is_none(headers):
    assert md5_of(**headers) is None


def test_a_checksum_that_is_called_one_comes_before_the_etag():
    assert md5_of(**AMAZON, content_md5="AAAAAAAAAAAAAAAAAAAAAA==") == "0" * 32
