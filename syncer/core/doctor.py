"""What facts about an installation mean: each a line that is well, a warning or a failure, with the way out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from syncer.core.mounts import Mount
from syncer.core.report import ExitCode, gravest
from syncer.core.resume import Answer, is_strong

SKEW = timedelta(minutes=2)
"""A clock this far off makes every deadline wrong by as much; signatures are commonly refused from five minutes on."""

LEAST_FREE = 1 << 30
"""Bytes of free space below which a destination is warned of."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    area: str  # settings, key, api, storage, destination, ledger
    level: Level
    text: str
    way_out: str = ""


@dataclass(frozen=True, slots=True)
class ApiFacts:
    """What a few requests told of the API; None where an account with so few jobs cannot tell."""

    jobs: int  # on the first full page
    malformed: int
    full_page: int  # entries that a page of 5,000 brought
    default_count: int | None = None  # entries where no count is asked for
    page_base: int | None = None  # number of the first page: 0, or 1 where page 0 and 1 are the same
    heeds_count: bool | None = None
    order: str | None = None  # newest first, oldest first, none that time explains
    time_forms: tuple[str, ...] = ()  # of created_at: naive, Z, offset, missing, unreadable
    relink: str | None = None  # what asking for a job again gives: later, other (dying as soon), or same
    skew: timedelta | None = None  # the API's clock less ours
    sample: str | None = None  # id of a done job with a link


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """What the storage said of one file when a part of it was asked for."""

    answer: Answer
    expiry: str | None  # the form in which the link says when it dies; None: it does not
    life: timedelta | None  # from now to its death


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """What a destination is and lets be done. The trials are None where nothing may be written there."""

    location: str
    exists: bool
    marker: str  # ours, foreign, none, unreadable, or unbound: nothing there and nothing expected
    free: int | None = None  # bytes
    total: int | None = None
    mount: Mount | None = None
    folds_case: bool | None = None
    refused_names: tuple[str, ...] | None = None
    no_folder_sync: str | None = None  # why a folder cannot be fsynced; empty: it can
    no_link: str | None = None  # the same of hard links
    no_times: str | None = None
    failed: str | None = None  # why writing, fsync or rename failed; empty: they work


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """Where the ledger is and how it is."""

    location: str
    exists: bool
    revision: str | None = None
    head: str | None = None
    problems: tuple[str, ...] = ()
    mount: Mount | None = None
    shared_mode: bool = False  # readable by other users
    error: str = ""  # why it could not be read


_CODES = {
    "settings": ExitCode.USAGE,
    "key": ExitCode.KEY_REFUSED,
    "api": ExitCode.LISTING_FAILED,
    "storage": ExitCode.FAILED,
    "destination": ExitCode.DESTINATION,
    "ledger": ExitCode.LEDGER_DAMAGED,
}


def exit_code(findings: Iterable[Finding]) -> int:
    """0 where nothing failed, else what a pass would end with."""
    return gravest({int(_CODES[finding.area]) for finding in findings if finding.level is Level.FAIL})


def judge_api(facts: ApiFacts) -> list[Finding]:
    """The API's own ways: most are told for the record, since syncer takes each of them."""
    told = [
        Finding("key", Level.OK, "It works: the list may be read. The API has no call that says whose it is."),
        Finding("api", Level.OK, f"A full page brought {facts.full_page:,} entries, {facts.jobs:,} of them jobs."),
        _skew(facts.skew),
        _base(facts),
        _told("Without a count, a page has", _default(facts), "entries."),
        _told("Order of the entries:", facts.order, ""),
        _told("A link from GET /download/{id} is", _RELINKS.get(facts.relink or ""), ""),
        _told("created_at is written", ", ".join(facts.time_forms) or None, "(without a zone it counts as UTC)."),
    ]
    if facts.heeds_count is False:
        told.append(Finding("api", Level.WARN, "The API does not heed `count`.", "The list is read at its own pace."))
    if facts.malformed:
        text = f"{facts.malformed:,} entries of the first page cannot be read; a pass skips and counts them."
        told.append(Finding("api", Level.WARN, text, "`syncer run -v` names them; report them to VideoDB."))
    return told


def _default(facts: ApiFacts) -> str | None:
    """A page that brought all there is only shows that the default is no smaller."""
    count = facts.default_count
    if count is None:
        return None
    return f"{count:,}" if count < facts.full_page else f"at least {count:,}"


def _told(before: str, value: object | None, after: str) -> Finding:
    if value is None:
        return Finding("api", Level.OK, f"{before} … not to be told: the account holds too few jobs.")
    return Finding("api", Level.OK, f"{before} {value} {after}".rstrip())


_RELINKS = {
    "later": "signed anew each time: a relink always helps.",
    "other": "another one each time that dies no later: only making the job again helps.",
    "same": "the same each time: only making the job again helps.",
}


def _base(facts: ApiFacts) -> Finding:
    if facts.page_base is None:
        return _told("Pages are counted from", None, "")
    return Finding("api", Level.OK, f"Pages are counted from {facts.page_base}.")


def _skew(skew: timedelta | None) -> Finding:
    if skew is None:
        return Finding("api", Level.WARN, "The API does not say what time it is.", "Compare this clock by hand.")
    seconds = round(skew.total_seconds())
    if abs(skew) <= SKEW:
        return Finding("api", Level.OK, f"This clock and the API's differ by {abs(seconds)} s.")
    way = "Set this machine's clock (NTP): deadlines are reckoned by it."
    return Finding("api", Level.FAIL, f"This clock is {abs(seconds)} s {'slow' if seconds > 0 else 'fast'}.", way)


def judge_storage(facts: StorageFacts) -> list[Finding]:
    """What can be proven of files from this storage, and whether partials can go on."""
    answer, area = facts.answer, "storage"
    if answer.status not in (200, 206):
        way = "A pass asks for a new link where this one died; run the doctor again after one."
        return [Finding(area, Level.FAIL, f"{answer.host} answered {answer.status} to a living link.", way)]
    told = [Finding(area, Level.OK, f"{answer.host} hands out files.")]
    if answer.status == 206:
        told.append(Finding(area, Level.OK, "Ranges work: partials go on where they stopped."))
    else:
        told.append(Finding(area, Level.WARN, "Ranges are ignored.", "A file that breaks off begins anew."))
    if is_strong(answer.etag) or answer.last_modified:
        told.append(Finding(area, Level.OK, f"Versions are told apart by {_validators(answer)}."))
    else:
        way = "Partials are compared with the last 64 KiB on disk before they go on."
        told.append(Finding(area, Level.WARN, "Nothing tells two versions of a file apart.", way))
    checks = [name for name, value in (("MD5", answer.md5), ("CRC32C", answer.crc32c)) if value]
    sums = f"Checksums: {', '.join(checks)}." if checks else "No checksum is sent; the length is what can be proven."
    told.append(Finding(area, Level.OK, sums))
    if facts.expiry is None:
        way = "24 hours from created_at are assumed; only a refusal counts."
        told.append(Finding(area, Level.WARN, "Links do not say when they die.", way))
    else:
        left = f", {facts.life.total_seconds() / 3600:.1f} h from now" if facts.life else ""
        told.append(Finding(area, Level.OK, f"Links say when they die ({facts.expiry}{left})."))
    return told


def _validators(answer: Answer) -> str:
    found = (("ETag", is_strong(answer.etag)), ("Last-Modified", answer.last_modified))
    return " and ".join(name for name, there in found if there)


def judge_folder(facts: FolderFacts) -> list[Finding]:
    """Whether a pass could use the destination, and what it will have to do without."""
    area, place = "destination", facts.location
    if not facts.exists:
        if facts.marker == "unbound":
            text = f"{place} is not there yet; the first run makes it."
            return [Finding(area, Level.OK, text)]
        return [Finding(area, Level.FAIL, f"There is no folder {place}.", "Mount it, or give another with --dest.")]
    told = [_marker(facts)]
    if facts.mount:
        kind = f"{facts.mount.kind}{', over the network' if facts.mount.is_network else ''}"
        told.append(Finding(area, Level.OK, f"It lies on {kind}, mounted at {facts.mount.point}."))
        if "ro" in facts.mount.options:
            told.append(Finding(area, Level.FAIL, "It is mounted read-only.", "Mount it for writing."))
    told.append(_room(facts))
    if facts.failed is None:
        told.append(Finding(area, Level.OK, "Nothing was tried out in it: only a destination of one's own is written."))
        return told
    if facts.failed:
        told.append(Finding(area, Level.FAIL, f"Files cannot be written there: {facts.failed}.", "Check its owner."))
        return told
    told.append(Finding(area, Level.OK, "Writing, fsync and rename work."))
    told += [
        Finding(area, Level.WARN, f"{what}: {why}.", means)
        for what, why, means in (
            (
                "A folder cannot be fsynced",
                facts.no_folder_sync,
                "A power cut may take the newest names away.",
            ),
            ("There are no hard links", facts.no_link, "Names are taken by a plain rename after a look."),
            ("Times cannot be set", facts.no_times, "Files keep the time they were fetched at."),
        )
        if why
    ]
    if facts.folds_case:
        told.append(Finding(area, Level.OK, "It takes upper and lower case for the same; names are kept apart."))
    if facts.refused_names:
        names = " ".join(facts.refused_names)
        told.append(Finding(area, Level.OK, f"It refuses names such as {names}; syncer makes none of that kind."))
    return told


def _marker(facts: FolderFacts) -> Finding:
    area, place = "destination", facts.location
    match facts.marker:
        case "ours":
            return Finding(area, Level.OK, f"{place} is the folder this ledger belongs to.")
        case "unbound":
            return Finding(area, Level.OK, f"{place} is there, and the first run binds it.")
        case "none":
            text = f"{place} has no marker .syncer/destination.json."
            return Finding(area, Level.FAIL, text, "Is it mounted? `syncer adopt DEST` binds files already there.")
        case "foreign":
            text = f"The marker in {place} is that of another ledger."
            return Finding(area, Level.FAIL, text, "Give --ledger the one that filled it, or --dest another folder.")
    text = f"The marker in {place} cannot be read."
    return Finding(area, Level.FAIL, text, "Put it back from a backup, or run `syncer adopt DEST`.")


def _room(facts: FolderFacts) -> Finding:
    if facts.free is None or not facts.total:
        return Finding("destination", Level.WARN, "It does not say how much room it has.", "Keep an eye on it.")
    gib = facts.free / (1 << 30)
    if facts.free < LEAST_FREE:
        return Finding("destination", Level.WARN, f"Only {gib:.2f} GiB are free.", "Make room before the next pass.")
    return Finding("destination", Level.OK, f"{gib:,.1f} GiB are free.")


def judge_ledger(facts: LedgerFacts) -> list[Finding]:
    """Whether the memory is sound and in a safe place."""
    area = "ledger"
    if facts.error:
        return [Finding(area, Level.FAIL, facts.error)]
    if not facts.exists:
        return [Finding(area, Level.OK, f"{facts.location} is not there yet; the first run makes it."), *_place(facts)]
    told = [Finding(area, Level.OK, f"{facts.location}, schema {facts.revision}.")]
    if facts.revision != facts.head:
        told = [Finding(area, Level.WARN, f"{facts.location} has an older schema.", "The next run brings it up.")]
    if facts.problems:
        way = "Put a backup in its place, or start a new one and let `syncer adopt DEST` fill it."
        told.append(Finding(area, Level.FAIL, f"It is damaged: {facts.problems[0]}.", way))
    else:
        told.append(Finding(area, Level.OK, "A thorough check finds no damage."))
    if facts.shared_mode:
        told.append(Finding(area, Level.WARN, "Other users can read it, and it holds links.", "chmod 600 it."))
    return told + _place(facts)


def _place(facts: LedgerFacts) -> list[Finding]:
    if facts.mount is None:
        return []
    if facts.mount.is_network:
        way = "Keep it on a local disk with --ledger: SQLite's locks cannot be trusted over a network."
        return [Finding("ledger", Level.WARN, f"It lies on {facts.mount.kind}, over the network.", way)]
    return [Finding("ledger", Level.OK, f"It lies on {facts.mount.kind}, a local disk.")]


def order_of(times: list[datetime | None]) -> str | None:
    """In which order a page's entries stand, by the times of their creation; None where too few have one."""
    known = [moment for moment in times if moment is not None]
    if len(set(known)) < 3:
        return None
    if known == sorted(known, reverse=True):
        return "newest first."
    return "oldest first." if known == sorted(known) else "none that created_at explains."
