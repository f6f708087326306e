"""Faults of the storage and of the line, against the sandbox: what the user reads, and what becomes of the bytes."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from helpers.site import jobs

from syncer.core.events import BytesArrived
from syncer.sandbox import (
    HEALTHY,
    Changed,
    ChecksumForm,
    Cut,
    Delay,
    Endless,
    EndsWithLink,
    ErrorPage,
    ExpiredForm,
    Frame,
    Framing,
    Gzip,
    IgnoredRange,
    Kind,
    LinkOrigin,
    LinkRules,
    Longer,
    MultipartRange,
    Op,
    PageForm,
    Promise,
    Redirect,
    Refused,
    Reset,
    RetryForm,
    Rules,
    Scenario,
    Slow,
    Stall,
    Status,
    StorageRules,
    Truncated,
    UnknownTotal,
    Unsatisfied,
    ValidatorForm,
    When,
    WholeAsPart,
    WrongChecksum,
    WrongRange,
)

SIZE = 130_000  # less than what makes a failed try count as progress: one try is one try
HALF = 90_000  # more than the overlap
STRUCK = When(jobs=frozenset({"job-000"}))
OF_A_RANGE = When(ranged=True)
SILENT = StorageRules(checksum=ChecksumForm.NONE)
NONE, SOME = "none", "some"


@dataclass(frozen=True)
class Case:
    """Faults that strike every answer for one of two files, and what is left of it after one try."""

    faults: tuple
    reason: str  # what the user reads
    kept: str | int = NONE  # bytes of the partial that are still there
    storage: StorageRules = field(default_factory=StorageRules)
    options: dict = field(default_factory=dict)


def struck(kind, **more):
    return kind(when=STRUCK, **more)


PAGES = {
    f"a page of {form} with status 200": Case((struck(ErrorPage, form=form),), "instead of the file")
    for form in (PageForm.HTML, PageForm.JSON, PageForm.XML, PageForm.TEXT, PageForm.PICTURE, PageForm.EMPTY)
}
DISGUISED = {
    f"{form} that calls itself a video": Case((struck(ErrorPage, form=form, content_type="video/mp4"),), reason)
    for form, reason in {
        PageForm.HTML: "a page instead of the file",
        PageForm.JSON: "a page instead of the file",
        PageForm.XML: "a page instead of the file",
        PageForm.TEXT: "text instead of the file, and called it video/mp4",
        PageForm.ZIPPED: "gzip instead of the file, and called it video/mp4",
        PageForm.PICTURE: "image/png instead of the file, and called it video/mp4",
        PageForm.EMPTY: "an empty body, and no checksum says that the file is empty",
    }.items()
}
REFUSALS = {
    f"status {status}": Case((struck(Status, status=status),), f"answered {status}")
    for status in (400, 408, 429, 500, 501, 502, 503, 504)
}
CHECKSUMS = {
    f"a checksum of other bytes, {form}": Case(
        (struck(WrongChecksum),), "is not that of the bytes that arrived", NONE, StorageRules(checksum=form)
    )
    for form in (ChecksumForm.GOOG, ChecksumForm.CONTENT_MD5, ChecksumForm.S3)
}
SHORT = {
    f"the end missing and the length right for the rest, {form}": Case(
        (struck(Truncated),), "is not that of the bytes that arrived", NONE, StorageRules(checksum=form)
    )
    for form in (ChecksumForm.GOOG, ChecksumForm.GOOG_CRC32C, ChecksumForm.S3)
}

FIRST_ANSWERS = {
    "cut within its Content-Length": Case((struck(Cut, after=HALF),), "ended the connection", HALF),
    "chunked and cut": Case((struck(Frame), struck(Cut, after=HALF)), "ended the connection", HALF, SILENT),
    "without a length and cut": Case(
        (struck(Frame, framing=Framing.CLOSE), struck(Cut, after=HALF)), "ended the connection", HALF
    ),
    "without any sign of its length": Case(
        (struck(Frame, framing=Framing.CLOSE),), "did not say how long the file is", NONE, SILENT
    ),
    "a Content-Length that no byte follows for": Case((struck(Promise),), "ended the connection", SIZE),
    "a Content-Length that is too small": Case((struck(Promise, off=-1000),), "is not that of the bytes", NONE),
    "chunks beyond the promised length": Case((struck(Frame), struck(Longer)), "more bytes than it promised", NONE),
    "reset in the middle": Case((struck(Reset),), "The connection to", SOME),
    "silence in the middle": Case(
        (struck(Stall, after=HALF),), "sent no byte for 0.5 s", HALF, options={"read_timeout": "0.5"}
    ),
    "silence before the head": Case(
        (struck(Delay, seconds=60),), "sent no byte for 0.5 s", NONE, options={"read_timeout": "0.5"}
    ),
    **PAGES,
    **DISGUISED,
    **REFUSALS,
    **CHECKSUMS,
    **SHORT,
    "an encoding nobody asked for": Case((struck(Gzip),), "encoded (gzip), which nobody asked for"),
    "redirected in a circle": Case((struck(Redirect, loop=True),), "redirected"),
    "redirected too often": Case((struck(Redirect, hops=7),), "redirected more than 5 times"),
    "no end": Case((struck(Endless),), "more bytes than --max-file-size allows", NONE, options={"max_file_size": "1M"}),
}


def faulty(*faults, storage=None, links=None):
    return Scenario("test", "", Rules(links=links or LinkRules(), storage=storage or StorageRules()), (), faults)


def on_disk(here):
    """Bytes of the partials, largest first."""
    return sorted((path.stat().st_size for path in here.partials()), reverse=True)


def check_kept(here, kept):
    found = on_disk(here)
    if kept == SOME:
        assert 0 < sum(found) < SIZE
    else:
        assert [size for size in found if size] == ([] if kept == NONE else [kept])


@pytest.mark.parametrize("case", FIRST_ANSWERS.values(), ids=FIRST_ANSWERS.keys())
async def test_a_bad_answer(site, case):
    here = site(jobs(2, size=SIZE), faulty(*case.faults, storage=case.storage), tries="1", **case.options)
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored, report.jobs.pending) == (6, 1, 1)
    (failure,) = report.failures
    assert (failure.id, case.reason in failure.reason) == ("job-000", True), failure.reason
    assert len(here.files()) == 1
    check_kept(here, case.kept)
    here.sandbox.set_scenario(faulty(storage=case.storage))
    healed = await here.sync(tries="2")
    assert (healed.exit_code, healed.transfer.fetched) == (0, 1)
    # Bytes that were kept are gone on from, unless the length they were promised under was a false one.
    assert healed.transfer.resumed == (case.kept not in (NONE, SIZE))
    await here.check_whole()


HARMLESS = {
    "redirected to another host": (Redirect(),),
    "redirected five times": (Redirect(hops=5),),
    "chunked": (Frame(),),
    "ended by the connection, its length told elsewhere": (Frame(framing=Framing.CLOSE),),
    "bytes behind the last one": (Longer(),),
    "the whole file as one part": (WholeAsPart(),),
}


@pytest.mark.parametrize("faults", HARMLESS.values(), ids=HARMLESS.keys())
async def test_an_odd_answer_that_is_the_file_nevertheless(site, faults):
    here = site(jobs(2, size=SIZE), faulty(*faults))
    report = await here.sync(tries="1")
    assert (report.exit_code, report.transfer.bytes) == (0, 2 * SIZE)
    await here.check_whole()


async def test_an_etag_that_only_looks_like_an_md5_is_no_checksum(site):
    here = site(jobs(2, size=SIZE), faulty(storage=StorageRules(checksum=ChecksumForm.S3_KMS)))
    assert (await here.sync(tries="1")).exit_code == 0
    await here.check_whole()


async def test_neither_key_nor_range_is_lost_on_a_link_that_leads_over_the_apis_own_host(site):
    here = site(jobs(1, size=SIZE), faulty(Cut(after=HALF, when=When(first=1)), links=LinkRules(via_api=True)))
    report = await here.sync()
    assert (report.exit_code, report.transfer.resumed, here.sandbox.token_leaks) == (0, 1, 0)
    await here.check_whole()


@dataclass(frozen=True)
class Sequel:
    """Half of a file is on disk, and the rest is answered so; what one try makes of it."""

    faults: tuple
    reason: str = ""  # what the user reads; nothing where the try itself ends well
    kept: str | int = HALF
    storage: StorageRules = field(default_factory=StorageRules)
    restarted: int = 0


def of_a_range(kind, **more):
    return kind(when=OF_A_RANGE, **more)


def validated(form):
    return StorageRules(validators=form, checksum=ChecksumForm.NONE)


NEXT = When(first=1)

SECOND_ANSWERS = {
    "200 for a range": Sequel((IgnoredRange(),), restarted=1),
    "a part that begins elsewhere": Sequel((of_a_range(WrongRange),), restarted=1),
    "a part that begins at the first byte": Sequel((of_a_range(WrongRange, shift=-SIZE),), restarted=1),
    "a part of a file of another length": Sequel((of_a_range(WrongRange, shift=0, total=5000),), restarted=1),
    "a part that ends too soon": Sequel(
        (of_a_range(WrongRange, shift=0), of_a_range(Cut)), "ended the connection", SOME
    ),
    "a part without a total": Sequel((of_a_range(UnknownTotal),)),
    "multipart/byteranges": Sequel((of_a_range(MultipartRange),), restarted=1),
    "416": Sequel((of_a_range(Unsatisfied),), restarted=1),
    "416 without a length": Sequel((of_a_range(Unsatisfied, told=False),), restarted=1),
    "a page, whatever is asked for": Sequel((ErrorPage(),), "text/html instead of the file"),
    "a page, where a range is asked for": Sequel((of_a_range(ErrorPage),), restarted=1),
    "an encoding, whatever is asked for": Sequel((Gzip(),), "nobody asked for"),
    "a refusal for now": Sequel((Status(status=503),), "answered 503"),
    "a checksum of another file": Sequel((of_a_range(WrongChecksum),), restarted=1),
    "another version, by ETag and date": Sequel((Changed(when=NEXT),), restarted=1),
    "another version, by ETag": Sequel((Changed(when=NEXT),), storage=validated(ValidatorForm.ETAG), restarted=1),
    "another version, by date": Sequel((Changed(when=NEXT),), storage=validated(ValidatorForm.DATE), restarted=1),
    "another version, under a weak ETag": Sequel(
        (Changed(when=NEXT),), storage=validated(ValidatorForm.WEAK), restarted=1
    ),
    "another version, without a sign": Sequel(
        (Changed(when=NEXT),), "differs from what is on disk", NONE, validated(ValidatorForm.NONE)
    ),
    "a longer version, without a sign": Sequel(
        (Changed(when=NEXT, size=SIZE + 7),), storage=validated(ValidatorForm.NONE), restarted=1
    ),
    "a shorter version, without a sign": Sequel(
        (Changed(when=NEXT, size=SIZE // 3),), storage=validated(ValidatorForm.NONE), restarted=1
    ),
    "a version shorter than the overlap, without a sign": Sequel(
        (Changed(when=NEXT, size=100),), storage=validated(ValidatorForm.NONE), restarted=1
    ),
}


@pytest.mark.parametrize("case", SECOND_ANSWERS.values(), ids=SECOND_ANSWERS.keys())
async def test_a_bad_answer_to_a_request_for_the_rest(site, case):
    here = site(jobs(1, size=SIZE), faulty(Cut(after=HALF), storage=case.storage), tries="1")
    assert (await here.sync()).exit_code == 6
    check_kept(here, HALF)
    here.sandbox.set_scenario(faulty(*case.faults, storage=case.storage))
    report = await here.sync()
    assert report.transfer.restarted == case.restarted
    if case.reason:
        assert report.exit_code == 6
        assert case.reason in report.failures[0].reason
        assert here.files() == {}
        check_kept(here, case.kept)
        here.sandbox.set_scenario(faulty(storage=case.storage))
        report = await here.sync(tries="2")
    assert (report.exit_code, report.transfer.fetched) == (0, 1)
    await here.check_whole()


async def test_a_part_that_begins_elsewhere_is_never_glued_and_the_partial_outlives_it(site):
    wrong = WrongRange(when=When(ranged=True, first=1))
    here = site(jobs(1, size=SIZE), faulty(Cut(after=HALF, when=When(first=1)), wrong), tries="4")
    report = await here.sync()
    assert (report.exit_code, report.transfer.resumed, report.transfer.restarted) == (0, 1, 0)
    assert [seen.status for seen in here.storage_requests()] == [200, 206, 206]
    await here.check_whole()


async def test_a_416_for_a_partial_that_is_whole_publishes_it_and_fetches_nothing_more(site):
    here = site(jobs(1, size=SIZE), faulty(Frame(), Cut(share=1.0)), tries="1")
    assert (await here.sync()).exit_code == 6
    check_kept(here, SIZE)
    here.sandbox.set_scenario(faulty(of_a_range(Unsatisfied)))
    report = await here.sync()
    assert (report.exit_code, report.transfer.resumed, report.transfer.bytes) == (0, 1, 0)
    await here.check_whole()


@pytest.mark.parametrize("flipped", [0, SIZE - 1])
async def test_a_416_for_a_whole_partial_of_other_bytes_is_not_published(site, flipped):
    here = site(jobs(1, size=SIZE), faulty(Frame(), Cut(share=1.0)), tries="1")
    await here.sync()
    (partial,) = here.partials()
    content = bytearray(partial.read_bytes())
    content[flipped] ^= 1
    partial.write_bytes(content)
    here.sandbox.set_scenario(faulty(of_a_range(Unsatisfied)))
    report = await here.sync()
    assert (report.exit_code, here.files(), on_disk(here)) == (6, {}, [])
    assert "is not that of the bytes that arrived" in report.failures[0].reason
    assert (await here.sync()).exit_code == 0
    await here.check_whole()


@pytest.mark.parametrize("storage", [StorageRules(), validated(ValidatorForm.NONE)], ids=["checksums", "nothing told"])
async def test_a_partial_longer_than_the_file_is_given_up(site, storage):
    here = site(jobs(1, size=SIZE), faulty(Cut(after=HALF), storage=storage), tries="1")
    await here.sync()
    (partial,) = here.partials()
    partial.write_bytes(here.sandbox.content("job-000").read(0, SIZE) + b"more")
    here.sandbox.set_scenario(faulty(storage=storage))
    report = await here.sync()
    assert (report.exit_code, report.transfer.resumed) == (0, 0)
    await here.check_whole()


async def test_a_partial_longer_than_a_file_of_unknown_length_is_given_up(site):
    rules = validated(ValidatorForm.NONE)
    here = site(jobs(1, size=SIZE), faulty(Frame(), Cut(after=HALF), storage=rules), tries="1")
    await here.sync()
    (partial,) = here.partials()
    partial.write_bytes(here.sandbox.content("job-000").read(0, SIZE) + bytes(100_000))
    here.sandbox.set_scenario(faulty(storage=rules))
    report = await here.sync()
    assert (report.exit_code, report.transfer.restarted) == (0, 1)
    await here.check_whole()


async def test_bytes_that_changed_on_disk_are_found_by_the_overlap(site):
    here = site(jobs(1, size=SIZE), faulty(Cut(after=HALF), storage=SILENT), tries="1")
    await here.sync()
    (partial,) = here.partials()
    content = bytearray(partial.read_bytes())
    content[-1] ^= 1
    partial.write_bytes(content)
    here.sandbox.set_scenario(faulty(storage=SILENT))
    report = await here.sync()
    assert (report.exit_code, on_disk(here)) == (6, [])
    assert "differs from what is on disk" in report.failures[0].reason
    assert (await here.sync()).exit_code == 0
    await here.check_whole()


async def test_a_file_larger_than_allowed_costs_no_byte_and_comes_when_it_is_allowed(site):
    here = site(jobs(1, size=SIZE), max_file_size="100k")
    report = await here.sync()
    assert (report.exit_code, report.transfer.bytes, len(here.storage_requests())) == (6, 0, 1)
    assert f"The file has {SIZE} bytes, more than the" in report.failures[0].reason
    assert (await here.sync(max_file_size="off")).exit_code == 0
    await here.check_whole()


@pytest.mark.parametrize("form", RetryForm)
async def test_a_storage_that_asks_for_a_moment_gets_it(site, form):
    busy = Status(status=503, retry_after=1, retry_form=form, when=When(first=1))
    here = site(jobs(1, size=SIZE), faulty(busy))
    report = await here.sync()
    assert (report.exit_code, report.transfer.retries) == (0, 1)
    await here.check_whole()


# --- Links that die ---

FRESH_LINKS = LinkRules(origin=LinkOrigin.LOOKUP, ttl=timedelta(hours=24))


class AtFirstByte:
    """Calls back once, when the first bytes of a body have arrived."""

    def __init__(self, then):
        self.then = then

    def notify(self, event):
        then, self.then = self.then, self.then if not isinstance(event, BytesArrived) else None
        if then is not None and isinstance(event, BytesArrived):
            then()


def served(here):
    return sum(seen.body_bytes for seen in here.storage_requests() if seen.status in (200, 206))


@pytest.mark.parametrize("form", ExpiredForm)
async def test_a_link_that_dies_in_mid_body_is_renewed_and_the_same_partial_goes_on(site, form):
    size = 3_000_000
    links = replace(FRESH_LINKS, expired=form)
    thin = Slow(rate=400_000, when=When(first=1))
    here = site(jobs(1, size=size), faulty(EndsWithLink(), thin, links=links))
    here.sandbox.store.put(replace(here.sandbox.store.get("job-000"), created_at=here.sandbox.now()))
    report = await here.sync(AtFirstByte(lambda: here.sandbox.advance(timedelta(hours=25))))
    assert (report.exit_code, report.transfer.relinked, report.transfer.resumed) == (0, 1, 1)
    first, *refused, last = here.storage_requests()
    assert (first.status, last.status, first.range) == (200, 206, None)
    assert last.generation > first.generation  # the rest came under the new signature
    assert [seen.status in (400, 401, 403, 404, 410) for seen in refused] == [True]
    assert first.body_bytes - 2 * 65536 <= int(last.range[6:-1]) < first.body_bytes
    assert len(here.sandbox.log.requests(Kind.API, Op.GET)) == 1
    assert served(here) / size < 1.1
    await here.check_whole()


@pytest.mark.parametrize("form", ExpiredForm)
async def test_a_link_that_is_dead_before_the_start_costs_one_question_and_no_byte(site, form):
    links = replace(FRESH_LINKS, expired=form)
    here = site(jobs(1, size=SIZE), faulty(links=links))
    here.sandbox.store.put(
        replace(here.sandbox.store.get("job-000"), created_at=here.sandbox.now() - timedelta(hours=30))
    )
    report = await here.sync()
    assert (report.exit_code, report.transfer.relinked, served(here)) == (0, 1, SIZE)
    assert len(here.sandbox.log.requests(Kind.API, Op.GET)) == 1
    await here.check_whole()


@pytest.mark.parametrize("form", ExpiredForm)
async def test_a_link_that_is_refused_for_good_is_lost_by_name_after_one_renewal(site, form):
    links = LinkRules(origin=LinkOrigin.COMPLETION, ttl=timedelta(hours=24), expired=form)
    here = site(jobs(2, size=SIZE), faulty(links=links))
    for job, hours in (("job-000", 30), ("job-001", 1)):
        made = here.sandbox.now() - timedelta(hours=hours)
        here.sandbox.store.put(replace(here.sandbox.store.get(job), created_at=made))
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored, report.jobs.lost) == (7, 1, 1)
    assert report.deadlines.lost == ("job-000",)
    assert len(here.sandbox.log.requests(Kind.API, Op.GET)) == 1
    assert len(here.files()) == 1
    # A later living link brings it back (I7).
    here.sandbox.set_scenario(HEALTHY)
    back = await here.sync()
    assert (back.exit_code, back.jobs.stored) == (0, 2)
    await here.check_whole()


async def test_half_a_file_outlives_its_link_across_passes(site):
    here = site(jobs(1, size=SIZE), faulty(Cut(after=HALF, when=When(first=1)), links=FRESH_LINKS), tries="1")
    here.sandbox.store.put(replace(here.sandbox.store.get("job-000"), created_at=here.sandbox.now()))
    assert (await here.sync()).exit_code == 6
    check_kept(here, HALF)
    here.sandbox.advance(timedelta(hours=30))
    report = await here.sync()
    assert (report.exit_code, report.transfer.relinked, report.transfer.resumed) == (0, 1, 1)
    assert served(here) <= SIZE + 65536
    await here.check_whole()


async def test_a_withdrawn_link_is_renewed_though_it_says_that_it_lives(site):
    dead = Refused(until_relinked=True, when=When(after=1))
    here = site(jobs(1, size=SIZE), faulty(Cut(after=HALF, when=When(first=1)), dead))
    report = await here.sync()
    assert (report.exit_code, report.transfer.relinked, report.transfer.resumed) == (0, 1, 1)
    assert served(here) <= SIZE + 65536
    await here.check_whole()


async def test_half_a_file_outlives_the_loss_of_its_link(site):
    here = site(jobs(1, size=SIZE), faulty(Cut(after=HALF)), tries="1")
    assert (await here.sync()).exit_code == 6
    here.sandbox.set_scenario(faulty(Refused()))
    here.sandbox.advance(timedelta(minutes=1))
    lost = await here.sync()
    assert (lost.exit_code, lost.deadlines.lost) == (7, ("job-000",))
    check_kept(here, HALF)
    here.sandbox.set_scenario(HEALTHY)
    here.sandbox.advance(timedelta(minutes=1))
    report = await here.sync()
    assert (report.exit_code, report.transfer.resumed) == (0, 1)
    await here.check_whole()


async def test_a_file_that_is_empty_by_the_storages_own_checksum_is_a_file(site):
    here = site(jobs(1, size=0))
    assert (await here.sync(tries="1")).exit_code == 0
    await here.check_whole()
