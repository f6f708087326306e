"""The destination against real refusals of the kernel: full, read-only, too large, gone; and the order of fsyncs."""

import asyncio
import errno
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from syncer.core.errors import DestinationError, DestinationMissing, DestinationRefused
from syncer.destination import FolderDestination
from syncer.destination.system import destination_error
from syncer.runner.clock import SystemClock

ROOT = Path(__file__).parents[2]
STRACE = shutil.which("strace")

# One job from partial to manifest, in a process of its own. Prints what it raised, or the names published.
SCRIPT = """
import asyncio, os, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from syncer.core.errors import SyncerError
from syncer.core.model import StoredFile
from syncer.destination import FolderDestination
from syncer.runner.clock import SystemClock

async def main(root, size, limit):
    async with FolderDestination(Path(root), clock=SystemClock(), threads=1) as destination:
        if await destination.identify("ledger-1") is None:
            await destination.bind("ledger-1", "dest-1")
        await destination.prove("dest-1")
        partial = await destination.open_partial("job")
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            await partial.begin(0, frozenset())
            for _ in range(0, size, 4096):
                partial.write(b"x" * 4096)
            digests = await partial.finish()
            await partial.publish("2026/11/a.mp4", datetime(2026, 1, 1, tzinfo=UTC))
        finally:
            print("size", partial.size)
            await partial.close()
        file = StoredFile("2026/11/a.mp4", partial.size, digests["sha256"], None, datetime.now(UTC))
        await destination.enlist("job", "a", file)

if sys.argv[4] != "0":
    os.setuid(int(sys.argv[4]))
try:
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    print("published")
except SyncerError as error:
    print(type(error).__name__, error)
"""


def run(root: Path, size: int = 40960, limit: int = 0, before: tuple[str, ...] = (), user: int = 0) -> str:
    command = [*before, sys.executable, "-c", textwrap.dedent(SCRIPT), str(root), str(size), str(limit), str(user)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def command(*words: str | Path) -> None:
    subprocess.run(words, check=True)


def _can_mount(folder: Path) -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "syncer", folder], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 128 KiB where mounting is allowed; None elsewhere."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = _can_mount(folder)
    yield folder if mounted else None
    if mounted and folder.is_mount():
        command("umount", "-l", folder)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, DestinationRefused, "is full"),
        (errno.EDQUOT, DestinationRefused, "is full"),
        (errno.EROFS, DestinationRefused, "cannot be written"),
        (errno.EACCES, DestinationRefused, "cannot be written"),
        (errno.EPERM, DestinationRefused, "cannot be written"),
        (errno.ENOENT, DestinationMissing, "is gone"),
        (errno.ESTALE, DestinationMissing, "is gone"),
        (errno.ENOTCONN, DestinationMissing, "is gone"),
        (errno.EHOSTDOWN, DestinationMissing, "is gone"),
        (errno.ENODEV, DestinationMissing, "is gone"),
        (errno.EXDEV, DestinationRefused, "another file system"),
        (errno.EIO, DestinationRefused, "failed"),
        (errno.ELOOP, DestinationRefused, "failed"),
        (errno.EMFILE, DestinationRefused, "Nothing more can be opened"),
        (None, DestinationRefused, "failed"),
    ],
)
def test_every_refusal_names_the_place_and_the_way_out(number, kind, words):
    error = OSError(number, os.strerror(number)) if number else OSError()
    told = destination_error(error, Path("/nas/videos"))
    assert type(told) is kind
    assert words in told.message
    assert "/nas/videos" in told.message
    assert told.hint
    assert told.exit_code == 5


def test_a_file_larger_than_the_file_system_allows_concerns_no_other(tmp_path):
    """EFBIG by a limit of the process, as FAT32 gives it at 4 GiB: this job's failure, not the destination's (I8)."""
    out = run(tmp_path / "dest", size=1 << 20, limit=100_000)
    assert "size 100000\nFetchError The file is larger than" in out
    assert run(tmp_path / "dest") == "size 40960\npublished\n"


def test_a_small_disk_runs_full_and_goes_on_when_there_is_room(tmp_path, small_disk):
    """On a real full file system where one may be mounted; test_destination_partial.py has /dev/full for elsewhere."""
    root = small_disk / "dest" if small_disk else tmp_path / "dest"
    if small_disk:
        out = run(root, size=1 << 20)
        assert "DestinationRefused" in out
        assert "is full" in out
        assert not (root / "2026").exists()
    assert run(root).endswith("published\n")
    assert (root / "2026/11/a.mp4").stat().st_size == 40960


def test_a_destination_without_permission(tmp_path):
    """As somebody who may not write there; root becomes nobody for it."""
    root = tmp_path / "dest"
    run(root)
    if os.geteuid() == 0:
        for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
            folder.chmod(0o755)
        assert "DestinationRefused The destination" in run(root, user=65534)
    else:
        for folder in (root, root / ".syncer/partial"):
            folder.chmod(0o500)
        assert "DestinationRefused The destination" in run(root)
    assert [path.name for path in (root / ".syncer/partial").iterdir()] == []


async def test_a_read_only_destination(tmp_path, small_disk):
    """Mounted read-only where that is allowed; the test before this one is for elsewhere."""
    root = small_disk or tmp_path
    async with FolderDestination(root, clock=SystemClock()) as destination:
        await destination.bind("ledger-1", "dest-1")
        if small_disk:
            await asyncio.to_thread(command, "mount", "-o", "remount,ro", small_disk)
            with pytest.raises(DestinationRefused, match="cannot be written: read-only"):
                await destination.open_partial("job")
        await destination.prove("dest-1")
        assert await destination.size_of("a.mp4") is None


async def test_a_vanished_mount_is_never_written_under(tmp_path, small_disk):
    """Unmounted for real where that is allowed, moved away elsewhere; the mount point stays behind, empty."""
    root = small_disk or tmp_path / "dest"
    async with FolderDestination(root, clock=SystemClock()) as destination:
        await destination.bind("ledger-1", "dest-1")
        partial = await destination.open_partial("job")
        await partial.begin(0, frozenset())
        partial.write(b"x")
        await partial.finish()
        if small_disk:
            await asyncio.to_thread(command, "umount", "-l", root)
        else:
            root.rename(tmp_path / "away")
            root.mkdir()
        with pytest.raises(DestinationError):
            await partial.publish("2026/a.mp4", None)
        with pytest.raises(DestinationError):
            await destination.open_partial("other")
        assert list(root.iterdir()) == []
        await partial.close()


@pytest.fixture
def traced(tmp_path):
    """Run the script under strace with these options; what it printed, and the calls in order."""
    assert STRACE is not None, "install strace, as .ci/run does"

    def trace(*options: str, root: Path | None = None) -> tuple[str, list[str]]:
        log = tmp_path / "strace.log"
        calls = "trace=fsync,rename,renameat,renameat2,link,linkat,unlinkat,mkdirat,pwrite64,openat"
        before = (STRACE, "-f", "-y", "-e", calls, *options, "-o", str(log))
        out = run(root or tmp_path / "dest", before=before)
        lines = [re.sub(r"^\d+ +", "", text) for text in log.read_text().splitlines() if "dest" in text]
        return out, lines

    return trace


def _places(calls: list[str], *patterns: str) -> list[int]:
    """Where each pattern is met first, each behind the one before."""
    found, start = [], 0
    for pattern in patterns:
        at = next((n for n in range(start, len(calls)) if re.search(pattern, calls[n])), None)
        assert at is not None, f"{pattern} not found from {start} on in:\n" + "\n".join(calls)
        found.append(at)
        start = at + 1
    return found


def test_fsync_link_fsync_of_the_folder_in_that_order(traced):
    out, calls = traced()
    assert out.endswith("published\n")
    _places(
        calls,
        r"pwrite64\(\d+<.*\.part>",
        r"fsync\(\d+<.*\.part>",
        r"fsync\(\d+</.*/dest>\)",  # 2026 was made in it
        r"fsync\(\d+</.*/dest/2026>\)",
        r"linkat\(.*\.part.*a\.mp4",
        r"fsync\(\d+</.*/dest/2026/11>\)",
        r"unlinkat\(.*\.part",
        r"openat\(.*manifest\.jsonl",
        r"fsync\(\d+<.*manifest\.jsonl>",
    )
    assert not [call for call in calls[_places(calls, r"linkat\(.*a\.mp4")[0] :] if "pwrite64" in call]


def test_the_marker_is_on_disk_before_anything_else(traced):
    _, calls = traced()
    _places(
        calls,
        r"fsync\(\d+<.*destination\..*\.tmp>",
        r"linkat\(.*destination\.json",
        r"fsync\(\d+</.*/dest/\.syncer>\)",
        r"fsync\(\d+</.*/dest>\)",
        r"openat\(.*\.part",
    )


def test_without_hard_links_it_is_renamed_in_the_same_order(traced, tmp_path):
    out, calls = traced("-e", "inject=linkat:error=EPERM")
    assert out.endswith("published\n")
    _places(calls, r"fsync\(\d+<.*\.part>", r"rename(at2?)?\(.*\.part.*a\.mp4", r"fsync\(\d+</.*/dest/2026/11>\)")
    assert (tmp_path / "dest/2026/11/a.mp4").stat().st_size == 40960
    out, _ = traced("-e", "inject=linkat:error=EOPNOTSUPP")
    assert "NameTaken" in out


@pytest.mark.parametrize("number", ["EIO", "ENOSPC", "EDQUOT"])
def test_a_refused_fsync_publishes_nothing_and_keeps_no_partial(traced, tmp_path, number):
    root = tmp_path / "dest"
    run(root)
    shutil.rmtree(root / "2026")
    out, calls = traced("-e", f"inject=fsync:error={number}:when=1")
    assert "DestinationRefused" in out, calls
    assert not (root / "2026").exists()
    assert list((root / ".syncer/partial").iterdir()) == []
    assert run(root).endswith("published\n")


@pytest.mark.parametrize(("number", "ends"), [("EINVAL", "published"), ("EOPNOTSUPP", "published"), ("EIO", "Refused")])
def test_a_folder_that_cannot_be_fsynced_is_one_thing_and_one_that_fails_another(traced, tmp_path, number, ends):
    root = tmp_path / "dest"
    run(root)
    (root / "2026/11/a.mp4").unlink()
    out, calls = traced("-e", f"inject=fsync:error={number}:when=2..4")
    assert ends in out, calls


def test_a_kill_between_link_and_unlink_leaves_the_published_file_whole(traced, tmp_path):
    """The unlink is refused, as if the process had died before it: the next pass must not write to the file."""
    root = tmp_path / "dest"
    # The first three are of the draft of the marker: before, after it has its name, and once more to be sure.
    out, _ = traced("-e", "inject=unlinkat:error=EIO:when=4+")
    assert out.endswith("published\n")
    published = root / "2026/11/a.mp4"
    assert published.stat().st_nlink == 2
    before = published.read_bytes()
    assert "NameTaken" in run(root, size=4096)
    assert published.read_bytes() == before
    assert published.stat().st_nlink == 1
