"""The official SDK as a client of the sandbox: it connects, starts a job and gets its outcome."""

import random
from datetime import timedelta

import httpx
import pytest
import videodb
from videodb.exceptions import AuthenticationError, InvalidRequestError

from syncer.sandbox import Delay, EntryRules, JobStatus, Op, Rules, Sandbox, Scenario, When, running

STREAM = "https://stream.videodb.io/v/0001.m3u8"


def connected(sandbox, key=None):
    return videodb.connect(api_key=key or sandbox.api_key, base_url=sandbox.base_url)


def test_a_job_that_is_done_at_once_comes_back_with_its_link():
    with running(Sandbox(rng=random.Random(1))) as sandbox:
        made = connected(sandbox).download(stream_link=STREAM, name="Launch film")
        job = sandbox.store.get(made["id"])
        assert (job.name, job.status, job.stream_link) == ("Launch film", JobStatus.DONE, STREAM)
        body = httpx.get(made["download_url"]).content
        assert body == sandbox.content(job.id).read(0, job.size)
        assert [seen.op for seen in sandbox.log.requests()] == [Op.CREATE, Op.OBJECT]
        assert sandbox.token_leaks == 0


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("in_progress", [True, False])
def test_a_job_that_is_being_made_is_polled_until_it_is_done(nested, in_progress, monkeypatch):
    rules = Rules(entries=EntryRules(processing_seconds=60, nested_async=nested, in_progress=in_progress))
    with running(Sandbox(scenario=Scenario("slow making", rules=rules), rng=random.Random(1))) as sandbox:
        waits = []

        def minute(seconds):
            waits.append(seconds)
            sandbox.advance(timedelta(seconds=31))

        monkeypatch.setattr("videodb._utils._http_client.time.sleep", minute)
        made = connected(sandbox).download(stream_link=STREAM, name="Launch film")
        assert len(waits) == 2
        assert (made["status"], made["name"]) == ("done", "Launch film")
        assert [seen.op for seen in sandbox.log.requests()] == [Op.CREATE, Op.ASYNC, Op.ASYNC, Op.ASYNC]
        assert sandbox.store.get(made["id"]).status is JobStatus.DONE


def test_a_wrong_key_is_refused_in_words_the_sdk_understands():
    with running(Sandbox()) as sandbox, pytest.raises(AuthenticationError, match="Invalid or missing API key"):
        connected(sandbox, "sk-wrong").download(stream_link=STREAM, name="x")


def test_a_request_the_rules_forbid_is_refused_in_words_the_sdk_understands():
    with running(Sandbox()) as sandbox, pytest.raises(InvalidRequestError, match="stream_link must be a text"):
        connected(sandbox).download(stream_link=None, name="x")


def test_the_sdk_is_never_kept_waiting_by_a_fault_meant_for_others():
    patience = Scenario("patience", api=(Delay(seconds=3600, when=When(ops=frozenset({Op.LIST}))),))
    with running(Sandbox(scenario=patience)) as sandbox:
        assert connected(sandbox).download(stream_link=STREAM, name="x")["status"] == "done"
