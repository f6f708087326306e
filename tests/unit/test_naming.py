"""Names by example, and templates that are refused."""

from datetime import UTC, datetime

import pytest

from syncer.core.errors import UsageError
from syncer.core.naming import Naming, extension_for, path_for, split_extension

CREATED = datetime(2026, 11, 5, 12, tzinfo=UTC)


def named(name, job_id="download-12345", *, extension=".mp4", template=None, variant=0, created=CREATED):
    naming = Naming(template) if template else Naming()
    return path_for(naming, job_id, name, created, extension=extension, variant=variant)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("Launch film.mp4", "2026/11/Launch film [download-12345].mp4"),
        ("Launch film", "2026/11/Launch film [download-12345].mp4"),
        ("clip.mov", "2026/11/clip [download-12345].mov"),
        ("release v1.2", "2026/11/release v1.2 [download-12345].mp4"),
        ("Interview with St. John", "2026/11/Interview with St. John [download-12345].mp4"),
        ("../../etc/passwd", "2026/11/.._.._etc_passwd [download-12345].mp4"),
        ("a|b/c\\d:e?f*g", "2026/11/a_b_c_d_e_f_g [download-12345].mp4"),
        ("two\nlines\ttabbed", "2026/11/two lines tabbed [download-12345].mp4"),
        ("שלום עולם", "2026/11/שלום עולם [download-12345].mp4"),
        ("👩\u200d👩\u200d👧 family 🎬.mp4", "2026/11/👩\u200d👩\u200d👧 family 🎬 [download-12345].mp4"),
        ("", "2026/11/untitled [download-12345].mp4"),
        (None, "2026/11/untitled [download-12345].mp4"),
        (".hidden", "2026/11/.hidden [download-12345].mp4"),
    ],
)
def test_default_names(name, path):
    assert named(name) == path


def test_a_job_without_a_date_goes_to_one_folder():
    assert named("film.mp4", created=None) == "undated/film [download-12345].mp4"


def test_ids_that_differ_in_case_only_get_names_that_differ_more():
    lower, upper = named("film", "abc"), named("film", "ABC")
    assert lower.casefold() != upper.casefold()


def test_a_long_name_is_cut_and_keeps_its_id_and_extension():
    path = named("x" * 400 + ".mp4")
    last = path.rpartition("/")[2]
    assert len(last.encode()) <= 255
    assert last.endswith("[download-12345].mp4")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("CON.mp4", "CON_.mp4"),
        ("com1.tar.mp4", "com1_.tar.mp4"),
        ("AUX .mp4", "AUX_.mp4"),
        ("Lpt\u00b2.mp4", "Lpt\u00b2_.mp4"),
        ("CONIN$.mp4", "CONIN$_.mp4"),
        ("console.mp4", "console.mp4"),
        ("com10.mp4", "com10.mp4"),
    ],
)
def test_a_name_that_opens_a_device_on_windows_is_changed_and_no_other(name, path):
    assert named(name, template="{name}") == path


def test_a_variant_of_a_bare_template_tells_the_job_apart():
    assert named("film.mp4", template="{name}") == "film.mp4"
    assert named("film.mp4", template="{name}", variant=1).startswith("film [download-12345~")


@pytest.mark.parametrize(
    "template",
    [
        "{colour}",
        "{created:%Y}",
        "../{id}",
        "/{id}",
        "{id}/",
        "a//{id}",
        "{id",
        ".syncer/{id}",
        "{id}/..",
        "fixed.mp4",
        "{stem:>40}",
        "{created:{id}}{id}",
        "{stem!r}",
    ],
)
def test_templates_that_cannot_work_are_refused(template):
    with pytest.raises(UsageError) as caught:
        Naming(template)
    assert caught.value.hint or caught.value.message


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.mp4", ("a", ".mp4")),
        ("a.tar.gz", ("a.tar", ".gz")),
        ("a.MP4", ("a", ".MP4")),
        ("v1.2", ("v1.2", "")),
        ("a.b c", ("a.b c", "")),
        (".mp4", (".mp4", "")),
        ("a.", ("a.", "")),
        ("clip.braw", ("clip", ".braw")),
    ],
)
def test_what_an_extension_is(name, parts):
    assert split_extension(name) == parts


@pytest.mark.parametrize(
    ("content_type", "url", "ext"),
    [
        ("video/mp4", None, ".mp4"),
        ("video/quicktime", "https://h/x.mp4?sig=1", ".mov"),
        ("application/octet-stream", "https://h/path/x.MKV?sig=a.b", ".mkv"),
        (None, "https://h/path/%D7%A9.webm", ".webm"),
        (None, "https://h/path/none", ""),
        (None, None, ""),
        ("binary/octet-stream", "http://[broken", ""),
    ],
)
def test_where_an_extension_comes_from(content_type, url, ext):
    assert extension_for(content_type, url) == ext


def test_folders_may_come_from_the_date_too():
    assert named("film.mp4", template="{created:%Y/%m/%d}/{name}") == "2026/11/05/film.mp4"
    assert named("film.mp4", template="{created:%Y/%m/%d}/{name}", created=None) == "undated/film.mp4"
