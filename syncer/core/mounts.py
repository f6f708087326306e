"""What kind of file system a path lies on, read from the text of Linux's mount table."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

_OCTAL = re.compile(r"\\([0-7]{3})")
_NETWORK = frozenset(
    [
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "davfs2",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "shfs",
        "smb2",
        "smb3",
        "smbfs",
        "virtiofs",
        "vboxsf",
        "vmhgfs",
    ]
)
_NETWORK_FUSE = re.compile(
    r"fuse\.(?:sshfs|rclone|s3fs|gcsfuse|goofys|glusterfs|cephfs|smbnetfs|davfs|curlftpfs|mergerfs|mfs|juicefs|vmhgfs.*)"
)


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the table."""

    point: str  # where it is mounted, absolute
    kind: str  # the file system's type: ext4, cifs, nfs4, fuse.sshfs
    options: frozenset[str]  # of the mount and of its super block

    @property
    def is_network(self) -> bool:
        """Whether another machine, or a program, stands behind it: locks and shared memory may then do nothing."""
        return self.kind in _NETWORK or _NETWORK_FUSE.fullmatch(self.kind) is not None


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """The mounts of `/proc/self/mountinfo`, in its order; lines that cannot be read are left out.

    Source: proc_pid_mountinfo(5). Optional fields stand between the sixth field and a lone `-`.
    """
    found = []
    for line in text.splitlines():
        head, dash, tail = line.partition(" - ")
        fields, rest = head.split(" "), tail.split(" ")
        if dash and len(fields) >= 6 and len(rest) >= 3:
            options = frozenset((*fields[5].split(","), *rest[2].split(",")))
            found.append(Mount(_plain(fields[4]), rest[0], options))
    return tuple(found)


def journal_for(path: str, mounts: tuple[Mount, ...]) -> str:
    """The journal of an SQLite file: WAL needs memory that all its users share, and no network file system has that.

    Source: https://www.sqlite.org/wal.html, "all processes using a database must be on the same host computer".
    """
    found = mount_of(path, mounts)
    return "delete" if found is not None and found.is_network else "wal"


def mount_of(path: str, mounts: tuple[Mount, ...]) -> Mount | None:
    """The mount that an absolute, resolved path lies on: the deepest point above it, the last mounted of those."""
    place = PurePosixPath(path)
    above = {str(place), *map(str, place.parents)}
    best: Mount | None = None
    for mount in mounts:
        if mount.point in above and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def _plain(text: str) -> str:
    """The table writes blanks, tabs, newlines and backslashes in octal."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
