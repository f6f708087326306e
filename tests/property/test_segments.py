"""Segments tile what is missing, byte for byte; maps come back as they were written, and never damaged."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncer.core import resume, segments
from syncer.core.errors import FileChanged, LinkRefused, NotTheFile, StorageBusy
from syncer.core.model import Promise
from syncer.core.rates import Line
from syncer.core.resume import Answer, ContentRange
from syncer.core.segments import Map, Span, merged, missing

SIZES = st.integers(1, 2000)


@st.composite
def held_of(draw, size):
    bounds = draw(st.lists(st.integers(0, size), max_size=12))
    return [Span(min(pair), max(pair)) for pair in zip(bounds[::2], bounds[1::2], strict=False)]


@st.composite
def files(draw):
    size = draw(SIZES)
    return size, draw(held_of(size))


@st.composite
def maps(draw):
    size, spans = draw(files())
    return Map(draw(st.text(max_size=40)), size, merged(spans))


def bytes_of(spans):
    return [at for span in spans for at in range(span.start, span.stop)]


@given(files())
def test_what_is_held_and_what_is_missing_are_the_file(file):
    size, held = file
    gaps = missing(size, held)
    assert sorted({*bytes_of(held), *bytes_of(gaps)}) == list(range(size))
    assert not {*bytes_of(held)} & {*bytes_of(gaps)}
    assert gaps == merged(gaps)
    assert merged(held) == merged(reversed(held))
    assert set(bytes_of(merged(held))) == set(bytes_of(held))


@given(files(), st.integers(1, 300), st.integers(0, 500), st.integers(1, 8))
def test_stretches_tile_what_is_missing(file, least, rate, lanes):
    """Whoever takes them, each byte is asked for once; and a remainder is never too small."""
    size, held = file
    gaps, line, taken = missing(size, held), Line(float(rate), float(rate)), []
    while left := missing(size, [*held, *taken]):
        length = segments.length_of(least, line, sum(gap.length for gap in left), lanes)
        assert length >= least
        stretch = segments.next_stretch(left, length, least)
        assert stretch.length >= min(least, left[0].length)
        taken.append(stretch)
    assert sorted(bytes_of(taken)) == bytes_of(gaps)
    assert segments.next_stretch((), 1, 1) is None


@given(maps())
@example(Map('"\u00e9"', 1, ()))
def test_a_map_comes_back_as_it_was_written(held):
    assert segments.load(segments.dump(held)) == held


@given(maps(), st.data())
def test_a_damaged_map_is_no_map(held, data):
    written = segments.dump(held)
    place = data.draw(st.integers(0, len(written) - 1))
    assert segments.load(written[:place]) is None
    flipped = bytearray(written)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    assert segments.load(bytes(flipped)) is None


@given(st.binary(max_size=200))
def test_no_map_is_taken_for_one(data):
    assert segments.load(data) is None


@given(maps())
def test_behind_every_span_of_an_earlier_try_something_is_asked_for(held):
    spans = segments.to_go_on_with(held)
    gaps = {gap.start for gap in missing(held.size, spans)}
    assert all(span.stop in gaps for span in spans if span.start or span.stop < held.size)
    assert set(bytes_of(spans)) <= set(bytes_of(held.spans))


STRONG = Promise(size=100, etag='"v1"', last_modified="Wed, 01 Jan 2025 00:00:00 GMT")


@pytest.mark.parametrize(
    ("promise", "answer", "version"),
    [
        (STRONG, Answer(200, gives_ranges=True), '"v1"'),
        (STRONG, Answer(206), '"v1"'),
        (STRONG, Answer(200), None),
        (Promise(etag='"v1"'), Answer(206), None),
        (Promise(size=100, etag='W/"v1"'), Answer(206), None),
        (Promise(size=100, last_modified=STRONG.last_modified), Answer(206), None),
    ],
)
def test_it_takes_a_strong_validator_and_ranges(promise, answer, version):
    assert segments.version_of(promise, answer) == version


@pytest.mark.parametrize(
    ("line", "connections", "expected"),
    [
        (Line(), 1, False),  # nothing is measured yet
        (Line(100.0, 100.0, lanes=1, unsure=1), 1, True),  # nobody has tried two
        (Line(100.0, 100.0, lanes=1), 1, False),  # two brought no more
        (Line(200.0, 100.0, lanes=2, unsure=2), 1, True),
        (Line(200.0, 100.0, lanes=2, unsure=2), 2, True),
        (Line(200.0, 100.0, lanes=2), 2, False),
        (Line(400.0, 400.0, lanes=2, unsure=4), 1, True),  # four were tried, and half as many may do
        (Line(400.0, 400.0, lanes=2, unsure=4), 3, False),
        (Line(400.0, 400.0, lanes=2, unsure=4), 4, True),
        (Line(400.0, 400.0, lanes=2, unsure=4), 7, True),
        (Line(400.0, 400.0, lanes=2, unsure=4), 8, False),
    ],
)
def test_another_connection_pays_below_what_fills_the_line(line, connections, expected):
    assert segments.pays(line, connections) is expected


def test_a_file_is_parted_from_two_good_segments_on():
    assert not segments.is_worth_parting(10, Line(), 1000)
    assert segments.is_worth_parting(10, Line(1.0, 1.0), 20)
    assert not segments.is_worth_parting(10, Line(1.0, 1.0), 19)
    assert not segments.is_worth_parting(10, Line(100.0), 799)
    assert segments.is_worth_parting(10, Line(100.0, 50.0), 400)


WHOLE = Promise(size=200_000, etag='"v1"')
AT = segments.ask_for(Span(100_000, 120_000), '"v1"')


def part(**more):
    told = {"status": 206, "content_range": ContentRange(100_000, 119_999, 200_000), "etag": '"v1"', "length": 20_000}
    return Answer(**{**told, **more})


def test_the_request_for_a_stretch():
    compared = segments.ask_for(Span(100_000, 120_000), '"v1"', before=300)
    assert (compared.start, compared.overlap, compared.last) == (99_700, 300, 119_999)
    assert segments.ask_for(Span(100_000, 120_000), '"v1"', before=100_000).overlap == resume.OVERLAP
    assert AT.headers() == {"Range": "bytes=100000-119999", "If-Range": '"v1"'}
    assert resume.judge_segment(AT, WHOLE, part()) is None
    assert resume.judge_segment(AT, WHOLE, part(length=None)) is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (part(status=200), FileChanged),
        (part(status=416), FileChanged),
        (part(status=403), LinkRefused),
        (part(status=503), StorageBusy),
        (part(status=302), NotTheFile),
        (part(content_range=None), NotTheFile),
        (part(content_range=ContentRange(None, None, 200_000)), NotTheFile),
        (part(content_range=ContentRange(99_999, 119_999, 200_000)), NotTheFile),
        (part(content_range=ContentRange(99_999, 119_998, 200_000)), NotTheFile),
        (part(content_range=ContentRange(100_001, 120_000, 200_000)), NotTheFile),
        (part(content_range=ContentRange(100_000, 119_998, 200_000)), NotTheFile),
        (part(content_range=ContentRange(100_000, 120_000, 200_000)), NotTheFile),
        (part(content_range=ContentRange(100_000, 119_999, 200_001)), FileChanged),
        (part(content_range=ContentRange(100_000, 119_999, None)), FileChanged),
        (part(etag='"v2"'), FileChanged),
        (part(etag='W/"v1"'), FileChanged),
        (part(etag=None), FileChanged),
        (part(md5="0" * 32), None),
        (part(length=19_999), NotTheFile),
        (part(encoding="gzip"), NotTheFile),
        (part(content_type="text/html"), NotTheFile),
    ],
)
def test_an_answer_that_is_not_exactly_the_range_says_why(answer, error):
    if error is None:
        resume.judge_segment(AT, WHOLE, answer)
    else:
        with pytest.raises(error):
            resume.judge_segment(AT, WHOLE, answer)
