"""Faults of delivery and of refusal; they strike answers of the API and of the storage alike."""

import gzip
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import format_datetime
from enum import StrEnum

from syncer.sandbox.answers import Answer, Ending, Framing, failure, json_answer, text_answer, xml_error
from syncer.sandbox.faults import Ask, Fault, Kind, World

PROXY_PAGE = "<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head><body>The proxy is tired.</body></html>\n"


_PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde" + bytes(64)


class RetryForm(StrEnum):
    """How Retry-After (RFC 9110 §10.2.3) is written."""

    SECONDS = "seconds"
    DATE = "date"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Fault):
    """A refusal with this status: JSON from the API, XML from the storage."""

    status: int = 503
    retry_after: float | None = None  # seconds; None: no Retry-After header
    retry_form: RetryForm = RetryForm.SECONDS
    message: str = "The sandbox was told to refuse this"

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Puts the refusal in the answer's place."""
        if ask.kind is Kind.STORAGE:
            refusal = xml_error(self.status, "Refused", self.message)
        else:
            refusal = failure(self.status, self.message, f"HTTP_{self.status}")
        if self.retry_after is None:
            return refusal
        told = f"{self.retry_after:.0f}"
        if self.retry_form is RetryForm.DATE:
            told = format_datetime(world.now() + timedelta(seconds=self.retry_after), usegmt=True)
        return refusal.with_headers(retry_after=told)


class PageForm(StrEnum):
    """What stands where the answer should be."""

    HTML = "html"
    JSON = "json"
    XML = "xml"
    TEXT = "text"
    ZIPPED = "zipped"  # the page of HTML, compressed, and no header says so
    PICTURE = "picture"  # a PNG
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage(Fault):
    """A page of a proxy or a portal, with a status that may well be 200."""

    form: PageForm = PageForm.HTML
    status: int = 200
    content_type: str | None = None  # None: the right one for the form; `video/mp4` to lie

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Puts the page in the answer's place."""
        match self.form:
            case PageForm.HTML:
                page = text_answer(self.status, PROXY_PAGE, "text/html; charset=utf-8")
            case PageForm.JSON:
                told = {"success": False, "message": "Something went wrong"}
                page = json_answer(self.status, told).written()
            case PageForm.XML:
                page = xml_error(self.status, "InternalError", "We encountered an internal error.")
            case PageForm.TEXT:
                page = text_answer(self.status, "Access denied: this link is no longer valid.\n", "text/plain")
            case PageForm.ZIPPED:
                packed = gzip.compress(PROXY_PAGE.encode("ascii"), mtime=0)
                page = Answer(self.status, {"content-type": "text/html"}, body=(packed,))
            case PageForm.PICTURE:
                page = Answer(self.status, {"content-type": "image/png"}, body=(_PICTURE,))
            case _:
                page = text_answer(self.status, "", "text/plain")
        return page if self.content_type is None else page.with_headers(content_type=self.content_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(Fault):
    """A thin line: bytes a second for one answer, or with `shared` for all struck answers together."""

    rate: float = 256 * 1024
    shared: bool = False

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Sets the pace."""
        if self.shared:
            return replace(answer, shared_rate=self.rate)
        return replace(answer, rate=self.rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(Fault):
    """Silence before the status line."""

    seconds: float = 1.0

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Sets the silence."""
        return replace(answer, delay=self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken(Fault):
    """The body stops early. `after` bytes of this answer's body, or where that is None a share of it, are sent."""

    after: int | None = None
    share: float = 0.5

    def _stop(self, answer: Answer, ending: Ending) -> Answer:
        answer = answer.written()
        point = int(answer.length * self.share) if self.after is None else self.after
        return replace(answer, stop_after=point, ending=ending)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(Broken):
    """Then the connection is closed in an orderly way."""

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Marks where the connection ends."""
        return self._stop(answer, Ending.CUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Broken):
    """Then the connection is reset; bytes still in flight may be lost with it."""

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Marks where the connection breaks."""
        return self._stop(answer, Ending.RESET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall(Broken):
    """Then nothing comes, and the connection stays open until the client leaves."""

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Marks where silence begins."""
        return self._stop(answer, Ending.STALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame(Fault):
    """No Content-Length: the body is chunked, or ends where the connection does."""

    framing: Framing = Framing.CHUNKED

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Sets the framing."""
        return replace(answer, framing=self.framing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise(Fault):
    """A Content-Length that is so many bytes off: above 0 the body falls short of it, below it overshoots."""

    off: int = 1000

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Sets the false length."""
        answer = answer.written()
        return replace(answer, promised=max(answer.length + self.off, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Longer(Fault):
    """More bytes than the Content-Length says, after the honest body."""

    extra: int = 1000

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Appends bytes outside the promise."""
        answer = answer.written()
        return replace(answer, promised=answer.length, body=(*answer.body, b"\xff" * self.extra))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gzip(Fault):
    """Content-Encoding: gzip though nobody asked; the length is not told."""

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Has the body compressed on its way out."""
        framing = Framing.CHUNKED if answer.framing is Framing.LENGTH else answer.framing
        return replace(answer.with_headers(content_encoding="gzip"), gzipped=True, framing=framing)
