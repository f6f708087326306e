"""Turns what the HTTP library raises into core's errors: host names only, never a link."""

import socket
import ssl

import httpx

from syncer.core.errors import FetchError, Interrupted, NotTheFile
from syncer.transfer.pouring import OutOfTime

NETWORK = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError, OverflowError, ExceptionGroup)
"""What asking for a link and reading its answer may raise, odd addresses and headers included.

A group comes where connecting tried several addresses, and one failed in a way that the library did not foresee.
"""


def explain(error: Exception, host: str, *, read_timeout: float, connect_timeout: float) -> FetchError:
    """Core's error for one of NETWORK. Timeouts in seconds, for the message.

    Raise it outside the `except` block: the library's error knows the link, and must not hang on as its context.
    """
    match error:
        case httpx.ReadTimeout() | httpx.WriteTimeout():
            limit = f"took longer than {error.limit:g} s for its answer" if isinstance(error, OutOfTime) else None
            return Interrupted(f"{host} {limit or f'sent no byte for {read_timeout:g} s'}.")
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return Interrupted(f"No connection to {host} could be had within {connect_timeout:g} s.")
        case httpx.ConnectError() | httpx.ProxyError() | ExceptionGroup():
            return Interrupted(f"No connection to {host} could be made{_because(error)}.")
        case httpx.RemoteProtocolError():
            return Interrupted(f"{host} ended the connection early, or spoke no HTTP.")
        case httpx.HTTPError() | httpx.StreamError() | OSError() if not isinstance(error, _UNASKABLE):
            return Interrupted(f"The connection to {host} broke{_because(error)}.")
    return NotTheFile(f"The link to {host} cannot be asked for: it is no proper address.")


_UNASKABLE = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


def _because(error: BaseException) -> str:
    """What the system said, where it said something fit to show."""
    found: BaseException | None = error
    for _ in range(10):
        match found:
            case None:
                break
            case ssl.SSLCertVerificationError():
                return ": its certificate cannot be trusted"
            case ssl.SSLError():
                return ": TLS failed"
            case socket.gaierror():
                return ": its name cannot be resolved"
            case OSError(strerror=str() as told) if told:
                return f": {told.lower()}"
        found = found.__cause__ or found.__context__
    return ""
