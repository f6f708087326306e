"""From VideoDB's JSON to Jobs: every form the sources name, every text hostile, no entry able to spoil its page."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

from syncer.core.errors import ApiRefused
from syncer.core.model import Job, Link, Malformed, Page, RemoteStatus
from syncer.videodb.links import read_expiry
from syncer.videodb.telling import tell
from syncer.videodb.times import read_moment

MAX_ID = 1024
"""Characters of an id; a longer one is malformed."""

MAX_URL = 16384
"""Characters of a download_url; a longer one counts as none."""

_MAX_GIST = 4096  # characters of a malformed entry that tell it from others
_STATUS = {
    RemoteStatus.DONE: "done completed complete success succeeded successful finished ready available",
    RemoteStatus.PROCESSING: "processing pending in_progress inprogress queued running started created submitted "
    "scheduled waiting initiated accepted retrying",
    RemoteStatus.ERROR: "error errored failed failure cancelled canceled aborted",
}
_BY_WORD = {word.replace("_", " "): status for status, words in _STATUS.items() for word in words.split()}
_SEPARATORS = re.compile(r"[\s_-]+")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # neither UTF-8 nor every database takes these
_UNSENDABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_USUAL = re.compile(  # no need to look closer; of ports those that need not be held against the largest
    r"https?://[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[1-5]?[0-9]{1,4})?(?:[/?][!-~]*)?"
)
_HOST = re.compile(r"[^\s/?#@\\%<>^`{|}\"]{1,253}")


class WireError(ValueError):
    """The answer as a whole is not what the call gives. The message is fit to be shown."""


class _UnreadableError(ValueError):
    """One entry is no job; `id` is its id where that was readable."""

    def __init__(self, reason: str, job_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.id = job_id


def parse_page(body: dict[str, Any], page_index: int, now: datetime) -> Page:
    """One page of `GET /download`; `now` is when it arrived, UTC.

    The entries stand under `data.downloads`; `data` itself or `downloads` at the top are taken too. Raises WireError
    where there is no list of entries.
    """
    jobs: list[Job] = []
    malformed: list[Malformed] = []
    for position, entry in enumerate(_entries(body)):
        try:
            jobs.append(_listed(entry, now))
        except _UnreadableError as error:
            malformed.append(Malformed(page_index, position, error.reason, error.id))
    return Page(page_index, tuple(jobs), tuple(malformed))


def page_ids(page: Page, marks: Sequence[str | None]) -> list[str | None]:
    """What tells the entries of a page apart, at the server's own positions: ids, and `marks` where there is no job."""
    jobs = iter(page.jobs)
    holes = dict(zip((entry.position for entry in page.malformed), marks, strict=True))
    return [holes[position] if position in holes else next(jobs).id for position in range(page.length)]


def marks_of(body: dict[str, Any], page: Page) -> tuple[str, ...]:
    """A mark for each malformed entry of the page that `body` holds: what stands in for an id when it comes again.

    Alike entries of one page are told apart by counting them. A mark begins with NUL, which no Job's id holds.
    """
    entries = _entries(body)
    alike: Counter[str] = Counter()
    marks = []
    for malformed in page.malformed:
        digest = blake2b(_gist(entries[malformed.position]).encode("utf-8", "replace"), digest_size=9).hexdigest()
        marks.append(f"\0{digest}-{alike[digest]}")
        alike[digest] += 1
    return tuple(marks)


def _gist(entry: Any) -> str:
    """What of an entry stays the same from one answer to the next: all but its links."""
    if isinstance(entry, dict):
        entry = [entry.get(name) for name in ("id", "name", "status", "created_at")]
    return repr(entry)[:_MAX_GIST]


def parse_job(body: dict[str, Any], asked: str, now: datetime) -> Job:
    """The answer to `GET /download/{asked}`: the job, or the envelope of one that is still being made.

    The status may stand in `data` or in the envelope. Raises WireError where it is no job, and ApiRefused where it is
    another one than was asked for. In the envelope of a job being made the id may be that of the making, so it is
    not held against `asked`.
    """
    data = body.get("data", body)
    if not isinstance(data, dict):
        raise WireError("an answer without a job")
    status = _job_status(body, data)
    is_envelope = status is RemoteStatus.PROCESSING and not data.get("download_url")
    if data.get("id") is not None and not is_envelope and not _is_of(data, asked):
        raise ApiRefused("The API answered for another job than the one it was asked for.")
    return _job(data, asked, status, now)


def time_forms(body: dict[str, Any]) -> tuple[str, ...]:
    """How the entries of a page write `created_at`, each form once: naive, Z, offset, a number, missing, unreadable."""
    return tuple(sorted({_time_form(entry.get("created_at")) for entry in _entries(body) if isinstance(entry, dict)}))


def _time_form(value: Any) -> str:
    if value is None:
        return "missing"
    if read_moment(value) is None:
        return "unreadable"
    if not isinstance(value, str):
        return "a number"
    text = value.strip()
    if text[-1:] in ("Z", "z"):
        return "with Z"
    return "with an offset" if re.search(r"[+-]\d\d:?\d\d$", text) else "without a zone"


def is_failed_job(body: dict[str, Any]) -> bool:
    """Whether an answer describes a job whose making failed, though it says `success: false` of itself."""
    data = body.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("status"), str):
        return False
    return fold_status(data["status"]) is RemoteStatus.ERROR


def fold_status(word: str) -> RemoteStatus | None:
    """The status a word of the API stands for, case and separators ignored; None for an unknown word."""
    if (usual := _BY_WORD.get(word)) is not None:
        return usual
    return _BY_WORD.get(_SEPARATORS.sub(" ", word.strip().lower())) if len(word) <= 64 else None


def clean(text: str) -> str:
    """`text` with lone surrogates and NUL replaced by U+FFFD, so that UTF-8 and every database take it."""
    return _UNSTORABLE.sub("\ufffd", text)


def _entries(body: dict[str, Any]) -> list[Any]:
    data = body.get("data")
    candidates = (data.get("downloads") if isinstance(data, dict) else data, body.get("downloads"))
    for candidate in candidates:
        if isinstance(candidate, list):
            return candidate
    raise WireError("an answer without a list of downloads")


def _listed(entry: Any, now: datetime) -> Job:
    if not isinstance(entry, dict):
        raise _UnreadableError("it is not an object")
    job_id = _readable_id(entry)
    word = entry.get("status")
    if not isinstance(word, str):
        raise _UnreadableError("it has no status", job_id)
    status = fold_status(word)
    if status is None:
        raise _UnreadableError(f"its status is unknown: {tell(word, limit=40)!r}", job_id)
    return _job(entry, job_id, status, now)


def _readable_id(entry: dict[str, Any]) -> str:
    value = entry.get("id")
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= MAX_ID:
        return str(value)
    if not isinstance(value, str) or not value:
        raise _UnreadableError("it has no id")
    if len(value) > MAX_ID:
        raise _UnreadableError(f"its id is longer than {MAX_ID} characters")
    if not value.isascii() and not _is_unicode(value):
        raise _UnreadableError("its id is not Unicode", clean(value))
    return clean(value)


def _is_of(data: dict[str, Any], asked: str) -> bool:
    try:
        return _readable_id(data) == asked
    except _UnreadableError:
        return False


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _job_status(body: dict[str, Any], data: dict[str, Any]) -> RemoteStatus:
    for word in (data.get("status"), body.get("status")):
        if isinstance(word, str):
            status = fold_status(word)
            if status is None:
                raise WireError(f"an answer with the unknown status {tell(word, limit=40)!r}")
            return status
    if data.get("download_url"):
        return RemoteStatus.DONE
    if data.get("output_url"):
        return RemoteStatus.PROCESSING
    raise WireError("an answer without a status")


def _job(entry: dict[str, Any], job_id: str, status: RemoteStatus, now: datetime) -> Job:
    name = entry.get("name")
    created_at = read_moment(entry.get("created_at"))
    done = status is RemoteStatus.DONE
    return Job(
        id=job_id,
        name=clean(name) if isinstance(name, str) else None,
        status=status,
        created_at=created_at,
        link=_link(entry.get("download_url"), created_at, now) if done else None,
        error=_error(entry.get("error")),
    )


def _link(value: Any, created_at: datetime | None, now: datetime) -> Link | None:
    """The link, where the value is an absolute HTTP URL that can be sent; else None, as if there were none."""
    if not isinstance(value, str) or len(value) > MAX_URL:
        return None
    url = value.strip()
    if not _USUAL.fullmatch(url) and not _is_sendable(url):
        return None
    return read_expiry(url, created_at, now)


def _is_sendable(url: str) -> bool:
    if _UNSENDABLE.search(url):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and host is not None and _HOST.fullmatch(host) is not None


def _error(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("message")
    return (tell(value, limit=500) or None) if isinstance(value, str) else None
