"""What some tests need of the machine: without it they are left out, and that is told; under CI they run and fail."""

import os
import shutil
from pathlib import Path


def _finds(*programs):
    return all(shutil.which(program) for program in programs)


def _mounts():
    return os.geteuid() == 0 and os.access("/dev/fuse", os.R_OK | os.W_OK) and _finds("mount", "umount")


NEEDS = {
    "mounts": (_mounts, "root and /dev/fuse"),
    "strace": (lambda: _finds("strace"), "the package strace"),
    "samba": (lambda: _finds("smbd", "smbnetfs"), "the packages samba and smbnetfs"),
    "processors": (lambda: len(os.sched_getaffinity(0)) > 1, "a second processor"),
    "faketime": (lambda: any(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "the package faketime"),
    "postgres": (
        lambda: _finds("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        "the package postgresql",
    ),
}
"""Name: how to find out, and what to call it."""


def needs_of(item):
    """What a collected test needs: by its marks, and by what it is given."""
    named = {name for mark in item.iter_markers("needs") for name in mark.args}
    given = getattr(item, "callspec", None)
    if given is not None and "postgres" in given.params.values():
        named.add("postgres")
    if "traced" in item.fixturenames:
        named.add("strace")
    return named


def leave_out(config, items):
    """Deselect the tests this machine lacks something for."""
    missing = set() if os.environ.get("CI") else {name for name, (is_there, _) in NEEDS.items() if not is_there()}
    left = [item for item in items if needs_of(item) & missing]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not needs_of(item) & missing]
