"""What the first bytes of a body give away: a page, or another kind of file, under a video's media type."""

import codecs
import re

LOOKED_AT = 64
"""Bytes of a body that are looked at before any is written."""

_WIDE_MARKUP = (b"\xff\xfe<\0", b"\xfe\xff\0<")  # UTF-16
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_JSON = re.compile(rb"""\{\s*["}]|\[\s*[\[{"\]]""")

_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof")
_MEDIA = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"RIFF",  # AVI, WAV
    b"OggS",
    b"FLV\x01",
    b"fLaC",
    b"ID3",  # MP3
    b"G@",  # MPEG-TS: its first packet is the program association table
    b"\0\0\x01",  # MPEG program and elementary streams
    b"\0\0\0\x01",  # H.264, H.265
    b"\x30\x26\xb2\x75",  # ASF
    b"\x06\x0e\x2b\x34",  # MXF
)


def looks_like_page(opening: bytes) -> bool:
    """Whether a body opens like HTML, XML or JSON: an error page under a video's media type.

    No video container begins so: MP4 and MOV begin with a box length, WebM and Matroska with 1A 45 DF A3,
    MPEG-TS with 47, AVI with RIFF, MP3 with ID3 or FF.
    """
    if opening.startswith(_WIDE_MARKUP):
        return True
    text = opening.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    return _CONTROL.search(text) is None and (text.startswith(b"<") or _JSON.match(text) is not None)


def is_media_type(declared: str | None) -> bool:
    """Whether a media type is that of films or sound."""
    return declared is not None and declared.startswith(("video/", "audio/"))


def opens_like_media(opening: bytes) -> bool:
    """Whether a body begins as films and sound mostly do: ISO/IEC 14496-12, Matroska, RIFF, MPEG and their kin."""
    return opening[4:8] in _BOXES or opening.startswith(_MEDIA)


def is_text(opening: bytes) -> bool:
    """Whether a body begins with text and nothing else, in ASCII or UTF-8, perhaps cut within its last character."""
    if not opening or _CONTROL.search(opening):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(opening)
    except UnicodeDecodeError:
        return False
    return True


def belies(found: str) -> bool:
    """Whether a kind of file, recognised by its first bytes, cannot be what a video's media type promised.

    Only kinds whose signatures no film or sound can begin with: a false alarm would keep a file from ever arriving.
    """
    kind, _, subtype = found.partition("/")
    return found in _BELYING or (kind == "application" and subtype.startswith("vnd.openxmlformats"))


_BELYING = frozenset(
    {
        "text/html",
        "application/xml",
        "application/pdf",
        "application/gzip",
        "application/x-gzip",
        "application/zip",
        "application/x-7z-compressed",
        "application/x-rar-compressed",
        "application/vnd.rar",
        "application/x-xz",
        "application/x-bzip2",
        "application/zstd",
        "image/png",
        "image/jpeg",
        "image/gif",
    }
)
