"""The smaller decisions of the core: retries, states, reports, timetables, redaction, filters, plans."""

import json
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core import lifecycle, planner, retry
from syncer.core.errors import Interrupted, NoLink, StorageBusy, UsageError
from syncer.core.filters import JobFilter
from syncer.core.model import (
    Entry,
    Follow,
    HandBack,
    Job,
    Link,
    Listing,
    Lose,
    Park,
    Plan,
    RemoteStatus,
    Retry,
    Sighting,
    State,
    Stored,
    StoredFile,
    Tally,
)
from syncer.core.redact import HIDDEN, host_of, redact
from syncer.core.report import Deadlines, ExitCode, Failure, Report, Transfer, gravest, judge_pass
from syncer.core.timetable import parse_size, parse_timetable

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = retry.RetryPolicy()


def decide(error, tries, gained=0, jitter=0.0):
    return retry.decide(error, tries, NOW, POLICY, gained=gained, jitter=jitter)


class TestRetry:
    def test_waits_double_and_are_capped(self):
        waits = [retry.backoff(n, POLICY, 0.0) for n in range(1, 10)]
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    @given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
    def test_jitter_takes_off_up_to_half(self, tries, jitter):
        whole = retry.backoff(tries, POLICY, 0.0)
        assert whole / 2 <= retry.backoff(tries, POLICY, jitter) <= whole

    def test_a_failure_is_tried_again_until_the_tries_are_spent(self):
        assert decide(Interrupted("cut"), 1) == Retry("cut", NOW + timedelta(seconds=1))
        assert decide(Interrupted("cut"), POLICY.tries) == Park("cut", NOW)

    def test_progress_makes_a_try_not_count(self):
        outcome = decide(Interrupted("cut"), POLICY.tries + 5, gained=POLICY.progress)
        assert outcome == Retry("cut", NOW + timedelta(seconds=1), progressed=True)

    def test_the_storage_is_obeyed_within_patience(self):
        soon, late = NOW + timedelta(seconds=30), NOW + timedelta(hours=1)
        assert decide(StorageBusy("busy", retry_after=soon), 1) == Retry("busy", soon)
        assert decide(StorageBusy("busy", retry_after=late), 1) == Park("busy", late, ordered=True)
        assert decide(StorageBusy("busy", retry_after=soon), POLICY.tries) == Park("busy", soon, ordered=True)

    def test_a_job_without_a_link_is_asked_for_once_a_pass(self):
        assert decide(NoLink("no link"), 1) == Park("no link", NOW)

    @pytest.mark.parametrize(
        ("value", "moment"),
        [
            ("120", NOW + timedelta(seconds=120)),
            ("0", NOW),
            ("Mon, 23 Nov 2026 12:05:00 GMT", NOW + timedelta(minutes=5)),
            ("soon", None),
            ("", None),
            ("-3", None),
            (None, None),
        ],
    )
    def test_retry_after_in_both_forms(self, value, moment):
        assert retry.parse_retry_after(value, NOW) == moment

    @given(st.text(max_size=60))
    def test_no_retry_after_can_do_harm(self, value):
        moment = retry.parse_retry_after(value, NOW)
        assert moment is None or moment.tzinfo is not None


def job(status=RemoteStatus.DONE, url="https://h/a", name="film"):
    return Job("id", name, status, NOW, Link(url, NOW) if url else None)


class TestLifecycle:
    def test_every_state_has_its_row(self):
        assert set(lifecycle.MOVES) == set(State)

    @given(st.sampled_from(list(State)), st.sampled_from(list(RemoteStatus)), st.booleans(), st.booleans())
    def test_a_listing_never_makes_an_illegal_move(self, state, status, filtered, same):
        known = lifecycle.Known(state, Link("https://h/a", NOW))
        sighting = Sighting(job(status, "https://h/a" if same else "https://h/b"), filtered)
        after = lifecycle.on_listed(known, sighting, NOW)
        assert after is state or after in lifecycle.MOVES[state]
        if state in (State.STORED, State.CLAIMED):
            assert after is state

    def test_a_lost_entry_comes_back_with_another_link_only(self):
        known, before = lifecycle.Known(State.LOST, Link("https://h/a", NOW)), NOW - timedelta(hours=1)
        assert lifecycle.on_listed(known, Sighting(job(url="https://h/a")), before) is State.LOST
        assert lifecycle.on_listed(known, Sighting(job(url=None)), before) is State.LOST
        assert lifecycle.on_listed(known, Sighting(job(url="https://h/b")), before) is State.PENDING

    @pytest.mark.parametrize(
        ("refused", "new", "state"),
        [
            (NOW - timedelta(days=1), NOW - timedelta(days=1), State.LOST),  # dead as long, however it is signed
            (NOW - timedelta(days=1), NOW - timedelta(days=2), State.LOST),
            (NOW - timedelta(days=1), NOW - timedelta(hours=1), State.PENDING),  # our clock may be ahead
            (NOW + timedelta(days=2), NOW + timedelta(days=1), State.PENDING),  # it lives, as far as anybody knows
            (None, NOW - timedelta(days=1), State.PENDING),
            (NOW, None, State.PENDING),
        ],
    )
    def test_a_link_that_died_no_later_than_the_refused_one_brings_nothing_back(self, refused, new, state):
        known = lifecycle.Known(State.LOST, Link("https://h/a", refused))
        listed = Job("id", "film", RemoteStatus.DONE, NOW, Link("https://h/b", new))
        assert lifecycle.on_listed(known, Sighting(listed), NOW) is state

    def test_seeing_the_same_link_again_does_not_move_its_estimated_death(self):
        first = Link("https://h/a", NOW, estimated=True)
        known = lifecycle.Known(State.PENDING, first)
        again = Job("id", None, RemoteStatus.DONE, None, Link("https://h/a", NOW + timedelta(hours=5), estimated=True))
        assert lifecycle.merge_link(known, again) == first

    @pytest.mark.parametrize(
        ("outcome", "state"),
        [
            (Stored(StoredFile("p", 1, "s", None, NOW)), State.STORED),
            (Retry("r", NOW), State.PENDING),
            (Park("r", NOW), State.PENDING),
            (Lose("r"), State.LOST),
            (HandBack(), State.PENDING),
            (Follow(RemoteStatus.PROCESSING, "r"), State.PROCESSING),
            (Follow(RemoteStatus.ERROR, "r"), State.REMOTE_ERROR),
        ],
    )
    def test_how_claims_end(self, outcome, state):
        assert lifecycle.settle(outcome).state is state

    def test_an_illegal_move_is_an_error(self):
        with pytest.raises(lifecycle.IllegalMoveError):
            lifecycle.move(State.STORED, State.LOST)

    def test_only_an_ordered_wait_outlives_the_pass(self):
        assert lifecycle.settle(Park("r", NOW)).not_before is None
        assert lifecycle.settle(Park("r", NOW, ordered=True)).not_before == NOW


COMPLETE = Listing(pages=1, jobs=3, complete=True)
ALL_STORED = Tally(stored=3)


def verdict(listing=COMPLETE, jobs=ALL_STORED, lost_now=0, unfinished=0, error_code=None):
    return judge_pass(listing, jobs, lost_now=lost_now, unfinished=unfinished, error_code=error_code)


class TestReport:
    def test_all_stored_is_well(self):
        assert verdict() == ExitCode.OK

    def test_lost_in_an_earlier_pass_is_accounted_for(self):
        assert verdict(jobs=Tally(stored=2, lost=1)) == ExitCode.OK

    def test_the_gravest_wins(self):
        assert verdict(jobs=Tally(stored=2, pending=1), lost_now=1) == ExitCode.LOST
        assert verdict(jobs=Tally(stored=2, pending=1)) == ExitCode.FAILED
        assert verdict(Listing(jobs=3, complete=False), lost_now=1) == ExitCode.LISTING_FAILED
        assert verdict(error_code=5, lost_now=1) == ExitCode.DESTINATION
        assert verdict(error_code=130) == ExitCode.INTERRUPTED
        assert gravest({5, 3, 4, 7, 6}) == 5
        assert gravest({3, 4, 7, 6}) == 3

    def test_what_does_not_balance_is_never_well(self):
        assert verdict(jobs=Tally(stored=2)) == ExitCode.BUG

    def test_pending_entries_that_are_no_longer_listed_count(self):
        assert verdict(unfinished=1) == ExitCode.FAILED

    def test_the_json_form_is_the_documented_one(self):
        report = Report(
            NOW, NOW, 6, COMPLETE, Tally(stored=2, pending=1), Transfer(fetched=2),
            Deadlines(NOW, ("a",), ("b",)), (Failure("a", "n", "r", 3, NOW),),
        )  # fmt: skip
        value = json.loads(json.dumps(report.to_json()))
        assert value["version"] == 1
        assert value["started_at"] == "2026-11-23T12:00:00Z"
        assert value["balanced"] is True
        assert value["jobs"] == {
            "listed": 3, "stored": 2, "pending": 1, "processing": 0, "remote_error": 0, "lost": 0, "filtered": 0,
        }  # fmt: skip
        assert set(value["transfer"]) >= {"fetched", "bytes", "resumed", "restarted", "relinked", "retries", "failed"}
        assert value["deadlines"] == {"earliest": "2026-11-23T12:00:00Z", "at_risk": ["a"], "lost": ["b"]}
        assert set(value["failures"][0]) == {"id", "name", "reason", "attempts", "next_attempt_at"}


class TestTimetable:
    @pytest.mark.parametrize(
        ("text", "size"),
        [("0", 0), ("500", 500), ("500k", 512000), ("2M", 2 << 20), ("1.5GiB", 3 << 29), ("1t", 1 << 40)],
    )
    def test_sizes(self, text, size):
        assert parse_size(text) == size

    @pytest.mark.parametrize("text", ["fast", "-1", "1X", "1 2", "08:00", "25:00,2M", "08:00,", "0", "08:00,2M 9,off"])
    def test_what_cannot_be_read_is_refused(self, text):
        with pytest.raises(UsageError):
            parse_timetable(text)

    @pytest.mark.parametrize("text", ["", "fast", "-1", "1X", "1 2"])
    def test_sizes_that_cannot_be_read_are_refused(self, text):
        with pytest.raises(UsageError):
            parse_size(text)

    def test_the_last_step_of_a_day_holds_through_the_night(self):
        table = parse_timetable("08:00,2M 23:00,off")
        at = [table.rate(datetime.combine(NOW, time(hour))) for hour in (0, 7, 8, 22, 23)]
        assert at == [None, None, 2 << 20, 2 << 20, None]

    def test_a_plain_rate_holds_always(self):
        assert parse_timetable("2M").rate(NOW) == 2 << 20
        assert parse_timetable("off").rate(NOW) is None


URLS = st.builds(
    "https://storage.example/{}?X-Goog-Signature={}&x={}".format,
    st.from_regex(r"[a-z0-9/._-]{1,20}", fullmatch=True),
    st.from_regex(r"SIG[0-9a-f]{16,64}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9%=+-]{0,20}", fullmatch=True),
)


class TestRedaction:
    @given(st.text(max_size=40), URLS, st.text(max_size=40))
    def test_signatures_never_survive(self, before, url, after):
        secret = url.split("X-Goog-Signature=")[1].split("&")[0]
        assert secret not in redact(f"{before} {url} {after}")

    @given(st.from_regex(r"sk-[A-Za-z0-9]{16,40}", fullmatch=True), st.text(alphabet=" '\",:{}", max_size=5))
    def test_keys_never_survive(self, key, around):
        assert key not in redact(f"x{around} {key} {around}")
        assert key not in redact(f"x-access-token: {key}")

    def test_secrets_of_any_form_given_by_name(self):
        assert redact("token hunter22 used", ("hunter22",)) == f"token {HIDDEN} used"

    def test_hosts_may_be_shown(self):
        assert host_of("https://h.example/a?b=c") == "h.example"
        assert host_of("http://[broken") == "the storage"
        assert "h.example" in redact("GET https://h.example/a?b=c")

    def test_a_link_hides_itself_in_repr(self):
        assert "sig" not in repr(Link("https://h/a?sig=1", NOW))


class TestFilter:
    def test_globs_ignore_case_and_excludes_win(self):
        chosen = JobFilter(include=("*.MP4",), exclude=("draft*",))
        assert chosen.admits(job(name="Film.mp4"))
        assert not chosen.admits(job(name="Draft 1.mp4"))
        assert not chosen.admits(job(name="film.mov"))
        assert not chosen.admits(job(name=None))

    def test_times_are_half_open_and_never_lose_what_has_none(self):
        chosen = JobFilter(since=NOW, until=NOW + timedelta(days=1))
        assert chosen.admits(job())
        assert not JobFilter(until=NOW).admits(job())
        assert not JobFilter(since=NOW + timedelta(seconds=1)).admits(job())
        assert chosen.admits(Job("id", "film", RemoteStatus.DONE, None, None))


def entry(number, deadline, *, link=True):
    return Entry(
        f"job-{number}", None, RemoteStatus.DONE, NOW,
        Link(f"https://h/{number}", deadline) if link else None, State.PENDING,
    )  # fmt: skip


class TestPlanner:
    @given(st.permutations(range(6)))
    def test_the_order_does_not_depend_on_the_input(self, numbers):
        entries = [entry(n, NOW + timedelta(hours=n % 3), link=n != 5) for n in numbers]
        ids = [e.id for e in planner.order(entries)]
        assert ids == ["job-5", "job-0", "job-3", "job-1", "job-4", "job-2"]

    def test_a_plan_grows_entry_by_entry(self):
        plan = Plan()
        for n in range(30):
            plan = planner.extend(plan, entry(n, NOW + timedelta(hours=n - 2), link=n > 0), NOW, show=3)
        assert (plan.files, plan.no_link, plan.unknown_sizes, plan.known_bytes) == (30, 1, 30, 0)
        assert plan.dead == 2
        assert [e.id for e in plan.first] == ["job-0", "job-1", "job-2"]
        assert plan.earliest_deadline == NOW - timedelta(hours=1)


@pytest.mark.parametrize("before", ["", " ", "\n", "\t", "\x0b", "\x1f", "\u2028", "\U000e0001", "'", "="])
def test_a_key_is_hidden_behind_whatever_repr_writes_before_it(before):
    assert "Qz00000000" not in redact(repr(f"{before}sk-Qz00000000"))
    assert "Qz00000000" not in redact(f"{before}sk-Qz00000000")
