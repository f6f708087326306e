"""What names prove: the id that naming put in, never another."""

from datetime import UTC, datetime

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from syncer.core.naming import Naming, path_for
from syncer.core.proof import is_named, may_be_media, possible_ids, proven_id, without_extension

NAMING = Naming()
AT = datetime(2026, 11, 5, tzinfo=UTC)
IDS = st.text(min_size=1, max_size=100) | st.from_regex(r"[a-zA-Z0-9\-~\[\] ./:]{1,40}", fullmatch=True)
NAMES = st.none() | st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9 \[\]~.]{0,40}", fullmatch=True)


def path(job_id="job-1", name="Film.mp4", variant=0, template=NAMING.template):
    return path_for(Naming(template), job_id, name, AT, ".mp4", variant)


@given(IDS, NAMES, st.integers(0, 3), st.sampled_from(["{stem} [{id}]{ext}", "{created:%Y}/{id}/{name}", "{id}"]))
@example("b", "Film [a]", 0, "{stem} [{id}]{ext}")
@example("a] [b", "Film", 0, "{stem} [{id}]{ext}")
@example("abc~12345678", None, 0, "{stem} [{id}]{ext}")
@example("ABC", None, 0, "{stem} [{id}]{ext}")
@example("a/b", None, 0, "{stem} [{id}]{ext}")
@example("deadbeef", None, 0, "{id}")
def test_a_name_proves_its_own_id_or_none(job_id, name, variant, template):
    made = path_for(Naming(template), job_id, name, AT, ".mp4", variant)
    assert proven_id(Naming(template), made) in (job_id, None)


@given(st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True), st.from_regex(r"[A-Za-z0-9 ]{0,40}", fullmatch=True))
def test_plain_ids_are_proven_wherever_the_file_lies(job_id, name):
    assume(len(job_id) != 8 and len(job_id) <= 80)
    made = path(job_id, name)
    assert proven_id(NAMING, made) == job_id
    assert proven_id(NAMING, f"best of/some/{made.rpartition('/')[2]}") == job_id
    assert proven_id(NAMING, made.rpartition("/")[2]) == job_id


@pytest.mark.parametrize(
    ("made", "proven"),
    [
        (path("DL-12345"), "DL-12345"),  # altered for its case, and the hash is that of the whole
        (path("job-1", variant=7), "job-1"),  # a second name: the hash tells
        (path("a/b"), None),  # altered beyond recognition
        (path("job-1~0123abcd"), None),  # its own, or an altered one
        (path("job-1", "Film [1080p].mp4"), None),  # two readings
        (path("job-1", "Film [1080P].mp4"), "job-1"),  # naming would have altered the other
        ("Film.mp4", None),
        ("[].mp4", None),
        ("2026/11/Film [job-1] (copy).mp4", None),
        ("2026/11/Film [job-1]", "job-1"),
    ],
)
def test_what_is_read_in_a_name(made, proven):
    assert proven_id(NAMING, made) == proven


def test_templates_whose_last_part_has_no_id():
    assert proven_id(Naming("{created:%Y}/{id}/{name}"), path(template="{created:%Y}/{id}/{name}")) == "job-1"
    assert proven_id(Naming("{stem}{ext}"), "Film.mp4") is None
    assert proven_id(Naming("{id} {id}"), "job-1 job-1") is None


def test_a_list_may_choose_among_the_readings():
    assert set(possible_ids(NAMING, path("job-1", "Film [a].mp4"))) == {"job-1", "a] [job-1"}


def test_half_files_subtitles_and_posters_are_no_films():
    good = ("a.mp4", "a.MOV", "a.webm", "a.mp3", "a", "a.m4v")
    bad = ("a.mp4.part", "a.part", "a.srt", "a.nfo", "a.jpg", "a.mp4.crdownload", "a.txt", "a.xyz")
    assert [p for p in (*good, *bad) if may_be_media(p)] == list(good)


def test_only_a_job_without_an_extension_gets_one_from_outside():
    assert is_named("F [a].mp4", "F [a]", "F")
    assert is_named("F [a]", "F [a]", "F")
    assert is_named("F [a].mp4", "F [a].mp4", "F.mp4")
    assert not is_named("F [a].mp4.part", "F [a].mp4", "F.mp4")
    assert without_extension("2026/F [a].mp4") == "2026/F [a]"
