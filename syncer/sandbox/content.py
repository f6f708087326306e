"""What a job's file holds: any number of bytes, the same on every run, readable from any offset."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import google_crc32c

BLOCK = 64 * 1024  # bytes between two stamps
CHUNK = 256 * 1024  # bytes handed over at a time
_HEADER = 48  # bytes of MP4 boxes before the media data
_STAMP = 32  # bytes at the head of every block that no other block has


@dataclass(frozen=True, slots=True)
class Digests:
    """Checksums of one whole file, in the notations a storage sends and a ledger keeps."""

    sha256: str  # hexadecimal
    md5: str  # hexadecimal
    crc32c: str  # base64 of 4 big-endian bytes, as in Google's x-goog-hash

    @property
    def md5_base64(self) -> str:
        """MD5 as Content-MD5 (RFC 1864) and x-goog-hash write it."""
        return base64.b64encode(bytes.fromhex(self.md5)).decode("ascii")


@dataclass(frozen=True, slots=True)
class Content:
    """One version of one job's file.

    Two contents with equal fields hold equal bytes, in any process. Bytes moved by a whole number of blocks,
    or taken from another version, another job or another seed, are different bytes.
    """

    seed: int
    job_id: str
    version: int
    size: int  # bytes

    @property
    def etag(self) -> str:
        """A strong validator (RFC 9110 §8.8.3), quotes included."""
        return f'"{self._key(b"etag").hex()[:32]}"'

    def read(self, start: int, length: int) -> bytes:
        """The bytes of [start, start+length), cut at the end of the file."""
        stop = min(start + length, self.size)
        if start >= stop:
            return b""
        first = start // BLOCK
        blocks = [self._block(index) for index in range(first, (stop - 1) // BLOCK + 1)]
        return b"".join(blocks)[start - first * BLOCK : stop - first * BLOCK]

    def chunks(self, start: int = 0, stop: int | None = None, size: int = CHUNK) -> Iterator[bytes]:
        """The bytes of [start, stop) in pieces of at most `size`; memory holds one piece."""
        end = self.size if stop is None else min(stop, self.size)
        while start < end:
            piece = self.read(start, min(size, end - start))
            yield piece
            start += len(piece)

    def digests(self) -> Digests:
        """Checksums of the whole file; the first call reads it all, later ones remember."""
        return _digests(self)

    def _block(self, index: int) -> bytes:
        base = _base(self._key(b"block"))
        stamp = hashlib.blake2b(index.to_bytes(8, "big"), key=self._key(b"stamp"), digest_size=_STAMP).digest()
        if index == 0:
            return _boxes(self.size) + stamp + base[_HEADER + _STAMP :]
        return stamp + base[_STAMP:]

    def _key(self, purpose: bytes) -> bytes:
        name = f"{self.seed}\x00{self.version}\x00{self.size}\x00{self.job_id}"
        return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), person=purpose, digest_size=32).digest()


@lru_cache(maxsize=64)
def _base(key: bytes) -> bytes:
    return hashlib.shake_256(key).digest(BLOCK)


def _boxes(size: int) -> bytes:
    """ISO/IEC 14496-12: `ftyp`, an empty `free`, and the head of an `mdat` that reaches the end of the file."""
    ftyp = (24).to_bytes(4, "big") + b"ftypisom" + (0x200).to_bytes(4, "big") + b"isommp42"
    free = (8).to_bytes(4, "big") + b"free"
    mdat = (1).to_bytes(4, "big") + b"mdat" + max(size - 32, 16).to_bytes(8, "big")
    return ftyp + free + mdat


@lru_cache(maxsize=4096)
def _digests(content: Content) -> Digests:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    crc = 0
    for piece in content.chunks():
        sha256.update(piece)
        md5.update(piece)
        crc = google_crc32c.extend(crc, piece)
    return Digests(sha256.hexdigest(), md5.hexdigest(), base64.b64encode(crc.to_bytes(4, "big")).decode("ascii"))
