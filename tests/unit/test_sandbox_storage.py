"""The sandbox's storage over real HTTP: ranges, validators, checksums, and links that are refused."""

import base64
import hashlib
import random
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from syncer.sandbox import (
    ChecksumForm,
    ExpiredForm,
    Kind,
    LinkForm,
    LinkRules,
    Rules,
    Sandbox,
    SandboxJob,
    Scenario,
    StorageRules,
    ValidatorForm,
    running,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SIZE = 300_000
JOB = SandboxJob("film", "Film", SIZE, created_at=NOW - timedelta(hours=1))
MODIFIED = "Fri, 20 Nov 2026 11:00:00 GMT"


@pytest.fixture(scope="module")
def shared():
    with running(Sandbox([JOB], now=lambda: NOW, rng=random.Random(1))) as sandbox, httpx.Client() as client:
        yield sandbox, client


@pytest.fixture
def box(shared):
    shared[0].set_scenario(Scenario("healthy"))
    shared[0].log.clear()
    return shared


@pytest.fixture
def whole(box):
    return box[0].content("film").read(0, SIZE)


def fetched(box, **headers):
    sandbox, client = box
    return client.get(sandbox.link(JOB), headers={name.replace("_", "-"): text for name, text in headers.items()})


def test_the_whole_file_comes_with_everything_a_storage_says_of_it(box, whole):
    answer = fetched(box)
    assert answer.status_code == 200
    assert answer.content == whole
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["etag"] == box[0].content("film").etag
    assert answer.headers["last-modified"] == MODIFIED
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "video/mp4"
    digests = box[0].digests("film")
    assert answer.headers["x-goog-hash"] == f"crc32c={digests.crc32c},md5={digests.md5_base64}"
    assert base64.b64decode(digests.md5_base64) == hashlib.md5(whole).digest()


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=299000-", 299000, SIZE),
        ("bytes=-10", SIZE - 10, SIZE),
        ("bytes=-999999", 0, SIZE),
        ("bytes=10-999999", 10, SIZE),
        ("BYTES=5-9", 5, 10),
    ],
)
def test_one_range_is_honoured(box, whole, asked, start, stop):
    answer = fetched(box, range=asked)
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer.content == whole[start:stop]
    assert "x-goog-hash" in answer.headers


@pytest.mark.parametrize("asked", ["bytes=", "bytes=-", "bytes=9-5", "bytes=0-1,5-6", "items=0-1", "bytes=a-b"])
def test_what_is_no_single_range_is_ignored(box, asked):
    assert (fetched(box, range=asked).status_code, len(fetched(box, range=asked).content)) == (200, SIZE)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=999999-1000000", "bytes=-0"])
def test_a_range_beyond_the_end_is_416_with_the_total(box, asked):
    answer = fetched(box, range=asked)
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{SIZE}")


def test_if_range_honours_the_validators_that_are_sent_and_no_other(box):
    etag = box[0].content("film").etag
    for validator, form, status in [
        (etag, ValidatorForm.BOTH, 206),
        (MODIFIED, ValidatorForm.BOTH, 206),
        ('"other"', ValidatorForm.BOTH, 200),
        (f"W/{etag}", ValidatorForm.BOTH, 200),
        ("Fri, 20 Nov 2026 11:00:01 GMT", ValidatorForm.BOTH, 200),
        (MODIFIED, ValidatorForm.ETAG, 200),
        (etag, ValidatorForm.DATE, 200),
        (MODIFIED, ValidatorForm.DATE, 206),
        (f"W/{etag}", ValidatorForm.WEAK, 200),
        (etag, ValidatorForm.NONE, 200),
    ]:
        box[0].set_scenario(Scenario("v", rules=Rules(storage=StorageRules(validators=form))))
        answer = fetched(box, range="bytes=5-", if_range=validator)
        assert answer.status_code == status, (validator, form)
        assert ("etag" in answer.headers) == (form not in (ValidatorForm.DATE, ValidatorForm.NONE))
        assert ("last-modified" in answer.headers) == (form in (ValidatorForm.DATE, ValidatorForm.BOTH))


def test_checksums_come_in_the_form_the_rules_say(box, whole):
    def told(form, **headers):
        box[0].set_scenario(Scenario("c", rules=Rules(storage=StorageRules(checksum=form))))
        sent = fetched(box, **headers).headers
        return {name: sent[name] for name in ("x-goog-hash", "content-md5") if name in sent}

    digests = box[0].digests("film")
    assert told(ChecksumForm.NONE) == {}
    assert told(ChecksumForm.GOOG_CRC32C, range="bytes=5-") == {"x-goog-hash": f"crc32c={digests.crc32c}"}
    assert told(ChecksumForm.CONTENT_MD5) == {"content-md5": digests.md5_base64}
    assert told(ChecksumForm.CONTENT_MD5, range="bytes=5-") == {}


def test_amazons_way_the_etag_is_the_md5_unless_a_key_of_kms_sealed_it(box):
    def told(form):
        box[0].set_scenario(Scenario("c", rules=Rules(storage=StorageRules(checksum=form))))
        return fetched(box).headers

    md5 = f'"{box[0].digests("film").md5}"'
    plain, sealed = told(ChecksumForm.S3), told(ChecksumForm.S3_KMS)
    assert (plain["server"], plain["etag"], plain["x-amz-server-side-encryption"]) == ("AmazonS3", md5, "AES256")
    assert (sealed["server"], sealed["x-amz-server-side-encryption"]) == ("AmazonS3", "aws:kms")
    assert sealed["etag"] not in ("", md5)
    box[0].set_scenario(Scenario("c", rules=Rules(storage=StorageRules(checksum=ChecksumForm.S3))))
    assert fetched(box, range="bytes=5-", if_range=md5).status_code == 206


def test_a_storage_without_ranges_says_so_and_sends_all(box):
    box[0].set_scenario(Scenario("n", rules=Rules(storage=StorageRules(ranges=False))))
    answer = fetched(box, range="bytes=5-")
    assert (answer.status_code, len(answer.content), "accept-ranges" in answer.headers) == (200, SIZE, False)


def test_a_request_with_the_api_key_is_refused_and_counted(box):
    answer = fetched(box, x_access_token="sk-sandbox")
    assert answer.status_code == 400
    assert box[0].token_leaks == 1
    fetched(box)
    assert box[0].token_leaks == 1


def test_head_is_refused_as_by_a_link_signed_for_get(box):
    answer = box[1].head(box[0].link(JOB))
    assert (answer.status_code, answer.content) == (403, b"")


@pytest.mark.parametrize("form", LinkForm)
def test_a_link_dies_to_the_second_whatever_it_says_of_itself(form):
    at = [NOW]
    scenario = Scenario("l", rules=Rules(links=LinkRules(form=form, ttl=timedelta(minutes=1))))
    with running(Sandbox([JOB], scenario, now=lambda: at[0])) as sandbox:
        link = sandbox.link(JOB)
        at[0] = NOW + timedelta(seconds=59)
        assert httpx.get(link).status_code == 200
        sandbox.advance(timedelta(seconds=1))
        answer = httpx.get(link)
        assert answer.status_code == 403
        assert "Request has expired" in answer.text
        assert answer.headers["content-type"] == "application/xml"


@pytest.mark.parametrize(
    ("form", "status", "word"),
    [
        (ExpiredForm.GCS, 400, "ExpiredToken"),
        (ExpiredForm.UNAUTHORIZED, 401, "expired"),
        (ExpiredForm.NOT_FOUND, 404, "NoSuchKey"),
        (ExpiredForm.GONE, 410, "expired"),
    ],
)
def test_a_dead_link_is_refused_in_every_dialect(box, form, status, word):
    box[0].set_scenario(Scenario("d", rules=Rules(links=LinkRules(expired=form, early=timedelta(hours=24)))))
    answer = fetched(box)
    assert (answer.status_code, word in answer.text) == (status, True)


def test_a_changed_link_and_a_link_to_a_removed_job_grant_nothing(box):
    link = box[0].link(JOB)
    assert "SignatureDoesNotMatch" in box[1].get(link.replace("86400", "86401")).text
    gone = SandboxJob("gone", "x", 10)
    answer = box[1].get(box[0].link(gone))
    assert (answer.status_code, "NoSuchKey" in answer.text) == (404, True)


def test_a_link_on_the_apis_host_leads_to_the_storage(box):
    sandbox, client = box
    sandbox.set_scenario(Scenario("via", rules=Rules(links=LinkRules(via_api=True))))
    link = sandbox.link(JOB)
    assert link.startswith(sandbox.base_url)
    answer = client.get(link)
    assert answer.status_code == 302
    assert answer.headers["location"] == link.replace(sandbox.base_url, sandbox.storage_url)
    assert client.get(answer.headers["location"]).status_code == 200


def test_a_file_of_many_gibibytes_is_served_from_its_end():
    job = SandboxJob("huge", "Huge", 20 << 30, created_at=NOW)
    rules = Rules(storage=StorageRules(checksum=ChecksumForm.NONE))
    with running(Sandbox([job], Scenario("huge", rules=rules))) as sandbox:
        answer = httpx.get(sandbox.link(job), headers={"range": "bytes=-70000"})
        assert answer.headers["content-range"] == f"bytes {job.size - 70000}-{job.size - 1}/{job.size}"
        assert answer.content == sandbox.content("huge").read(job.size - 70000, 70000)


def test_an_empty_file_is_a_file(box):
    empty = SandboxJob("empty", "Empty", 0)
    with running(Sandbox([empty])) as sandbox:
        answer = httpx.get(sandbox.link(empty))
        assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
        assert httpx.get(sandbox.link(empty), headers={"range": "bytes=0-"}).status_code == 416


def test_requests_share_a_connection_and_are_logged_without_signatures(box):
    fetched(box, range="bytes=7-", if_range='"x"')
    fetched(box)
    one, two = box[0].log.requests(Kind.STORAGE)
    assert one.port == two.port
    assert (one.range, one.if_range, one.status, one.body_bytes, one.job_id) == ("bytes=7-", '"x"', 200, SIZE, "film")
    assert "Signature" not in str(box[0].log.stats())
