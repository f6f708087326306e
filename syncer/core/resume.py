"""What to ask the storage for, and what its answer means: the guard of I6.

RFC 9110 §14 (ranges), §13.1.5 (If-Range) and §8.8 (validators) are the source of the rules. A resumed fetch asks
for a little more than it lacks: the overlap is compared with the bytes on disk before anything is appended, so that
even a storage without validators cannot glue two versions of a file together.
"""

from dataclasses import dataclass
from datetime import datetime

from syncer.core import openings
from syncer.core.errors import (
    ChecksumMismatch,
    FetchError,
    FileChanged,
    LengthMismatch,
    LinkRefused,
    NotTheFile,
    StorageBusy,
    TooLarge,
)
from syncer.core.model import NOTHING_PROMISED, Promise

OVERLAP = 64 * 1024
"""Bytes fetched again when a partial goes on, and compared with what is on disk."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The range to ask for. From 0 without an overlap it is the whole file, and no Range header is sent."""

    start: int = 0  # first byte wanted, the overlap included
    overlap: int = 0  # bytes of the answer that are on disk already
    if_range: str | None = None
    last: int | None = None  # last byte wanted; None for all the rest

    @property
    def is_whole(self) -> bool:
        return self.start == 0 and self.overlap == 0 and self.last is None

    def headers(self) -> dict[str, str]:
        """The request headers that say so (RFC 9110 §14.2 and §13.1.5)."""
        if self.is_whole:
            return {}
        asked = {"Range": f"bytes={self.start}-{'' if self.last is None else self.last}"}
        return asked | ({"If-Range": self.if_range} if self.if_range else {})


PROBE = Ask(last=0)
"""Asks for a file's first byte: what a size costs where a link is signed for GET alone, as S3's are."""


@dataclass(frozen=True, slots=True)
class ContentRange:
    """A parsed Content-Range (RFC 9110 §14.4); `first` and `last` are None in the unsatisfied form."""

    first: int | None
    last: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of a storage's answer, without anything that decides nothing."""

    status: int
    host: str = ""
    length: int | None = None  # Content-Length
    chunked: bool = False
    content_range: ContentRange | None = None
    content_type: str | None = None  # lower case, without parameters
    encoding: str | None = None  # Content-Encoding, lower case; None for identity
    etag: str | None = None
    last_modified: str | None = None
    md5: str | None = None
    crc32c: str | None = None
    gives_ranges: bool = False  # Accept-Ranges: bytes
    stored_length: int | None = None  # x-goog-stored-content-length
    retry_after: datetime | None = None
    expired_token: bool = False  # a 400 whose body says that the signature's time is over (Google Cloud Storage)


@dataclass(frozen=True, slots=True)
class Append:
    """The answer continues the partial, once its first `overlap` bytes are found equal to the partial's last."""

    overlap: int
    promise: Promise


@dataclass(frozen=True, slots=True)
class FromStart:
    """The answer is the whole file; whatever is on disk makes way for it."""

    promise: Promise
    changed: bool  # True where bytes on disk are given up for it


@dataclass(frozen=True, slots=True)
class Complete:
    """The storage has nothing to add to the partial: all of the file is on disk, and has to be proven."""

    promise: Promise


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The answer fits no byte on disk; drop the partial and ask for the whole."""

    reason: str


Verdict = Append | FromStart | Complete | AskAgain


def is_strong(etag: str | None) -> bool:
    """Whether an entity tag is a strong validator (RFC 9110 §8.8.1)."""
    return etag is not None and etag.startswith('"')


def ask(on_disk: int, promise: Promise) -> Ask:
    """What to ask for, with `on_disk` bytes of a partial that was fetched under `promise`."""
    if on_disk == 0 or (promise.size is not None and on_disk > promise.size):
        return Ask()
    overlap = min(OVERLAP, on_disk)
    validator = promise.etag if is_strong(promise.etag) else None
    if promise.etag is None:
        validator = promise.last_modified
    return Ask(start=on_disk - overlap, overlap=overlap, if_range=validator)


def judge(asked: Ask, held: Promise, answer: Answer) -> Verdict:
    """What an answer to `asked` is good for, when the partial was fetched under `held`.

    Raises LinkRefused, StorageBusy or NotTheFile where it is good for nothing.
    """
    if answer.status == 416 and not asked.is_whole:
        return _judge_unsatisfied(asked, held, answer)
    _refuse_bad_status(answer)
    _refuse_bad_body(answer)
    if answer.status == 200:
        return FromStart(_promise_of(answer, NOTHING_PROMISED), changed=not asked.is_whole)
    return _judge_part(asked, held, answer)


def judge_segment(asked: Ask, held: Promise, answer: Answer) -> None:
    """Returns where the answer is exactly the range asked for, of the very version that `held` was promised of.

    Raises LinkRefused, StorageBusy or NotTheFile as `judge` does, FileChanged where it is another version's.
    """
    span, host = answer.content_range, answer.host
    if answer.status in (200, 416):
        raise FileChanged(f"{host} no longer gives this version of the file in parts ({answer.status}).")
    _refuse_bad_status(answer)
    _refuse_bad_body(answer)
    if span is None or span.first is None or span.last is None or (span.first, span.last) != (asked.start, asked.last):
        raise NotTheFile(f"{host} sent another part of the file than was asked for.")
    if span.total != held.size or answer.etag != held.etag or _is_other_version(held, answer, span.total):
        raise FileChanged(f"{host} sent a part of another version of the file.")
    if answer.length is not None and answer.length != span.last - span.first + 1:
        raise NotTheFile(f"{host} promised {answer.length} bytes for a range of another length.")


def size_told(answer: Answer) -> int | None:
    """The size of the file, in bytes, as the answer to PROBE tells it; None where it does not.

    Raises LinkRefused, StorageBusy or NotTheFile where the answer is no answer to it.
    """
    span = answer.content_range
    if answer.status == 416 and span is not None and span.total == 0:
        return 0
    _refuse_bad_status(answer)
    _refuse_bad_body(answer)
    if answer.status == 200:
        return answer.length if answer.length is not None else answer.stored_length
    if span is None or span.first != 0:
        raise NotTheFile(f"{answer.host} sent another part of the file than its first byte.")
    return span.total


def _refuse_bad_status(answer: Answer) -> None:
    status, host = answer.status, answer.host
    if status in (200, 206):
        return
    if status in (401, 403, 404, 410) or answer.expired_token:
        raise LinkRefused(f"{host} refused the link ({status}).")
    if status in (408, 425, 429) or (status >= 500 and status not in (501, 505)):
        raise StorageBusy(f"{host} answered {status}.", retry_after=answer.retry_after)
    raise NotTheFile(f"{host} answered {status} instead of the file.")


def _refuse_bad_body(answer: Answer) -> None:
    if answer.encoding:
        raise NotTheFile(f"{answer.host} sent the file encoded ({answer.encoding}), which nobody asked for.")
    if answer.content_type and is_document(answer.content_type):
        raise NotTheFile(f"{answer.host} sent {answer.content_type} instead of the file.")


def is_document(content_type: str) -> bool:
    """Whether a media type is that of error pages, API answers, pictures or archives, which no video has."""
    kind, _, subtype = content_type.partition("/")
    documents = {"json", "xml", "xhtml+xml", "problem+json"}
    return (
        kind in ("text", "multipart", "message", "image")
        or openings.belies(content_type)
        or (kind == "application" and (subtype in documents or subtype.endswith(("+json", "+xml"))))
    )


def _judge_unsatisfied(asked: Ask, held: Promise, answer: Answer) -> Complete | AskAgain:
    """416 (RFC 9110 §15.5.17): all of the file may be on disk, or more than all of it.

    That it is this file, the storage's own checksum will tell, or If-Range did: of another version the storage would
    have sent the whole (§13.1.5).
    """
    on_disk, told = asked.start + asked.overlap, answer.content_range.total if answer.content_range else None
    has_checksum = held.md5 is not None or held.crc32c is not None
    proven = has_checksum or (told is not None and asked.if_range is not None)
    if proven and on_disk == held.size and not _is_other_version(held, answer, told):
        return Complete(held)
    return AskAgain("the storage has no such range of the file")


def _judge_part(asked: Ask, held: Promise, answer: Answer) -> Verdict:
    span = answer.content_range
    if span is None or span.first is None or span.last is None:
        raise NotTheFile(f"{answer.host} sent a part of the file without saying which.")
    if span.first != asked.start:
        raise NotTheFile(
            f"{answer.host} sent the bytes from {span.first} when those from {asked.start} were asked for."
        )
    if asked.is_whole:
        held = NOTHING_PROMISED
    promise = _promise_of(answer, held)
    if _is_other_version(held, answer, span.total) or (promise.size is not None and span.last >= promise.size):
        return AskAgain("the file changed at the storage")
    if promise.size is None:
        # `bytes 5-9/*` proves the end of the answer, not of the file; a whole answer proves its own.
        return AskAgain("the storage did not say where the file ends")
    if promise.size < asked.start + asked.overlap:
        return AskAgain("the file at the storage is shorter than what is on disk")
    if span.last != promise.size - 1:
        raise NotTheFile(
            f"{answer.host} sent the bytes up to {span.last} of {promise.size} when all the rest was asked for."
        )
    if answer.length is not None and answer.length != span.last - span.first + 1:
        raise NotTheFile(f"{answer.host} promised {answer.length} bytes for a range of another length.")
    if asked.is_whole:
        # No answer to a request without Range, and yet the whole file, by the same proof as a 200's.
        return FromStart(promise, changed=False)
    return Append(asked.overlap, promise)


def _is_other_version(held: Promise, answer: Answer, total: int | None) -> bool:
    pairs = [
        (held.size, total),
        (held.etag, answer.etag),
        (held.md5, answer.md5),
        (held.crc32c, answer.crc32c),
    ]
    if held.etag is None or answer.etag is None:
        pairs.append((held.last_modified, answer.last_modified))
    return any(a is not None and b is not None and a != b for a, b in pairs)


def _promise_of(answer: Answer, held: Promise) -> Promise:
    """What the answer promises of the whole file; what it leaves out, an earlier answer to the same version may say."""
    if answer.status == 200:
        return Promise(
            size=answer.length if answer.length is not None else answer.stored_length,
            etag=answer.etag,
            last_modified=answer.last_modified,
            content_type=answer.content_type,
            md5=answer.md5,
            crc32c=answer.crc32c,
        )
    total = answer.content_range.total if answer.content_range else None
    return Promise(
        size=total if total is not None else held.size,
        etag=answer.etag or held.etag,
        last_modified=answer.last_modified or held.last_modified,
        content_type=answer.content_type or held.content_type,
        md5=answer.md5 or held.md5,
        crc32c=answer.crc32c or held.crc32c,
    )


def refuse_too_large(promise: Promise, most: int | None) -> None:
    """Raises TooLarge where the storage promises more than `most` bytes; None allows any number."""
    if most is not None and promise.size is not None and promise.size > most:
        raise TooLarge(f"The file has {promise.size} bytes, more than the {most} that --max-file-size allows.")


def check_whole(promise: Promise, size: int, digests: dict[str, str]) -> FetchError | None:
    """Why `size` bytes with these digests are not what was promised; None if they are.

    `digests` maps `md5` and `crc32c`, where computed, to lower-case hex.
    """
    if promise.size is not None and size != promise.size:
        return LengthMismatch(f"{size} bytes arrived of {promise.size} promised.")
    for name, promised in (("md5", promise.md5), ("crc32c", promise.crc32c)):
        if promised is not None and name in digests and digests[name] != promised:
            return ChecksumMismatch(f"The storage's {name} is not that of the bytes that arrived.")
    if size == 0 and promise.md5 is None and promise.crc32c is None:
        # No video is empty, and many a broken answer is: only the storage's own checksum makes one of it.
        return NotTheFile("The storage sent an empty body, and no checksum says that the file is empty.")
    return None
