"""One large file over several ranges: when that pays, which ranges, and the map of what came before its turn.

RFC 9110 §14 (ranges), §13.1.5 (If-Range) and §8.8 (validators) are the source of the rules.
"""

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from syncer.core.model import Promise
from syncer.core.rates import Line
from syncer.core.resume import OVERLAP, Answer, Ask, is_strong

LEAST: Final = 4 * 1024 * 1024
"""Bytes of a segment, at the least, unless the user says otherwise: a thin connection is busy with it for so long that
the round trip before it is lost in that, and the last ones of a file end soon after each other."""

MANY: Final = 4
"""A file of fewer segments than that comes over one connection: there is little to be won, and many such files."""

WORTH: Final = 4.0
"""Seconds that a segment keeps its connection busy while there is enough left: a faster one gets longer segments."""

MOST_MAP: Final = 64 * 1024
"""Bytes of a map. It has a line for each gap, and there are hardly more gaps than connections."""

_VERSION: Final = 1


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The bytes from `start` on, up to `stop` and without it."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Map:
    """Which bytes of one version of a file are in a partial, and on disk for good."""

    version: str  # its strong entity tag, as sent
    size: int  # of the whole file
    spans: tuple[Span, ...]  # in order, with gaps between them


# --- arithmetic ---


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same bytes, in order, with gaps between all spans."""
    found: list[Span] = []
    for span in sorted(spans):
        if span.length <= 0:
            continue
        if found and span.start <= found[-1].stop:
            found[-1] = Span(found[-1].start, max(found[-1].stop, span.stop))
        else:
            found.append(span)
    return tuple(found)


def missing(size: int, held: Iterable[Span]) -> tuple[Span, ...]:
    """What a file of `size` bytes lacks, in order."""
    gaps, at = [], 0
    for span in merged(held):
        if span.start >= size:
            break
        gaps.append(Span(at, span.start))
        at = span.stop
    return merged([*gaps, Span(at, size)])


# --- decisions ---


def version_of(promise: Promise, answer: Answer) -> str | None:
    """The validator that ties the ranges of this file together; None where it must come over one connection.

    That takes a strong entity tag: a date is none, unless the storage's clock could be trusted (RFC 9110 §8.8.2.2). And
    the storage must have said, or shown, that it gives ranges (§14.3).
    """
    gives_ranges = answer.status == 206 or answer.gives_ranges
    return promise.etag if promise.size is not None and gives_ranges and is_strong(promise.etag) else None


def pays(line: Line, connections: int) -> bool:
    """Whether one connection more beside so many is likely to carry more.

    So it is below the number that fills the line; and where no greater number was tried yet, to find out: up to twice
    as many, once, then it is known.
    """
    return line.total is not None and (connections < line.lanes or line.unsure <= connections < 2 * line.unsure)


def length_of(least: int, line: Line, lacking: int, lanes: int) -> int:
    """Bytes of the next segment of a file that lacks so many, over so many connections: what keeps one busy for a
    while, towards the end half of each one's share, so that the last ones end together; never less than `least`.

    Segments are taken from the front on: so the bytes that come before their turn are few, and lately written.
    """
    busy = int(WORTH * (line.connection or line.total or 0.0))
    return max(least, min(busy, lacking // (2 * max(1, lanes))))


def is_worth_parting(least: int, line: Line, lacking: int) -> bool:
    """Whether a file that lacks so many bytes is to get a second connection: from two whole segments on."""
    return line.total is not None and lacking >= 2 * max(least, WORTH * (line.connection or line.total))


def next_stretch(gaps: Sequence[Span], length: int, least: int) -> Span | None:
    """The next bytes to ask for: the first gap's, `length` of them, or all where too few would be left over."""
    if not gaps:
        return None
    gap = gaps[0]
    return gap if gap.length < length + least else Span(gap.start, gap.start + length)


def ask_for(stretch: Span, version: str, before: int = 0) -> Ask:
    """The request for a stretch. `before` bytes on disk right before it came from an earlier try: they are compared."""
    overlap = min(OVERLAP, before)
    return Ask(start=stretch.start - overlap, overlap=overlap, if_range=version, last=stretch.stop - 1)


def to_go_on_with(held: Map) -> tuple[Span, ...]:
    """The spans of a map after a restart. Beyond the first gap the last byte of the file counts as missing: so behind
    every span something is asked for, and the span's end is compared with what the storage has.
    """
    front = [span for span in held.spans if span.start == 0]
    return merged([*front, *(Span(span.start, min(span.stop, held.size - 1)) for span in held.spans if span.start)])


# --- the map ---


def dump(held: Map) -> bytes:
    """A map as it is written."""
    spans = [[span.start, span.stop] for span in held.spans]
    told = {"version": _VERSION, "size": held.size, "etag": held.version, "spans": spans}
    text = json.dumps(told, separators=(",", ":"))
    return f"{text}\n{zlib.crc32(text.encode('ascii')):08x}\n".encode("ascii")


def load(data: bytes) -> Map | None:
    """A map as it was written; None where it is damaged, or another version's."""
    text, _, check = data.partition(b"\n")
    if check != b"%08x\n" % zlib.crc32(text):
        return None
    try:
        told = json.loads(text)
        if told["version"] != _VERSION:
            return None
        held = Map(str(told["etag"]), int(told["size"]), tuple(Span(int(a), int(b)) for a, b in told["spans"]))
    except (ValueError, TypeError, KeyError):
        return None
    within = all(0 <= span.start < span.stop <= held.size for span in held.spans)
    return held if within and merged(held.spans) == held.spans else None
