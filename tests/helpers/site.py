"""A user's machine to test on: passes in this process for speed, or as the command for signals and exit codes."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import syncer
from syncer.core.model import State
from syncer.ledger import open_ledger
from syncer.sandbox.box import Sandbox
from syncer.sandbox.faults import Kind
from syncer.sandbox.model import SandboxJob

CREATED = datetime(2026, 11, 5, 12, tzinfo=UTC)


def jobs(count=3, size=300_000, **more):
    return [SandboxJob(f"job-{n:03}", f"Film {n}.mp4", size=size, created_at=CREATED, **more) for n in range(count)]


@dataclass
class Site:
    """One user's machine: a destination, a ledger, and a sandbox to sync from."""

    folder: Path
    sandbox: Sandbox
    options: dict = field(default_factory=dict)

    @property
    def dest(self):
        return self.folder / "videos"

    @property
    def ledger(self):
        return self.folder / "state" / "ledger.db"

    def settings(self, **more):
        given = {"dest": str(self.dest), "ledger": str(self.ledger), "api_rate": "1000", "tries": "4"}
        environ = {"VIDEO_DB_BASE_URL": self.sandbox.base_url, "VIDEO_DB_API_KEY": self.sandbox.api_key}
        return syncer.load_settings({**given, **self.options, **more}, environ)

    async def sync(self, observer=None, **more):
        report = await syncer.sync(self.settings(**more), observer=observer)
        assert self.sandbox.token_leaks == 0
        assert report.balanced
        return report

    def environ(self, **more):
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SYNCER_", "VIDEO"))},
            "VIDEO_DB_BASE_URL": self.sandbox.base_url,
            "VIDEO_DB_API_KEY": self.sandbox.api_key,
            "SYNCER_LEDGER": str(self.ledger),
            "SYNCER_API_RATE": "1000",
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_STATE_HOME": str(self.folder / "xdg-state"),
            **more,
        }

    def command(self, *argv, environ=None, **more):
        """The `syncer` command, run to its end."""
        return subprocess.run(
            [sys.executable, "-m", "syncer", *map(str, argv)],
            env=environ or self.environ(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            **more,
        )

    def start(self, *argv, environ=None, stderr=subprocess.PIPE):
        """The `syncer` command, begun. What says much is given a file for it: a pipe that nobody reads stops it."""
        return subprocess.Popen(
            [sys.executable, "-m", "syncer", *map(str, argv)],
            env=environ or self.environ(),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def files(self):
        """What a user sees in the destination, by relative path."""
        return {
            path.relative_to(self.dest).as_posix(): path
            for path in self.dest.rglob("*")
            if path.is_file() and ".syncer" not in path.relative_to(self.dest).parts
        }

    def partials(self):
        return sorted((self.dest / ".syncer" / "partial").glob("*"))

    def manifest(self):
        lines = (self.dest / ".syncer" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
        return {line["id"]: line for line in map(json.loads, lines)}

    async def entries(self, *states):
        ledger = await open_ledger(self.ledger, read_only=True)
        try:
            return {entry.id: entry async for entry in ledger.entries([State(s) for s in states])}
        finally:
            await ledger.close()

    def until(self, holds, seconds=30):
        """Wait for something another process is to do; the test fails where it does not."""
        pause, end = threading.Event(), time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "it did not happen"
            pause.wait(0.02)

    def storage_requests(self):
        return self.sandbox.log.requests(Kind.STORAGE)

    async def check_whole(self, *ids):
        """Every named job, or every done one, is on disk byte for byte, and ledger and manifest say the same."""
        entries, manifest = await self.entries("stored"), self.manifest()
        done = {job.id.replace("\0", "\ufffd"): job for job in self.sandbox.store.all() if job.status == "done"}
        wanted = set(ids) or set(done)
        assert set(entries) >= wanted
        paths = {entry.stored.path for entry in entries.values()}
        assert paths == set(self.files())
        assert len({path.casefold() for path in paths}) == len(entries)
        for job_id in wanted:
            stored = entries[job_id].stored
            content = self.sandbox.digests(done[job_id].id)
            on_disk = await asyncio.to_thread((self.dest / stored.path).read_bytes)
            assert len(on_disk) == stored.size == done[job_id].size
            assert stored.sha256 == content.sha256 == manifest[job_id]["sha256"]
            assert manifest[job_id]["path"] == stored.path
        assert self.partials() == []
