"""Digests of bytes as they pass: sha256 always, and the checksums a storage may send."""

import hashlib

import google_crc32c


class Digester:
    """sha256 and those of `names` (`md5`, `crc32c`) over every byte fed to it."""

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        unknown = names - {"sha256", "md5", "crc32c"}
        if unknown:
            raise ValueError(f"unknown digests: {sorted(unknown)}")
        self._sha256 = hashlib.sha256()
        # A check against accidents, as the storage offers it; nothing rests on MD5 being hard to forge.
        self._md5 = hashlib.md5(usedforsecurity=False) if "md5" in names else None
        crc32c = google_crc32c.Checksum() if "crc32c" in names else None  # type: ignore[no-untyped-call]
        self._crc32c = crc32c

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Blocking; lets other threads run meanwhile."""
        self._sha256.update(data)
        if self._md5 is not None:
            self._md5.update(data)
        if self._crc32c is not None:
            self._crc32c.update(data if isinstance(data, bytes) else bytes(data))  # type: ignore[no-untyped-call]

    def hexdigests(self) -> dict[str, str]:
        """By name, in lower-case hex; crc32c as its four bytes in network order."""
        digests = {"sha256": self._sha256.hexdigest()}
        if self._md5 is not None:
            digests["md5"] = self._md5.hexdigest()
        if self._crc32c is not None:
            digests["crc32c"] = self._crc32c.digest().hex()  # type: ignore[no-untyped-call]
        return digests
