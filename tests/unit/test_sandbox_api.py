"""The sandbox's API over real HTTP: shapes, refusals, and what faults make of them."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import httpx
import pytest

from syncer.sandbox import (
    Cut,
    EntryRules,
    ErrorPage,
    ExpiredForm,
    Frame,
    JobStatus,
    LinkOrigin,
    LinkRules,
    Malformed,
    MissingForm,
    NoLink,
    Op,
    PageRules,
    Patch,
    Place,
    RetryForm,
    Rules,
    Sandbox,
    SandboxJob,
    Scenario,
    Shift,
    Status,
    SuccessFalse,
    TimeForm,
    When,
    first,
    hostile_jobs,
    nth,
    running,
)

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
KEY = {"x-access-token": "sk-sandbox"}


@pytest.fixture(scope="module")
def shared():
    with running(Sandbox(now=lambda: NOW, rng=random.Random(1))) as sandbox, httpx.Client(headers=KEY) as client:
        yield sandbox, client


@pytest.fixture
def box(shared):
    sandbox, client = shared
    for job in sandbox.store.all():
        sandbox.store.remove(job.id)
    sandbox.set_scenario(Scenario("healthy"))
    sandbox.log.clear()
    made = timedelta(seconds=1)
    sandbox.add(*(SandboxJob(f"j{n}", f"Film {n}", 1000, created_at=NOW + n * made) for n in range(5)))
    return sandbox, client


def listed(box, **params):
    sandbox, client = box
    return client.get(f"{sandbox.base_url}/download", params=params)


def ids(answer):
    return [entry["id"] for entry in answer.json()["data"]["downloads"]]


def test_a_page_has_entries_of_the_published_shape(box):
    entry = listed(box, page_index=0, count=1).json()["data"]["downloads"][0]
    assert entry | {"download_url": ""} == {
        "id": "j4",
        "name": "Film 4",
        "status": "done",
        "created_at": "2026-11-20T12:00:04.123456Z",
        "download_url": "",
    }
    assert entry["download_url"].startswith(box[0].storage_url + "/storage/")


def test_the_date_header_follows_the_injected_clock(box):
    assert parsedate_to_datetime(listed(box).headers["date"]) == NOW.replace(microsecond=0)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (TimeForm.NAIVE, "2026-11-20T12:00:04.123456"),
        (TimeForm.OFFSET, "2026-11-20T17:30:04.123456+05:30"),
        (TimeForm.MISSING, None),
    ],
)
def test_times_come_in_every_form(box, form, text):
    box[0].set_scenario(Scenario("times", rules=Rules(entries=EntryRules(times=form))))
    assert listed(box).json()["data"]["downloads"][0].get("created_at") == text


@pytest.mark.parametrize("header", [{}, {"x-access-token": ""}, {"x-access-token": "sk-wrong"}])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/download"),
        ("POST", "/download"),
        ("DELETE", "/download"),
        ("GET", "/download/x"),
        ("POST", "/download/x"),
    ],
)
def test_without_the_key_everything_is_refused(box, header, method, path):
    answer = httpx.request(method, box[0].base_url + path, headers=header)
    assert answer.status_code == 401
    assert answer.json() == {
        "success": False,
        "message": "Invalid or missing API key",
        "error_code": "UNAUTHORIZED",
    }


@pytest.mark.parametrize(
    "query", ["page_index=x", "page_index=1.5", "page_index=", "count=5001", "count=1&count=2", "page_index=%D9%A3"]
)
def test_a_wrong_parameter_is_refused(box, query):
    answer = box[1].get(f"{box[0].base_url}/download?{query}")
    assert (answer.status_code, answer.json()["success"]) == (400, False)


def test_a_method_the_path_lacks_is_refused_with_those_it_has(box):
    answer = box[1].put(f"{box[0].base_url}/download")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST, DELETE")
    assert box[1].get(f"{box[0].base_url}/elsewhere").status_code == 404


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"name": "x"}', b'{"stream_link": 5}', b'{"stream_link": "x", "name": null}']
)
def test_a_wrong_body_is_refused(box, body):
    answer = box[1].post(f"{box[0].base_url}/download", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


def test_a_job_is_made_over_time_and_its_outcome_is_told_without_a_key(shared, box):
    sandbox, client = box
    sandbox.set_scenario(Scenario("slow", rules=Rules(entries=EntryRules(processing_seconds=60))))
    made = client.post(f"{sandbox.base_url}/download", json={"stream_link": "https://x", "name": "New"}).json()
    assert made["status"] == "processing"
    job_id, outcome = made["data"]["id"], made["data"]["output_url"]
    assert ids(listed(box))[0] == job_id
    assert "download_url" not in listed(box).json()["data"]["downloads"][0]
    assert client.get(f"{sandbox.base_url}/download/{job_id}").json()["data"]["output_url"] == outcome
    assert httpx.get(outcome).json()["status"] == "processing"
    done = Sandbox([sandbox.store.get(job_id)], now=lambda: NOW + timedelta(seconds=60))
    with running(done):
        told = httpx.get(outcome.replace(sandbox.base_url, done.base_url)).json()
    assert told["status"] == "done"
    assert told["response"]["data"]["id"] == job_id


def test_a_job_in_error_says_why_and_can_be_made_again(box):
    sandbox, client = box
    sandbox.add(SandboxJob("broken", "x", status=JobStatus.ERROR, error="no such stream", created_at=NOW))
    url = f"{sandbox.base_url}/download/broken"
    data = client.get(url).json()["data"]
    assert (data["status"], data["error"]) == ("error", "no such stream")
    assert client.post(url).json()["status"] == "done"
    assert client.get(url).json()["data"]["status"] == "done"


def test_a_finished_job_is_made_again_with_other_bytes_or_not_at_all_where_the_rules_say_so(box):
    sandbox, client = box
    url = f"{sandbox.base_url}/download/j0"
    sandbox.set_scenario(Scenario("no", rules=Rules(entries=EntryRules(retry_done=False))))
    assert client.post(url).json()["success"] is False
    sandbox.set_scenario(Scenario("new", rules=Rules(entries=EntryRules(retry_changes_content=True))))
    before = sandbox.digests("j0")
    assert client.post(url).json()["success"] is True
    assert sandbox.digests("j0") != before


def test_a_job_is_deleted_by_query_or_by_body(box):
    sandbox, client = box
    url = f"{sandbox.base_url}/download"
    assert client.delete(url, params={"download_id": "j0"}).json()["success"] is True
    assert client.request("DELETE", url, json={"download_id": "j1"}).json()["success"] is True
    assert client.delete(url, params={"download_id": "j1"}).json()["success"] is False
    assert client.delete(url).status_code == 400
    assert ids(listed(box)) == ["j4", "j3", "j2"]


def test_an_unknown_job_is_success_false_and_an_unknown_outcome_404(box):
    sandbox, client = box
    answer = client.get(f"{sandbox.base_url}/download/nothing")
    assert (answer.status_code, answer.json()["success"]) == (200, False)
    assert client.get(f"{sandbox.base_url}/async-response/nothing").status_code == 404


def test_every_hostile_id_can_be_looked_up_and_fetched(box):
    sandbox, _ = box
    jobs = hostile_jobs(NOW, size=100)
    sandbox.add(*jobs)
    with httpx.Client(headers=KEY) as client, httpx.Client() as plain:
        for job in jobs:
            escaped = quote(job.id, safe="").replace(".", "%2E")
            data = client.get(f"{sandbox.base_url}/download/{escaped}").json()["data"]
            assert (data["id"], data["name"]) == (job.id, job.name)
            assert plain.get(data["download_url"]).content == sandbox.content(job.id).read(0, job.size)


@pytest.mark.parametrize("escaped", ["%FF", "%ED%FF", "%ED%A0%80", "%ED%95%9C", "%00", "a%2Fb"])
def test_an_id_of_any_bytes_is_an_unknown_id(box, escaped):
    answer = box[1].get(f"{box[0].base_url}/download/{escaped}")
    assert (answer.status_code, answer.json()["error_code"]) == (200, "NOT_FOUND")


def test_links_can_count_from_completion_and_die_until_looked_up(box):
    sandbox, client = box
    rules = Rules(links=LinkRules(origin=LinkOrigin.LOOKUP, ttl=timedelta(hours=1), expired=ExpiredForm.GONE))
    sandbox.set_scenario(Scenario("old", rules=rules))
    sandbox.add(SandboxJob("old", "Old", 10, created_at=NOW - timedelta(hours=2)))
    dead = listed(box, count=1).json()["data"]["downloads"][0]["download_url"]
    assert httpx.get(dead).status_code == 410
    alive = client.get(f"{sandbox.base_url}/download/old").json()["data"]["download_url"]
    assert httpx.get(alive).status_code == 200


@pytest.mark.parametrize(
    ("form", "value"), [(None, None), (RetryForm.SECONDS, "7"), (RetryForm.DATE, "Fri, 20 Nov 2026 12:00:07 GMT")]
)
def test_the_first_listings_are_refused_with_every_kind_of_retry_after(box, form, value):
    fault = Status(status=429, when=When(ops=frozenset({Op.LIST}), first=2))
    if form is not None:
        fault = Status(status=429, retry_after=7, retry_form=form, when=fault.when)
    box[0].set_scenario(Scenario("limited", api=(fault,)))
    answers = [listed(box) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers.get("retry-after") == value
    assert answers[0].json()["success"] is False


def test_the_key_stops_working_from_the_nth_request_on(box):
    box[0].set_scenario(Scenario("revoked", api=(Status(status=401, when=nth(2)),)))
    assert [listed(box).status_code for _ in range(4)] == [200, 200, 401, 401]


def test_success_false_and_pages_of_a_proxy_stand_where_the_answer_should(box):
    box[0].set_scenario(Scenario("odd", api=(SuccessFalse(when=first(1)), ErrorPage(when=When(after=1, first=1)))))
    answer = listed(box)
    assert (answer.status_code, answer.json()["success"]) == (200, False)
    answer = listed(box)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert listed(box).json()["success"] is True


def test_malformed_entries_stand_between_the_good_ones(box):
    box[0].set_scenario(Scenario("odd", api=(Malformed(entries=(None, 5, {"id": 7})),)))
    entries = listed(box).json()["data"]["downloads"]
    good = [entry["id"] for entry in entries if isinstance(entry, dict) and isinstance(entry["id"], str)]
    assert (len(entries), good) == (8, ["j4", "j3", "j2", "j1", "j0"])
    assert len(ids(listed(box))) == 5


def test_entries_can_be_patched_and_fields_dropped(box):
    patch = Patch(fields={"created_at": "yesterday", "more": 1}, drop=("name",), only=frozenset({"j3"}))
    box[0].set_scenario(Scenario("patched", api=(patch,)))
    entries = {entry["id"]: entry for entry in listed(box).json()["data"]["downloads"]}
    assert entries["j3"].keys() == {"id", "status", "created_at", "download_url", "more"}
    assert entries["j2"]["name"] == "Film 2"
    assert box[1].get(f"{box[0].base_url}/download/j3").json()["data"]["created_at"] == "yesterday"


@pytest.mark.parametrize(("form", "link"), [(MissingForm.NULL, None), (MissingForm.EMPTY, "")])
def test_a_finished_job_has_no_link_for_a_while(box, form, link):
    when = When(ops=frozenset({Op.LIST}), first=2)
    box[0].set_scenario(Scenario("no link", api=(NoLink(form=form, only=frozenset({"j4"}), when=when),)))
    links = [listed(box).json()["data"]["downloads"][0]["download_url"] for _ in range(3)]
    assert links[:2] == [link, link]
    assert links[2].startswith("http")


@pytest.mark.parametrize("place", Place)
def test_pages_shift_while_they_are_listed(box, place):
    sandbox, _ = box
    sandbox.set_scenario(Scenario("shifting", api=(Shift(create=2, delete=1, place=place, when=When(first=2)),)))
    before = ids(listed(box, count=2))
    assert before == ["j4", "j3"]
    assert len(sandbox.store) == 6
    after = ids(listed(box, page_index=1, count=2))
    if place is Place.HEAD:
        assert after == ["j3", "j2"]
    if place is Place.TAIL:
        assert after == ["j2", "j1"]
    listed(box, page_index=2, count=2)
    assert len(sandbox.store) == 7


def test_a_server_can_ignore_what_it_is_asked(box):
    rules = Rules(pages=PageRules(cap=3, ignore_index=True))
    box[0].set_scenario(Scenario("deaf", rules=rules))
    assert ids(listed(box, page_index=9, count=50)) == ["j4", "j3", "j2"]


def test_an_answer_of_the_api_breaks_off_too(box):
    box[0].set_scenario(Scenario("cut", api=(Cut(after=20, when=first(1)), Frame(when=When(after=1)))))
    with pytest.raises(httpx.RemoteProtocolError):
        listed(box)
    answer = listed(box)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert len(ids(answer)) == 5
