"""The last gate before the disk: an overlap that differs, a page, and a body too long stop here."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core.errors import FileChanged, LengthMismatch, NotTheFile
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
