"""Schemathesis against the sandbox: every default check over its own description, and nothing found."""

import random
import subprocess
import sys
from datetime import UTC, datetime

import httpx

from syncer.sandbox import JobStatus, Kind, Op, Patch, Sandbox, SandboxJob, Scenario, demo_jobs, running

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def account():
    jobs = demo_jobs(random.Random(5), NOW, 12)
    jobs += [
        SandboxJob("making", "Making", status=JobStatus.PROCESSING, created_at=NOW),
        SandboxJob("broken", "Broken", status=JobStatus.ERROR, created_at=NOW),
    ]
    return Sandbox(jobs, rng=random.Random(6))


def examined(sandbox, folder, *options):
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{sandbox.base_url}/openapi.yaml"),
            # One worker: CPython 3.11 now and then fails to parse source in two threads at once.
            *("--header", f"x-access-token: {sandbox.api_key}", "--no-color", "--workers", "1", *options),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_nothing_is_found_by_any_default_check_in_any_phase(tmp_path):
    with running(account()) as sandbox:
        done = examined(sandbox, tmp_path, "--seed", "20261120", "--max-examples", "15")
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr
        assert "Stateful" in done.stdout
        assert not [seen for seen in sandbox.log.requests() if seen.status >= 500]
        assert {seen.op for seen in sandbox.log.requests(Kind.API)} >= set(Op) - {Op.OBJECT, Op.OTHER}


def test_a_sandbox_that_breaks_its_word_is_found_out(tmp_path):
    broken = Scenario("broken", api=(Patch(fields={"status": "exploded"}),))
    with running(account()) as sandbox:
        sandbox.set_scenario(broken)
        done = examined(sandbox, tmp_path, "--seed", "1", "--max-examples", "5", "--phases", "examples")
        assert done.returncode == 1
        assert "Response violates schema" in done.stdout


def test_the_description_is_served_where_schemathesis_can_fetch_it():
    with running(Sandbox()) as sandbox:
        answer = httpx.get(f"{sandbox.base_url}/openapi.yaml")
        assert answer.headers["content-type"] == "application/yaml"
        assert "/async-response/{response_id}" in answer.text
