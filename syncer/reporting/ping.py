"""A dead-man's switch in the way of Healthchecks: silence, not a message, is the alarm.

`URL/start` when a pass begins, the plain URL when it ended well, `URL/fail` with a short reason when it did not.
Source: https://healthchecks.io/docs/http_api/.
"""

import logging

import httpx

from syncer.core.redact import redact

_log = logging.getLogger(__name__)

TIMEOUT = 10.0
"""Seconds: a watcher that does not answer must not hold up a pass."""

_LONGEST = 2000  # bytes of a reason


class Ping:
    """Tells the switch at `url`. A switch out of reach is warned of and changes nothing."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def started(self) -> None:
        await self._post("/start", "")

    async def ended(self, *, well: bool, reason: str) -> None:
        """`reason` goes along, secrets taken out."""
        await self._post("" if well else "/fail", reason)

    async def _post(self, path: str, text: str) -> None:
        base, question, query = self._url.partition("?")
        body = redact(text).encode("utf-8", "replace")[:_LONGEST]
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=True) as client:
                answer = await client.post(f"{base}{path}{question}{query}", content=body)
            problem = "" if answer.is_success else f"it answered {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            problem = type(error).__name__
        if problem:
            # The URL is as good as a password for the switch, so it is not named.
            _log.warning("the ping URL could not be told of the pass (%s)", problem)
