"""The switch, the messages and the metrics over real HTTP and real files."""

import http.server
import threading

import pytest
from helpers.site import jobs

from syncer.sandbox.faults import When
from syncer.sandbox.faults_wire import ErrorPage, Status
from syncer.sandbox.scenarios import HEALTHY, Scenario


@pytest.fixture
def listener():
    """A small HTTP server that keeps what it is sent: (path, body)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            heard.append((self.path, body.decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    heard = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], heard
    server.shutdown()
    thread.join()
    server.server_close()


REFUSED = Scenario("t", storage=(Status(status=403, when=When(jobs=frozenset({"job-001"}))),))


@pytest.mark.parametrize(
    ("scenario", "code", "paths"),
    [
        (HEALTHY, 0, ["/ping/start", "/ping"]),
        (REFUSED, 7, ["/ping/start", "/ping/fail"]),
        (Scenario("t", storage=(ErrorPage(),)), 6, ["/ping/start", "/ping"]),
    ],
)
def test_the_switch_is_told_of_start_and_end(site, listener, scenario, code, paths):
    port, heard = listener
    here = site(jobs(2, size=1000), scenario)
    done = here.command("run", here.dest, "--tries", 1, "--ping-url", f"http://127.0.0.1:{port}/ping/")
    assert done.returncode == code
    assert [path for path, _ in heard] == paths
    assert not any("Signature" in body or "sk-" in body for _, body in heard)


def test_a_pass_that_cannot_begin_fails_the_switch(site, listener):
    port, heard = listener
    here = site(jobs(1))
    here.ledger.parent.mkdir()
    here.ledger.write_bytes(b"no database" * 100)
    assert here.command("run", here.dest, "--ping-url", f"http://127.0.0.1:{port}/p?x=1").returncode == 9
    assert [path for path, _ in heard] == ["/p/start?x=1", "/p/fail?x=1"]


def test_a_switch_out_of_reach_changes_nothing(site):
    here = site(jobs(1, size=1000))
    done = here.command("run", here.dest, "--ping-url", "http://127.0.0.1:9/secret-path")
    assert done.returncode == 0
    assert "secret-path" not in done.stderr


def test_messages_go_out_on_failure_once_and_on_recovery(site, listener):
    port, heard = listener
    here = site(jobs(2, size=1000), Scenario("t", storage=(ErrorPage(),)))
    argv = ("run", here.dest, "--tries", 1, "--notify", f"json://127.0.0.1:{port}/hook")
    codes = [here.command(*argv).returncode for _ in range(2)]
    here.sandbox.set_scenario(HEALTHY)
    codes += [here.command(*argv).returncode for _ in range(2)]
    assert codes == [6, 6, 0, 0]
    assert len(heard) == 2
    assert "exit code 6" in heard[0][1]
    assert "well again" in heard[1][1]


def test_metrics_follow_each_pass(site):
    here = site(jobs(2, size=1000))
    target = here.folder / "syncer.prom"
    assert here.command("run", here.dest, "--metrics-file", target).returncode == 0
    assert 'syncer_jobs{profile="default",state="stored"} 2.0' in target.read_text()
