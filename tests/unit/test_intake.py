"""The last gate before the disk: an overlap that differs, a page, and a body too long stop here."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core.errors import FileChanged, LengthMismatch, NotTheFile, TooLarge
from syncer.runner.intake import Intake


class Kept:
    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += bytes(data)


def pieces(body, cuts):
    edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[a:b] for a, b in pairwise(edges)]


def feed(intake, body, cuts):
    for piece in pieces(body, cuts):
        intake.write(bytearray(piece))
    intake.finish()


CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@given(st.binary(max_size=300).map(lambda b: b"\0" + b), CUTS)
def test_a_whole_body_passes_however_it_is_cut(body, cuts):
    kept = Kept()
    feed(Intake(kept, room=len(body)), body, cuts)
    assert kept.data == body


@pytest.mark.parametrize("tail", [b"", b"the same"])
def test_a_block_is_passed_on_as_it_lies_not_copied(tail):
    """The first one, too: in each thread that held a copy of it, it would cost the memory of a block."""
    block, passed = bytearray(tail + bytes(range(256))), []

    class Sink:
        def write(self, data):
            passed.append(memoryview(data))

    intake = Intake(Sink(), tail=tail)
    intake.write(block)
    assert passed == [block[len(tail) :]]
    assert passed[0].obj is block


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=200), CUTS)
def test_an_equal_overlap_is_compared_and_not_written(tail, rest, cuts):
    kept = Kept()
    feed(Intake(kept, tail=tail, room=len(rest)), tail + rest, cuts)
    assert kept.data == rest


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=200), CUTS, st.integers(0, 10_000))
def test_a_differing_overlap_writes_nothing(tail, rest, cuts, where):
    kept = Kept()
    spoilt = bytearray(tail)
    spoilt[where % len(tail)] ^= 1
    with pytest.raises(FileChanged):
        feed(Intake(kept, tail=tail), bytes(spoilt) + rest, cuts)
    assert kept.data == b""


@given(st.sampled_from([b"<!DOCTYPE html><p>no", b'{"success": false}', b"<?xml version='1.0'?><Error/>"]), CUTS)
def test_a_page_is_never_written(page, cuts):
    kept = Kept()
    with pytest.raises(NotTheFile):
        feed(Intake(kept), page, cuts)
    assert kept.data == b""


@given(st.binary(min_size=2, max_size=300).map(lambda b: b"\0" + b), CUTS)
def test_a_body_longer_than_promised_is_cut_off(body, cuts):
    kept = Kept()
    with pytest.raises(LengthMismatch):
        feed(Intake(kept, room=len(body) - 1), body, cuts)
    assert len(kept.data) < len(body)


@given(st.binary(min_size=2, max_size=300).map(lambda b: b"\0" + b), CUTS)
def test_a_body_larger_than_allowed_is_cut_off(body, cuts):
    kept = Kept()
    with pytest.raises(TooLarge):
        feed(Intake(kept, most=len(body) - 1), body, cuts)
    assert len(kept.data) < len(body)


@given(st.binary(min_size=2, max_size=200), CUTS, st.integers(0, 10_000))
def test_a_body_that_ends_within_the_overlap_is_another_file(tail, cuts, where):
    with pytest.raises(FileChanged):
        feed(Intake(Kept(), tail=tail), tail[: where % len(tail)], cuts)


PDF, PNG, ZIP = b"%PDF-1.7\n%\xe2\xe3", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"PK\x03\x04\x14\0\0\0\x08\0"
GZIP = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


@pytest.mark.parametrize("body", [PDF, PNG, ZIP, GZIP, b"Access denied.", b"#EXTM3U\n#EXT-X-VERSION:3\n"])
def test_another_kind_of_file_is_not_taken_for_a_film(body):
    kept = Kept()
    with pytest.raises(NotTheFile, match="called it video/mp4"):
        feed(Intake(kept, declared="video/mp4"), body + bytes(0 if body.isascii() else 100), [])
    assert kept.data == b""
    feed(Intake(kept, declared="application/octet-stream"), body, [])
    assert kept.data == body


MEDIA = [
    b"\0\0\0\x18ftypisom\0\0\2\0isommp42",
    b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x86\x81\x01",
    b"RIFF\0\0\1\0AVI LIST",
    b"G@\x11\x10\0B\xf0",
    b"ID3\x04\0\0",
    b"\xff\xfb\x90\x44",
    b"\xff\xf1P\x80",
    b"\0\0\x01\xba\x44",
    b"\x06\x0e\x2b\x34\x02\x05",
    b"OggS\0\2",
    b"#!AMR\n\x0c",
    b"FORM\0\0\1\0AIFF",
]


@pytest.mark.parametrize("opening", MEDIA)
def test_films_and_sound_of_every_kind_pass(opening):
    kept = Kept()
    feed(Intake(kept, declared="video/mp4"), opening + bytes(range(256)), [])
    assert kept.data.startswith(opening)


@given(st.binary(max_size=80))
def test_bytes_of_no_known_kind_are_what_the_storage_calls_them(body):
    kept = Kept()
    feed(Intake(kept, declared="video/mp4"), b"\0" + body, [])
    assert kept.data == b"\0" + body
