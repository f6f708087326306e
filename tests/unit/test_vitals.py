"""Whether a watch is well, and the small server that says so."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from syncer.core.errors import UsageError
from syncer.core.events import BytesArrived, FileStored, PassEnded, PassPlanned, PassStarted
from syncer.core.health import Vitals, judge
from syncer.core.model import Listing, Tally
from syncer.core.report import Deadlines, Report, Transfer
from syncer.reporting.listen import Listener, Page
from syncer.reporting.systemd import Systemd
from syncer.reporting.vitals import WatchVitals

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FRESH = Vitals(NOW - 10 * HOUR, HOUR, NOW - HOUR)


@pytest.mark.parametrize(
    ("vitals", "words"),
    [
        (FRESH, None),
        (Vitals(NOW, HOUR), None),
        (Vitals(NOW - 3 * HOUR, HOUR), "No pass has ended well since 2026-11-23 09:00"),
        (replace(FRESH, last_success_at=NOW - 3 * HOUR), "No pass has ended well"),
        (replace(FRESH, last_success_at=NOW - 3 * HOUR, interval=2 * HOUR), None),
        (replace(FRESH, last_success_at=NOW - 3 * HOUR, last_sign_at=NOW), None),
        (replace(FRESH, last_success_at=NOW - 3 * HOUR, last_sign_at=NOW, failing=True), "No pass has ended well"),
        (replace(FRESH, deadline=NOW + 3 * HOUR), None),
        (replace(FRESH, deadline=NOW + HOUR), "dies at 2026-11-23 13:00"),
        (replace(FRESH, deadline=NOW - HOUR), "dies at"),
        (replace(FRESH, interval=24 * HOUR, deadline=NOW + 25 * HOUR), None),
    ],
)
def test_well_or_not(vitals, words):
    reasons = judge(vitals, NOW)
    assert bool(reasons) == (words is not None)
    assert words is None or words in reasons[0]


def report(code=0, **more):
    given = {"jobs": Tally(stored=2), "deadlines": Deadlines(), **more}
    return Report(NOW, NOW, code, Listing(1, 2, complete=True), transfer=Transfer(), **given)


def test_a_watch_counts_what_it_hears():
    vitals = WatchVitals("default", 3600, lambda: NOW)
    text = vitals.metrics().body.decode()
    assert "syncer_jobs" not in text  # nothing is known yet
    for event in (
        PassStarted(1, "/videos"),
        BytesArrived("a", 100),
        FileStored("a", "a", "a.mp4", 100, 100),
        PassEnded(0),
        PassPlanned(NOW, "the interval"),
    ):
        vitals.notify(event)
    vitals.learn(report())
    vitals.learn(report(8))
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(vitals.metrics().body.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    assert found["syncer_received_bytes_total"] == 100
    assert found["syncer_stored_files_total"] == 1
    assert found["syncer_passes_total"] == 1
    assert found["syncer_next_pass_timestamp_seconds"] == NOW.timestamp()
    assert found["syncer_last_success_timestamp_seconds"] == NOW.timestamp()
    assert json.loads(vitals.health().body) == {
        "status": "ok",
        "reasons": [],
        "last_success_at": "2026-11-23T12:00:00Z",
        "next_pass_at": "2026-11-23T12:00:00Z",
    }


async def ask(port, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_bytes", "status", "body"),
    [
        (b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n", b"200 OK", b"hello"),
        (b"GET /page?x=1 HTTP/1.0\r\n\r\n", b"200 OK", b"hello"),
        (b"HEAD /page HTTP/1.1\r\nHost: x\r\n\r\n", b"200 OK", b""),
        (b"GET /other HTTP/1.1\r\n\r\n", b"404 Not Found", b"there are /page\n"),
        (b"POST /page HTTP/1.1\r\n\r\n", b"405 Method Not Allowed", b"only GET and HEAD\n"),
        (b"\x16\x03\x01 nonsense\r\n\r\n", b"400 Bad Request", b"this is no HTTP/1.1 request\n"),
        (b"GET /page HTTP/1.1\r\nA: " + b"x" * 20000 + b"\r\n\r\n", b"400 Bad Request", b"too long\n"),
    ],
)
async def test_the_server_answers_what_it_knows_and_survives_the_rest(request_bytes, status, body):
    async with Listener("127.0.0.1", 0, {"/page": lambda: Page(b"hello")}) as listener:
        answer = await ask(listener.port, request_bytes)
        head, _, content = answer.partition(b"\r\n\r\n")
        assert head.split(b"\r\n")[0] == b"HTTP/1.1 " + status
        assert content == body
        assert (await ask(listener.port, b"GET /page HTTP/1.1\r\n\r\n")).endswith(b"hello")


async def test_clients_that_leave_or_crowd_harm_nobody():
    async with Listener("127.0.0.1", 0, {"/page": lambda: Page(b"hello")}) as listener:
        idle = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(40)]
        assert await asyncio.wait_for(idle[-1][0].read(), 30) == b""  # one too many
        for _, writer in idle:
            writer.close()
        for _ in range(1000):
            if (await ask(listener.port, b"GET /page HTTP/1.1\r\n\r\n")).endswith(b"hello"):
                return
    raise AssertionError


async def test_an_address_nobody_has_is_told():
    with pytest.raises(UsageError, match="Check --listen"):
        async with Listener("no.such.host.invalid", 1, {}):
            pass


@pytest.mark.parametrize(
    ("environ", "period"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(environ, period):
    assert Systemd(environ, 7)._every == period


def test_without_systemd_nobody_is_told():
    for environ in ({}, {"NOTIFY_SOCKET": "/no/such/socket"}, {"NOTIFY_SOCKET": "@no-such-abstract-socket"}):
        systemd = Systemd(environ, 1)
        systemd.ready()
        systemd.status("x")
        systemd.stopping()
