"""Which redirects are followed; and no error that a link could be read from."""

import socket
import ssl
import traceback

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core.errors import FetchError, Interrupted, NotTheFile
from syncer.transfer.failures import NETWORK, explain
from syncer.transfer.redirects import MOST, is_redirect, next_hop, parse_link

LINK = "https://a.test/file?sig=SECRET"


def seen(*urls: str) -> list[httpx.URL]:
    return [httpx.URL(url) for url in urls]


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://b.test/x?sig=other", "https://b.test/x?sig=other"),
        ("/y", "https://a.test/y"),
        ("//b.test/z", "https://b.test/z"),
        ("?sig=new", "https://a.test/file?sig=new"),
        ("https://b.test/x#part", "https://b.test/x"),
    ],
)
def test_followed(location, expected):
    assert str(next_hop(seen(LINK), location)) == expected


def test_from_http_to_https_is_followed():
    assert next_hop(seen("http://a.test/"), "https://a.test/").scheme == "https"


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://a.test/file", "https to http"),
        ("ftp://a.test/file", "no http or https"),
        ("javascript:alert(1)", "no http or https"),
        ("file:///etc/passwd", "no http or https"),
        ("https://a.test:99999999/", "no http or https"),
        ("https://a.test:0/", "no http or https"),
        (LINK, "circle"),
        ("\x00", "no http or https"),
    ],
)
def test_refused(location, reason):
    with pytest.raises(NotTheFile, match=reason) as caught:
        next_hop(seen(LINK), location)
    assert "SECRET" not in str(caught.value)


def test_five_hops_and_no_more():
    chain = seen("https://a.test/0")
    for number in range(1, MOST + 1):
        chain.append(next_hop(chain, f"/{number}"))
    with pytest.raises(NotTheFile, match="more than 5"):
        next_hop(chain, "/again")


def test_a_redirect_without_a_location_is_an_answer_like_any_other():
    assert not is_redirect(302, None)
    assert not is_redirect(200, "/x")
    assert not is_redirect(304, "/x")
    assert is_redirect(308, "/x")


@pytest.mark.parametrize(
    "link", ["", "x", "ftp://a.test/", "http://", "http://a.test/\ud800", "data:,x", "http://xn--a/"]
)
def test_links_that_are_none(link):
    with pytest.raises(NotTheFile):
        parse_link(link, "the storage")


@given(st.text(max_size=60))
def test_whatever_a_link_is_it_is_refused_in_our_own_words(text):
    for attempt in (lambda: parse_link(text, "h"), lambda: next_hop(seen(LINK), text)):
        refusal = ""
        try:
            attempt()
        except NotTheFile as error:
            refusal = str(error)
        assert "SECRET" not in refusal


REQUEST = httpx.Request("GET", LINK)


def _chained(kind: type[httpx.RequestError], cause: Exception) -> httpx.RequestError:
    error = kind(f"{cause} at {LINK}", request=REQUEST)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (httpx.ReadTimeout("x", request=REQUEST), Interrupted, "no byte for 30 s"),
        (httpx.WriteTimeout("x", request=REQUEST), Interrupted, "no byte for 30 s"),
        (httpx.ConnectTimeout("x", request=REQUEST), Interrupted, "within 4 s"),
        (httpx.PoolTimeout("x", request=REQUEST), Interrupted, "within 4 s"),
        (httpx.RemoteProtocolError("x", request=REQUEST), Interrupted, "ended the connection early"),
        (_chained(httpx.ConnectError, socket.gaierror(-2, "Name not known")), Interrupted, "name cannot be resolved"),
        (_chained(httpx.ConnectError, ConnectionRefusedError(111, "Connection refused")), Interrupted, "refused"),
        (_chained(httpx.ConnectError, ssl.SSLCertVerificationError("bad")), Interrupted, "cannot be trusted"),
        (_chained(httpx.ReadError, ssl.SSLError("bad")), Interrupted, "TLS failed"),
        (httpx.ReadError("", request=REQUEST), Interrupted, "broke."),
        (httpx.ProxyError("x", request=REQUEST), Interrupted, "could be made"),
        (OSError(5, "Input/output error"), Interrupted, "input/output error"),
        (httpx.StreamClosed(), Interrupted, "broke"),
        (httpx.UnsupportedProtocol("x"), NotTheFile, "no proper address"),
        (httpx.LocalProtocolError("x"), NotTheFile, "no proper address"),
        (httpx.InvalidURL("x"), NotTheFile, "no proper address"),
        (ExceptionGroup("x", [OverflowError("port")]), Interrupted, "could be made"),
        (UnicodeError("x"), NotTheFile, "no proper address"),
        (OverflowError("x"), NotTheFile, "no proper address"),
    ],
)
def test_what_the_library_raises_becomes_ours_without_the_link(error, kind, words):
    assert isinstance(error, NETWORK)
    told = explain(error, "a.test", read_timeout=30.0, connect_timeout=4.0)
    assert type(told) is kind
    assert isinstance(told, FetchError)
    assert words in str(told)
    assert "SECRET" not in "".join(traceback.format_exception(told))
