"""What an answer of the API means: a body to read, a hitch that may pass, or an error for good. No IO."""

import json
import re
import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from syncer.core.errors import ApiRefused, JobGone, KeyRefused, ListingFailed, SyncerError
from syncer.core.redact import host_of
from syncer.core.retry import parse_retry_after
from syncer.videodb.telling import tell
from syncer.videodb.wire import is_failed_job

TRANSIENT = frozenset({408, 425, 429})
"""Refusals that asking again may change, besides 5xx."""

_UNTAKEN = frozenset({408, 425, 429})  # the request was certainly not acted upon
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
_STORIES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((httpx.ConnectTimeout,), "did not accept a connection in time"),
    ((httpx.TimeoutException, TimeoutError), "did not answer in time ({seconds} s)"),
    ((httpx.ProxyError,), "cannot be reached through the proxy"),
    ((httpx.DecodingError,), "answered with a body that cannot be unpacked"),
    ((httpx.ProtocolError,), "broke the connection, or the rules of HTTP"),
)
_LONGEST_NUMBER = 400  # digits of a JSON integer
_GONE = re.compile(
    r"not[ _-]?found|no such|no (download|job|entry|record)s?\b|(does not|doesn['\u2019]?t|did not) exist"
    r"|(could not|couldn['\u2019]?t|cannot|can['\u2019]?t|unable to) (be )?f(i|ou)nd"
    r"|(unknown|invalid) (download|job|id\b)|has been (deleted|removed)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, its body read whole."""

    status: int
    body: bytes
    retry_after: str | None = None
    location: str | None = None
    date: str | None = None  # the server's clock (RFC 9110 §6.6.1)


@dataclass(frozen=True, slots=True)
class Hitch:
    """A failure that may pass. `reason` is fit to be shown and has no full stop."""

    reason: str
    retry_after: datetime | None = None
    untaken: bool = False  # the request was certainly not acted upon, so even a POST may be repeated


@dataclass(frozen=True, slots=True)
class Asked:
    """What the judging needs to know of the request: whom it went to, and about what."""

    host: str
    secrets: tuple[str, ...]
    of_job: bool  # the path names a job, so that "not found" means that the job is gone
    repeatable: bool  # asking twice does no more than asking once


def judge(answer: Answer, asked: Asked, now: datetime) -> dict[str, Any] | Hitch:
    """The JSON object of a good answer, or the hitch. Raises KeyRefused, JobGone or ApiRefused."""
    if not 200 <= answer.status < 300:
        return _judge_status(answer, asked, now)
    body = decode(answer.body)
    if body is None:
        return Hitch(f"{asked.host} answered with something that is not a JSON object")
    if not _is_refusal(body) or (asked.of_job and is_failed_job(body)):
        return body
    if asked.of_job and _says_gone(body):
        raise JobGone(f"{asked.host} no longer knows the job.")
    reason = f"{asked.host} answered that it did not succeed{_words(body, asked)}"
    if not asked.repeatable:
        raise ApiRefused(f"{reason}.")
    return Hitch(reason)


def _judge_status(answer: Answer, asked: Asked, now: datetime) -> Hitch:
    status, host = answer.status, asked.host
    body = decode(answer.body) or {}
    words = _words(body, asked)
    if status in TRANSIENT or status >= 500:
        moment = parse_retry_after(answer.retry_after, now)
        untaken = status in _UNTAKEN or (status == 503 and moment is not None)
        return Hitch(f"{host} answered {status}{words}", moment, untaken)
    raise _refusal(answer, asked, body, words)


def _refusal(answer: Answer, asked: Asked, body: dict[str, Any], words: str) -> SyncerError:
    status, host = answer.status, asked.host
    if status == 401:
        return KeyRefused(f"{host} did not accept the API key (401){words}.", hint="Check the key and its account.")
    if status == 403:
        return KeyRefused(
            f"{host} refused the request (403){words}.",
            hint="The key's plan or scope does not allow it, or something on the way forbids it.",
        )
    if asked.of_job and (status in (404, 410) or (status in (400, 422) and _says_gone(body))):
        return JobGone(f"{host} no longer knows the job ({status}).")
    if 300 <= status < 400:
        target = tell(f" to {host_of(answer.location)}", asked.secrets) if answer.location else ""
        hint = "The key is sent nowhere else. Check the base URL."
        return ApiRefused(f"{host} sends requests elsewhere ({status}{', ' + target if target else ''}).", hint=hint)
    hints = {402: "The account has no credit left.", 404: "Check the base URL."}
    return ApiRefused(f"{host} refused the request ({status}){words}.", hint=hints.get(status, ""))


def decode(body: bytes) -> dict[str, Any] | None:
    """The JSON object in `body`; None where it holds none.

    Bytes that are not UTF-8 become lone surrogates, so that one bad text costs one entry and not the page.
    """
    try:
        text = body.decode(json.detect_encoding(body), "surrogateescape")
        value = json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else None


def _is_refusal(body: dict[str, Any]) -> bool:
    success = body.get("success", True)
    return not success or (isinstance(success, str) and success.strip().lower() == "false")


def _says_gone(body: dict[str, Any]) -> bool:
    told = (body.get(name) for name in ("message", "error", "error_code"))
    return any(isinstance(word, str) and _GONE.search(word[:1000]) for word in told)


def _words(body: dict[str, Any], asked: Asked) -> str:
    """The API's own message, as an addition to a sentence."""
    for name in ("message", "error", "detail", "error_code"):
        word = body.get(name)
        if isinstance(word, str) and (line := tell(word, asked.secrets).rstrip(".")):
            return f": {line}"
    return ""


def judge_failure(error: Exception, asked: Asked, seconds: float) -> Hitch:
    """The hitch behind an error of the HTTP library; `seconds` is how long the server may be silent.

    Raises ApiRefused where the server's certificate does not convince: that does not pass by itself.
    """
    causes = _causes(error)
    untaken = isinstance(error, _UNSENT)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = tell(cause.verify_message or "it cannot be verified", asked.secrets)
            hint = "If the network inspects TLS, give its CA bundle."
            raise ApiRefused(f"The certificate of {asked.host} is not trusted: {why}.", hint=hint)
    return Hitch(f"{asked.host} {_story(error, causes, asked, seconds)}", untaken=untaken)


def _story(error: Exception, causes: list[BaseException], asked: Asked, seconds: float) -> str:
    if isinstance(error, httpx.ConnectError):
        told = next((c.strerror for c in causes if isinstance(c, OSError) and c.strerror), None)
        return f"cannot be reached ({tell(told, asked.secrets)})" if told else "cannot be reached"
    stories = (story for kinds, story in _STORIES if isinstance(error, kinds))
    return next(stories, "broke the connection").format(seconds=f"{seconds:g}")


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it came from, the nearest first; at most ten."""
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and len(chain) < 10:
        chain.append(at)
        at = at.__cause__ or at.__context__
    return chain


def give_up(hitch: Hitch, tries: int, *, ordered: datetime | None = None, final: bool = False) -> ListingFailed:
    """The error for a hitch that is not waited out: after `tries` tries, because the API named the moment `ordered`
    beyond our patience, or with `final` because asking again could do harm."""
    if final:
        hint = "VideoDB may have taken the request, so it is not sent again in this pass."
        return ListingFailed(f"{hitch.reason}.", hint=hint)
    if ordered is not None:
        moment = ordered.isoformat(timespec="seconds").replace("+00:00", "Z")
        return ListingFailed(f"{hitch.reason}, and wants no request before {moment}.", hint="Run again after that.")
    return ListingFailed(f"{hitch.reason}. It was tried {tries} times." if tries > 1 else f"{hitch.reason}.")
