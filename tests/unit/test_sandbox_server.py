"""How a sandbox runs: loopback only, in a thread or for ever, driven from another process if need be."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import timedelta

import httpx
import pytest

from syncer.sandbox import Cut, JobStatus, Sandbox, SandboxJob, Scenario, When, running, serve, serve_forever
from syncer.sandbox.jsonio import scenario_from_json, to_json
from syncer.sandbox.scenarios import SCENARIOS

JOB = SandboxJob("film", "Film", 1000)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.com", ""])
def test_other_machines_are_kept_out(host):
    with pytest.raises(ValueError, match="loopback"):
        running(Sandbox(), host=host)


def test_a_sandbox_that_does_not_run_has_no_address():
    with pytest.raises(RuntimeError, match="does not run"):
        _ = Sandbox().base_url


async def test_it_runs_beside_the_tests_own_event_loop():
    async with running(Sandbox([JOB]), host="localhost") as sandbox, httpx.AsyncClient() as client:
        assert sandbox.base_url != sandbox.storage_url
        assert (await client.get(sandbox.link(JOB))).status_code == 200
        assert (await client.get(sandbox.link(JOB).replace(sandbox.storage_url, sandbox.other_url))).status_code == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(sandbox.base_url.rpartition(":")[2])))


def test_storage_and_api_can_share_a_port_that_is_chosen():
    with running(Sandbox(), storage_port=None) as one:
        assert one.base_url == one.storage_url
        taken = int(one.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), running(Sandbox(), port=taken):
            pass
        with pytest.raises(OSError, match="in use"), running(Sandbox(), storage_port=taken):
            pass


def test_an_answer_that_fails_ends_its_connection_and_not_the_server(caplog, monkeypatch):
    with running(Sandbox([JOB])) as sandbox:
        monkeypatch.setattr(sandbox, "content", lambda *_: 1 / 0)
        with pytest.raises(httpx.HTTPError):
            httpx.get(sandbox.link(JOB))
        assert httpx.get(f"{sandbox.base_url}/_sandbox/stats").status_code == 200
    assert "the sandbox failed on GET /storage/" in caplog.text


def test_it_serves_for_ever_in_a_thread_without_touching_signals():
    before = signal.getsignal(signal.SIGINT)
    ended = []
    ready = threading.Event()
    loops = []

    def run():
        async def life():
            task = asyncio.current_task()
            loops.append((asyncio.get_running_loop(), task))
            await serve(Sandbox(), on_ready=lambda _: ready.set())

        try:
            asyncio.run(life())
        except asyncio.CancelledError:
            ended.append("cancelled")

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    loop, task = loops[0]
    loop.call_soon_threadsafe(task.cancel)
    thread.join(20)
    assert ended == ["cancelled"]
    assert signal.getsignal(signal.SIGINT) is before


async def test_on_ready_may_be_awaited_and_its_failure_ends_the_service():
    async def refuse(sandbox):
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{sandbox.base_url}/_sandbox/stats")).status_code == 200
        raise LookupError

    with pytest.raises(LookupError):
        await serve(Sandbox(), on_ready=refuse)


SCRIPT = """
import sys
from syncer.sandbox import Sandbox, SandboxJob, serve_forever
number = serve_forever(Sandbox([SandboxJob("film", "Film", 1000)]), on_ready=lambda s: print(s.base_url, flush=True))
print("stopped by", int(number))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_of_its_own_is_driven_over_http_and_stopped_by_a_signal(number):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        url = process.stdout.readline().strip()
        with httpx.Client(base_url=url) as client:
            assert drive(client) == {"film", "made"}
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=30)
    assert (out.strip(), err, process.returncode) == (f"stopped by {int(number)}", "", 0)


def drive(client):
    made = {"id": "made", "name": None, "size": 5, "created_at": "2026-11-20T12:00:00+00:00", "status": "done"}
    assert client.post("/_sandbox/jobs", json=[made]).json()["ids"] == ["made"]
    assert client.post("/_sandbox/scenario", json={"name": "cut"}).json()["storage"][0]["kind"] == "Cut"
    assert client.get("/_sandbox/stats").json()["scenario"] == "cut"
    return set(client.get("/_sandbox/digests").json())


@pytest.fixture
def box():
    with running(Sandbox([JOB])) as sandbox, httpx.Client(base_url=sandbox.base_url) as client:
        yield sandbox, client


def test_a_scenario_is_put_together_from_json(box):
    sandbox, client = box
    told = {
        "rules": {"pages": {"cap": 7}, "links": {"ttl": 60, "form": "epoch"}},
        "storage": [{"kind": "Cut", "after": 10, "when": {"first": 2, "jobs": ["film"]}}],
    }
    assert client.post("/_sandbox/scenario", json=told).status_code == 200
    assert sandbox.scenario.storage == (Cut(after=10, when=When(first=2, jobs=frozenset({"film"}))),)
    assert (sandbox.rules.pages.cap, sandbox.rules.links.ttl) == (7, timedelta(minutes=1))
    known = client.get("/_sandbox/scenario").json()["known"]
    assert known["healthy"] == "Everything works."


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_survives_json(name):
    one = SCENARIOS[name]
    told = json.loads(json.dumps(to_json(one)))
    assert scenario_from_json({"name": name, **{key: told[key] for key in ("rules", "api", "storage")}}) == one
    assert scenario_from_json(name) is one


@pytest.mark.parametrize(
    "told",
    [
        {"name": "nonsense"},
        {"colour": 1},
        {"storage": [{"kind": "Nonsense"}]},
        {"storage": [{"kind": "Cut", "after": "ten"}]},
        {"storage": [{"kind": "Cut", "after": True}]},
        {"rules": {"pages": {"order": "sideways"}}},
        {"rules": 5},
        5,
    ],
)
def test_a_scenario_nobody_knows_is_refused(box, told):
    before = box[0].scenario
    answer = box[1].post("/_sandbox/scenario", json=told)
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert box[0].scenario == before


def test_jobs_are_added_and_seen_from_outside(box):
    sandbox, client = box
    assert client.post("/_sandbox/jobs", json={"id": "a", "name": "A", "status": "error"}).status_code == 200
    assert sandbox.store.get("a").status is JobStatus.ERROR
    assert client.post("/_sandbox/jobs", json={"id": "a", "name": "A"}).status_code == 400
    assert client.post("/_sandbox/jobs", json={"id": "b", "name": 5}).status_code == 400
    assert client.post("/_sandbox/jobs", json={"id": "b", "name": "B", "created_at": "2026-11-20"}).status_code == 400
    assert [job["id"] for job in client.get("/_sandbox/jobs").json()] == ["a", "film"]


def test_the_clock_is_moved_and_the_record_cleared_from_outside(box):
    sandbox, client = box
    link = sandbox.link(JOB)
    client.post("/_sandbox/clock", json={"advance": 86400})
    assert httpx.get(link).status_code == 403
    assert client.get("/_sandbox/stats").json()["counts"]["storage.status.403"] == 1
    client.delete("/_sandbox/stats")
    assert "storage.requests" not in client.get("/_sandbox/stats").json()["counts"]
    assert client.get("/_sandbox/nonsense").status_code == 404


def test_digests_are_those_of_the_bytes(box):
    sandbox, client = box
    told = client.get("/_sandbox/digests", params={"id": "film"}).json()["film"]
    assert told["sha256"] == sandbox.digests("film").sha256
    assert (told["size"], told["name"]) == (1000, "Film")
    assert client.get("/_sandbox/digests", params={"id": "nothing"}).json() == {}


def test_how_many_requests_run_at_once_is_known(box):
    sandbox, _ = box
    sandbox.set_scenario(Scenario("healthy"))
    with socket.create_connection(("127.0.0.1", int(sandbox.base_url.rpartition(":")[2]))):
        httpx.get(sandbox.link(JOB))
    assert sandbox.log.stats()["peak"]["storage"] == 1


def test_serve_forever_refuses_other_hosts_before_it_binds():
    with pytest.raises(ValueError, match="loopback"):
        serve_forever(Sandbox(), host="0.0.0.0")
