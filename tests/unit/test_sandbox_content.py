"""Contents of the sandbox: the same bytes on every run and from every offset, and never those of another file."""

import base64
import hashlib
import time

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.sandbox.content import BLOCK, Content

SIZES = [0, 1, 23, 47, 48, 79, 80, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17]


@given(st.integers(0, 4 * BLOCK), st.integers(0, 4 * BLOCK))
def test_any_part_is_the_part_of_the_whole(start, length):
    content = Content(1, "a", 1, 3 * BLOCK + 1234)
    assert content.read(start, length) == content.read(0, content.size)[start : start + length]


@pytest.mark.parametrize("size", SIZES)
def test_chunks_add_up_to_the_size_and_to_the_digests(size):
    content = Content(7, "a", 1, size)
    whole = b"".join(content.chunks(size=1000))
    assert len(whole) == size
    digests = content.digests()
    assert digests.sha256 == hashlib.sha256(whole).hexdigest()
    assert base64.b64decode(digests.md5_base64) == hashlib.md5(whole).digest()
    assert base64.b64decode(digests.crc32c) == google_crc32c.Checksum(whole).digest()


def test_chunks_can_begin_and_end_anywhere():
    content = Content(7, "a", 1, 3 * BLOCK)
    assert b"".join(content.chunks(100, 2 * BLOCK + 5, 777)) == content.read(0, content.size)[100 : 2 * BLOCK + 5]


def test_seed_id_version_and_size_each_make_other_bytes_and_another_etag():
    one = Content(1, "a", 1, 2 * BLOCK)
    others = [Content(2, "a", 1, 2 * BLOCK), Content(1, "b", 1, 2 * BLOCK), Content(1, "a", 2, 2 * BLOCK)]
    others.append(Content(1, "a", 1, 2 * BLOCK + 1))
    for other in others:
        assert other.etag != one.etag
        assert other.read(BLOCK, BLOCK) != one.read(BLOCK, BLOCK)


def test_no_block_equals_another_of_the_same_file():
    content = Content(1, "a", 1, 64 * BLOCK)
    assert len({content.read(at * BLOCK, BLOCK) for at in range(64)}) == 64


def test_the_boxes_of_the_file_span_it_exactly():
    content = Content(1, "a", 1, 5 << 30)
    head = content.read(0, 48)
    assert head[:8] == b"\x00\x00\x00\x18ftyp"
    assert head[24:32] == b"\x00\x00\x00\x08free"
    assert head[32:40] == b"\x00\x00\x00\x01mdat"
    assert 32 + int.from_bytes(head[40:48], "big") == content.size


def test_the_end_of_a_file_of_many_terabytes_is_read_at_once():
    content = Content(1, "a", 1, 8 << 40)
    began = time.perf_counter()
    assert len(content.read(content.size - 1000, 5000)) == 1000
    assert time.perf_counter() - began < 1.0


def test_an_id_that_is_no_text_any_encoding_knows_still_has_contents():
    assert len(Content(1, "lone \ud800", 1, 100).read(0, 100)) == 100
