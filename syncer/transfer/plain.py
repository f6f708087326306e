"""Ordinary links, told apart without a full parse: what httpx would send of them is what stands there. Pure."""

import re
from dataclasses import dataclass
from functools import lru_cache

from syncer.core.errors import NotTheFile
from syncer.transfer.dial import Origin
from syncer.transfer.redirects import parse_link
from syncer.transfer.wire_head import serialise

# What httpx leaves as it is in a path and a query; nothing that it would quote, fold, resolve or refuse.
_PLAIN = re.compile(
    r"(https?://[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?)"
    r"(/[A-Za-z0-9._~!$&()*+,;=:@/%-]*(?:\?[A-Za-z0-9._~!$&()*+,;=:@/?%-]*)?)"
)
_HALF_QUOTED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LONGEST = 32 * 1024
_MOST_PLACES = 64


@dataclass(frozen=True, slots=True)
class Plain:
    """A link, ready to be asked for."""

    origin: Origin
    host: str  # for messages
    netloc: bytes  # for the Host header
    target: bytes


def plain_link(text: str) -> Plain | None:
    """None for a link that httpx had better look at."""
    match = _PLAIN.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or "/." in text or _HALF_QUOTED.search(text):
        return None
    place = _place(match[1])
    return None if place is None else Plain(*place, match[2].encode("ascii"))


@lru_cache(maxsize=_MOST_PLACES)
def _place(prefix: str) -> tuple[Origin, str, bytes] | None:
    try:
        url = parse_link(f"{prefix}/", "")
    except NotTheFile:
        return None
    return Origin.of(url), url.host, url.netloc


class Requests:
    """The bytes of requests; for files asked for whole, all but the target is made once a host."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        self._blocks: dict[bytes, bytes] = {}

    def get(self, netloc: bytes, target: bytes, more: dict[bytes, bytes]) -> bytes:
        """A GET for a plain link's target. Raises httpx.LocalProtocolError for `more` headers that cannot be."""
        block = None if more else self._blocks.get(netloc)
        if block is None:
            headers = [(b"Host", netloc), *self._headers, *more.items()]
            if more:
                return serialise(target, headers)
            if len(self._blocks) >= _MOST_PLACES:
                self._blocks.clear()
            _, _, block = serialise(b"/", headers).partition(b" HTTP/1.1\r\n")
            self._blocks[netloc] = block
        return b"GET " + target + b" HTTP/1.1\r\n" + block
