"""Links that need no full parse: whatever is taken for one is sent as httpx would have sent it."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.transfer.plain import Requests, plain_link
from syncer.transfer.redirects import parse_link

SIGNED = (
    "https://storage.googleapis.com/bucket/film%20one.mp4?X-Goog-Algorithm=GOOG4-RSA-SHA256"
    "&X-Goog-Credential=a%40b.iam.gserviceaccount.com%2F20261105%2Fauto&X-Goog-Signature=5ec12e7"
)


def test_signed_links_are_plain():
    plain = plain_link(SIGNED)
    assert (plain.origin.secure, plain.origin.host, plain.origin.port) == (True, "storage.googleapis.com", 443)
    assert (plain.host, plain.netloc) == ("storage.googleapis.com", b"storage.googleapis.com")
    assert plain.target == SIGNED.removeprefix("https://storage.googleapis.com").encode()
    assert plain_link("http://127.0.0.1:8080/a").netloc == b"127.0.0.1:8080"
    assert plain_link("http://host:80/a").netloc == b"host"


@pytest.mark.parametrize(
    "text",
    [
        "http://host/a/../b", "http://host/./a", "http://host/a#b", "http://host/a b", "http://host/%zz", "http://host/%4",
        "http://host/\u00e9", "http://host", "http://host?a", "HTTP://host/", "http://user@host/", "http://[::1]/a",
        "http://host:0/a", "http://host:99999/a", "http://1.2.3.999/a", "ftp://host/a", "http://host/a\n", "",
        "http://host/" + "x" * 70_000, "http://-.-/a", "http://xn--a/",
    ],
)  # fmt: skip
def test_what_is_left_to_httpx(text):
    assert plain_link(text) is None


pieces = st.sampled_from([
    "/", "//", "a", "%20", "%2f", "%zz", ".", "..", "/.", "?", "&", "=", "+", "~", "*", "'", "(", "!", "$", ":", ";",
    "@", ",", "-", "_", "#", "[", "|", "%", "e%CC%81", "\u00e9", " ", "\t", "{", "\\", "^", "`", '"', "<",
])  # fmt: skip
hosts = st.sampled_from(["host", "a.b-c.test", "127.0.0.1", "1.2.3", "a..b", "-", "x" * 70, "a_b", "xn--mller-kva.de"])
ports = st.sampled_from(["", ":80", ":443", ":8080", ":0", ":99999", ":", ":080"])


@given(st.sampled_from(["http", "https"]), hosts, ports, st.lists(pieces).map("".join))
def test_a_plain_link_is_what_httpx_makes_of_it(scheme, host, port, rest):
    text = f"{scheme}://{host}{port}/{rest}"
    plain = plain_link(text)
    if plain is not None:
        url = parse_link(text, "")
        assert plain.target == url.raw_path
        assert (plain.host, plain.netloc, plain.origin.secure) == (url.host, url.netloc, scheme == "https")
        assert plain.origin.host == url.raw_host.decode()


def test_requests_are_httpxs_but_for_the_order_of_making():
    requests, plain = Requests({"accept": "*/*"}), plain_link(SIGNED)
    whole = requests.get(plain.netloc, plain.target, {})
    assert whole == requests.get(plain.netloc, plain.target, {})
    assert whole == b"GET %b HTTP/1.1\r\nHost: storage.googleapis.com\r\naccept: */*\r\n\r\n" % plain.target
    part = requests.get(plain.netloc, plain.target, {b"Range": b"bytes=1-"})
    assert part == whole[:-2] + b"Range: bytes=1-\r\n\r\n"
    with pytest.raises(httpx.LocalProtocolError):
        requests.get(plain.netloc, plain.target, {b"If-Range": b'"a\r\nx: y"'})


def test_the_hosts_remembered_are_few():
    requests = Requests({})
    for number in range(1000):
        requests.get(b"host-%d" % number, b"/", {})
    assert len(requests._blocks) <= 64
