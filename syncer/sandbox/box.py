"""The sandbox itself: one account, its rules and faults, its clock, and the ASGI application over them."""

import asyncio
import hashlib
import logging
import random
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from syncer.sandbox import api, storage
from syncer.sandbox.answers import Answer
from syncer.sandbox.content import Content, Digests
from syncer.sandbox.control import control, description
from syncer.sandbox.deliver import Line, Wire, deliver
from syncer.sandbox.entries import link_of
from syncer.sandbox.faults import Ask, FaultBook, Kind, Op
from syncer.sandbox.model import Rules, SandboxJob
from syncer.sandbox.observe import OF_INTEREST, RequestLog, Seen
from syncer.sandbox.ranges import http_date
from syncer.sandbox.scenarios import HEALTHY, Scenario
from syncer.sandbox.store import Store

WIRE = "syncer.sandbox.wire"  # extension of the ASGI scope: the transport and its flow control
_LOG = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Sandbox:
    """A VideoDB account that lives in memory and answers over real HTTP while `running` or `serve_forever` runs it.

    Safe to look at and to change from other threads while it runs.
    """

    def __init__(
        self,
        jobs: Iterable[SandboxJob] = (),
        scenario: Scenario = HEALTHY,
        *,
        now: Callable[[], datetime] = _utc_now,
        rng: random.Random | None = None,
        seed: int = 0,
        api_key: str = "sk-sandbox",
    ) -> None:
        """`now` gives UTC; `rng` draws ids, shuffles and chances; `seed` decides contents and signatures."""
        self.api_key = api_key
        self.seed = seed
        self.log = RequestLog()
        self.rng = rng or random.Random(seed)  # noqa: S311 - shuffles and names, nothing to protect
        self._now = now
        self._ahead = timedelta(0)
        self.store = Store(jobs, self.now, self.rng)
        self._secret = hashlib.sha256(f"syncer sandbox {seed}".encode()).digest()
        self._urls: tuple[str, str, str] | None = None
        self._lock = threading.Lock()
        self._line = Line()
        self.set_scenario(scenario)

    # What a fault or a test may look at -----------------------------------------------------------------------

    @property
    def scenario(self) -> Scenario:
        """What it is told to do wrong now."""
        return self._scenario

    @property
    def rules(self) -> Rules:
        """The standing rules of the scenario."""
        return self._scenario.rules

    @property
    def base_url(self) -> str:
        """Scheme, host and port of the API. Raises RuntimeError while nothing runs."""
        return self._bound()[0]

    @property
    def storage_url(self) -> str:
        """Scheme, host and port links lead to. Raises RuntimeError while nothing runs."""
        return self._bound()[1]

    @property
    def other_url(self) -> str:
        """The storage under another host name. Raises RuntimeError while nothing runs."""
        return self._bound()[2]

    @property
    def token_leaks(self) -> int:
        """Requests to the storage that carried the API key; 0 for any client that may be let out."""
        return self.log.token_leaks

    def now(self) -> datetime:
        """The injected clock, plus what `advance` added; UTC."""
        return self._now() + self._ahead

    def content(self, job_id: str, version: int | None = None) -> Content:
        """What the job's file holds, now or in another version. Raises KeyError for an unknown id."""
        job = self.store.get(job_id)
        if job is None:
            raise KeyError(job_id)
        return Content(self.seed, job.id, job.version if version is None else version, job.size)

    def digests(self, job_id: str, version: int | None = None) -> Digests:
        """Checksums of the job's file, remembered. Raises KeyError for an unknown id."""
        return self.content(job_id, version).digests()

    def link(self, job: SandboxJob, *, lookup: bool = False) -> str:
        """A signed link to the job's file, as a list hands it out, or a look-up."""
        host = self.base_url if self.rules.links.via_api else self.storage_url
        return link_of(job, self.rules.links, self._secret, self.now(), host=host, lookup=lookup)

    # What a test may change ------------------------------------------------------------------------------------

    def set_scenario(self, scenario: Scenario) -> None:
        """Switches to other rules and faults; their counts begin anew."""
        with self._lock:
            self._scenario = scenario
            self._api_faults = FaultBook(scenario.api, self.rng)
            self._storage_faults = FaultBook(scenario.storage, self.rng)

    def add(self, *jobs: SandboxJob) -> None:
        """Adds jobs, each as the newest. Raises ValueError for an id that is there already."""
        for job in jobs:
            self.store.add(job)

    def advance(self, by: timedelta) -> None:
        """Moves the sandbox's clock forward, and with it the end of links and of processing."""
        self._ahead += by

    def bind(self, base_url: str, storage_url: str, other_url: str) -> None:
        """Called by the server when it knows its addresses."""
        self._urls = (base_url, storage_url, other_url)

    # ASGI ------------------------------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Only HTTP under the server of `sandbox.server` is understood."""
        request = Request(scope, receive)
        transport, flow = scope["extensions"][WIRE]
        wire = Wire(transport, flow, receive, send, self._line)
        seen = self._seen(request)
        self.log.begin(seen)
        try:
            answer = await self._answer(request, seen)
            await deliver(answer, wire, self.log, seen, http_date(self.now()))
        except Exception:  # noqa: BLE001 - one failed answer must not end the server
            _LOG.exception("the sandbox failed on %s %s", seen.method, seen.path)
            wire.transport.abort()
            await wire.left()
        finally:
            self.log.end(seen)

    async def _answer(self, request: Request, seen: Seen) -> Answer:
        body = await request.body()
        if seen.kind is Kind.STORAGE:
            return await self._storage(request, seen)
        if seen.kind is Kind.CONTROL:
            return await asyncio.to_thread(control, self, seen.method, seen.path, seen.query, body)
        if seen.path == "/openapi.yaml":
            return description()
        return self._api(request, seen, body)

    def _api(self, request: Request, seen: Seen, body: bytes) -> Answer:
        route = api.route(_raw_path(request))
        if route is None:
            return api.not_found()
        if request.method not in route.methods:
            return api.wrong_method(route.methods)
        op = route.methods[request.method]
        query = api.parse_query(request.scope["query_string"])
        call = api.Call(op, route.job_id, query, body, request.headers)
        ask = Ask(Kind.API, op, seen.job_id, seen.path, range=seen.range)
        with self._lock:
            faults = self._api_faults.strike(ask)
        seen.faults = tuple(type(fault).__name__ for fault in faults)
        answer = api.answer(self, call)
        for fault in faults:
            answer = fault.change(self, ask, answer)
        return answer

    async def _storage(self, request: Request, seen: Seen) -> Answer:
        query = request.scope["query_string"].decode("latin-1")
        host = request.headers.get("host", "")
        knock = storage.Knock(request.method, seen.path, query, host, seen.token)
        urls = {"api_url": self.base_url, "storage_url": self.storage_url}
        link = storage.admit(knock, self.rules, self._secret, self.now(), **urls)
        if isinstance(link, Answer):
            return link
        seen.job_id, seen.generation = link.job_id, link.generation
        ask = Ask(
            Kind.STORAGE,
            Op.OBJECT,
            link.job_id,
            seen.path,
            query,
            seen.range,
            seen.if_range,
            link.generation,
            link.hop,
            link.expires_at - self.rules.links.early,
        )
        with self._lock:
            faults = self._storage_faults.strike(ask)
        seen.faults = tuple(type(fault).__name__ for fault in faults)
        for fault in faults:
            ask = fault.prepare(self, ask)
        job = self.store.get(link.job_id)
        if job is None:
            return storage.no_such_key()
        answer = await storage.serve(self.content(job.id), job, ask, self.rules)
        for fault in faults:
            answer = fault.change(self, ask, answer)
        return answer

    def _seen(self, request: Request) -> Seen:
        path = _raw_path(request)
        kind, op, job_id = Kind.API, Op.OTHER, None
        if path.startswith("/storage/"):
            kind, op = Kind.STORAGE, Op.OBJECT
        elif path.startswith("/_sandbox/"):
            kind = Kind.CONTROL
        elif (route := api.route(path)) is not None:
            op, job_id = route.methods.get(request.method, Op.OTHER), route.job_id or None
        query = {} if kind is Kind.STORAGE else dict(api.parse_query(request.scope["query_string"]))
        headers = {name: request.headers[name] for name in OF_INTEREST if name in request.headers}
        port = request.client.port if request.client else 0
        token = "x-access-token" in request.headers
        return Seen(self.now(), kind, op, request.method, path, query, job_id, port, token, headers)

    def _bound(self) -> tuple[str, str, str]:
        if self._urls is None:
            raise RuntimeError("the sandbox does not run, so it has no address")
        return self._urls

    def describe(self) -> dict[str, Any]:
        """Its addresses and scenario, as plain JSON values; never the key."""
        base, store, other = self._bound()
        told = {"base_url": base, "storage_url": store, "other_url": other, "scenario": self.scenario.name}
        return told | {"jobs": len(self.store), "now": self.now().isoformat()}


def _raw_path(request: Request) -> str:
    raw: bytes = request.scope["raw_path"]
    return raw.decode("latin-1")
