"""The API client and the lister over real sockets: scripted servers for single answers, the sandbox for an account."""

import asyncio
import json
import random
import ssl
import subprocess
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime

import pytest
from fakes.source import START, ManualClock
from hypothesis import given, settings
from hypothesis import strategies as st

from syncer import __version__
from syncer.core.errors import ApiRefused, JobGone, KeyRefused, ListingFailed, UsageError
from syncer.core.events import EntryMalformed, RequestRetried
from syncer.core.model import Page, RemoteStatus
from syncer.core.retry import RetryPolicy
from syncer.sandbox import Sandbox, SandboxJob, hostile_jobs, running, scenario
from syncer.sandbox.faults import Op, When
from syncer.sandbox.faults_api import MALFORMED, Malformed, Place, Shift, SuccessFalse
from syncer.sandbox.faults_wire import Cut, ErrorPage, Gzip, Reset, RetryForm, Stall, Status
from syncer.sandbox.model import PageOrder, PageRules, Rules
from syncer.sandbox.scenarios import Scenario
from syncer.videodb import ApiClient, VideoDb

KEY = "sk-integration-0123456789"
EMPTY = {"success": True, "data": {"downloads": []}}
LISTS = frozenset({Op.LIST})


def answer(body=EMPTY, status="200 OK", **headers):
    """One HTTP/1.1 answer as bytes; the connection ends with it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {"content-type": "application/json", "content-length": len(raw), "connection": "close"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value is not None)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + raw


class Scripted:
    """A server that gives one scripted answer to each request, the last one for ever; keeps what it was sent.

    An answer is bytes, or None to hang up without a word, or a number of seconds of silence.
    """

    def __init__(self, *answers, context=None):
        self.answers = list(answers)
        self.requests: list[str] = []
        self._context = context

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.decode("latin-1"))
            reply = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(reply, float):
                await reader.read()
            elif callable(reply):
                await reply(writer)
            elif reply:
                writer.write(reply)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @property
    def lines(self):
        return [request.partition("\r\n")[0] for request in self.requests]


class Hearing:
    """An observer that remembers."""

    def __init__(self):
        self.events = []

    def notify(self, event):
        self.events.append(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def client(url, clock=None, **options):
    options = {"policy": RetryPolicy(tries=4), "requests_per_second": 0} | options
    return ApiClient(url, options.pop("key", KEY), clock=clock or ManualClock(), rng=random.Random(7), **options)


# --- What is sent -----------------------------------------------------------------------------------------------


async def test_a_request_carries_the_key_who_asks_and_what_is_asked():
    async with Scripted(answer()) as server, client(server.url + "/v1/") as api:
        assert await api.get("/download", {"page_index": 0, "count": 50}) == EMPTY
    head = server.requests[0].lower()
    assert server.lines == ["GET /v1/download?page_index=0&count=50 HTTP/1.1"]
    assert f"x-access-token: {KEY}\r\n" in head
    assert f"user-agent: videodb-syncer/{__version__}\r\n" in head
    assert "cache-control: no-cache\r\n" in head


@pytest.mark.parametrize(
    ("job_id", "path"),
    [
        ("download-12345", "/download/download-12345"),
        ("../x", "/download/..%2Fx"),
        ("a/b", "/download/a%2Fb"),
        ("?a=b#c&d", "/download/%3Fa%3Db%23c%26d"),
        (".", "/download/%2E"),
        ("..", "/download/%2E%2E"),
        ("%2e%2e%2fetc", "/download/%252e%252e%252fetc"),
        ("a\r\nx-evil: 1", "/download/a%0D%0Ax-evil%3A%201"),
        ("נ", "/download/%D7%A0"),
    ],
)
async def test_an_id_never_leaves_its_place_in_the_path(job_id, path):
    done = {"success": True, "data": {"id": job_id, "status": "processing"}}
    async with Scripted(answer(done)) as server, client(server.url) as api:
        source = VideoDb(api, clock=ManualClock())
        assert (await source.look_up(job_id)).id == job_id
        await source.regenerate(job_id)
    assert server.lines == [f"GET {path} HTTP/1.1", f"POST {path} HTTP/1.1"]


async def test_every_hostile_job_of_the_sandbox_can_be_asked_for():
    clock = ManualClock()
    jobs = [job for job in hostile_jobs(START) if "\0" not in job.id]
    sandbox = Sandbox(jobs, now=clock.now)
    async with running(sandbox), client(sandbox.base_url, clock, key=sandbox.api_key) as api:
        for job in jobs:
            assert (await VideoDb(api, clock=clock).look_up(job.id)).id == job.id


@pytest.mark.parametrize("key", ["", "  ", "sk-a\nb", "sk-é", "sk a", "sk-\x7f", "sk-\0"])
def test_a_key_no_header_takes_is_refused_before_anything_is_sent(key):
    with pytest.raises(UsageError) as caught:
        client("https://api.videodb.io", key=key)
    assert "sk-a" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.videodb.io",
        "ftp://h",
        "https://",
        "https://u:hidden-pw@h",
        "https://h/?a=b",
        "https://h/#f",
        "https://[",
        "x:\0",
    ],
)
def test_a_base_url_that_cannot_be_used_is_told(url):
    with pytest.raises(UsageError) as caught:
        client(url)
    assert "hidden-pw" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"proxy": "nonsense://u:hidden-pw@h"}, {"ca_bundle": "/no/such/file.pem"}, {"ca_bundle": __file__}]
)
async def test_a_proxy_or_a_bundle_that_cannot_be_used_is_told(options):
    with pytest.raises(UsageError) as caught:
        async with client("https://api.videodb.io", **options):
            pass
    assert "hidden-pw" not in str(caught.value)


# --- What is tried again ----------------------------------------------------------------------------------------

PASSING = {
    "429": answer({"success": False, "message": "slow down"}, "429 Too Many Requests"),
    "408": answer(b"", "408 Request Timeout"),
    "425": answer(b"", "425 Too Early"),
    "500": answer({"success": False}, "500 Internal Server Error"),
    "502 page": answer(b"<html>", "502 Bad Gateway", content_type="text/html"),
    "503": answer(b"", "503 Service Unavailable"),
    "599": answer(b"", "599 Odd"),
    "success false": answer({"success": False, "message": "busy"}),
    "success as text": answer({"success": "False", "message": "busy"}),
    "a web page": answer(b"<!doctype html><html></html>", content_type="text/html"),
    "an empty body": answer(b""),
    "a list": answer([]),
    "half of JSON": answer(b'{"success": tr'),
    "another object": answer({"success": True, "data": {"files": []}}),
    "204": answer(b"", "204 No Content", content_length=None),
    "no answer": None,
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half an answer": answer(b"{}", content_length=500),
    "bad gzip": answer(b"this is not gzip", content_encoding="gzip"),
    "bad length": answer(b"{}", content_length="many"),
}


@pytest.mark.parametrize("kind", PASSING)
async def test_what_may_pass_is_tried_again_after_a_growing_wait(kind):
    clock, heard = ManualClock(), Hearing()
    async with (
        Scripted(PASSING[kind], PASSING[kind], answer()) as server,
        client(server.url, clock, observer=heard) as api,
    ):
        listing = await VideoDb(api, clock=clock).list_jobs(keep_into({}))
    assert listing.complete
    retries = heard.of(RequestRetried)
    assert [retry.wait for retry in retries] == clock.slept
    assert 0.5 <= clock.slept[0] <= 1.0 <= clock.slept[1] <= 2.0
    assert all(retry.reason.startswith("127.0.0.1 ") for retry in retries)


@pytest.mark.parametrize("kind", PASSING)
async def test_what_does_not_pass_fails_the_listing_in_one_sentence(kind):
    async with Scripted(PASSING[kind]) as server, client(server.url) as api:
        with pytest.raises(ListingFailed) as caught:
            await VideoDb(api, clock=ManualClock()).list_jobs(keep_into({}))
    assert not isinstance(caught.value, ApiRefused)
    assert len(server.requests) == 4
    assert "4 times" in str(caught.value)
    assert "up to page 0" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__context__ is None


async def test_the_words_of_the_api_are_told_short_and_without_secrets():
    message = f"quota of {KEY}\nat https://h/a?sig=hidden-sig reached " + "x" * 5000
    async with Scripted(answer({"success": False, "message": message})) as server, client(server.url) as api:
        with pytest.raises(ListingFailed) as caught:
            await api.get("/download")
    told = str(caught.value)
    assert "quota of [hidden] at https://h/a?[hidden] reached" in told
    assert KEY not in told
    assert "hidden-sig" not in told
    assert len(told) < 400


@pytest.mark.parametrize("form", list(RetryForm))
async def test_retry_after_is_obeyed_in_both_forms(form):
    clock = ManualClock()
    fault = Status(status=429, retry_after=37, retry_form=form, when=When(ops=LISTS, first=1))
    sandbox = Sandbox([], Scenario("x", api=(fault,)), now=clock.now)
    async with running(sandbox), client(sandbox.base_url, clock, key=sandbox.api_key) as api:
        await api.get("/download")
    assert clock.slept == [37.0]


@pytest.mark.parametrize("value", ["0", "-1", "soon", "", format_datetime(START - timedelta(hours=1), usegmt=True)])
async def test_a_retry_after_that_says_nothing_leaves_the_usual_wait(value):
    clock = ManualClock()
    async with (
        Scripted(answer(b"", "503 Busy", retry_after=value), answer()) as server,
        client(server.url, clock) as api,
    ):
        await api.get("/download")
    assert len(clock.slept) == 1
    assert 0.5 <= clock.slept[0] <= 1.0


async def test_a_retry_after_beyond_patience_ends_the_pass_and_names_the_moment():
    clock = ManualClock()
    async with (
        Scripted(answer(b"", "429 Slow", retry_after="3600"), answer()) as server,
        client(server.url, clock) as api,
    ):
        with pytest.raises(ListingFailed) as caught:
            await api.get("/download")
    assert "2026-11-23T13:00:00Z" in str(caught.value)
    assert clock.slept == []


async def test_a_retry_after_holds_for_every_other_request_too():
    clock = ManualClock()
    async with (
        Scripted(answer(b"", "429 Slow", retry_after="30"), answer()) as server,
        client(server.url, clock) as api,
    ):
        await asyncio.gather(api.get("/download"), api.get("/download"), api.get("/download"))
    assert clock.monotonic() >= 30


async def test_requests_keep_the_pace():
    clock = ManualClock()
    async with Scripted(answer()) as server, client(server.url, clock, requests_per_second=4) as api:
        for _ in range(5):
            await api.get("/download")
    assert clock.slept == pytest.approx([0.25] * 4)


async def test_requests_at_once_keep_the_pace_too():
    clock = ManualClock()
    async with Scripted(answer()) as server, client(server.url, clock, requests_per_second=2) as api:
        await asyncio.gather(*(api.get("/download") for _ in range(4)))
    assert clock.monotonic() >= 1.5
    assert len(server.requests) == 4


async def test_silence_ends_at_the_read_timeout():
    async with Scripted(60.0, answer()) as server, client(server.url, read_timeout=0.05) as api:
        assert await api.get("/download") == EMPTY
    assert len(server.requests) == 2


async def test_an_answer_that_drips_ends_at_the_limit_of_the_whole():
    async def drip(writer):
        writer.write(answer(b"{}", content_length=10_000)[:-2])
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    heard = Hearing()
    options = {"read_timeout": 5.0, "answer_timeout": 0.2, "observer": heard}
    async with Scripted(drip, answer()) as server, client(server.url, **options) as api:
        assert await api.get("/download") == EMPTY
    assert "in time (0.2 s)" in heard.events[0].reason


@pytest.mark.parametrize("fault", [Cut, Reset, Stall])
async def test_an_answer_that_breaks_off_is_asked_for_again(fault):
    sandbox = Sandbox([SandboxJob("a", "a.mp4")], Scenario("x", api=(fault(when=When(ops=LISTS, first=2)),)))
    async with running(sandbox), client(sandbox.base_url, key=sandbox.api_key, read_timeout=0.3) as api:
        assert len((await api.get("/download"))["data"]["downloads"]) == 1


async def test_a_host_that_is_not_there_is_told_by_name_alone():
    async with Scripted(answer()) as server:
        url = server.url
    async with client(url) as api:
        with pytest.raises(ListingFailed, match=r"127\.0\.0\.1 cannot be reached"):
            await api.get("/download")
    async with client("http://no-such-host.invalid") as api:
        with pytest.raises(ListingFailed, match=r"no-such-host\.invalid cannot be reached"):
            await api.get("/download")


async def test_a_gzipped_answer_is_read():
    sandbox = Sandbox([SandboxJob("a", "a.mp4")], Scenario("x", api=(Gzip(),)))
    async with running(sandbox), client(sandbox.base_url, key=sandbox.api_key) as api:
        assert (await api.get("/download"))["success"]


# --- What is not tried again ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ("401 Unauthorized", KeyRefused, "did not accept the API key"),
        ("403 Forbidden", KeyRefused, "plan or scope"),
        ("400 Bad Request", ApiRefused, "(400)"),
        ("402 Payment Required", ApiRefused, "no credit"),
        ("404 Not Found", ApiRefused, "base URL"),
        ("409 Conflict", ApiRefused, "(409)"),
        ("304 Not Modified", ApiRefused, "(304)"),
    ],
)
async def test_a_no_is_a_no(status, error, words):
    body = {"success": False, "message": f"no {KEY}"}
    reply = answer(b"", status, content_length=None) if status.startswith("304") else answer(body, status)
    async with Scripted(reply) as server, client(server.url) as api:
        with pytest.raises(error) as caught:
            await api.get("/download")
    assert len(server.requests) == 1
    assert words in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.exit_code == (3 if error is KeyRefused else 4)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_redirect_is_refused_and_the_key_goes_nowhere(status):
    async with Scripted(answer()) as other:
        target = f"{other.url.replace('127.0.0.1', 'localhost')}/download?token=hidden-token"
        async with Scripted(answer(b"", status, location=target)) as server, client(server.url) as api:
            with pytest.raises(ApiRefused) as caught:
                await api.get("/download")
    assert other.requests == []
    assert len(server.requests) == 1
    assert "localhost" in str(caught.value)
    assert "base URL" in str(caught.value)
    assert "hidden-token" not in str(caught.value)


async def test_an_answer_without_end_is_refused():
    async def flood(writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" " * 65536)
            await writer.drain()

    async with Scripted(flood) as server, client(server.url, max_body=1_000_000) as api:
        with pytest.raises(ApiRefused, match="more than 1000000 bytes"):
            await api.get("/download")
    assert len(server.requests) == 1


async def test_a_refusal_without_end_is_read_no_further_than_needed():
    async def flood(writer):
        writer.write(b"HTTP/1.1 401 No\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" " * 65536)
            await writer.drain()

    async with Scripted(flood) as server, client(server.url) as api:
        with pytest.raises(KeyRefused):
            await api.get("/download")


@pytest.mark.parametrize(
    "reply",
    [
        answer({"success": False, "message": "There is no such download"}),
        answer({"success": False, "message": "Download not found"}),
        answer({"success": False, "message": "m", "error_code": "NOT_FOUND"}),
        answer({"success": False, "message": "The job does not exist"}),
        answer({"success": False, "message": "Could not find download"}),
        answer({"success": False, "message": "not found"}, "400 Bad Request"),
        answer({"success": False, "message": "gone"}, "404 Not Found"),
        answer(b"<html>", "404 Not Found"),
        answer(b"", "410 Gone"),
    ],
)
async def test_a_job_that_is_gone(reply):
    async with Scripted(reply) as server, client(server.url) as api:
        source = VideoDb(api, clock=ManualClock())
        with pytest.raises(JobGone):
            await source.look_up("download-1")
        with pytest.raises(JobGone):
            await source.regenerate("download-1")
    assert len(server.requests) == 2


async def test_a_failed_job_in_a_refusal_is_a_failed_job():
    body = {"success": False, "message": "failed", "data": {"id": "j", "status": "error", "error": "no codec"}}
    async with Scripted(answer(body)) as server, client(server.url) as api:
        job = await VideoDb(api, clock=ManualClock()).look_up("j")
    assert (job.status, job.error) == (RemoteStatus.ERROR, "no codec")


async def test_a_look_up_reaches_the_api_each_time():
    sandbox = Sandbox([SandboxJob("a", "a.mp4", created_at=START)])
    async with running(sandbox), client(sandbox.base_url, key=sandbox.api_key) as api:
        source = VideoDb(api, clock=ManualClock())
        links = {(await source.look_up("a")).link.url for _ in range(3)}
    assert len(links) == 3


# --- Making again is billed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["500", "no answer", "half an answer", "a web page", "502 page"])
async def test_a_job_is_not_made_again_twice_where_the_api_may_have_taken_it(kind):
    async with Scripted(PASSING[kind]) as server, client(server.url) as api:
        with pytest.raises(ListingFailed, match="not sent again"):
            await VideoDb(api, clock=ManualClock()).regenerate("j")
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", ["429", "408", "425"])
async def test_making_again_is_repeated_where_the_api_has_not_taken_it(kind):
    done = answer({"success": True, "status": "processing", "data": {"id": "j"}})
    async with Scripted(PASSING[kind], done) as server, client(server.url) as api:
        await VideoDb(api, clock=ManualClock()).regenerate("j")
    assert server.lines == ["POST /download/j HTTP/1.1"] * 2


async def test_a_refusal_to_make_again_is_told():
    reply = answer({"success": False, "message": "Only a job in error can be retried"})
    async with Scripted(reply) as server, client(server.url) as api:
        with pytest.raises(ApiRefused, match="Only a job in error"):
            await VideoDb(api, clock=ManualClock()).regenerate("j")
    assert len(server.requests) == 1


# --- Proxies and certificates -----------------------------------------------------------------------------------


@pytest.fixture
def no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


async def test_a_proxy_of_the_environment_is_used(monkeypatch, no_proxies):
    async with Scripted(answer()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with client("http://api.example.invalid") as api:
            assert await api.get("/download") == EMPTY
    assert proxy.lines == ["GET http://api.example.invalid/download HTTP/1.1"]


async def test_a_proxy_that_is_given_is_used(no_proxies):
    async with Scripted(answer()) as proxy, client("http://api.example.invalid", proxy=proxy.url) as api:
        assert await api.get("/download") == EMPTY
    assert len(proxy.requests) == 1


async def test_a_proxy_that_refuses_is_told_and_gets_no_key(no_proxies):
    async with (
        Scripted(answer(b"", "407 Proxy Authentication Required")) as proxy,
        client("https://api.example.invalid", proxy=proxy.url.replace("//", "//user:hidden-pw@")) as api,
    ):
        with pytest.raises(ListingFailed, match="through the proxy") as caught:
            await api.get("/download")
    assert all(line.startswith("CONNECT api.example.invalid:443") for line in proxy.lines)
    assert not any(KEY in request for request in proxy.requests)
    assert "hidden-pw" not in str(caught.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-keyout", key, "-out", cert, "-subj", "/CN=sandbox", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, str(cert)


async def test_a_certificate_nobody_vouches_for_is_refused_at_once(certificate):
    async with Scripted(answer(), context=certificate[0]) as server, client(server.url) as api:
        with pytest.raises(ApiRefused, match="not trusted: self-signed") as caught:
            await api.get("/download")
    assert "CA bundle" in str(caught.value)
    assert server.requests == []


async def test_a_bundle_vouches_for_it(certificate):
    async with (
        Scripted(answer(), context=certificate[0]) as server,
        client(server.url, ca_bundle=certificate[1]) as api,
    ):
        assert await api.get("/download") == EMPTY


async def test_ssl_cert_file_vouches_for_it(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", certificate[1])
    async with Scripted(answer(), context=certificate[0]) as server, client(server.url) as api:
        assert await api.get("/download") == EMPTY


async def test_a_bundle_does_not_vouch_for_another_name(certificate):
    async with Scripted(answer(), context=certificate[0]) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        async with client(url, ca_bundle=certificate[1]) as api:
            with pytest.raises(ApiRefused, match="not trusted"):
                await api.get("/download")


# --- The list ---------------------------------------------------------------------------------------------------


def keep_into(jobs, told=None):
    async def keep(page: Page):
        fresh = frozenset(job.id for job in page.jobs) - jobs.keys()
        jobs.update({job.id: job for job in page.jobs})
        if told is not None:
            told.extend(sorted(fresh))
        return fresh

    return keep


async def listed(sandbox, heard=None, clock=None, page_size=5000):
    jobs, told = {}, []
    clock = clock or ManualClock()
    async with client(sandbox.base_url, clock, key=sandbox.api_key, observer=heard) as api:
        source = VideoDb(api, clock=clock, observer=heard, page_size=page_size)
        listing = await source.list_jobs(keep_into(jobs, told))
    assert len(told) == len(set(told)) == listing.jobs
    return listing, jobs


def plain(count):
    return [SandboxJob(f"old-{n:05d}", f"{n}.mp4", 10, created_at=START) for n in range(count)]


@pytest.mark.parametrize("count", [0, 1, 10, 11, 500])
@pytest.mark.parametrize("cap", [10, 5000])
async def test_a_list_at_rest_comes_whole(count, cap):
    sandbox = Sandbox(plain(count), Scenario("x", rules=Rules(pages=PageRules(cap=cap))))
    async with running(sandbox):
        listing, jobs = await listed(sandbox)
    assert listing.complete
    assert jobs.keys() == {job.id for job in sandbox.store.all()}
    assert len(sandbox.log.requests(op=Op.LIST)) <= -(-count // cap) * 1.3 + 4


async def test_the_first_page_is_asked_for_at_its_largest():
    sandbox = Sandbox(plain(3))
    async with running(sandbox):
        await listed(sandbox)
    assert sandbox.log.requests(op=Op.LIST)[0].query == {"page_index": "0", "count": "5000"}


async def test_the_shifting_scenario_loses_and_doubles_nothing():
    sandbox = Sandbox(plain(300), scenario("shifting"))
    async with running(sandbox):
        listing, jobs = await listed(sandbox)
    assert listing.complete
    assert jobs.keys() == {job.id for job in sandbox.store.all()}


shifts = st.builds(
    Shift,
    when=st.builds(When, ops=st.just(LISTS), after=st.integers(0, 6), first=st.integers(1, 8), every=st.integers(1, 3)),
    create=st.integers(0, 12),
    place=st.sampled_from(list(Place)),
)


@given(
    count=st.integers(0, 150),
    cap=st.sampled_from([1, 3, 7, 20, 50, 5000]),
    order=st.sampled_from([PageOrder.NEWEST, PageOrder.OLDEST]),
    base=st.sampled_from([0, 1]),
    ignore_count=st.booleans(),
    faults=st.lists(shifts, max_size=3),
)
@settings(max_examples=40, deadline=None)
def test_any_shifting_over_real_http_loses_and_doubles_nothing(count, cap, order, base, ignore_count, faults):
    rules = PageRules(cap=cap, default_count=cap, base=base, order=order, ignore_count=ignore_count)
    sandbox = Sandbox(plain(count), Scenario("x", rules=Rules(pages=rules), api=tuple(faults)))
    with running(sandbox):
        listing, jobs = asyncio.run(listed(sandbox))
    if listing.complete:
        assert {job.id for job in plain(count)} <= jobs.keys()
    if not faults:
        assert listing.complete


@given(
    count=st.integers(0, 60),
    cap=st.sampled_from([3, 10, 20, 5000]),
    base=st.sampled_from([0, 1]),
    pages=st.integers(1, 6),
    kinds=st.sets(st.integers(0, len(MALFORMED) - 1), min_size=1, max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_malformed_entries_on_any_page_hide_nothing_and_end(count, cap, base, pages, kinds):
    """The entries are put into each of the first pages, so even ends of the list may hold nothing else."""
    entries = tuple(MALFORMED[kind] for kind in sorted(kinds))
    fault = Malformed(when=When(ops=LISTS, first=pages), entries=entries)
    sandbox = Sandbox(plain(count), Scenario("x", rules=Rules(pages=PageRules(cap=cap, base=base)), api=(fault,)))
    with running(sandbox):
        listing, jobs = asyncio.run(listed(sandbox))
    if listing.complete:
        assert {job.id for job in plain(count)} <= jobs.keys()


async def test_malformed_entries_are_told_once_and_change_nothing_else():
    raw = [job_entry(n) for n in range(5)]
    body = {"success": True, "data": {"downloads": [None, raw[0], {"id": "odd", "status": "?"}, *raw[1:], None]}}
    heard, jobs = Hearing(), {}

    def serve(index, count):
        rows = body["data"]["downloads"]
        return {"success": True, "data": {"downloads": rows[index * count : (index + 1) * count]}}

    async with Rows(serve) as server, client(server.url) as api:
        listing = await VideoDb(api, clock=ManualClock(), observer=heard).list_jobs(keep_into(jobs))
    assert (listing.jobs, listing.malformed, listing.complete) == (5, 3, True)
    assert [event.entry.position for event in heard.of(EntryMalformed)] == [0, 2, 7]
    assert [event.entry.id for event in heard.of(EntryMalformed)] == [None, "odd", None]


def job_entry(number):
    return {"id": f"j{number}", "name": f"{number}.mp4", "status": "done", "download_url": f"https://h/{number}?sig=s"}


class Rows(Scripted):
    """A server whose pages a function makes from `page_index` and `count`."""

    def __init__(self, serve):
        super().__init__(self._page)
        self._rows = serve

    async def _page(self, writer):
        target = self.requests[-1].split(" ")[1]
        asked = dict(pair.split("=") for pair in target.partition("?")[2].split("&"))
        writer.write(answer(self._rows(int(asked["page_index"]), int(asked["count"]))))
        await writer.drain()


@pytest.mark.parametrize("cap", [1, 2, 3, 5, 16, 50])
@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("holes", [{0}, {0, 1, 2}, set(range(10, 20)), {59}, set(range(0, 60, 3)), set(range(60))])
async def test_malformed_entries_in_place_leave_a_list_at_rest_complete(cap, base, holes):
    rows = [{"id": "", "name": f"hole {n}"} if n in holes else job_entry(n) for n in range(60)]

    def serve(index, count):
        length = min(cap, count)
        number = max(0, index - base)
        return {"success": True, "data": {"downloads": rows[number * length : (number + 1) * length]}}

    jobs = {}
    async with Rows(serve) as server, client(server.url) as api:
        listing = await VideoDb(api, clock=ManualClock()).list_jobs(keep_into(jobs))
    assert jobs.keys() == {f"j{n}" for n in range(60) if n not in holes}
    assert (listing.complete, listing.malformed) == (True, len(holes))


async def test_pages_of_garbage_alone_end_as_incomplete():
    rows = [None] * 400 + [job_entry(1)]

    def serve(index, count):
        return {"success": True, "data": {"downloads": rows[index * 10 : (index + 1) * 10]}}

    async with Rows(serve) as server, client(server.url) as api:
        listing = await VideoDb(api, clock=ManualClock(), page_size=10).list_jobs(keep_into({}))
    assert not listing.complete
    assert len(server.requests) < 100


async def test_an_id_twice_on_a_page_reaches_keep_once_and_as_it_came_last():
    rows = [job_entry(1), job_entry(1) | {"name": "later"}, job_entry(2)]
    pages = []

    async def keep(page):
        pages.append(page)
        return frozenset(job.id for job in page.jobs) if len(pages) == 1 else frozenset()

    def serve(index, count):
        return {"success": True, "data": {"downloads": rows[index * count : (index + 1) * count]}}

    async with Rows(serve) as server, client(server.url) as api:
        listing = await VideoDb(api, clock=ManualClock()).list_jobs(keep)
    assert [(job.id, job.name) for job in pages[0].jobs] == [("j1", "later"), ("j2", "2.mp4")]
    assert listing.jobs == 2


async def test_a_listing_that_breaks_says_how_far_it_got():
    fault = Status(status=500, when=When(ops=LISTS, after=3))
    sandbox = Sandbox(plain(100), Scenario("x", rules=Rules(pages=PageRules(cap=10)), api=(fault,)))
    async with running(sandbox):
        with pytest.raises(ListingFailed, match=r"answered 500.*up to page 3 \(\d\d jobs\)"):
            await listed(sandbox)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_dies_during_the_listing_ends_it_at_once(status):
    fault = Status(status=status, when=When(ops=LISTS, after=2))
    sandbox = Sandbox(plain(100), Scenario("x", rules=Rules(pages=PageRules(cap=10)), api=(fault,)))
    async with running(sandbox):
        with pytest.raises(KeyRefused):
            await listed(sandbox)
    assert len(sandbox.log.requests(op=Op.LIST)) == 3


@pytest.mark.parametrize(
    "fault",
    [
        SuccessFalse(when=When(ops=LISTS, every=2)),
        ErrorPage(when=When(ops=LISTS, every=2)),
        Status(status=429, retry_after=5, when=When(ops=LISTS, every=2)),
        Status(status=503, when=When(ops=LISTS, every=2)),
        Reset(when=When(ops=LISTS, every=2)),
    ],
    ids=lambda fault: f"{type(fault).__name__}{getattr(fault, 'status', '')}",
)
async def test_every_second_answer_failing_costs_time_and_nothing_else(fault):
    sandbox = Sandbox(plain(100), replace(scenario("shifting"), api=(Shift(when=When(ops=LISTS, first=3)), fault)))
    async with running(sandbox):
        listing, jobs = await listed(sandbox)
    assert listing.complete
    assert {job.id for job in plain(100)} <= jobs.keys()


async def test_memory_does_not_grow_with_the_list():
    peaks = []
    for pages in (10, 80):
        total = pages * 200

        def serve(index, count, total=total):
            length = min(200, count)
            return {
                "success": True,
                "data": {"downloads": [job_entry(n) for n in range(total)[index * length :][:length]]},
            }

        done = Seen()
        async with Rows(serve) as server, client(server.url) as api:
            tracemalloc.start()
            listing = await VideoDb(api, clock=ManualClock()).list_jobs(done.keep)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert listing.jobs == total
    assert peaks[1] < peaks[0] * 1.5


class Seen:
    """Knows ids that were counted up, by the highest alone."""

    def __init__(self):
        self.highest = -1

    async def keep(self, page):
        numbers = [int(job.id[1:]) for job in page.jobs]
        fresh = frozenset(f"j{n}" for n in numbers if n > self.highest)
        self.highest = max(self.highest, *numbers)
        return fresh
