"""Real mounts for tests, taken down whatever happens: a disk of a few megabytes, and the file system that ails."""

import json
import os
import pickle
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

PROGRAM = Path(__file__).with_name("ailing.py")
WHY = "these tests mount file systems: run them as root on Linux with /dev/fuse, as .ci/run does"


def require_mounts():
    """Fail, with the reason, where nothing can be mounted: a fault that was not tried must not look survived."""
    assert os.geteuid() == 0, WHY
    assert Path("/dev/fuse").exists(), WHY


def unmount(point):
    """Take a mount down, busy or not."""
    subprocess.run(["umount", "-l", point], check=False, capture_output=True)


@contextmanager
def tmpfs(point, size):
    """A disk of so many bytes (`4m`)."""
    require_mounts()
    Path(point).mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "syncer-test", point], check=True)
    try:
        yield Path(point)
    finally:
        unmount(point)


class Ailing:
    """A mounted helpers/ailing.py and the orders it takes."""

    def __init__(self, point, process):
        self.point = Path(point)
        self._process = process

    def order(self, do, **said):
        self._process.stdin.write(json.dumps({"do": do, **said}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def fail(self, op, error, **when):
        """From now on `op` fails with `error`: on paths that hold `name`, after `skip` times, for `count` times."""
        self.order("rule", op=op, error=error, **when)

    def slow(self, op, seconds, **when):
        """From now on `op` takes so long."""
        self.order("rule", op=op, delay=seconds, **when)

    def numbers(self, **told):
        """What statvfs says: blocks, bfree, bavail, of 4096 bytes each."""
        self.order("numbers", **told)

    def heal(self):
        """Every fault is over."""
        self.order("clear")

    def watch(self, kill_at=None, *, kill_on=None, bursts=False):
        """Count the steps from here on; whoever asks for the `kill_at`-th is killed before it is done.

        Or whoever asks first for `kill_on`: what is done, and how the name of what it is done to ends. With `bursts`,
        writes to the ledger that follow each other directly are one step.
        """
        self.order("watch", kill_at=kill_at, kill_on=kill_on, bursts=bursts)

    @property
    def steps(self):
        """The steps since `watch`, in order: `write /dest/.syncer/partial/x.part`."""
        return self.order("steps")["steps"]

    @property
    def killed(self):
        """Whether the kill has happened; then nothing changes any more until `heal`."""
        return self.order("steps")["frozen"]

    @contextmanager
    def recording(self, path):
        """Write what happens to `path`, for helpers/powercut.py; yields a callable that reads it back."""
        self.order("record", path=str(path))

        def read():
            with path.open("rb") as file:
                return *pickle.load(file), pickle.load(file)

        yield read
        self.order("recorded", path=str(path))


@contextmanager
def ailing(point, kind="fuse.ailing", *options):
    """The file system that ails, mounted at `point` under the type `kind`."""
    require_mounts()
    Path(point).mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-I", str(PROGRAM), str(point), kind, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline(), "it could not be mounted"
        yield Ailing(point, process)
    finally:
        unmount(point)
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
