"""The account of the sandbox: order, pages, and what time and listings do to jobs."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from syncer.sandbox.fixtures import demo_jobs, hostile_jobs
from syncer.sandbox.model import JobStatus, PageOrder, PageRules, SandboxJob
from syncer.sandbox.store import Store

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


def store(count=10, clock=None, **changes):
    jobs = [SandboxJob(f"j{number}", "x", **changes) for number in range(count)]
    return Store(jobs, clock or Clock(), random.Random(3))


def ids(page):
    return [job.id for job in page]


def test_pages_go_from_the_newest_to_the_oldest():
    held, rules = store(), PageRules()
    assert ids(held.page(rules, 0, 4)) == ["j0", "j1", "j2", "j3"]
    assert ids(held.page(rules, 2, 4)) == ["j8", "j9"]
    assert held.page(rules, 3, 4) == []
    assert held.page(rules, 10**30, 4) == []


def test_pages_go_from_the_oldest_where_told():
    held, rules = store(), PageRules(order=PageOrder.OLDEST)
    assert ids(held.page(rules, 1, 4)) == ["j5", "j4", "j3", "j2"]


def test_a_random_order_holds_for_one_listing():
    held, rules = store(), PageRules(order=PageOrder.RANDOM)
    listings = [ids(held.page(rules, 0, 5)) + ids(held.page(rules, 1, 5)) for _ in range(3)]
    assert all(sorted(listing) == sorted(f"j{number}" for number in range(10)) for listing in listings)
    assert len({tuple(listing) for listing in listings}) == 3


@pytest.mark.parametrize(
    ("rules", "index", "count", "expected"),
    [
        (PageRules(cap=3), 0, 5000, ["j0", "j1", "j2"]),
        (PageRules(default_count=2), 1, None, ["j2", "j3"]),
        (PageRules(base=1), 0, 2, ["j0", "j1"]),
        (PageRules(base=1), 1, 2, ["j0", "j1"]),
        (PageRules(base=1), 2, 2, ["j2", "j3"]),
        (PageRules(ignore_index=True), 7, 2, ["j0", "j1"]),
        (PageRules(ignore_count=True, default_count=3), 0, 2, ["j0", "j1", "j2"]),
        (PageRules(), -1, 2, []),
        (PageRules(), 0, 0, []),
        (PageRules(), 0, -5, []),
    ],
)
def test_the_rules_cut_the_pages(rules, index, count, expected):
    assert ids(store().page(rules, index, count)) == expected


def test_a_job_added_at_the_head_shifts_the_pages():
    held, rules = store(4), PageRules()
    assert ids(held.page(rules, 0, 2)) == ["j0", "j1"]
    held.add(SandboxJob("new", "x"))
    assert ids(held.page(rules, 1, 2)) == ["j1", "j2"]
    held.add(SandboxJob("last", "x"), len(held))
    assert ids(held.all()) == ["new", "j0", "j1", "j2", "j3", "last"]


def test_one_id_is_one_job():
    held = store(1)
    with pytest.raises(ValueError, match="there already"):
        held.add(SandboxJob("j0", "x"))
    with pytest.raises(ValueError, match="same id"):
        Store([SandboxJob("j0", "x"), SandboxJob("j0", "y")], Clock(), random.Random(3))


def test_a_job_becomes_done_when_its_time_comes():
    clock = Clock()
    held = store(1, clock, status=JobStatus.PROCESSING, ready_at=NOW + timedelta(minutes=1))
    assert held.get("j0").status is JobStatus.PROCESSING
    clock.now += timedelta(minutes=5)
    assert held.get("j0").status is JobStatus.DONE
    assert held.get("j0").completed_at == NOW + timedelta(minutes=1)


def test_a_job_becomes_done_after_so_many_listings():
    held, rules = store(1, status=JobStatus.PROCESSING, ready_after_listings=2), PageRules()
    seen = [held.page(rules, 0, 5)[0].status for _ in range(3)]
    assert seen == [JobStatus.PROCESSING, JobStatus.PROCESSING, JobStatus.DONE]


def test_a_job_can_end_in_error():
    held = store(1, status=JobStatus.PROCESSING, ready_at=NOW, becomes=JobStatus.ERROR)
    assert held.get("j0").status is JobStatus.ERROR


def test_a_removed_job_is_gone_and_stays_so():
    held = store(2)
    job = held.get("j0")
    assert held.remove("j0")
    assert not held.remove("j0")
    held.put(job)
    assert "j0" not in held
    assert ids(held.all()) == ["j1"]


def test_the_demo_account_is_small_and_young_and_the_same_each_time():
    jobs = demo_jobs(random.Random(1), NOW)
    assert jobs == demo_jobs(random.Random(1), NOW)
    assert len(jobs) == len({job.id for job in jobs}) == 36
    assert sum(job.name == "Launch film.mp4" for job in jobs) == 3
    assert all(1 << 20 <= job.size <= 24 << 20 for job in jobs)
    assert 150e6 < sum(job.size for job in jobs) < 400e6
    assert all(NOW - timedelta(hours=30) <= job.created_at <= job.completed_at <= NOW for job in jobs)


def test_the_hostile_account_has_forty_jobs_of_every_kind_of_malice():
    jobs = hostile_jobs(NOW)
    names = [job.name for job in jobs]
    assert len(jobs) == len({job.id for job in jobs}) == 40
    assert {None, "", "../../etc/passwd", "CON.mp4", "a|b/c\\d:e?f*g", "L" * 400} <= set(names)
    assert names.count("Launch film.mp4") == 3
    assert {"../x", "a/b", "same-case", "SAME-CASE"} <= {job.id for job in jobs}
    assert any("\x00" in name for name in names if name)


def test_a_fifth_of_the_demo_account_is_older_than_a_link_lives():
    old = [job for job in demo_jobs(random.Random(1), NOW) if job.completed_at <= NOW - timedelta(hours=24)]
    assert 5 <= len(old) <= 9
