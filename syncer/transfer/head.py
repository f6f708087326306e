"""Reads the head of a storage's answer into `core.resume.Answer`: pure, and wary of every header."""

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import datetime

from syncer.core.resume import Answer, ContentRange
from syncer.core.retry import parse_retry_after

# Numbers of more digits are no lengths of files, and no database's largest whole number is sure to hold them.
_RANGE = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes\s+\*/(\d{1,18})", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]{1,18}")
_EXPIRED = re.compile(rb"expired", re.IGNORECASE)
_EXPIRED_WITHIN = 1024  # bytes of an error body
_MD5_BYTES = 16
_MD5_TAG = re.compile(r'"([0-9a-f]{32})"')
_CRC32C_BYTES = 4
_GOOGLE = frozenset({"x-goog-hash", "x-goog-stored-content-length"})


def read_head(
    status: int, raw: Iterable[tuple[bytes, bytes]], *, host: str, now: datetime, error_body: bytes = b""
) -> Answer:
    """The answer's head. `raw` are its headers as sent; they are read as Latin-1, which loses no byte, so that an
    ETag goes back as it came. `error_body` is the opening of the body of an answer that is no success.

    What cannot be read is None, as if it had not been sent: core.resume decides what may be missing.
    """
    headers = _collect(raw)
    chunked = "transfer-encoding" in headers and any("chunked" in v.lower() for v in headers["transfer-encoding"])
    md5, crc32c, stored_length = _stored(headers)
    return Answer(
        status=status,
        host=host,
        # Transfer-Encoding overrides Content-Length (RFC 9112 §6.3).
        length=None if chunked else _number(_only(headers, "content-length")),
        chunked=chunked,
        content_range=parse_content_range(_only(headers, "content-range")),
        content_type=_media_type(_only(headers, "content-type")),
        encoding=_encoding(headers),
        etag=_only(headers, "etag"),
        last_modified=_only(headers, "last-modified"),
        md5=md5 or _content_md5(status, headers) or _etag_md5(headers),
        crc32c=crc32c,
        gives_ranges=_only(headers, "accept-ranges") == "bytes",
        stored_length=stored_length,
        retry_after=parse_retry_after(_only(headers, "retry-after"), now),
        expired_token=status == 400 and _EXPIRED.search(error_body[:_EXPIRED_WITHIN]) is not None,
    )


def expected_length(answer: Answer) -> int | None:
    """The bytes the body of a success must have; None where only its chunked framing proves its end."""
    if answer.length is not None:
        return answer.length
    span = answer.content_range
    if answer.status == 206 and span is not None and span.first is not None and span.last is not None:
        return span.last - span.first + 1
    return answer.stored_length if answer.status == 200 else None


def parse_content_range(value: str | None) -> ContentRange | None:
    """A Content-Range (RFC 9110 §14.4), `bytes */N` included; None for anything it must not be."""
    if value is None:
        return None
    unsatisfied = _UNSATISFIED.fullmatch(value)
    if unsatisfied:
        return ContentRange(None, None, int(unsatisfied[1]))
    match = _RANGE.fullmatch(value)
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    if last < first or (total is not None and total <= last):
        return None
    return ContentRange(first, last, total)


def _collect(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in raw:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())
    return headers


def _only(headers: dict[str, list[str]], name: str) -> str | None:
    """The header's value; None where it is missing, empty, or sent several times with different values."""
    values = headers.get(name)
    if values is None or (len(values) > 1 and len(set(values)) > 1):
        return None
    return values[0] or None


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and _DIGITS.fullmatch(value) else None


def _media_type(value: str | None) -> str | None:
    return (value or "").partition(";")[0].strip().lower() or None


def _encoding(headers: dict[str, list[str]]) -> str | None:
    if "content-encoding" not in headers:
        return None
    words = ",".join(headers["content-encoding"]).lower().split(",")
    return ", ".join(word.strip() for word in words if word.strip() not in ("", "identity")) or None


def _content_md5(status: int, headers: dict[str, list[str]]) -> str | None:
    """Content-MD5 as hex; of a 206 it would be the part's (RFC 2616 §14.15) and is left aside."""
    return _from_base64(_only(headers, "content-md5"), _MD5_BYTES) if status == 200 else None


def _etag_md5(headers: dict[str, list[str]]) -> str | None:
    """The MD5 that Amazon S3's ETag is for an object uploaded in one piece, plain or SSE-S3; of a part's answer too.

    Not for uploads in parts, which have a dash in theirs, nor with SSE-KMS, SSE-C or in directory buckets, where it
    only looks alike: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html. What others who speak S3 put
    into an ETag they do not say, so only Amazon's own answers count.
    """
    match = _MD5_TAG.fullmatch(_only(headers, "etag") or "")
    if match is None or (_only(headers, "server") or "").lower() != "amazons3":
        return None
    plain = all(
        (
            (_only(headers, "x-amz-server-side-encryption") or "AES256").upper() == "AES256",
            "x-amz-server-side-encryption-customer-algorithm" not in headers,
            (_only(headers, "x-amz-storage-class") or "").upper() != "EXPRESS_ONEZONE",
        )
    )
    return match[1] if plain else None


def _stored(headers: dict[str, list[str]]) -> tuple[str | None, str | None, int | None]:
    """MD5, CRC32C (hex) and length of the object Google Cloud Storage holds, on a part's answer too.

    Of an object that is held compressed and unpacked on its way out they say nothing about the bytes sent:
    https://cloud.google.com/storage/docs/transcoding.
    """
    if _GOOGLE.isdisjoint(headers):
        return None, None, None
    if (_only(headers, "x-goog-stored-content-encoding") or "identity").lower() != "identity":
        return None, None, None
    hashes: dict[str, str] = {}
    for word in ",".join(headers.get("x-goog-hash", ())).split(","):
        name, _, value = word.strip().partition("=")
        hashes.setdefault(name.lower(), value)
    length = _number(_only(headers, "x-goog-stored-content-length"))
    return _from_base64(hashes.get("md5"), _MD5_BYTES), _from_base64(hashes.get("crc32c"), _CRC32C_BYTES), length


def _from_base64(value: str | None, length: int) -> str | None:
    if value is None:
        return None
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded.hex() if len(decoded) == length else None
