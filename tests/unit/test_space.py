"""The floor of free space: what statvfs says, judged; and the room shared out among files."""

import os
from types import SimpleNamespace

import pytest

from syncer.core.errors import DestinationRefused, NoRoom
from syncer.core.space import FLOOR, free_above
from syncer.destination.room import STEP, Room

GIB = 1024**3


@pytest.mark.parametrize(
    ("floor", "total", "free", "above"),
    [
        (None, 1000 * GIB, 10 * GIB, 10 * GIB - FLOOR),
        (None, 1000 * GIB, FLOOR, 0),
        (None, 1000 * GIB, 0, 0),
        (None, 50_000, 50_000, 49_000),
        (0, 50_000, 7, 7),
        (GIB, 10 * GIB, 3 * GIB, 2 * GIB),
        (GIB, 10 * GIB, GIB // 2, 0),
        # What network drives have said: nothing to go by.
        (None, 0, 0, None),
        (None, -1, -1, None),
        (None, 0, 5 * GIB, None),
        (None, 10 * GIB, -1, None),
        (None, GIB, 2**64 - 1, None),
        (0, 0, 0, None),
    ],
)
def test_what_is_free_above_the_floor(floor, total, free, above):
    assert free_above(floor, total, free) == above


@pytest.fixture
def disk():
    """A file system of any size: its statvfs is ours, as a server's answer would be."""
    told = SimpleNamespace(f_frsize=1, f_blocks=100 * STEP, f_bavail=0, looks=0)

    def answer(_fd):
        told.looks += 1
        return told

    told.ask = answer
    return told


def test_bytes_are_set_aside_for_files_of_known_size(disk, tmp_path):
    disk.f_bavail = 1000
    shared = Room(tmp_path, 100, disk.ask)
    shared.hold("a", 600, 0)
    with pytest.raises(NoRoom, match="301 bytes are to come, 300 are free above its floor"):
        shared.hold("b", 301, 0)
    shared.hold("b", 300, 0)
    with pytest.raises(NoRoom, match="does not say how large"):
        shared.take("unsized", 1, 0)
    shared.take("a", 600, 0)
    shared.drop("b")
    disk.f_bavail = 100  # which is the floor
    shared.take("unsized", 300, 0)
    with pytest.raises(NoRoom):
        shared.take("unsized", 1, 0)


def test_what_is_cut_off_may_be_written_again(disk, tmp_path):
    disk.f_bavail = 1001
    shared = Room(tmp_path, 1, disk.ask)
    shared.hold("a", 1000 - 400, 0)  # 400 of its 1000 bytes are on disk, and are then given up
    shared.give_back("a", 400)
    shared.take("a", 1000, 0)


def test_the_file_system_is_asked_again_after_a_stretch_and_its_word_counts_for_everyone(disk, tmp_path):
    disk.f_bavail = 10 * STEP
    shared = Room(tmp_path, 1, disk.ask)
    shared.hold("a", 5 * STEP, 0)
    shared.take("a", STEP, 0)
    assert disk.looks == 1
    shared.take("a", STEP, 0)
    assert disk.looks == 2
    disk.f_bavail = 5  # somebody else filled it
    with pytest.raises(DestinationRefused, match="down to its floor") as raised:
        shared.take("a", STEP, 0)
    assert not isinstance(raised.value, NoRoom)


def test_numbers_that_cannot_be_true_bar_nothing(disk, tmp_path):
    disk.f_blocks = 0
    shared = Room(tmp_path, None, disk.ask)
    shared.hold("a", 10**15, 0)
    shared.take("a", 10**14, 0)
    shared.take("b", 10**14, 0)


def test_no_floor_leaves_it_to_the_file_system(disk, tmp_path):
    shared = Room(tmp_path, 0, disk.ask)
    shared.hold("a", 10**15, 0)
    shared.take("a", 10**14, 0)
    shared.take("b", 10**14, 0)
    assert disk.looks == 0


def test_a_real_file_system_answers(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        Room(tmp_path, 1).hold("a", 1, fd)
        with pytest.raises(NoRoom):
            Room(tmp_path, 1).hold("a", 10**18, fd)
    finally:
        os.close(fd)
