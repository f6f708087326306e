"""Where a job's file goes: a relative path that every file system takes, whatever the job is called.

The rules come from Windows (reserved names and characters, no trailing dot or space), SMB (the same), and Linux and
macOS (255 bytes a part, no control characters, no two names that differ only in case or in Unicode form).
"""

import mimetypes
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from string import Formatter
from urllib.parse import unquote, urlsplit

from pathvalidate import sanitize_filename

from syncer.core.errors import UsageError

DEFAULT_TEMPLATE = "{created:%Y}/{created:%m}/{stem} [{id}]{ext}"
PART_BYTES = 255
"""The longest part of a path, in bytes of UTF-8: ext4, APFS, NTFS and SMB all take it."""

UNDATED = "undated"
PRIVATE = ".syncer"

_FOUR_DIGITS = 1000  # the first year of so many: of earlier ones strftime makes what the platform will
_NAMES = 256  # of the last ones asked for, what was made of them is remembered
_FIELDS = frozenset({"created", "stem", "name", "id", "ext"})
_ID_BYTES = 80
_STEM_BYTES = 150
# Directional marks and overrides can make a name read backwards; zero-width joiners carry meaning in several scripts.
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SEPARATORS = re.compile(r'[/\\|:*?"<>]+')
_BLANKS = re.compile(" {2,}")
_EXTENSION = re.compile(r"\.(?:[a-z0-9]{2,5}|[A-Z0-9]{2,5})")
_EXTENSION_OF = {
    "video/mp4": ".mp4",
    "application/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/x-matroska": ".mkv",
    "video/mpeg": ".mpg",
    "video/mp2t": ".ts",
    "video/x-msvideo": ".avi",
    "video/x-m4v": ".m4v",
    "video/3gpp": ".3gp",
    "video/ogg": ".ogv",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/aac": ".aac",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/ogg": ".ogg",
    "audio/webm": ".weba",
    "audio/flac": ".flac",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
}
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789\u00b9\u00b2\u00b3"}
)
"""Windows opens a device under these names, whatever follows the first dot and however many blanks stand before it.

Source: https://learn.microsoft.com/windows/win32/fileio/naming-a-file.
"""
_TYPES = mimetypes.MimeTypes(filenames=())
# What no system objects to, devices aside: there pathvalidate changes nothing, and asking it costs more than the rest.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _\-()\[\]+,~#@!&]*(?:\.[A-Za-z0-9][A-Za-z0-9 _\-()\[\]+,~#@!&]*)*")


@dataclass(frozen=True, slots=True)
class Naming:
    """What a name is made from: the template, checked once."""

    template: str = DEFAULT_TEMPLATE

    def __post_init__(self) -> None:
        check_template(self.template)


def check_template(template: str) -> None:
    """Raises UsageError where a template names unknown fields, leaves the destination, or can't tell jobs apart."""
    hint = "Fields are {created:%Y-%m-%d}, {stem}, {name}, {id} and {ext}; `/` separates folders."
    try:
        found = [(name, spec, way) for _, name, spec, way in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise UsageError(f"The name template {template!r} cannot be read: {error}.", hint=hint) from None
    if any(way or "{" in (spec or "") or (spec and name != "created") for name, spec, way in found):
        raise UsageError(f"Only {{created}} takes a format in the name template {template!r}.", hint=hint)
    fields = {name for name, _, _ in found}
    unknown = fields - _FIELDS
    if unknown:
        raise UsageError(f"The name template {template!r} has unknown fields: {', '.join(sorted(unknown))}.", hint=hint)
    if not fields & {"stem", "name", "id"}:
        raise UsageError(f"The name template {template!r} gives every file the same name.", hint=hint)
    parts = template.split("/")
    if any(part.strip(" .") == "" for part in parts) or parts[0].casefold().startswith(PRIVATE):
        raise UsageError(f"The name template {template!r} does not stay inside the destination.", hint=hint)


def path_for(
    naming: Naming,
    job_id: str,
    name: str | None,
    created_at: datetime | None,
    extension: str,
    variant: int = 0,
) -> str:
    """The relative path of a job's file, `/` between its parts; the same arguments give the same path for ever.

    `extension` is used where `name` has none of its own. `variant` > 0 gives another path for the same job, for
    when something that is not this job's lies at the first.
    """
    stem, own = split_extension(name or "")
    return _path_for(naming, job_id, stem, own or extension, created_at, variant)


def names_itself(name: str | None) -> bool:
    """Whether a name has an extension of its own: then it has its path, whatever the storage says of the file."""
    return bool(split_extension(name or "")[1])


@lru_cache(maxsize=_NAMES)
def _path_for(naming: Naming, job_id: str, stem: str, ext: str, created_at: datetime | None, variant: int) -> str:
    """The same of a name that was taken apart; remembered, for it is asked for before a file is fetched and after."""
    safe_id = id_in_name(job_id, variant)
    stem = _cut(_clean(stem), _STEM_BYTES) or "untitled"
    fields: dict[str, object] = {"stem": stem, "name": stem + ext, "id": safe_id, "ext": ext}
    filled: list[str] = []
    # No field has a `/` of its own by now, so those there are separate folders.
    texts = _fill(naming.template, fields, created_at).split("/")
    if variant and "{id" not in naming.template.rpartition("/")[2]:
        texts[-1] = _insert_before(texts[-1], ext, f" [{safe_id}]")
    for position, text in enumerate(texts):
        part = _part(text, ext if position == len(texts) - 1 else "")
        if part != UNDATED or not filled or filled[-1] != UNDATED:
            filled.append(part)
    return "/".join(filled)


def unique_key(path: str) -> str:
    """What two paths must not share: file systems that fold case or Unicode forms would make them one file."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
    return unicodedata.normalize("NFC", folded)


def partial_key(job_id: str) -> str:
    """The name of a job's partial, without its ending: hex, so that no id can do harm."""
    return sha256(job_id.encode("utf-8", "surrogatepass")).hexdigest()[:40]


@lru_cache(maxsize=_NAMES)
def split_extension(name: str) -> tuple[str, str]:
    """A name's stem and its extension, dot included. What merely follows a dot (`v1.2`, `St. John`) is no extension."""
    cleaned = _clean(name)
    stem, dot, last = cleaned.rpartition(".")
    ext = dot + last
    if not stem.strip(" .") or not ext.isascii():
        return cleaned, ""
    looks_so = _EXTENSION.fullmatch(ext) is not None and not last.isdigit()
    known = looks_so or _TYPES.guess_type(f"x{ext.lower()}", strict=False)[0] is not None
    return (stem, ext) if known else (cleaned, "")


def media_type(extension: str) -> str | None:
    """The media type files with this extension have, dot included, lower case; None where it is not known."""
    by_us = next((kind for kind, ext in _EXTENSION_OF.items() if ext == extension), None)
    return by_us or _TYPES.guess_type(f"x{extension}", strict=False)[0]


def extension_for(content_type: str | None, link_url: str | None) -> str:
    """The extension of a file whose job's name has none: by its media type, else by its link's path, else none."""
    if content_type:
        ext = _EXTENSION_OF.get(content_type)
        generic = content_type in ("application/octet-stream", "binary/octet-stream")
        ext = ext or (None if generic else _TYPES.guess_extension(content_type, strict=True))
        if ext:
            return ext
    if link_url:
        try:
            last = unquote(urlsplit(link_url).path).rpartition("/")[2]
        except ValueError:
            return ""
        return split_extension(last)[1].lower()
    return ""


@lru_cache(maxsize=8)
def _parsed(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    return list(Formatter().parse(template))


def _fill(template: str, fields: dict[str, object], created_at: datetime | None) -> str:
    pieces = []
    for literal, field, spec, _ in _parsed(template):
        pieces.append(literal)
        if field == "created":
            pieces.append(_date(created_at, spec or "%Y-%m-%d") if created_at else UNDATED)
        elif field is not None:
            pieces.append(format(fields[field], ""))
    return "".join(pieces)


def _date(moment: datetime, spec: str) -> str:
    """As strftime has it, which a folder of the year and one of the month need not be asked of for each file."""
    if spec == "%Y" and moment.year >= _FOUR_DIGITS:
        return str(moment.year)
    return f"{moment.month:02}" if spec == "%m" else moment.strftime(spec)


def _clean(text: str) -> str:
    """Text as one part of a name: composed, without control or directional characters, separators replaced."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(" " if c.isspace() else c for c in text)
        text = _BIDI.sub("", unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8")))
        text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cs", "Cn", "Co"))
    return _BLANKS.sub(" ", _SEPARATORS.sub("_", text)).strip(" ")


def id_in_name(job_id: str, variant: int) -> str:
    """The id where it is harmless as it stands, else a cleaned one with a hash of the real one behind it."""
    safe = _cut(_clean(job_id), _ID_BYTES).strip(" .")
    harmless = safe == job_id and job_id == job_id.lower() and job_id.isascii()
    if harmless and not variant:
        return safe
    digest = sha256(f"{job_id}\0{variant}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe}~{digest}" if safe else digest


def _insert_before(text: str, ext: str, addition: str) -> str:
    return text.removesuffix(ext) + addition + ext if ext else text + addition


def _part(text: str, ext: str) -> str:
    """One part of a path, legal everywhere and within 255 bytes, its extension kept."""
    has_ext = bool(ext) and text.endswith(ext)
    body = text.removesuffix(ext) if has_ext else text
    body = _cut(body, PART_BYTES - 2 - (len(ext) if has_ext else 0))
    whole = _no_device(body + (ext if has_ext else ""))
    part = whole if _PLAIN.fullmatch(whole) else str(sanitize_filename(whole, "_", platform="universal"))
    part = part.strip(" ").rstrip(" .")
    if not part.strip("."):
        return "_"
    return f"_{part[1:]}" if part.casefold().startswith(PRIVATE) else part


def _no_device(part: str) -> str:
    """The part, with `_` behind a name that would open a device on Windows."""
    base, dot, rest = part.partition(".")
    bare = base.strip(" ")
    return f"{bare}_{dot}{rest}" if bare.casefold() in _DEVICES else part


def _cut(text: str, limit: int) -> str:
    """`text` within `limit` bytes of UTF-8, cut between characters and never before a combining one."""
    if len(text.encode()) <= limit:
        return text
    kept = text.encode()[:limit].decode("utf-8", "ignore")
    rest = text[len(kept) :]
    while kept and rest and (unicodedata.combining(rest[0]) or rest[0] in "\u200d\ufe0f" or kept[-1] == "\u200d"):
        rest = kept[-1] + rest
        kept = kept[:-1]
    return kept.rstrip(" .")
