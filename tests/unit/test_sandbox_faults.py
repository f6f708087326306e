"""Faults of the sandbox on the wire: each does what it is named after, when it is told to, and no more."""

import gzip
import random
import socket
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from syncer.sandbox import (
    SCENARIOS,
    Changed,
    ChecksumForm,
    Cut,
    Delay,
    Endless,
    EndsWithLink,
    ErrorPage,
    Frame,
    Framing,
    Gzip,
    IgnoredRange,
    Kind,
    Longer,
    MultipartRange,
    Op,
    PageForm,
    Promise,
    Redirect,
    Refused,
    Reset,
    Rules,
    Sandbox,
    SandboxJob,
    Scenario,
    Slow,
    Stall,
    Status,
    StorageRules,
    Truncated,
    UnknownTotal,
    Unsatisfied,
    Validators,
    When,
    WholeAsPart,
    WrongChecksum,
    WrongRange,
    combined,
    first,
    running,
    scenario,
)
from syncer.sandbox.faults import Ask, FaultBook

SIZE = 400_000
JOB = SandboxJob("film", "Film", SIZE)
OTHER = SandboxJob("other", "Other", 1000)
CLIENT = httpx.Client()


@pytest.fixture(scope="module")
def shared():
    with running(Sandbox([JOB, OTHER], rng=random.Random(1))) as sandbox, CLIENT:
        yield sandbox


@pytest.fixture
def box(shared):
    shared.store.put(JOB)
    shared.log.clear()
    return shared


def strike(sandbox, *faults, **rules):
    sandbox.set_scenario(Scenario("test", storage=faults, rules=Rules(**rules)))


def get(sandbox, job=JOB, **headers):
    return CLIENT.get(sandbox.link(job), headers=headers, timeout=20)


def raw(sandbox, job=JOB, timeout=20, limit=None):
    """Every byte of one answer, and whether the connection ended in a reset."""
    url = urlsplit(sandbox.link(job))
    with socket.create_connection((url.hostname, url.port), timeout) as sock:
        sock.sendall(f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        read = b""
        try:
            while limit is None or len(read) < limit:
                piece = sock.recv(65536)
                if not piece:
                    return read, False
                read += piece
        except ConnectionResetError:
            return read, True
        return read, False


def body_of(read):
    return read.partition(b"\r\n\r\n")[2]


def test_an_answer_is_cut_after_so_many_bytes_as_often_as_told(box):
    strike(box, Cut(after=1234, when=first(2)))
    for _ in range(2):
        read, reset = raw(box)
        assert f"content-length: {SIZE}".encode() in read
        assert (body_of(read), reset) == (box.content("film").read(0, 1234), False)
    assert len(get(box).content) == SIZE
    assert [seen.body_bytes for seen in box.log.requests(Kind.STORAGE)] == [1234, 1234, SIZE]
    assert [seen.faults for seen in box.log.requests(Kind.STORAGE)] == [("Cut",), ("Cut",), ()]


def test_an_answer_is_cut_at_a_share_of_it_and_for_each_job_by_itself(box):
    strike(box, Cut(share=0.25, when=first(1)))
    assert len(body_of(raw(box)[0])) == SIZE // 4
    assert len(body_of(raw(box, OTHER)[0])) == 250
    assert len(get(box, OTHER).content) == 1000


def test_a_connection_is_reset(box):
    strike(box, Reset(after=1000))
    read, reset = raw(box)
    assert reset
    assert len(body_of(read)) <= 1000


def test_an_answer_stalls_until_the_client_leaves(box):
    strike(box, Stall(after=1000))
    with pytest.raises(httpx.ReadTimeout), httpx.stream("GET", box.link(JOB), timeout=0.2) as answer:
        for _ in answer.iter_raw(chunk_size=1000):
            pass
    (seen,) = box.log.requests(Kind.STORAGE)
    assert (seen.status, seen.body_bytes) == (200, 1000)


def test_a_stalled_answer_does_not_keep_the_sandbox_from_stopping():
    with running(Sandbox([JOB], Scenario("s", storage=(Stall(after=10), Delay(seconds=0.01))))) as sandbox:
        read, _ = raw(sandbox, limit=10)
        assert read
        url = urlsplit(sandbox.link(JOB))
        left = socket.create_connection((url.hostname, url.port), 20)
        left.sendall(f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert left.recv(10)
    with left:
        try:
            while left.recv(65536):
                pass
        except ConnectionResetError:
            pass


def test_a_slow_answer_takes_its_time_and_is_whole(box):
    strike(box, Slow(rate=2000))
    answer = get(box, OTHER)
    assert answer.content == box.content("other").read(0, 1000)
    assert answer.elapsed.total_seconds() > 0.4


def test_a_shared_line_is_shared(box):
    strike(box, Slow(rate=8000, shared=True))
    assert sum(get(box, OTHER).elapsed.total_seconds() for _ in range(2)) > 0.2


@pytest.mark.parametrize(
    ("form", "kind", "word"),
    [
        (PageForm.HTML, "text/html; charset=utf-8", "<!DOCTYPE html>"),
        (PageForm.JSON, "application/json", '"success": false'),
        (PageForm.XML, "application/xml", "<Error>"),
        (PageForm.TEXT, "text/plain", "Access denied"),
        (PageForm.EMPTY, "text/plain", ""),
    ],
)
def test_a_page_stands_where_the_file_should(box, form, kind, word):
    strike(box, ErrorPage(form=form))
    answer = get(box)
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert word in answer.text
    strike(box, ErrorPage(form=form, content_type="video/mp4"))
    assert get(box).headers["content-type"] == "video/mp4"


def test_a_page_comes_compressed_or_as_a_picture(box):
    strike(box, ErrorPage(form=PageForm.ZIPPED, content_type="video/mp4"))
    answer = get(box)
    assert "content-encoding" not in answer.headers
    assert gzip.decompress(answer.content).startswith(b"<!DOCTYPE html>")
    strike(box, ErrorPage(form=PageForm.PICTURE))
    assert get(box).content.startswith(b"\x89PNG\r\n")


def test_a_refusal_of_the_storage_is_xml_with_a_retry_after(box):
    strike(box, Status(status=503, retry_after=3, when=first(1)))
    answer = get(box)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert answer.text.startswith("<?xml")
    assert get(box).status_code == 200


def test_a_link_is_refused_until_the_job_is_looked_up(box):
    strike(box, Refused(until_relinked=True))
    assert get(box).status_code == 403
    url = f"{box.base_url}/download/film"
    relinked = httpx.get(url, headers={"x-access-token": box.api_key}).json()["data"]["download_url"]
    assert httpx.get(relinked).status_code == 200


def test_a_range_is_ignored(box):
    strike(box, IgnoredRange())
    answer = get(box, range="bytes=100-")
    assert (answer.status_code, len(answer.content)) == (200, SIZE)


def test_a_range_begins_elsewhere(box):
    strike(box, WrongRange(shift=-50, when=When(ranged=True, first=1)))
    assert get(box).status_code == 200
    answer = get(box, range="bytes=100-")
    assert answer.headers["content-range"] == f"bytes 50-{SIZE - 1}/{SIZE}"
    assert answer.content == box.content("film").read(50, SIZE)
    assert get(box, range="bytes=100-").headers["content-range"].startswith("bytes 100-")


def test_a_range_is_of_a_file_of_another_length(box):
    strike(box, WrongRange(shift=0, total=5))
    assert get(box, range="bytes=100-").headers["content-range"] == f"bytes 100-{SIZE - 1}/{SIZE + 5}"


def test_a_range_comes_in_parts(box):
    strike(box, MultipartRange())
    answer = get(box, range="bytes=100-199")
    assert answer.status_code == 206
    assert answer.headers["content-type"] == "multipart/byteranges; boundary=sandbox-part"
    assert "content-range" not in answer.headers
    assert b"Content-Range: bytes 100-199/" in answer.content
    assert box.content("film").read(100, 100) in answer.content


def test_a_range_is_refused_with_the_length_or_without(box):
    strike(box, Unsatisfied())
    assert get(box).status_code == 200
    refused = get(box, range="bytes=5-")
    assert (refused.status_code, refused.headers["content-range"]) == (416, f"bytes */{SIZE}")
    strike(box, Unsatisfied(told=False))
    assert "content-range" not in get(box, range="bytes=5-").headers


def test_a_range_does_not_say_how_long_the_file_is(box):
    strike(box, UnknownTotal())
    answer = get(box, range="bytes=5-")
    assert (answer.status_code, answer.headers["content-range"]) == (206, f"bytes 5-{SIZE - 1}/*")
    assert "content-range" not in get(box).headers


def test_the_whole_file_calls_itself_a_part(box):
    strike(box, WholeAsPart())
    answer = get(box)
    assert (answer.status_code, answer.headers["content-range"]) == (206, f"bytes 0-{SIZE - 1}/{SIZE}")
    assert answer.content == box.content("film").read(0, SIZE)


def test_a_body_has_no_end(box):
    strike(box, Endless())
    read, _ = raw(box, limit=3 * SIZE)
    assert b"content-length" not in read.partition(b"\r\n\r\n")[0].lower()
    assert len(read) >= 3 * SIZE


def test_the_file_is_another_one_when_the_rest_is_asked_for(box):
    strike(box, Changed())
    before = get(box).headers["etag"]
    answer = get(box, **{"range": "bytes=100-", "if-range": before})
    assert (answer.status_code, answer.headers["etag"] != before) == (200, True)
    assert answer.content == box.content("film").read(0, SIZE)
    assert get(box).headers["etag"] == answer.headers["etag"]
    assert box.store.get("film").version == 2


def test_the_file_changes_in_length_and_without_a_sign(box):
    strike(box, Changed(size=SIZE - 7), Validators())
    assert "etag" not in get(box).headers
    answer = get(box, range="bytes=100-")
    assert answer.headers["content-range"] == f"bytes 100-{SIZE - 8}/{SIZE - 7}"
    assert "etag" not in answer.headers


def test_a_checksum_is_of_other_bytes(box):
    strike(box, WrongChecksum())
    assert get(box).headers["x-goog-hash"].startswith("crc32c=WlpaWg==")
    strike(box, WrongChecksum(), storage=StorageRules(checksum=ChecksumForm.CONTENT_MD5))
    assert get(box).headers["content-md5"] != box.digests("film").md5_base64


def test_a_body_falls_short_of_its_length_or_overshoots_it(box):
    strike(box, Promise(off=10))
    read, _ = raw(box)
    assert f"content-length: {SIZE + 10}".encode() in read
    assert len(body_of(read)) == SIZE
    strike(box, Longer(extra=10))
    read, _ = raw(box)
    assert f"content-length: {SIZE}".encode() in read
    assert len(body_of(read)) == SIZE + 10
    strike(box, Truncated(missing=10))
    answer = get(box)
    assert (answer.headers["content-length"], len(answer.content)) == (str(SIZE - 10), SIZE - 10)


def test_a_body_comes_without_a_length(box):
    strike(box, Frame())
    answer = get(box)
    assert ("content-length" in answer.headers, len(answer.content)) == (False, SIZE)
    strike(box, Frame(framing=Framing.CLOSE))
    read, _ = raw(box)
    assert b"\r\ncontent-length" not in read
    assert body_of(read) == box.content("film").read(0, SIZE)


def test_a_chunked_body_is_cut(box):
    strike(box, Frame(), Cut(after=5000))
    read, _ = raw(box)
    assert b"transfer-encoding: chunked" in read
    assert not read.endswith(b"0\r\n\r\n")
    with pytest.raises(httpx.RemoteProtocolError):
        get(box)


def test_a_body_is_compressed_though_nobody_asked(box):
    strike(box, Gzip())
    read, _ = raw(box, OTHER, limit=1100)
    assert b"content-encoding: gzip" in read
    assert get(box).content == box.content("film").read(0, SIZE)
    strike(box, Gzip(), Frame(framing=Framing.CLOSE))
    read, _ = raw(box)
    assert gzip.decompress(body_of(read)) == box.content("film").read(0, SIZE)


def test_the_storage_redirects_to_another_host_and_back_or_for_ever(box):
    strike(box, Redirect(hops=2))
    answer = get(box)
    assert answer.headers["location"].startswith(box.other_url)
    second = httpx.get(answer.headers["location"])
    assert second.headers["location"].startswith(box.storage_url)
    assert httpx.get(second.headers["location"]).status_code == 200
    strike(box, Redirect(loop=True))
    with pytest.raises(httpx.TooManyRedirects):
        httpx.get(box.link(JOB), follow_redirects=True)


def test_faults_combine(box):
    strike(box, Status(status=500, when=first(1)), Frame(), Slow(rate=1e9), Cut(after=10, when=When(after=1, first=1)))
    assert get(box).status_code == 500
    with pytest.raises(httpx.RemoteProtocolError):
        get(box)
    assert len(get(box).content) == SIZE


@pytest.mark.parametrize(
    ("when", "struck"),
    [
        (When(), [1, 2, 3, 4, 5, 6]),
        (When(first=2), [1, 2]),
        (When(after=2), [3, 4, 5, 6]),
        (When(after=1, first=2), [2, 3]),
        (When(every=3), [1, 4]),
        (When(jobs=frozenset({"x"})), []),
        (When(ops=frozenset({Op.OBJECT}), first=1), [1]),
        (When(ranged=True), []),
        (When(chance=0.0), []),
    ],
)
def test_a_fault_strikes_when_told(when, struck):
    book = FaultBook([Cut(when=when)], random.Random(1))
    ask = Ask(Kind.STORAGE, Op.OBJECT, "film")
    assert [nth for nth in range(1, 7) if book.strike(ask)] == struck


def test_requests_are_counted_for_each_job_or_for_all():
    asks = [Ask(Kind.STORAGE, Op.OBJECT, job_id) for job_id in "abab"]
    for per_job, struck in [(True, [True, True, False, False]), (False, [True, False, False, False])]:
        book = FaultBook([Cut(when=When(first=1, per_job=per_job))], random.Random(1))
        assert [bool(book.strike(ask)) for ask in asks] == struck


def test_a_chance_is_drawn_from_the_injected_randomness():
    def drawn():
        book = FaultBook([Cut(when=When(chance=0.5))], random.Random(9))
        return [bool(book.strike(Ask(Kind.STORAGE, Op.OBJECT, "a"))) for _ in range(50)]

    assert drawn() == drawn()
    assert 10 < sum(drawn()) < 40


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_ready_made_scenario_lets_a_patient_client_through(name):
    job = replace(JOB, size=20_000)
    with running(Sandbox([job], scenario(name))) as sandbox:
        wanted = sandbox.content("film", 1).read(0, 20_000), sandbox.content("film", 2).read(0, 20_000)
        for tried in range(4):
            link = sandbox.link(replace(job, generation=tried), lookup=tried > 0)
            try:
                answer = httpx.get(link, timeout=0.5, follow_redirects=True)
            except (httpx.RemoteProtocolError, httpx.ReadTimeout, httpx.ReadError):
                continue
            if answer.status_code == 200 and answer.content in wanted:
                break
        assert answer.content == sandbox.content("film").read(0, 20_000)
        assert SCENARIOS[name].about.endswith(".")


def test_scenarios_can_be_named_and_combined():
    both = combined(scenario("cut"), scenario("shifting"), scenario("slow"))
    assert both.name == "cut+shifting+slow"
    assert both.rules == scenario("shifting").rules
    assert both.storage == scenario("cut").storage + scenario("slow").storage
    with pytest.raises(ValueError, match="healthy"):
        scenario("nonsense")


def test_a_body_ends_with_the_life_of_its_link():
    slow = Scenario("t", storage=(EndsWithLink(), Slow(rate=400_000)))
    with running(Sandbox([JOB], slow)) as sandbox:

        def read_on(answer):
            for _ in answer.iter_raw():
                sandbox.advance(timedelta(hours=25))

        with httpx.stream("GET", sandbox.link(JOB), timeout=20) as answer, pytest.raises(httpx.RemoteProtocolError):
            read_on(answer)
        (seen,) = sandbox.log.requests(Kind.STORAGE)
        assert (seen.status, 0 < seen.body_bytes < SIZE) == (200, True)
        assert get(sandbox).status_code == 200
