"""What goes between a pass and its helpers, as JSON and as the values it stands for.

to the helper     setup     values of a `Setup`, destination id
                  bring     id, name, created_at, url, expires_at, whether that is a guess, then values of a `Free`
                  answer    id, whether the path is reserved; null where the errand is over
                  stop      id
from the helper   ready
                  unfit     why; instead of ready
                  reserve   id, path, promise
                  arrived   id, bytes
                  done_with_line  id
                  stored    id, path, size, sha256, etag, stored_at
                  failed    id, kind, message, hint, retry_after
                  log       logger, level, message
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from syncer.core import errors
from syncer.core.errands import Errand, Free
from syncer.core.errors import Declined, FetchError, NameTaken, SyncerError
from syncer.core.model import Link, Promise, StoredFile

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def of_moment(moment: datetime | None) -> int | None:
    """Microseconds since 1970."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def to_moment(count: int | None) -> datetime | None:
    return None if count is None else _EPOCH + count * _MICROSECOND


def of_errand(errand: Errand) -> list[Any]:
    link, free = errand.link, errand.free
    moments = of_moment(errand.created_at), of_moment(link.expires_at)
    return [errand.id, errand.name, moments[0], link.url, moments[1], link.estimated, free.path, free.at, free.is_final]


def to_errand(said: list[Any]) -> Errand:
    job_id, name, created, url, expires, estimated, *free = said
    return Errand(job_id, name, to_moment(created), Link(url, to_moment(expires), estimated), Free(*free))


def of_promise(promise: Promise) -> list[Any]:
    return [
        promise.size,
        promise.etag,
        promise.last_modified,
        promise.content_type,
        promise.md5,
        promise.crc32c,
    ]


def to_promise(said: list[Any]) -> Promise:
    return Promise(*said)


def of_file(file: StoredFile) -> list[Any]:
    return [file.path, file.size, file.sha256, file.etag, of_moment(file.stored_at)]


def to_file(said: list[Any]) -> StoredFile:
    path, size, sha256, etag, stored_at = said
    return StoredFile(path, size, sha256, etag, _EPOCH + stored_at * _MICROSECOND)


def of_error(error: SyncerError) -> list[Any]:
    """The kind by its name in `core.errors`."""
    retry_after = error.retry_after if isinstance(error, FetchError) else None
    return [type(error).__name__, error.message, error.hint, of_moment(retry_after)]


def to_error(said: list[Any]) -> SyncerError:
    """The one that was raised there. One that no file is to blame for is Declined."""
    kind, message, hint, retry_after = said
    found: type[SyncerError] = getattr(errors, kind, Declined)
    if issubclass(found, FetchError):
        return found(message, hint=hint, retry_after=to_moment(retry_after))
    return (NameTaken if found is NameTaken else Declined)(message, hint=hint)
