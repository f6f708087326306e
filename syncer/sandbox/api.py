"""The API's calls: checks a request against the published rules and answers it from the account."""

import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote_to_bytes

from syncer.sandbox import entries
from syncer.sandbox.answers import Answer, failure, json_answer
from syncer.sandbox.faults import Op
from syncer.sandbox.model import JobStatus, Rules, SandboxJob
from syncer.sandbox.store import Store

MAX_COUNT = 5000  # of the published description
_INTEGER = re.compile(r"-?[0-9]{1,4000}")


class InvalidRequestError(Exception):
    """The request breaks the published rules; the message says how. Answered with 400."""


class Account(Protocol):
    """What the calls need of the sandbox."""

    @property
    def store(self) -> Store:
        """The jobs."""
        ...

    @property
    def rules(self) -> Rules:
        """The standing rules."""
        ...

    @property
    def base_url(self) -> str:
        """Scheme, host and port of the API."""
        ...

    @property
    def api_key(self) -> str:
        """The only key that opens the account."""
        ...

    def link(self, job: SandboxJob, *, lookup: bool = False) -> str:
        """A signed link to the job's file."""
        ...

    def now(self) -> datetime:
        """The clock, UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the API, read but not checked."""

    op: Op
    job_id: str  # from the path; empty where it has none
    query: tuple[tuple[str, str], ...]
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a path leads: the operation of each method, and the id in the path."""

    methods: Mapping[str, Op]
    job_id: str = ""


def route(raw_path: str) -> Route | None:
    """The route of a path that is still percent-encoded; None where the API has no such path.

    An id may hold anything, slashes and line ends among it, so the path is cut before it is decoded.
    """
    if raw_path == "/download":
        return Route({"GET": Op.LIST, "POST": Op.CREATE, "DELETE": Op.DELETE})
    head, _, tail = raw_path[1:].partition("/")
    job_id = _decoded(tail)
    if head == "download" and tail:
        return Route({"GET": Op.GET, "POST": Op.RETRY}, job_id)
    if head == "async-response" and tail:
        return Route({"GET": Op.ASYNC}, job_id)
    return None


def _decoded(segment: str) -> str:
    raw = unquote_to_bytes(segment)
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace")


def answer(account: Account, call: Call) -> Answer:
    """The honest answer to a call: 401 without the key, 400 where a parameter is wrong."""
    if call.op is not Op.ASYNC and not _authorised(account, call):
        return failure(401, "Invalid or missing API key", "UNAUTHORIZED")
    try:
        return _CALLS[call.op](account, call)
    except InvalidRequestError as error:
        return failure(400, str(error), "INVALID_REQUEST")


def not_found() -> Answer:
    """The answer to a path the API does not have."""
    return failure(404, "There is no such path", "NOT_FOUND")


def wrong_method(methods: Mapping[str, Op]) -> Answer:
    """The answer to a method the path does not have (RFC 9110 §15.5.6)."""
    told = failure(405, "This path does not take that method", "METHOD_NOT_ALLOWED")
    return told.with_headers(allow=", ".join(methods))


def _list(account: Account, call: Call) -> Answer:
    pages = account.rules.pages
    index = _integer(call, "page_index")
    count = _integer(call, "count")
    if count is not None and count > MAX_COUNT:
        raise InvalidRequestError(f"count must be {MAX_COUNT} at most")
    jobs = account.store.page(pages, pages.base if index is None else index, count)
    listed = [_entry(account, job) for job in jobs]
    return json_answer(200, {"success": True, "data": {"downloads": listed}})


def _get(account: Account, call: Call) -> Answer:
    job = account.store.get(call.job_id)
    if job is None:
        unknown = _unknown()
        return replace(unknown, payload=entries.of_one_shape(unknown.payload))
    if job.status is JobStatus.PROCESSING:
        return json_answer(200, entries.waiting(job, account.base_url))
    if job.status is JobStatus.DONE:
        job = replace(job, generation=job.generation + 1)
        account.store.put(job)
    return json_answer(200, entries.finished(job, _entry(account, job, lookup=True)))


def _create(account: Account, call: Call) -> Answer:
    body = _json_object(call)
    stream_link, name = body.get("stream_link"), body.get("name", "")
    if not isinstance(stream_link, str):
        raise InvalidRequestError("stream_link must be a text")
    if not isinstance(name, str):
        raise InvalidRequestError("name must be a text")
    rules = account.rules.entries
    job = account.store.create(name, rules.created_size, stream_link, rules.processing_seconds)
    if "name" not in body:
        job = replace(job, name=job.id)
    account.store.add(job)
    return json_answer(200, entries.started(job, _entry(account, job), account.base_url))


def _retry(account: Account, call: Call) -> Answer:
    job = account.store.get(call.job_id)
    rules = account.rules.entries
    if job is None:
        return _unknown()
    if job.status is JobStatus.DONE and not rules.retry_done:
        return failure(200, "Only a job in error can be retried", "NOT_RETRYABLE")
    if job.status is not JobStatus.PROCESSING:
        job = account.store.processing(entries.made_again(job, rules), rules.processing_seconds)
        account.store.put(job)
    return json_answer(200, entries.started(job, _entry(account, job), account.base_url))


def _delete(account: Account, call: Call) -> Answer:
    given: list[Any] = [value for name, value in call.query if name == "download_id"]
    if not given and call.body:
        given = [value for name, value in _json_object(call).items() if name == "download_id"]
    if len(given) != 1 or not isinstance(given[0], str):
        raise InvalidRequestError("download_id must be given once, in the query or in a JSON body")
    if not account.store.remove(given[0]):
        return _unknown()
    return json_answer(200, {"success": True, "message": "Download deleted"})


def _async(account: Account, call: Call) -> Answer:
    job = account.store.get(call.job_id)
    if job is None:
        return failure(404, "There is no such response", "NOT_FOUND")
    return json_answer(200, entries.outcome(job, _entry(account, job, lookup=True), account.rules.entries))


_CALLS: dict[Op, Callable[[Account, Call], Answer]] = {
    Op.LIST: _list,
    Op.GET: _get,
    Op.CREATE: _create,
    Op.RETRY: _retry,
    Op.DELETE: _delete,
    Op.ASYNC: _async,
}


def _entry(account: Account, job: SandboxJob, *, lookup: bool = False) -> dict[str, Any]:
    link = account.link(job, lookup=lookup) if job.status is JobStatus.DONE else None
    return entries.entry(job, account.rules.entries, link)


def _unknown() -> Answer:
    return failure(200, "There is no such download", "NOT_FOUND")


def _authorised(account: Account, call: Call) -> bool:
    given = call.headers.get("x-access-token", "")
    return hmac.compare_digest(given.encode("utf-8"), account.api_key.encode("utf-8"))


def _integer(call: Call, name: str) -> int | None:
    values = [value for key, value in call.query if key == name]
    if not values:
        return None
    if len(values) > 1 or _INTEGER.fullmatch(values[0]) is None:
        raise InvalidRequestError(f"{name} must be one whole number")
    return int(values[0])


def _json_object(call: Call) -> dict[str, Any]:
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise InvalidRequestError("the body must be application/json")
    try:
        body = json.loads(call.body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise InvalidRequestError("the body must be a JSON object")
    return body


def parse_query(raw: bytes) -> tuple[tuple[str, str], ...]:
    """Names and values of a query string, decoded, repeated ones kept."""
    return tuple(parse_qsl(raw.decode("latin-1"), keep_blank_values=True))
