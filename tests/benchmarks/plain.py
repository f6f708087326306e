"""What one would write in an afternoon: httpx and aiofiles, a loop a worker. The yardstick, not an example.

With --everything it does what syncer does for each file: sha256, fsync, rename, a row in a database, a progress bar.
"""

import asyncio
import hashlib
import os
import sqlite3
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiofiles
import httpx
from tqdm import tqdm

CHUNK = 64 * 1024


async def fetch(http: httpx.AsyncClient, url: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    async with http.stream("GET", url) as response, aiofiles.open(path, "wb") as file:
        response.raise_for_status()
        async for chunk in response.aiter_bytes(CHUNK):
            await file.write(chunk)


async def fetch_with_everything(http: httpx.AsyncClient, url: str, path: Path, bar: Any, ledger: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, digest = path.with_suffix(".part"), hashlib.sha256()
    async with http.stream("GET", url) as response, aiofiles.open(partial, "wb") as file:
        response.raise_for_status()
        async for chunk in response.aiter_bytes(CHUNK):
            digest.update(chunk)
            await file.write(chunk)
            bar.update(len(chunk))
        await file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())
        size = await file.tell()
    partial.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    await asyncio.to_thread(os.fsync, folder)
    os.close(folder)
    row = (url, str(path), size, digest.hexdigest())
    ledger.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", row)
    ledger.commit()


async def work(jobs: Iterator[list[str]], dest: Path, http: httpx.AsyncClient, tools: tuple[Any, Any] | None) -> None:
    for url, path in jobs:
        if tools is None:
            await fetch(http, url, dest / path)
        else:
            await fetch_with_everything(http, url, dest / path, *tools)


async def main(lines: list[str], dest: str, workers: int, ca: str, *, everything: bool) -> None:
    jobs = iter([line.split() for line in lines])
    tools = None
    if everything:
        ledger = sqlite3.connect(Path(dest).parent / "plain.db")
        ledger.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
            "CREATE TABLE files (url TEXT PRIMARY KEY, path TEXT, size INTEGER, sha256 TEXT);"
        )
        tools = (tqdm(unit="B", unit_scale=True, mininterval=0.25), ledger)
    async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=ca), timeout=60) as http:
        await asyncio.gather(*(work(jobs, Path(dest), http, tools) for _ in range(workers)))


if __name__ == "__main__":
    listed, dest, workers, ca = sys.argv[1:5]
    urls = Path(listed).read_text().splitlines()
    asyncio.run(main(urls, dest, int(workers), ca, everything="--everything" in sys.argv))
