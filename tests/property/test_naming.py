"""Whatever a job is called, its path is legal everywhere, stays inside, and is its own."""

import re
import unicodedata
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st
from pathvalidate import is_valid_filename

from syncer.core.naming import DEFAULT_TEMPLATE, Naming, names_itself, partial_key, path_for, unique_key

NAMES = st.one_of(st.none(), st.text(max_size=400), st.text(alphabet='./\\:*?"<>| \n\t\0~CONPRNAUXcom1', max_size=300))
IDS = st.one_of(st.text(min_size=1, max_size=300), st.text(alphabet="./\\aA~ ", min_size=1, max_size=20))
TIMES = st.one_of(st.none(), st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
TEMPLATES = st.sampled_from(
    [
        DEFAULT_TEMPLATE,
        "{stem}{ext}",
        "{name}",
        "{created:%Y-%m-%d} {id}{ext}",
        "a/{id}/{stem}{ext}",
        "{stem}/{name}",
        "{created:%Y/%m}/{id}",
    ],
)
WINDOWS_RESERVED = re.compile(
    r"(con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$) *(\..*)?", re.IGNORECASE
)


def is_legal(part: str) -> bool:
    """Our own reading of the rules, so that the library used to keep them is not its own judge."""
    return (
        0 < len(part.encode("utf-8")) <= 255
        and part not in (".", "..")
        and not part.endswith((" ", "."))
        and not part.startswith(" ")
        and not re.search(r'[\x00-\x1f\x7f/\\:*?"<>|]', part)
        and not WINDOWS_RESERVED.fullmatch(part)
        and unicodedata.is_normalized("NFC", part)
    )


@given(NAMES, IDS, TIMES, TEMPLATES, st.integers(0, 3))
@example("../../etc/passwd", "..", None, DEFAULT_TEMPLATE, 0)
@example("CON.mp4", "nul", None, "{stem}{ext}", 0)
@example("COM1.tar .mp4", "x", None, DEFAULT_TEMPLATE, 0)
@example("aux .mp4", "x", None, "{stem}{ext}", 0)
@example("LPT\u00b9.mp4", "x", None, "{name}", 0)
@example("x" * 400 + ".mp4", "y" * 300, None, DEFAULT_TEMPLATE, 0)
@example("é" * 300, "a/b", None, "{stem}{ext}", 1)
@example(".syncer", ".syncer", None, "{stem}/{name}", 0)
@example("a\ud800b", "\udfff", None, DEFAULT_TEMPLATE, 0)
def test_every_part_is_legal_everywhere(name, job_id, created, template, variant):
    path = path_for(Naming(template), job_id, name, created, extension=".mp4", variant=variant)
    parts = path.split("/")
    assert all(is_legal(part) for part in parts), parts
    assert all(is_valid_filename(part, platform="universal") for part in parts)
    assert not path.startswith("/")
    assert parts[0].casefold() != ".syncer"


@given(NAMES, IDS, IDS, NAMES)
def test_different_jobs_never_share_a_path_by_default(name, one, other, other_name):
    if one == other:
        return
    naming = Naming()
    first = path_for(naming, one, name, None, extension=".mp4")
    second = path_for(naming, other, other_name, None, extension=".mp4")
    assert unique_key(first) != unique_key(second)


@given(NAMES, IDS, TIMES, TEMPLATES)
def test_variants_differ_and_the_same_call_gives_the_same_path(name, job_id, created, template):
    paths = [path_for(Naming(template), job_id, name, created, extension=".mp4", variant=v) for v in range(4)]
    assert len({unique_key(p) for p in paths}) == 4
    assert paths[0] == path_for(Naming(template), job_id, name, created, extension=".mp4")


@given(IDS)
def test_partials_are_plain_hex(job_id):
    assert re.fullmatch(r"[0-9a-f]{40}", partial_key(job_id))


@given(NAMES, IDS, TIMES, TEMPLATES, st.sampled_from(["", ".mp4", ".webm", ".tar"]))
@example("film.mp4", "x", None, DEFAULT_TEMPLATE, ".webm")
def test_a_name_that_has_an_extension_has_its_path_whatever_the_storage_says(name, job_id, created, template, said):
    path = path_for(Naming(template), job_id, name, created, extension=said)
    if names_itself(name):
        assert path == path_for(Naming(template), job_id, name, created, extension="")
