"""The API over HTTP: one client, one key, one pace; each failure is waited out or becomes syncer's own error."""

import asyncio
import random
import re
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from syncer._version import __version__
from syncer.core.errors import ApiRefused, JobGone, UsageError
from syncer.core.events import RequestRetried
from syncer.core.ports import Clock, Observer
from syncer.core.retry import RetryPolicy, backoff
from syncer.videodb.answers import Answer, Asked, Hitch, give_up, judge, judge_failure
from syncer.videodb.times import read_moment
from syncer.videodb.wire import WireError

T = TypeVar("T")

MAX_BODY = 64 * 1024 * 1024
"""Bytes of an answer, unpacked. A full page of 5,000 entries has about 3.5 MB."""

_MAX_REFUSAL = 64 * 1024  # bytes read of an answer that is no success
_LARGE = 256 * 1024  # bytes of a body that are read off the event loop
_HOST = re.compile(rb"[A-Za-z0-9._:-]+")
_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate",
    "cache-control": "no-cache",  # a relink must reach the API, not a cache on the way
    "user-agent": f"videodb-syncer/{__version__}",
}


def job_path(job_id: str) -> str:
    """The path of one job, the id encoded whole (RFC 3986 §2.1) so that it cannot lead elsewhere.

    Raises JobGone for an id that no path can hold.
    """
    try:
        encoded = quote(job_id, safe="")
    except UnicodeEncodeError:
        encoded = ""
    if not encoded:
        raise JobGone("A job with such an id cannot be asked for.")
    if encoded in (".", ".."):
        encoded = encoded.replace(".", "%2E")
    return f"/download/{encoded}"


class ApiClient:
    """Asks the API, with the key, at a bounded pace, again where that may help. `async with` opens and closes it.

    Errors: KeyRefused for 401 and 403, JobGone where a job is asked for that is not there, ApiRefused where the API
    says no for good, ListingFailed where it stays out of reach. Redirects are never followed: the key goes to the
    base URL's host and nowhere else.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        clock: Clock,
        rng: random.Random,
        requests_per_second: float = 10.0,
        connect_timeout: float = 15.0,
        read_timeout: float = 60.0,
        answer_timeout: float = 900.0,
        policy: RetryPolicy | None = None,
        observer: Observer | None = None,
        ca_bundle: str | None = None,
        proxy: str | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        """Timeouts in seconds: to connect, between two reads or writes, and for one answer as a whole.

        `requests_per_second` of 0 sets no pace. `ca_bundle` is a file or folder that replaces the usual authorities;
        without it and `proxy` the environment counts as httpx reads it (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, ...).
        Raises UsageError for a URL or a key that cannot be used.
        """
        self._base = _checked_base(base_url)
        self._key = _checked_key(api_key)
        self._clock = clock
        self._rng = rng
        self._spacing = 1.0 / requests_per_second if requests_per_second > 0 else 0.0
        self._timeout = httpx.Timeout(read_timeout, connect=connect_timeout)
        self._read_timeout = read_timeout
        self._answer_timeout = answer_timeout
        self._policy = policy or RetryPolicy()
        self._observer = observer
        self._ca_bundle = ca_bundle
        self._proxy = proxy
        self._max_body = max_body
        self._next_turn = clock.monotonic()
        self._http: httpx.AsyncClient | None = None

    @property
    def host(self) -> str:
        """The API's host, for messages."""
        return self._base.host

    async def __aenter__(self) -> Self:
        self._http = self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def get(
        self, path: str, params: Mapping[str, str | int] | None = None, *, of_job: bool = False
    ) -> dict[str, Any]:
        """The JSON object under `path`. With `of_job`, "not found" is JobGone."""
        return await self.read(path, params, _itself, of_job=of_job)

    async def read(
        self,
        path: str,
        params: Mapping[str, str | int] | None,
        parse: Callable[[dict[str, Any]], T],
        *,
        of_job: bool = False,
    ) -> T:
        """What `parse` makes of the JSON object under `path`; its WireError counts as a body that is not JSON."""
        asked = Asked(self.host, (self._key,), of_job=of_job, repeatable=True)
        return await self._ask("GET", self._url(path, params), asked, parse)

    async def server_time(self) -> datetime | None:
        """What the API's clock says, to the second; None where its answer does not tell, or there is none."""
        asked = Asked(self.host, (self._key,), of_job=False, repeatable=True)
        await self._take_turn()
        answer = await self._exchange("GET", self._url("/download", {"page_index": 0, "count": 1}), asked)
        return None if isinstance(answer, Hitch) else read_moment(answer.date)

    async def post(self, path: str, *, of_job: bool = False) -> dict[str, Any]:
        """POST without a body. Repeated only where the API certainly has not taken it: VideoDB may bill each one."""
        asked = Asked(self.host, (self._key,), of_job=of_job, repeatable=False)
        return await self._ask("POST", self._url(path, None), asked, _itself)

    async def _ask(self, method: str, url: httpx.URL, asked: Asked, parse: Callable[[dict[str, Any]], T]) -> T:
        tries = 0
        while True:
            tries += 1
            await self._take_turn()
            outcome = await self._attempt(method, url, asked, parse)
            if not isinstance(outcome, Hitch):
                return outcome
            await self._wait_out(outcome, tries, asked)

    async def _attempt(
        self, method: str, url: httpx.URL, asked: Asked, parse: Callable[[dict[str, Any]], T]
    ) -> T | Hitch:
        answer = await self._exchange(method, url, asked)
        if isinstance(answer, Hitch):
            return answer
        if len(answer.body) > _LARGE:
            return await asyncio.to_thread(self._understand, answer, asked, parse)
        return self._understand(answer, asked, parse)

    def _understand(self, answer: Answer, asked: Asked, parse: Callable[[dict[str, Any]], T]) -> T | Hitch:
        body = judge(answer, asked, self._clock.now())
        if isinstance(body, Hitch):
            return body
        try:
            return parse(body)
        except WireError as error:
            reason = str(error)
        return Hitch(f"{asked.host} gave {reason}")

    async def _exchange(self, method: str, url: httpx.URL, asked: Asked) -> Answer | Hitch:
        """One request and its whole answer. What the HTTP library raises ends here."""
        if self._http is None:
            raise RuntimeError("the client is not open")
        failure: Exception
        whole = asyncio.timeout(self._answer_timeout)
        try:
            async with whole, self._http.stream(method, url) as response:
                return await self._whole(response)
        except (httpx.HTTPError, OSError) as error:
            failure = error
        return judge_failure(failure, asked, self._answer_timeout if whole.expired() else self._read_timeout)

    async def _whole(self, response: httpx.Response) -> Answer:
        ceiling = self._max_body if response.is_success else _MAX_REFUSAL
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > ceiling:
                break
        if len(body) > ceiling and response.is_success:
            raise ApiRefused(f"{self.host} sent an answer of more than {ceiling} bytes.", hint="Check the base URL.")
        headers = response.headers
        told = (headers.get(name) for name in ("retry-after", "location", "date"))
        return Answer(response.status_code, bytes(body), *told)

    async def _take_turn(self) -> None:
        """Waits until the pace allows one more request; turns are given in the order of asking."""
        now = self._clock.monotonic()
        turn = max(now, self._next_turn)
        self._next_turn = turn + self._spacing
        if turn > now:
            await self._clock.sleep(turn - now)

    async def _wait_out(self, hitch: Hitch, tries: int, asked: Asked) -> None:
        """Waits before the next try. Raises ListingFailed where there is none."""
        if not (asked.repeatable or hitch.untaken):
            raise give_up(hitch, tries, final=True)
        wait = backoff(tries, self._policy, self._rng.random())
        if hitch.retry_after is not None:
            ordered = (hitch.retry_after - self._clock.now()).total_seconds()
            if ordered > self._policy.patience:
                raise give_up(hitch, tries, ordered=hitch.retry_after)
            wait = ordered if ordered > 0 else wait
            self._next_turn = max(self._next_turn, self._clock.monotonic() + wait)  # it holds for every request
        if tries >= self._policy.tries:
            raise give_up(hitch, tries)
        if self._observer is not None:
            self._observer.notify(RequestRetried(hitch.reason, wait))
        await self._clock.sleep(wait)

    def _url(self, path: str, params: Mapping[str, str | int] | None) -> httpx.URL:
        url = f"{str(self._base).rstrip('/')}{path}"
        return httpx.URL(url, params=dict(params)) if params else httpx.URL(url)

    def _open(self) -> httpx.AsyncClient:
        headers = {**_HEADERS, "x-access-token": self._key}
        verify = _authorities(self._ca_bundle) if self._ca_bundle else True
        try:
            return httpx.AsyncClient(
                headers=headers, timeout=self._timeout, follow_redirects=False, verify=verify, proxy=self._proxy
            )
        except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
            kind = type(error).__name__
        raise UsageError(
            f"The proxy or the certificates configured for the API cannot be used ({kind}).",
            hint="Look at the proxy setting, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR.",
        )


def _itself(body: dict[str, Any]) -> dict[str, Any]:
    return body


def _checked_base(text: str) -> httpx.URL:
    problem = ""
    try:
        url = httpx.URL(text.strip())
        _ = url.host  # decoded here, and a name may not be decodable
    except (httpx.InvalidURL, ValueError, TypeError):
        url, problem = httpx.URL(), "it is no URL"
    if not problem and (url.scheme not in ("http", "https") or not _HOST.fullmatch(url.raw_host)):
        problem = "it must begin with https:// or http:// and name a host"
    if not problem and (url.userinfo or url.query or url.fragment):
        problem = "it must have no user, query or fragment"
    if problem:
        raise UsageError(f"The base URL of the API cannot be used: {problem}.")
    return url


def _checked_key(text: str) -> str:
    """The key as a header takes it (RFC 9110 §5.5), blanks around it taken off."""
    key = text.strip()
    if not key:
        raise UsageError("The API key is empty.")
    if not all("!" <= c <= "~" for c in key):
        raise UsageError("The API key holds characters that no key has.", hint="Was it pasted with a line break?")
    return key


def _authorities(bundle: str) -> ssl.SSLContext:
    path = Path(bundle)
    try:
        if path.is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except (OSError, ValueError) as error:
        kind = type(error).__name__
    raise UsageError(f"The CA bundle {bundle} cannot be used ({kind}).")
