"""The mount table, read."""

from pathlib import Path

import pytest

from syncer.core.mounts import journal_for, mount_of, parse_mounts

TABLE = r"""
21 26 0:20 / /proc rw,nosuid - proc proc rw
26 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
40 26 0:45 / /mnt/nas rw,relatime shared:9 master:2 - cifs //nas/video rw,vers=3.1.1,soft
41 26 0:46 / /mnt/nas\040two rw - nfs4 nas:/export rw,hard
42 40 8:2 / /mnt/nas/local ro,noatime - xfs /dev/sdb rw
43 26 0:50 / /home/me/pi rw - fuse.sshfs pi: rw,user_id=0
44 26 0:51 / /over rw - tmpfs none rw
45 26 0:52 / /over rw - nfs nas:/x rw
a line that is none
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/lib/syncer", "ext4", False),
        ("/mnt/nas", "cifs", True),
        ("/mnt/nas/videos/2026", "cifs", True),
        ("/mnt/nasty", "ext4", False),
        ("/mnt/nas two/x", "nfs4", True),
        ("/mnt/nas/local/x", "xfs", False),
        ("/home/me/pi/x", "fuse.sshfs", True),
        ("/over/x", "nfs", True),
    ],
)
def test_a_path_lies_on_the_deepest_mount_above_it(path, kind, network):
    found = mount_of(path, parse_mounts(TABLE))
    assert (found.kind, found.is_network) == (kind, network)


@pytest.mark.parametrize(
    ("path", "journal"),
    [("/var/lib/syncer/ledger.db", "wal"), ("/mnt/nas/ledger.db", "delete"), ("/home/me/pi/l", "delete")],
)
def test_a_ledger_on_a_network_file_system_does_without_wal(path, journal):
    assert journal_for(path, parse_mounts(TABLE)) == journal
    assert journal_for(path, ()) == "wal"


def test_options_of_mount_and_super_block_count():
    found = mount_of("/mnt/nas/local", parse_mounts(TABLE))
    assert found.options == {"ro", "noatime", "rw"}


def test_this_machines_table_is_understood():
    mounts = parse_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    assert mount_of("/proc/self", mounts).kind == "proc"
    roots = [mount for mount in mounts if mount.point == "/"]  # none in a chroot that is no mount of its own
    assert mount_of("/nowhere/at/all", mounts) == (roots[-1] if roots else None)
    assert mount_of("/x", ()) is None
