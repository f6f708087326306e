"""Faults that only a storage has: ranges, versions, checksums, refusals and redirects of links."""

import base64
from dataclasses import dataclass, field, replace

from syncer.sandbox.answers import Answer, Ending, Framing, Slice, xml_error
from syncer.sandbox.faults import Ask, Fault, When, World
from syncer.sandbox.links import with_hop
from syncer.sandbox.model import ValidatorForm

_BOUNDARY = "sandbox-part"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Fault):
    """A link the storage will not honour, before its time."""

    status: int = 403
    until_relinked: bool = False  # links handed out by GET /download/{id} are honoured

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Puts the refusal in the answer's place."""
        if self.until_relinked and ask.generation > 0:
            return answer
        return xml_error(self.status, "AccessDenied", "Access denied.")


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredRange(Fault):
    """200 and the whole file, whatever range was asked."""

    def prepare(self, world: World, ask: Ask) -> Ask:  # noqa: ARG002 - the hook's signature
        """Forgets the range."""
        return replace(ask, ignore_range=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongRange(Fault):
    """A 206 that begins elsewhere, or belongs to a file of another length. Other statuses pass unharmed."""

    shift: int = 1000  # bytes the sent range begins later; header and body agree on it
    total: int = 0  # added to the file's length in Content-Range

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Moves the range."""
        part = _part(answer)
        if part is None:
            return answer
        last = max(part.stop - 1, 0)
        start = min(max(part.start + self.shift, 0), last)
        told = f"bytes {start}-{last}/{part.content.size + self.total}"
        return replace(answer.with_headers(content_range=told), body=(replace(part, start=start),))


@dataclass(frozen=True, slots=True, kw_only=True)
class MultipartRange(Fault):
    """The range comes wrapped as multipart/byteranges (RFC 9110 §14.6). Other statuses pass unharmed."""

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Wraps the range."""
        part = _part(answer)
        if part is None:
            return answer
        told = answer.headers.get("content-range", "")
        head = f"--{_BOUNDARY}\r\nContent-Type: video/mp4\r\nContent-Range: {told}\r\n\r\n".encode("ascii")
        tail = f"\r\n--{_BOUNDARY}--\r\n".encode("ascii")
        wrapped = answer.with_headers(content_range=None, content_type=f"multipart/byteranges; boundary={_BOUNDARY}")
        return replace(wrapped, body=(head, part, tail))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsatisfied(Fault):
    """416 to whatever range is asked for, with the file's length in Content-Range or without."""

    told: bool = True

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Refuses the range; other answers than 206 pass unharmed."""
        part = _part(answer)
        if part is None:
            return answer
        refusal = xml_error(416, "InvalidRange", "The requested range cannot be satisfied.")
        return refusal.with_headers(content_range=f"bytes */{part.content.size}" if self.told else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownTotal(Fault):
    """A 206 that does not say how long the whole file is: `bytes 5-9/*` (RFC 9110 §14.4)."""

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Leaves the length out."""
        span, slash, _ = answer.headers.get("content-range", "").partition("/")
        return answer.with_headers(content_range=f"{span}/*") if slash and answer.status == 206 else answer


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeAsPart(Fault):
    """The whole file comes as a 206, though no range was asked for."""

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Relabels a 200."""
        if answer.status != 200:
            return answer
        told = f"bytes 0-{answer.length - 1}/{answer.length}"
        return replace(answer.with_headers(content_range=told), status=206)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endless(Fault):
    """The file's bytes, and then more of their kind for as long as the client stays; no length is told."""

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Puts a body without an end behind the head."""
        if len(answer.body) != 1 or not isinstance(answer.body[0], Slice):
            return answer
        content = replace(answer.body[0].content, size=1 << 60)
        open_ended = answer.with_headers(x_goog_hash=None, content_md5=None, x_goog_stored_content_length=None)
        return replace(open_ended, body=(Slice(content, 0, content.size),), framing=Framing.CHUNKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Fault):
    """The file is replaced by another version before the request is answered, and stays so."""

    when: When = field(default_factory=lambda: When(after=1, first=1))
    size: int | None = None  # bytes of the new version; None: as before

    def prepare(self, world: World, ask: Ask) -> Ask:
        """Replaces the file in the account; digests of the job are of the new version from now on."""
        job = None if ask.job_id is None else world.store.get(ask.job_id)
        if job is not None:
            size = job.size if self.size is None else self.size
            world.store.put(replace(job, version=job.version + 1, size=size))
        return ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators(Fault):
    """Other validators than the standing rule sends; by default none."""

    form: ValidatorForm = ValidatorForm.NONE

    def prepare(self, world: World, ask: Ask) -> Ask:  # noqa: ARG002 - the hook's signature
        """Sets what is sent and honoured."""
        return replace(ask, validators=self.form)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongChecksum(Fault):
    """The checksum headers are of other bytes; where there is none, a false x-goog-hash comes."""

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Falsifies the checksums of an answer that carries the file."""
        if answer.status not in (200, 206):
            return answer
        md5 = base64.b64encode(b"\x5a" * 16).decode("ascii")
        if answer.headers.get("server") == "AmazonS3":
            return answer.with_headers(etag=f'"{"5a" * 16}"')
        if "content-md5" in answer.headers:
            return answer.with_headers(content_md5=md5)
        return answer.with_headers(x_goog_hash=f"crc32c=WlpaWg==,md5={md5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncated(Fault):
    """The last bytes are missing, and the Content-Length is right for what is left."""

    missing: int = 1000

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Drops the end of a body that is one piece of the file."""
        if len(answer.body) != 1 or not isinstance(answer.body[0], Slice):
            return answer
        part = answer.body[0]
        return replace(answer, body=(replace(part, stop=max(part.stop - self.missing, part.start)),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect(Fault):
    """The storage sends the client to another host, so many times, or for ever."""

    hops: int = 1
    loop: bool = False
    status: int = 302

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:
        """Puts the redirect in the answer's place until enough were followed."""
        if ask.hop >= self.hops and not self.loop:
            return answer
        host = world.other_url if ask.hop % 2 == 0 else world.storage_url
        hop = ask.hop + 1
        return Answer(self.status, {"location": f"{host}{ask.path}?{with_hop(ask.query, hop)}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EndsWithLink(Fault):
    """The body ends, in the middle as it may be, at the moment the link it came under dies."""

    ending: Ending = Ending.CUT

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:
        """Ties the body to the life of the link."""
        dies_at = ask.dies_at
        if dies_at is None:
            return answer
        return replace(answer.written(), over=lambda: world.now() >= dies_at, ending=self.ending)


def _part(answer: Answer) -> Slice | None:
    if answer.status == 206 and len(answer.body) == 1 and isinstance(answer.body[0], Slice):
        return answer.body[0]
    return None
