"""An answer before it goes on the wire: what it says, what it promises, and how its delivery ends."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from syncer.sandbox.content import CHUNK, Content


@dataclass(frozen=True, slots=True)
class Slice:
    """The bytes [start, stop) of a content, generated when they are sent."""

    content: Content
    start: int
    stop: int

    def __len__(self) -> int:
        return max(self.stop - self.start, 0)


class Framing(StrEnum):
    """How the receiver learns where the body ends (RFC 9112 §6.3)."""

    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class Ending(StrEnum):
    """What happens when the body, or the part of it that is sent, is out."""

    WHOLE = "whole"
    CUT = "cut"  # FIN
    RESET = "reset"  # RST
    STALL = "stall"  # silence, until the client leaves


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; faults turn it into another one."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: tuple[bytes | Slice, ...] = ()
    payload: Any = None  # of an API answer: the JSON value, until it is written out
    framing: Framing = Framing.LENGTH
    promised: int | None = None  # Content-Length to claim; None: the truth
    gzipped: bool = False  # the body is compressed on the way out
    rate: float | None = None  # bytes a second of this answer
    shared_rate: float | None = None  # bytes a second of all answers that have one, together
    stop_after: int | None = None  # bytes of body after which `ending` comes
    over: Callable[[], bool] | None = None  # asked before each piece of body; True brings `ending`
    ending: Ending = Ending.WHOLE
    delay: float = 0.0  # seconds of silence before the status line

    @property
    def length(self) -> int:
        """Bytes of the body as it stands, before compression."""
        return sum(len(part) for part in self.body)

    def with_headers(self, **changes: str | None) -> "Answer":
        """The same answer with headers set or, for None, left out; `_` stands for `-`, case does not count."""
        wanted = {name.replace("_", "-").lower(): value for name, value in changes.items()}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in wanted}
        return replace(self, headers=kept | {name: value for name, value in wanted.items() if value is not None})

    def written(self) -> "Answer":
        """The same answer with its JSON value written out as the body."""
        if self.payload is None:
            return self
        body = json.dumps(self.payload).encode("ascii")
        return replace(self, payload=None, body=(body,))

    def pieces(self) -> Iterator[bytes]:
        """The body in pieces of bounded size."""
        for part in self.body:
            if isinstance(part, Slice):
                yield from part.content.chunks(part.start, part.stop)
            else:
                for at in range(0, len(part), CHUNK):
                    yield part[at : at + CHUNK]


def json_answer(status: int, payload: Any) -> Answer:
    """An answer of the API."""
    return Answer(status, {"content-type": "application/json"}, payload=payload)


def failure(status: int, message: str, code: str) -> Answer:
    """The API's way to refuse; with status 200 it still is a refusal."""
    return json_answer(status, {"success": False, "message": message, "error_code": code})


def text_answer(status: int, text: str, content_type: str) -> Answer:
    """A short answer that is not JSON."""
    return Answer(status, {"content-type": content_type}, body=(text.encode("utf-8"),))


def xml_error(status: int, code: str, message: str) -> Answer:
    """A refusal in the words of S3 and GCS."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return text_answer(status, text, "application/xml")
