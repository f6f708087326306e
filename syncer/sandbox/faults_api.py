"""Faults that only the API has: refusals in disguise, malformed entries, missing links, pages that shift."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from syncer.sandbox.answers import Answer, failure
from syncer.sandbox.faults import Ask, Fault, Op, When, World

# One of each way an entry of a page can be no job, or a strange one.
MALFORMED: tuple[Any, ...] = (
    None,
    7,
    "download-12345",
    [],
    {},
    {"name": "no id.mp4", "status": "done"},
    {"id": None, "name": "null id.mp4", "status": "done"},
    {"id": 12345, "name": "numeric id.mp4", "status": "done"},
    {"id": "", "name": "empty id.mp4", "status": "done"},
    {"id": "odd-name", "name": {"text": "x"}, "status": "done", "download_url": "https://example.invalid/x"},
    {"id": "odd-status", "name": "x.mp4", "status": "exploded"},
    {"id": "no-status", "name": "x.mp4"},
    {"id": "odd-link", "name": "x.mp4", "status": "done", "download_url": 5},
    {"id": "odd-time", "name": "x.mp4", "status": "processing", "created_at": "yesterday"},
)
_PAGES = frozenset({Op.LIST})
_ENTRIES = frozenset({Op.LIST, Op.GET})


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessFalse(Fault):
    """HTTP 200 and `success: false`."""

    message: str = "Something went wrong"

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Puts the refusal in the answer's place."""
        return failure(200, self.message, "INTERNAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed(Fault):
    """Entries that are no jobs, scattered over the page by the sandbox's randomness."""

    when: When = field(default_factory=lambda: When(ops=_PAGES, first=1))
    entries: tuple[Any, ...] = MALFORMED

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Adds the entries to the page."""
        entries = _entries(answer)
        if entries is None:
            return answer
        for entry in self.entries:
            entries.insert(world.rng.randint(0, len(entries)), entry)
        return replace(answer, payload=answer.payload | {"data": {"downloads": entries}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch(Fault):
    """Fields of entries set to other values, or left out: unknown fields, other types, strange times and words."""

    when: When = field(default_factory=lambda: When(ops=_ENTRIES))
    fields: Mapping[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    only: frozenset[str] | None = None  # ids; None: every entry

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Rewrites the entries of a page, or the one of a look-up."""
        entries = _entries(answer)
        if entries is not None:
            data: Any = {"downloads": [self._patched(entry) for entry in entries]}
        elif isinstance(answer.payload, dict) and isinstance(answer.payload.get("data"), dict):
            data = self._patched(answer.payload["data"])
        else:
            return answer
        return replace(answer, payload=answer.payload | {"data": data})

    def _patched(self, entry: Any) -> Any:
        if not isinstance(entry, dict) or (self.only is not None and entry.get("id") not in self.only):
            return entry
        return {name: value for name, value in (entry | dict(self.fields)).items() if name not in self.drop}


class MissingForm(StrEnum):
    """How a finished job has no link."""

    ABSENT = "absent"
    NULL = "null"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoLink(Fault):
    """Finished jobs without a link."""

    when: When = field(default_factory=lambda: When(ops=_ENTRIES))
    form: MissingForm = MissingForm.ABSENT
    only: frozenset[str] | None = None  # ids; None: every entry

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:
        """Takes the links away."""
        if self.form is MissingForm.ABSENT:
            patch = Patch(drop=("download_url",), only=self.only)
        else:
            link = None if self.form is MissingForm.NULL else ""
            patch = Patch(fields={"download_url": link}, only=self.only)
        return patch.change(world, ask, answer)


class Place(StrEnum):
    """Where in the listing something happens."""

    HEAD = "head"
    TAIL = "tail"
    RANDOM = "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift(Fault):
    """The account changes behind every page: jobs are made and removed while it is being listed.

    Head is where the newest jobs are, whatever the order of the listing.
    """

    when: When = field(default_factory=lambda: When(ops=_PAGES, first=5))
    create: int = 2  # jobs a page
    delete: int = 0  # jobs a page
    place: Place = Place.HEAD
    size: int = 64 * 1024  # bytes of the files of the new jobs

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - the hook's signature
        """Lets the page pass and changes what the next one is cut from."""
        for _ in range(self.delete):
            if len(world.store):
                jobs = world.store.all()
                world.store.remove(jobs[self._at(world, len(jobs) - 1)].id)
        for _ in range(self.create):
            job = world.store.create(None, self.size, None, 0)
            world.store.add(replace(job, name=f"Made meanwhile {job.id[-6:]}"), self._at(world, len(world.store)))
        return answer

    def _at(self, world: World, last: int) -> int:
        match self.place:
            case Place.HEAD:
                return 0
            case Place.TAIL:
                return last
            case Place.RANDOM:
                return world.rng.randint(0, last)


def _entries(answer: Answer) -> list[Any] | None:
    payload = answer.payload
    data = payload.get("data") if isinstance(payload, dict) else None
    entries = data.get("downloads") if isinstance(data, dict) else None
    return list(entries) if isinstance(entries, list) else None
