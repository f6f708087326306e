"""The whole way: list, remember, fetch, prove; a second pass; faults of the storage; names of every kind."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from helpers.site import CREATED, jobs

from syncer.core.events import EntryMalformed, FileStored, ListingEnded
from syncer.core.naming import partial_key
from syncer.sandbox.faults import Kind, Op, When
from syncer.sandbox.faults_api import Malformed, NoLink
from syncer.sandbox.faults_storage import Changed, WrongRange
from syncer.sandbox.faults_wire import Cut, ErrorPage, PageForm, Slow, Stall, Status
from syncer.sandbox.fixtures import hostile_jobs
from syncer.sandbox.model import (
    ChecksumForm,
    EntryRules,
    JobStatus,
    LinkOrigin,
    LinkRules,
    PageRules,
    Rules,
    SandboxJob,
    ValidatorForm,
)
from syncer.sandbox.scenarios import HEALTHY, SCENARIOS, Scenario

ONCE = When(first=1)


class Heard(list):
    def notify(self, event):
        self.append(event)


def faulty(*storage, api=(), rules=None):
    return Scenario("test", "", rules or Rules(), tuple(api), tuple(storage))


async def test_everything_arrives_whole_and_a_second_pass_asks_the_storage_nothing(site):
    here = site(jobs(12))
    report = await here.sync()
    assert report.exit_code == 0
    assert (report.listing.jobs, report.jobs.stored, report.transfer.fetched) == (12, 12, 12)
    assert report.transfer.bytes == 12 * 300_000
    await here.check_whole()
    asked = len(here.storage_requests())
    again = await here.sync()
    assert (again.exit_code, again.transfer.fetched, again.jobs.stored) == (0, 0, 12)
    assert len(here.storage_requests()) == asked


async def test_the_worst_names_and_ids_arrive_inside_the_destination_each_as_its_own_file(site):
    held = [*hostile_jobs(CREATED, size=2000), *(SandboxJob(f"film-{n}", "Launch film.mp4", 2000) for n in range(3))]
    here = site(held)
    report = await here.sync()
    assert report.exit_code == 0
    assert report.jobs.stored == len(held) >= 40
    await here.check_whole()
    for path in here.files():
        for part in path.split("/"):
            assert not re.search(r'[\x00-\x1f\x7f\\:*?"<>|]', part)
            assert not part.endswith((".", " "))
            assert len(part.encode()) <= 255
            assert not re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", part)
    outside = {p.name for p in here.folder.iterdir()}
    assert outside <= {"videos", "state"}


async def test_files_carry_the_time_of_their_job(site):
    here = site(jobs(1))
    await here.sync()
    (path,) = here.files().values()
    assert datetime.fromtimestamp(path.stat().st_mtime, UTC) == CREATED


async def test_a_processing_job_is_fetched_by_the_pass_that_first_sees_it_done(site):
    held = [*jobs(2), SandboxJob("late", "Late.mp4", 1000, status=JobStatus.PROCESSING)]
    here = site(held)
    first = await here.sync()
    assert (first.exit_code, first.jobs.stored, first.jobs.processing) == (0, 2, 1)
    here.sandbox.store.put(replace(held[-1], status=JobStatus.DONE))
    second = await here.sync()
    assert (second.exit_code, second.jobs.stored, second.transfer.fetched) == (0, 3, 1)
    await here.check_whole()


async def test_a_job_in_error_is_accounted_for(site):
    here = site([*jobs(1), SandboxJob("bad", "Bad.mp4", 1000, status=JobStatus.ERROR)])
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored, report.jobs.remote_error) == (0, 1, 1)


async def test_a_slip_in_the_destination_is_told_with_the_place_the_ledger_knows(site):
    here = site(jobs(2, size=1000))
    await here.sync()
    slip = here.folder / "vidoes"
    report = await here.sync(dest=str(slip))
    assert (report.exit_code, slip.exists()) == (5, False)
    assert str(slip) in report.reason
    assert f"This ledger belongs to {here.dest}" in report.reason
    slip.mkdir()
    again = await here.sync(dest=str(slip))
    assert (again.exit_code, list(slip.iterdir())) == (5, [])
    assert f"This ledger belongs to {here.dest}" in again.reason


async def test_a_destination_that_was_moved_is_known_by_its_marker_and_remembered_where_it_is(site):
    here = site(jobs(2, size=1000))
    await here.sync()
    moved = here.folder / "moved"
    here.dest.rename(moved)
    report = await here.sync(dest=str(moved))
    assert (report.exit_code, report.transfer.fetched) == (0, 0)
    gone = await here.sync(dest=str(here.dest))
    assert f"This ledger belongs to {moved}" in gone.reason


FAULTS = {
    "cut": Cut(when=ONCE),
    "stalled": Stall(when=ONCE),
    "html page as 200": ErrorPage(when=ONCE),
    "json page as 200": ErrorPage(when=ONCE, form=PageForm.JSON),
    "xml page as video": ErrorPage(when=ONCE, form=PageForm.XML, content_type="video/mp4"),
    "html page as video": ErrorPage(when=ONCE, content_type="video/mp4"),
    "429 with Retry-After": Status(when=ONCE, status=429, retry_after=1),
    "500": Status(when=ONCE, status=500),
    "503": Status(when=ONCE, status=503, retry_after=0),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_passing_fault_of_the_storage_costs_a_retry_and_nothing_else(site, fault):
    here = site(jobs(2), faulty(fault), read_timeout="0.5")
    report = await here.sync()
    assert report.exit_code == 0
    assert report.transfer.retries == 2
    await here.check_whole()


@pytest.mark.parametrize(
    ("name", "restarted"), [("ignored-range", True), ("wrong-range", False), ("changed", True), ("cut", False)]
)
async def test_ready_made_faults_of_ranges_end_in_whole_files(site, name, restarted):
    here = site(jobs(2), SCENARIOS[name])
    report = await here.sync()
    assert report.exit_code == 0
    assert bool(report.transfer.restarted) == restarted
    await here.check_whole()


async def test_a_cut_transfer_goes_on_where_it_stopped(site):
    here = site(jobs(1, size=4_000_000), faulty(Cut(when=ONCE)))
    report = await here.sync()
    assert (report.exit_code, report.transfer.resumed, report.transfer.restarted) == (0, 1, 0)
    first, second = here.storage_requests()
    assert first.range is None
    assert second.if_range
    start = int(re.fullmatch(r"bytes=(\d+)-", second.range)[1])
    assert 1_500_000 < start < 2_000_000
    await here.check_whole()


@pytest.mark.parametrize("rule", ["none", "weak"])
async def test_without_validators_changed_content_is_found_by_its_bytes(site, rule):
    scenario = faulty(Cut(when=ONCE), Changed(when=When(ranged=True, first=1)))
    rules = replace(
        HEALTHY.rules,
        storage=replace(HEALTHY.rules.storage, validators=ValidatorForm(rule), checksum=ChecksumForm.NONE),
    )
    here = site(jobs(1, size=3_000_000), replace(scenario, rules=rules))
    report = await here.sync()
    assert (report.exit_code, report.transfer.restarted + report.transfer.retries) == (0, 2)
    await here.check_whole()


async def test_a_fault_that_stays_leaves_one_file_pending_and_the_others_whole(site):
    here = site(jobs(4), faulty(ErrorPage(when=When(jobs=frozenset({"job-001"})))))
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored, report.jobs.pending) == (6, 3, 1)
    (failure,) = report.failures
    assert (failure.id, failure.name) == ("job-001", "Film 1.mp4")
    assert "instead of the file" in failure.reason
    assert report.transfer.failed == 1
    here.sandbox.set_scenario(HEALTHY)
    healed = await here.sync()
    assert (healed.exit_code, healed.transfer.fetched) == (0, 1)
    await here.check_whole()


async def test_a_storage_that_asks_for_more_time_than_a_pass_has_is_left_in_peace(site):
    here = site(jobs(1), faulty(Status(status=503, retry_after=3600)))
    report = await here.sync()
    assert (report.exit_code, len(here.storage_requests())) == (6, 1)
    assert report.failures[0].next_attempt_at > report.finished_at + timedelta(minutes=50)
    again = await here.sync()
    assert (again.exit_code, len(here.storage_requests())) == (6, 1)


async def test_a_dead_link_is_renewed_by_the_api_and_the_same_partial_goes_on(site):
    links = LinkRules(origin=LinkOrigin.LOOKUP, ttl=timedelta(hours=24))
    scenario = faulty(Cut(when=ONCE), rules=Rules(links=links))
    old = [replace(job, created_at=datetime.now(UTC) - timedelta(hours=23)) for job in jobs(1, size=200_000)]
    here = site(old, scenario, tries="1")
    first = await here.sync()
    assert (first.exit_code, first.transfer.relinked) == (6, 0)
    here.sandbox.advance(timedelta(hours=2))
    second = await here.sync()
    assert (second.exit_code, second.transfer.relinked, second.transfer.resumed) == (0, 1, 1)
    assert len(here.sandbox.log.requests(Kind.API, Op.GET)) == 1
    await here.check_whole()


@pytest.mark.parametrize("status", [404, 500])
async def test_a_link_that_says_it_died_is_tried_where_the_api_has_no_other(site, status):
    links = LinkRules(origin=LinkOrigin.COMPLETION, ttl=timedelta(hours=24), early=timedelta(hours=-10))
    old = [replace(job, created_at=datetime.now(UTC) - timedelta(hours=25)) for job in jobs(1)]
    silent = Status(status=status, when=When(ops=frozenset({Op.GET})))
    here = site(old, faulty(api=(silent,), rules=Rules(links=links)), tries="2")
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored) == (0, 1)


async def test_a_storage_that_never_gets_a_range_right_is_asked_for_the_whole_file(site):
    here = site(jobs(1, size=900_000), faulty(Cut(when=ONCE), WrongRange(when=When(ranged=True))))
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored) == (0, 1)
    await here.check_whole()


async def test_what_stays_refused_after_a_relink_is_lost_by_name_and_a_living_link_brings_it_back(site):
    gone = Status(status=403, when=When(jobs=frozenset({"job-001"})))
    here = site(jobs(3), faulty(gone))
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored, report.jobs.lost) == (7, 2, 1)
    assert report.deadlines.lost == ("job-001",)
    assert len(here.sandbox.log.requests(Kind.API, Op.GET, "job-001")) == 1
    here.sandbox.set_scenario(HEALTHY)
    here.sandbox.advance(timedelta(minutes=1))
    back = await here.sync()
    assert (back.exit_code, back.jobs.stored, back.jobs.lost) == (0, 3, 0)
    await here.check_whole()


async def test_a_lost_job_stays_lost_while_the_list_shows_the_same_dead_link(site):
    rules = Rules(links=LinkRules(origin=LinkOrigin.LOOKUP))
    here = site(jobs(1), faulty(Status(status=403), rules=rules))
    here.sandbox.store.put(replace(here.sandbox.store.get("job-000"), created_at=datetime.now(UTC)))
    first = await here.sync()
    assert (first.exit_code, first.deadlines.lost) == (7, ("job-000",))
    asked = len(here.storage_requests())
    second = await here.sync()
    assert (second.exit_code, second.jobs.lost, second.deadlines.lost) == (0, 1, ())
    assert len(here.storage_requests()) == asked == 2


async def test_a_line_that_breaks_again_and_again_still_brings_a_file_home(site):
    here = site(jobs(1, size=4_000_000), faulty(Cut(after=500_000)), tries="2")
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored) == (0, 1)
    assert report.transfer.resumed >= 7
    await here.check_whole()


async def test_with_leave_a_lost_job_is_made_again_and_fetched_by_the_same_pass(site):
    refused = Status(status=403, when=When(jobs=frozenset({"job-000"}), first=2))
    here = site(jobs(1), faulty(refused), regenerate=True)
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored, report.transfer.fetched) == (0, 1, 1)
    assert len(here.sandbox.log.requests(Kind.API, Op.RETRY)) == 1
    await here.check_whole()


def slow_making(seconds):
    return Rules(entries=EntryRules(processing_seconds=seconds))


async def test_what_is_not_made_again_in_time_is_fetched_by_the_next_pass(site):
    refused = Status(status=403, when=When(jobs=frozenset({"job-000"}), first=2))
    here = site(jobs(2), faulty(refused, rules=slow_making(300)), regenerate=True, regenerate_wait="1500ms")
    first = await here.sync()
    assert (first.exit_code, first.jobs.processing, first.jobs.lost) == (0, 1, 0)
    assert len(here.sandbox.log.requests(Kind.API, Op.RETRY)) == 1
    here.sandbox.advance(timedelta(minutes=6))
    second = await here.sync()
    assert (second.exit_code, second.jobs.stored) == (0, 2)
    await here.check_whole()


async def test_even_with_leave_a_hopeless_job_is_made_again_once_a_pass_and_three_times_in_all(site):
    here = site(jobs(1, size=1000), faulty(Status(status=403)), regenerate=True)
    codes = []
    for _ in range(5):
        codes.append((await here.sync()).exit_code)
        assert len(here.sandbox.log.requests(Kind.API, Op.RETRY)) == min(3, len(codes))
        here.sandbox.advance(timedelta(minutes=5))
    assert codes == [7] * 5


async def test_with_leave_a_job_that_videodb_failed_to_make_is_made_again(site):
    here = site([SandboxJob("bad", "Bad.mp4", 1000, status=JobStatus.ERROR)], regenerate=True)
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored, report.jobs.remote_error) == (0, 1, 0)
    await here.check_whole()


async def test_a_job_that_fails_once_more_while_it_is_made_again_is_accounted_for(site):
    bad = SandboxJob("bad", "Bad.mp4", 1000, status=JobStatus.ERROR, becomes=JobStatus.ERROR)
    here = site([bad, *jobs(1)], faulty(rules=slow_making(1)), regenerate=True)
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored, report.jobs.remote_error) == (0, 1, 1)
    assert len(here.sandbox.log.requests(Kind.API, Op.RETRY)) == 1


async def test_a_done_job_without_a_link_is_asked_for_once_and_stays_pending(site):
    here = site(jobs(2), faulty(api=(NoLink(only=frozenset({"job-001"})),)))
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored, report.jobs.pending) == (6, 1, 1)
    assert "no link" in report.failures[0].reason
    assert len(here.sandbox.log.requests(Kind.API, Op.GET)) == 1


@pytest.mark.parametrize("cap", [1, 7, 50])
async def test_small_pages_are_read_to_their_end_while_fetching_goes_on(site, cap):
    here = site(jobs(60, size=500), Scenario("t", rules=Rules(pages=PageRules(cap=cap))))
    heard = Heard()
    report = await here.sync(heard)
    assert (report.exit_code, report.listing.jobs, report.jobs.stored) == (0, 60, 60)
    if cap == 1:
        kinds = [type(event) for event in heard]
        assert kinds.index(FileStored) < kinds.index(ListingEnded)
    await here.check_whole()


async def test_jobs_made_while_listing_are_neither_missed_nor_doubled(site):
    here = site(jobs(45, size=500), SCENARIOS["shifting"])
    report = await here.sync()
    assert report.exit_code == 0
    assert report.listing.jobs == report.jobs.stored >= 45
    stored = set(await here.entries("stored"))
    assert {job.id for job in jobs(45)} <= stored


async def test_malformed_entries_are_told_and_skipped(site):
    here = site(jobs(3), faulty(api=(Malformed(),)))
    heard = Heard()
    report = await here.sync(heard)
    # What has an id is a job, however odd the rest: kept, and pending where its link is good for nothing.
    assert {failure.id for failure in report.failures} == {"12345", "odd-link", "odd-name"}
    assert (report.exit_code, report.jobs.stored, report.jobs.processing) == (6, 3, 1)
    assert report.listing.malformed == sum(isinstance(event, EntryMalformed) for event in heard) > 0


@pytest.mark.parametrize("name", ["rate-limited", "server-errors", "error-page"])
async def test_other_ready_made_scenarios_end_well(site, name):
    here = site(jobs(3), SCENARIOS[name])
    report = await here.sync()
    assert report.exit_code == 0
    await here.check_whole()


async def test_filters_count_what_they_leave_out_and_lifting_them_brings_it(site):
    here = site(jobs(5, size=1000))
    report = await here.sync(include=("film 1*", "film 2*"))
    assert (report.exit_code, report.jobs.stored, report.jobs.filtered) == (0, 2, 3)
    everything = await here.sync()
    assert (everything.exit_code, everything.jobs.stored, everything.jobs.filtered) == (0, 5, 0)


async def test_a_changed_template_does_not_move_what_is_stored(site):
    here = site(jobs(2, size=1000))
    await here.sync(name_template="{id}{ext}")
    before = set(here.files())
    assert before == {"job-000.mp4", "job-001.mp4"}
    await here.sync(name_template="{stem}{ext}")
    assert set(here.files()) == before


async def test_what_a_user_put_under_a_name_is_never_overwritten(site):
    here = site(jobs(1, size=1000))
    here.dest.mkdir()
    taken = here.dest / "Film 0.mp4"
    taken.write_bytes(b"mine")
    report = await here.sync(name_template="{name}")
    assert report.exit_code == 0
    assert taken.read_bytes() == b"mine"
    (other,) = set(here.files()) - {"Film 0.mp4"}
    assert other.startswith("Film 0 [job-000~")


async def test_a_folder_where_a_partial_belongs_stops_no_other_file(site):
    here = site(jobs(3))
    await here.sync(max_files="1")
    (waiting, *_) = await here.entries("pending")
    folder = here.dest / ".syncer" / "partial" / f"{partial_key(waiting)}.part"
    folder.mkdir()
    report = await here.sync()
    assert (report.exit_code, report.jobs.stored, report.jobs.pending) == (6, 2, 1)
    assert [failure.id for failure in report.failures] == [waiting]
    assert folder.name in report.failures[0].reason
    folder.rmdir()
    assert (await here.sync()).exit_code == 0
    await here.check_whole()


async def test_one_line_is_shared_and_workers_run_side_by_side(site):
    here = site(jobs(6, size=400_000), faulty(Slow(rate=2_000_000, shared=True)), workers="3")
    report = await here.sync()
    assert report.exit_code == 0
    assert here.sandbox.log.peak(Kind.STORAGE) == 3
    await here.check_whole()


async def test_neither_key_nor_signature_is_written_anywhere(site):
    here = site(jobs(2), faulty(Status(status=500, when=ONCE)))
    await here.sync()
    secrets = [here.sandbox.api_key.encode(), b"X-Goog-Signature", b"Signature="]
    for path in (p for p in here.dest.rglob("*") if p.is_file() and ".syncer" in p.parts):
        assert not any(secret in path.read_bytes() for secret in secrets), path
    assert here.ledger.stat().st_mode & 0o077 == 0
