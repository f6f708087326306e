"""What a fault is: for which requests it strikes, and where it may lay hands on a request and its answer."""

import random
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from syncer.sandbox.answers import Answer
from syncer.sandbox.model import ValidatorForm
from syncer.sandbox.store import Store


class Kind(StrEnum):
    """Which half of the stand-in a request went to."""

    API = "api"
    STORAGE = "storage"
    CONTROL = "control"


class Op(StrEnum):
    """What a request asks for."""

    LIST = "list"  # GET /download
    GET = "get"  # GET /download/{id}
    CREATE = "create"  # POST /download
    RETRY = "retry"  # POST /download/{id}
    DELETE = "delete"  # DELETE /download
    ASYNC = "async"  # GET /async-response/{id}
    OBJECT = "object"  # GET /storage/...
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as the faults see it. A fault's `prepare` may put another in its place."""

    kind: Kind
    op: Op
    job_id: str | None = None
    path: str = "/"
    query: str = ""
    range: str | None = None  # the Range header
    if_range: str | None = None
    generation: int = 0  # of the link the request came with
    hop: int = 0  # redirects followed
    dies_at: datetime | None = None  # when the storage stops honouring the link; of storage requests only
    ignore_range: bool = False
    validators: ValidatorForm | None = None  # in place of the standing rule


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """For which requests a fault strikes. All conditions hold together; the default is every request.

    Requests are counted from 1 and only those that pass `jobs`, `ops` and `ranged` count, for each job by itself
    unless `per_job` is false. The first `after` are spared, then the next `first` are struck, or every `every`th.
    """

    jobs: frozenset[str] | None = None
    ops: frozenset[Op] | None = None
    ranged: bool | None = None  # only requests with a Range header, or only those without
    after: int = 0
    first: int | None = None
    every: int = 1
    per_job: bool = True
    chance: float = 1.0  # of the struck, the share that really is, drawn from the sandbox's randomness

    def covers(self, ask: Ask) -> bool:
        """Whether the request counts at all."""
        if self.jobs is not None and ask.job_id not in self.jobs:
            return False
        if self.ops is not None and ask.op not in self.ops:
            return False
        return self.ranged is None or self.ranged == (ask.range is not None)

    def strikes(self, nth: int) -> bool:
        """Whether the `nth` request that counts is struck, chance aside."""
        behind = nth - self.after
        if behind < 1 or (self.first is not None and behind > self.first):
            return False
        return (behind - 1) % self.every == 0


class World(Protocol):
    """What a fault may use and change of the sandbox it runs in."""

    @property
    def store(self) -> Store:
        """The account."""
        ...

    @property
    def rng(self) -> random.Random:
        """The injected randomness."""
        ...

    @property
    def storage_url(self) -> str:
        """Scheme, host and port links lead to."""
        ...

    @property
    def other_url(self) -> str:
        """The storage once more, under another host name."""
        ...

    def now(self) -> datetime:
        """The injected clock, UTC."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong. Faults of one scenario act one after another, each on what the last one left."""

    when: When = field(default_factory=When)

    def prepare(self, world: World, ask: Ask) -> Ask:  # noqa: ARG002 - a hook, empty here
        """Called before the request is answered; what it returns is answered in its place."""
        return ask

    def change(self, world: World, ask: Ask, answer: Answer) -> Answer:  # noqa: ARG002 - a hook, empty here
        """Called with the honest answer; what it returns is sent in its place."""
        return answer


class FaultBook:
    """Counts requests for every fault of a scenario and says which faults strike the next one."""

    def __init__(self, faults: Iterable[Fault], rng: random.Random) -> None:
        self._faults = tuple(faults)
        self._rng = rng
        self._seen: Counter[tuple[int, str | None]] = Counter()
        self._lock = threading.Lock()

    def strike(self, ask: Ask) -> tuple[Fault, ...]:
        """The faults this request meets. Counts it, so ask once a request."""
        with self._lock:
            return tuple(fault for at, fault in enumerate(self._faults) if self._strikes(at, fault.when, ask))

    def _strikes(self, at: int, when: When, ask: Ask) -> bool:
        if not when.covers(ask):
            return False
        key = (at, ask.job_id if when.per_job else None)
        self._seen[key] += 1
        return when.strikes(self._seen[key]) and (when.chance >= 1.0 or self._rng.random() < when.chance)


def first(count: int, *jobs: str) -> When:
    """The first `count` requests for each job, or for each of these jobs."""
    return replace(nth(0, *jobs), first=count)


def nth(after: int, *jobs: str) -> When:
    """Every request for a job beyond the first `after`."""
    return When(after=after, jobs=frozenset(jobs) or None)
