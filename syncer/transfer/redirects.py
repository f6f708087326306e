"""Where a redirect leads, and whether to follow: pure (RFC 9110 §15.4)."""

import httpx

from syncer.core.errors import NotTheFile

MOST = 5
"""Redirects followed for one link."""

_STATUSES = frozenset({301, 302, 303, 307, 308})


def is_redirect(status: int, location: str | None) -> bool:
    """Whether the answer sends the client elsewhere; without a Location it is an answer like any other."""
    return status in _STATUSES and bool(location)


def parse_link(text: str, host: str) -> httpx.URL:
    """A link as a URL that can be asked for. Raises NotTheFile; `host` is what to call it then."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError, TypeError):
        url = None
    if url is None or not _is_askable(url):
        raise NotTheFile(f"The link to {host} is no http or https address.")
    return url


def next_hop(seen: list[httpx.URL], location: str) -> httpx.URL:
    """The URL to ask next, after those in `seen`. Raises NotTheFile where it must not or cannot be followed.

    From https to http nothing is followed: the link is a password for its file, and would go over the wire in clear.
    """
    here = seen[-1]
    try:
        there = here.join(location)
    except (httpx.InvalidURL, ValueError, TypeError):
        there = None
    if there is None or not _is_askable(there):
        raise NotTheFile(f"{here.host} redirected to something that is no http or https address.")
    there = there.copy_with(fragment=None)
    if here.scheme == "https" and there.scheme == "http":
        raise NotTheFile(f"{here.host} redirected from https to http, where anyone on the way could read the link.")
    if there in seen:
        raise NotTheFile(f"{here.host} redirected in a circle.")
    if len(seen) > MOST:
        raise NotTheFile(f"{here.host} redirected more than {MOST} times.")
    return there


def _is_askable(url: httpx.URL) -> bool:
    try:
        host = url.host
    except ValueError:  # a punycode that stands for nothing
        return False
    return url.scheme in ("http", "https") and bool(host) and (url.port is None or 0 < url.port <= 65535)
