"""What the sandbox's account holds and how it behaves: jobs, and the rules of links, pages, entries, storage."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class JobStatus(StrEnum):
    """What the API says of a job."""

    PROCESSING = "processing"
    DONE = "done"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class SandboxJob:
    """One download job of the account. Times are UTC."""

    id: str
    name: str | None
    size: int = 1 << 20  # bytes of its file
    status: JobStatus = JobStatus.DONE
    created_at: datetime | None = None  # None: the entry does not say
    completed_at: datetime | None = None  # None: counts as created_at
    ready_at: datetime | None = None  # a processing job ends at this moment
    ready_after_listings: int | None = None  # or when so many listings have begun
    becomes: JobStatus = JobStatus.DONE  # what it ends as
    error: str | None = None  # VideoDB's words for a job in error
    version: int = 1  # of the content; another number means other bytes under another ETag
    generation: int = 0  # how many times GET /download/{id} has handed out a link
    content_type: str = "video/mp4"
    stream_link: str | None = None


class LinkForm(StrEnum):
    """How a signed link tells its expiry."""

    GOOG = "goog"  # X-Goog-Date + X-Goog-Expires
    AMZ = "amz"  # X-Amz-Date + X-Amz-Expires
    EPOCH = "epoch"  # Expires=<epoch seconds>
    AZURE = "azure"  # se=<ISO time>
    NONE = "none"  # it expires and does not say when


class LinkOrigin(StrEnum):
    """From when the life of a link counts."""

    REQUEST = "request"  # every answer signs anew
    COMPLETION = "completion"  # from the job's completion, whoever asks; only making it again helps
    LOOKUP = "lookup"  # from completion in a list, anew in GET /download/{id}


class ExpiredForm(StrEnum):
    """What the storage answers to a link that has died."""

    S3 = "s3"  # 403, XML "Request has expired"
    GCS = "gcs"  # 400, XML ExpiredToken
    UNAUTHORIZED = "401"
    NOT_FOUND = "404"
    GONE = "410"


@dataclass(frozen=True, slots=True)
class LinkRules:
    """How links are signed."""

    form: LinkForm = LinkForm.GOOG
    origin: LinkOrigin = LinkOrigin.REQUEST
    ttl: timedelta = timedelta(hours=24)  # what the link says
    early: timedelta = timedelta(0)  # the storage refuses it so long before the time it says
    expired: ExpiredForm = ExpiredForm.S3
    via_api: bool = False  # the link names the API's own host, which redirects to the storage


class PageOrder(StrEnum):
    """In which order a listing goes through the account."""

    NEWEST = "newest"
    OLDEST = "oldest"
    RANDOM = "random"  # another shuffle at each beginning of a listing


@dataclass(frozen=True, slots=True)
class PageRules:
    """How `GET /download` cuts the account into pages."""

    cap: int = 5000  # entries a page at most, whatever `count` asks
    default_count: int = 50  # entries a page where `count` is missing
    base: int = 0  # number of the first page; with 1, page 0 is the first page too
    order: PageOrder = PageOrder.NEWEST
    ignore_index: bool = False  # every page is the first
    ignore_count: bool = False  # every page has `default_count` entries


class TimeForm(StrEnum):
    """How entries write `created_at`."""

    NAIVE = "naive"  # 2025-05-29T03:12:30.556060
    Z = "z"
    OFFSET = "offset"  # +05:30
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class EntryRules:
    """How the API writes jobs and does its work."""

    times: TimeForm = TimeForm.Z  # what the description's `date-time` means; VideoDB's own samples are naive
    processing_seconds: float = 0.0  # how long a new or repeated job is being made
    nested_async: bool = True  # the result under `response`, else flat
    in_progress: bool = False  # the async answer says "in progress" in place of "processing"
    retry_done: bool = True  # POST /download/{id} makes a finished job again
    retry_changes_content: bool = False  # and what it makes has other bytes
    created_size: int = 1 << 20  # bytes of the file of a job made by POST /download


class ChecksumForm(StrEnum):
    """Which checksum header the storage sends."""

    GOOG = "goog"  # x-goog-hash: crc32c and md5 of the whole object, on every answer
    GOOG_CRC32C = "goog-crc32c"  # crc32c alone, as for composed objects
    CONTENT_MD5 = "content-md5"  # on 200 answers only
    S3 = "s3"  # Amazon's way: the ETag is the MD5
    S3_KMS = "s3-kms"  # and with SSE-KMS it only looks like one
    NONE = "none"


class ValidatorForm(StrEnum):
    """Which validators (RFC 9110 §8.8) the storage sends and honours."""

    BOTH = "both"
    ETAG = "etag"
    DATE = "date"
    WEAK = "weak"  # a weak ETag alone: no ground for a range
    NONE = "none"


@dataclass(frozen=True, slots=True)
class StorageRules:
    """How the storage answers where no fault says otherwise."""

    checksum: ChecksumForm = ChecksumForm.GOOG
    validators: ValidatorForm = ValidatorForm.BOTH
    ranges: bool = True  # False: no Accept-Ranges, and Range is ignored


@dataclass(frozen=True, slots=True)
class Rules:
    """Every standing rule of a sandbox; faults break them for chosen requests."""

    links: LinkRules = field(default_factory=LinkRules)
    pages: PageRules = field(default_factory=PageRules)
    entries: EntryRules = field(default_factory=EntryRules)
    storage: StorageRules = field(default_factory=StorageRules)
