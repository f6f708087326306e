"""What a file's name proves of the job it belongs to: the id the name template put into it, or nothing.

A wrong guess would make a job count as stored whose file is not there, and it would be lost in silence; a missing proof
costs a second fetch. So only what can have come from one id alone proves it.
"""

import re
from string import Formatter

from syncer.core.naming import Naming, id_in_name, media_type, split_extension

_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,12}$")
_ALTERED = re.compile(r"(?:(.*)~)?[0-9a-f]{8}", re.DOTALL)
_OF_FIELD = {"ext": r"(?:\.[A-Za-z0-9]{1,12})?"}

VARIANTS = 100
"""Other names a job's file may have got because its first was taken."""


def proven_id(naming: Naming, path: str) -> str | None:
    """The one id from which the template can have made this path, wherever below the destination it lies now.

    None where there is none, where several could have, and where naming altered the id beyond recognition.
    """
    possible = _possible(naming, path)
    return possible[0] if len(possible) == 1 else None


def possible_ids(naming: Naming, path: str) -> list[str]:
    """Every id that may be the path's, as far as ids can be read in it: for a list of jobs to tell which."""
    return [reading for reading in _possible(naming, path) if reading is not None]


def may_be_media(path: str) -> bool:
    """Whether a path ends like a film or a sound, or without an extension; not like the half files, subtitles and
    posters that other programs put beside a film under its name."""
    ext = _extension_of(path)
    kind = media_type(ext.lower()) or "" if ext else "video"
    return kind.partition("/")[0] in ("video", "audio")


def is_named(path: str, expected: str, name: str | None) -> bool:
    """Whether `path` is what was `expected` of a job with this name, before anything was known of its content type."""
    if path == expected:
        return True
    return not split_extension(name or "")[1] and path == expected + _extension_of(path)


def without_extension(path: str) -> str:
    """The path less what looks like its extension."""
    return _EXTENSION.sub("", path)


def _extension_of(path: str) -> str:
    match = _EXTENSION.search(path)
    return match[0] if match else ""


def _possible(naming: Naming, path: str) -> list[str | None]:
    return [reading for text in _ids_as_written(naming, path) for reading in _readings(text)]


def _ids_as_written(naming: Naming, path: str) -> list[str]:
    """Every text that may stand where the template has its id."""
    parts = naming.template.split("/")
    depths = [depth for depth, part in enumerate(reversed(parts)) if "{id}" in part]
    found = path.split("/")
    if len(depths) != 1 or depths[0] >= len(found):
        return []
    before, _, behind = parts[-1 - depths[0]].partition("{id}")
    if "{id}" in behind:
        return []
    return _between(found[-1 - depths[0]], _pattern(before), _pattern(behind))


def _between(text: str, before: re.Pattern[str], behind: re.Pattern[str]) -> list[str]:
    starts = [at for at in range(len(text)) if before.fullmatch(text, 0, at)]
    ends = [at for at in range(1, len(text) + 1) if behind.fullmatch(text, at)]
    return [text[start:end] for start in starts for end in ends if start < end]


def _pattern(template: str) -> re.Pattern[str]:
    pieces = []
    for literal, field, _, _ in Formatter().parse(template):
        pieces.append(re.escape(literal))
        if field is not None:
            pieces.append(_OF_FIELD.get(field, ".+"))
    return re.compile("".join(pieces), re.DOTALL)


def _readings(text: str) -> list[str | None]:
    """The ids that naming can have written as `text`; None stands for one that cannot be told."""
    altered = _ALTERED.fullmatch(text)
    if altered is None:
        return [text] if id_in_name(text, 0) == text else []
    base = altered[1]
    if base and any(id_in_name(base, variant) == text for variant in range(VARIANTS)):
        return [base]  # 32 bits of hash agree
    return [None, None]  # an id that looks so, or one that naming had to alter
