"""The sandbox's back door under /_sandbox/: what it saw, and how to change it from another process."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any, Protocol

from syncer.sandbox.answers import Answer, failure, json_answer, text_answer
from syncer.sandbox.content import Digests
from syncer.sandbox.jsonio import from_json, scenario_from_json, to_json
from syncer.sandbox.model import JobStatus, SandboxJob
from syncer.sandbox.observe import RequestLog
from syncer.sandbox.scenarios import SCENARIOS, Scenario
from syncer.sandbox.store import Store


class Controlled(Protocol):
    """What can be seen and changed through the back door."""

    @property
    def store(self) -> Store:
        """The jobs."""
        ...

    @property
    def log(self) -> RequestLog:
        """What was seen."""
        ...

    @property
    def scenario(self) -> Scenario:
        """What goes wrong."""
        ...

    def add(self, *jobs: SandboxJob) -> None:
        """Adds jobs."""
        ...

    def set_scenario(self, scenario: Scenario) -> None:
        """Switches the scenario."""
        ...

    def digests(self, job_id: str) -> Digests:
        """Checksums of a job's file."""
        ...

    def advance(self, by: timedelta) -> None:
        """Moves the clock."""
        ...

    def describe(self) -> dict[str, Any]:
        """Addresses and scenario."""
        ...


def control(sandbox: Controlled, method: str, path: str, query: Mapping[str, str], body: bytes) -> Answer:
    """Answers one request to the back door; it needs no key, since only this machine can reach it."""
    call = _CALLS.get((method, path))
    if call is None:
        return failure(404, "There is no such control", "NOT_FOUND")
    try:
        return json_answer(200, call(sandbox, query, json.loads(body) if body else None))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return failure(400, f"{type(error).__name__}: {error}", "INVALID_REQUEST")


@lru_cache(maxsize=1)
def _openapi() -> str:
    return files("syncer.sandbox").joinpath("openapi.yaml").read_text("utf-8")


def description() -> Answer:
    """The OpenAPI description of the calls the sandbox answers."""
    return text_answer(200, _openapi(), "application/yaml")


def _stats(sandbox: Controlled, query: Mapping[str, str], _: Any) -> Any:
    return sandbox.describe() | sandbox.log.stats(int(query.get("last", "1000")))


def _clear(sandbox: Controlled, _: Mapping[str, str], __: Any) -> Any:
    sandbox.log.clear()
    return {"success": True}


def _digests(sandbox: Controlled, query: Mapping[str, str], _: Any) -> Any:
    wanted = [query["id"]] if "id" in query else [job.id for job in sandbox.store.all() if job.status is JobStatus.DONE]
    jobs = {job_id: sandbox.store.get(job_id) for job_id in wanted}
    return {
        job_id: asdict(sandbox.digests(job_id)) | {"size": job.size, "name": job.name}
        for job_id, job in jobs.items()
        if job is not None
    }


def _jobs(sandbox: Controlled, _: Mapping[str, str], __: Any) -> Any:
    return [to_json(job) for job in sandbox.store.all()]


def _add_jobs(sandbox: Controlled, _: Mapping[str, str], body: Any) -> Any:
    jobs = [from_json(SandboxJob, item) for item in (body if isinstance(body, list) else [body])]
    sandbox.add(*jobs)
    return {"success": True, "ids": [job.id for job in jobs]}


def _scenario(sandbox: Controlled, _: Mapping[str, str], __: Any) -> Any:
    return to_json(sandbox.scenario) | {"known": {name: one.about for name, one in SCENARIOS.items()}}


def _set_scenario(sandbox: Controlled, _: Mapping[str, str], body: Any) -> Any:
    sandbox.set_scenario(scenario_from_json(body))
    return to_json(sandbox.scenario)


def _advance(sandbox: Controlled, _: Mapping[str, str], body: Any) -> Any:
    sandbox.advance(timedelta(seconds=float(body["advance"])))
    return sandbox.describe()


_CALLS: dict[tuple[str, str], Callable[[Controlled, Mapping[str, str], Any], Any]] = {
    ("GET", "/_sandbox/stats"): _stats,
    ("DELETE", "/_sandbox/stats"): _clear,
    ("GET", "/_sandbox/digests"): _digests,
    ("GET", "/_sandbox/jobs"): _jobs,
    ("POST", "/_sandbox/jobs"): _add_jobs,
    ("GET", "/_sandbox/scenario"): _scenario,
    ("POST", "/_sandbox/scenario"): _set_scenario,
    ("POST", "/_sandbox/clock"): _advance,
}
