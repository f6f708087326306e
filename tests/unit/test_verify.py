"""What a look at a file proves, and how much one night reads."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core.errors import UsageError
from syncer.core.model import Entry, Fault, RemoteStatus, State, StoredFile
from syncer.core.verify import Sample, alike_first, is_kept_apart, judge, may_requeue, parse_sample

FILE = StoredFile("2026/a.mp4", 5, "ab" * 32, None, datetime(2026, 11, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    ("size", "sha256", "fault"),
    [
        (None, None, Fault.MISSING),
        (4, None, Fault.SIZE),
        (6, "ab" * 32, Fault.SIZE),
        (-1, None, Fault.SIZE),  # a folder in its place
        (5, None, Fault.UNREADABLE),
        (5, "cd" * 32, Fault.CHANGED),
        (5, "ab" * 32, None),
    ],
)
def test_what_a_look_proves(size, sha256, fault):
    assert judge(FILE, size, sha256) is fault


def test_only_what_a_disk_does_not_give_today_is_left_alone():
    assert [fault for fault in Fault if not may_requeue(fault)] == [Fault.UNREADABLE]


@pytest.mark.parametrize("text", ["", "1", "0/7", "8/7", "1/0", "-1/7", "1/7/2", "a/b", "1.5/7", "99999/99999"])
def test_what_is_no_part(text):
    with pytest.raises(UsageError, match="no part"):
        parse_sample(text)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 10_000), st.integers(0, 500))
def test_as_many_nights_as_the_fraction_says_reach_every_file(part, of, files, new):
    """Whatever is added meanwhile: the oldest come first, and what was read or is new goes to the end."""
    part, of = sorted((part, of))
    sample = parse_sample(f"{part}/{of}")
    unread = files
    for _ in range(-(-of // part)):
        unread -= min(unread, sample.budget(files))
        files += new
    assert unread == 0
    assert Sample().budget(files) == files


def test_of_files_with_the_same_bytes_the_one_of_the_same_name_was_moved():
    def entry(job_id, path):
        return Entry(
            job_id, None, RemoteStatus.DONE, None, None, State.STORED, path=path, stored=replace(FILE, path=path)
        )

    a, b = entry("a", "2026/one.mp4"), entry("b", "2026/two.mp4")
    assert alike_first([b, a], "best/two.mp4") == [b, a]
    assert alike_first([b, a], "best/three.mp4") == [a, b]


@pytest.mark.parametrize(
    ("folder", "apart"),
    [
        ("#recycle", True),
        ("@Recycle", True),
        (".Trash-1000", True),
        (".syncer", True),
        ("lost+found", True),
        ("2026", False),
    ],
)
def test_waste_bins_are_no_part_of_the_archive(folder, apart):
    assert is_kept_apart(folder) is apart
