"""The storage behind the links: what a bucket of a cloud provider answers to a signed link."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from syncer.sandbox.answers import Answer, Slice, xml_error
from syncer.sandbox.content import Content
from syncer.sandbox.faults import Ask
from syncer.sandbox.links import BadLinkError, SignedLink, verify
from syncer.sandbox.model import ChecksumForm, ExpiredForm, Rules, SandboxJob, ValidatorForm
from syncer.sandbox.ranges import UnsatisfiableError, holds, http_date, wanted

_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)  # Last-Modified of a file whose job has no times


@dataclass(frozen=True, slots=True)
class Knock:
    """A request at the storage's door."""

    method: str
    path: str
    query: str
    host: str  # the Host header
    token: bool  # an x-access-token header came with it


def admit(
    knock: Knock, rules: Rules, secret: bytes, now: datetime, *, api_url: str, storage_url: str
) -> SignedLink | Answer:
    """What the link grants, or the refusal.

    A request with the API key is refused whatever its link: the key must never reach another host than the API's.
    HEAD is refused as S3 does for a link signed for GET.
    """
    if knock.token:
        return xml_error(400, "InvalidArgument", "The API key must not be sent to the storage.")
    try:
        link = verify(secret, knock.path, knock.query)
    except BadLinkError:
        return xml_error(403, "SignatureDoesNotMatch", "The request signature does not match.")
    if knock.method != "GET":
        return xml_error(403, "SignatureDoesNotMatch", "The link is signed for GET.")
    if now >= link.expires_at - rules.links.early:
        return _expired(rules.links.expired)
    at_api = knock.host == urlsplit(api_url).netloc != urlsplit(storage_url).netloc
    if rules.links.via_api and at_api:
        return Answer(302, {"location": f"{storage_url}{knock.path}?{knock.query}"})
    return link


def no_such_key() -> Answer:
    """The answer to a link whose file is gone."""
    return xml_error(404, "NoSuchKey", "The specified key does not exist.")


async def serve(content: Content, job: SandboxJob, ask: Ask, rules: Rules) -> Answer:
    """The file or the asked part of it (RFC 9110 §14, §15.3.7, §15.5.17)."""
    form = rules.storage.validators if ask.validators is None else ask.validators
    modified = _modified(job)
    etag = await _etag(rules.storage.checksum, content)
    headers = _validators(form, etag, modified) | {"content-type": job.content_type}
    part = None
    if rules.storage.ranges:
        headers["accept-ranges"] = "bytes"
        if not ask.ignore_range and holds(ask.if_range, form, etag, modified):
            try:
                part = wanted(ask.range, content.size)
            except UnsatisfiableError:
                refusal = xml_error(416, "InvalidRange", "The requested range cannot be satisfied.")
                return refusal.with_headers(content_range=f"bytes */{content.size}")
    headers |= await _checksums(rules.storage.checksum, content, whole=part is None)
    if part is None:
        return Answer(200, headers, body=(Slice(content, 0, content.size),))
    start, stop = part
    headers["content-range"] = f"bytes {start}-{stop - 1}/{content.size}"
    return Answer(206, headers, body=(Slice(content, start, stop),))


async def _etag(form: ChecksumForm, content: Content) -> str:
    if form is not ChecksumForm.S3:
        return content.etag
    return f'"{(await asyncio.to_thread(content.digests)).md5}"'


def _modified(job: SandboxJob) -> datetime:
    moment = job.completed_at or job.created_at or _EPOCH
    return datetime.fromtimestamp(int(moment.timestamp()) + job.version - 1, UTC)


def _validators(form: ValidatorForm, etag: str, modified: datetime) -> dict[str, str]:
    told: dict[str, str] = {}
    if form in (ValidatorForm.BOTH, ValidatorForm.ETAG):
        told["etag"] = etag
    if form is ValidatorForm.WEAK:
        told["etag"] = f"W/{etag}"
    if form in (ValidatorForm.BOTH, ValidatorForm.DATE):
        told["last-modified"] = http_date(modified)
    return told


async def _checksums(form: ChecksumForm, content: Content, *, whole: bool) -> dict[str, str]:
    if form is ChecksumForm.NONE or (form is ChecksumForm.CONTENT_MD5 and not whole):
        return {}
    if form in (ChecksumForm.S3, ChecksumForm.S3_KMS):
        sealed = "aws:kms" if form is ChecksumForm.S3_KMS else "AES256"
        return {"server": "AmazonS3", "x-amz-request-id": "SANDBOX", "x-amz-server-side-encryption": sealed}
    digests = await asyncio.to_thread(content.digests)
    if form is ChecksumForm.CONTENT_MD5:
        return {"content-md5": digests.md5_base64}
    told = f"crc32c={digests.crc32c}"
    if form is ChecksumForm.GOOG:
        told += f",md5={digests.md5_base64}"
    return {
        "x-goog-hash": told,
        "x-goog-stored-content-length": str(content.size),
        "x-goog-stored-content-encoding": "identity",
    }


def _expired(form: ExpiredForm) -> Answer:
    match form:
        case ExpiredForm.S3:
            return xml_error(403, "AccessDenied", "Request has expired")
        case ExpiredForm.GCS:
            return xml_error(400, "ExpiredToken", "The provided token has expired.")
        case ExpiredForm.UNAUTHORIZED:
            return xml_error(401, "Unauthorized", "Request has expired")
        case ExpiredForm.NOT_FOUND:
            return no_such_key()
        case ExpiredForm.GONE:
            return xml_error(410, "Gone", "Request has expired")
