"""The corpora: files that a web server can serve, and the list of download jobs that names them."""

import os
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

KIB, MIB, GIB = 2**10, 2**20, 2**30
ENTRY_BYTES = 1000
"""Every entry of the list has this length, padded with blanks: a page of them is one stretch of a file."""

_SEED = 20261105


@dataclass(frozen=True, slots=True)
class Corpus:
    """So many files of one size."""

    name: str
    count: int
    size: int  # bytes

    def scaled(self, scale: float) -> "Corpus":
        """The same with fewer files; at least two."""
        return Corpus(self.name, max(2, round(self.count * scale)), self.size)

    @property
    def title(self) -> str:
        unit, name = next((u, n) for u, n in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")) if self.size >= u)
        return f"{self.name}: {self.count:,} x {self.size // unit} {name}"

    @property
    def bytes(self) -> int:
        return self.count * self.size

    def paths(self) -> list[str]:
        """Where the files lie, relative to the web server's root."""
        return [f"{self.name}/{n // 1000:03}/file-{n:06}.mp4" for n in range(self.count)]


CORPORA = {
    "S": Corpus("S", 10_000, 64 * KIB),
    "M": Corpus("M", 400, 8 * MIB),
    "L": Corpus("L", 4, GIB),
}


def make_files(corpus: Corpus, root: Path) -> None:
    """Write the files under `root`, no two alike, each beginning with the box that an MP4 begins with."""
    block = bytearray(random.Random(_SEED).randbytes(min(corpus.size, MIB)))
    for number, path in enumerate(corpus.paths()):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb", buffering=0) as out:
            for at in range(0, corpus.size, len(block)):
                block[:28] = b"\0\0\0\x1cftypisom" + number.to_bytes(8, "big") + at.to_bytes(8, "big")
                out.write(block)


def make_list(path: Path, urls: list[str]) -> None:
    """The jobs of these files, one of `ENTRY_BYTES` after the other, as VideoDB would list them."""
    rng = random.Random(_SEED)
    with path.open("wb") as out:
        for number, url in enumerate(urls):
            out.write(entry(number, f"{url}?{signature(rng)}"))


def entry(number: int, link: str) -> bytes:
    """One entry of the list: JSON and a comma, then blanks."""
    text = (
        f'{{"id":"download-{number:08}","collection_id":"default","name":"Launch film {number}.mp4","status":"done",'
        f'"created_at":"2026-11-05T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}Z",'
        f'"download_url":"{link}"}},'
    )
    padded = text.encode("ascii").ljust(ENTRY_BYTES)
    if len(padded) != ENTRY_BYTES:
        raise AssertionError("an entry is longer than its place")
    return padded


def signature(rng: random.Random) -> str:
    """The query of a link signed this moment, as long as Google's V4 signatures are."""
    now = datetime.now(UTC)
    return (
        "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=storage%40project.iam.gserviceaccount.com%2F"
        f"{now:%Y%m%d}%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date={now:%Y%m%dT%H%M%SZ}&X-Goog-Expires=86400"
        f"&X-Goog-SignedHeaders=host&X-Goog-Signature={rng.randbytes(128).hex()}"
    )


def is_whole(corpus: Corpus, folder: Path) -> bool:
    """Whether a client brought every file, in full length; without a look at the bytes."""
    count = total = 0
    for top, folders, files in os.walk(folder):
        if ".syncer" in folders:
            folders.remove(".syncer")
        count += len(files)
        total += sum((Path(top) / name).stat().st_size for name in files)
    return (count, total) == (corpus.count, corpus.bytes)
