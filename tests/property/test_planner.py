"""What holds of every plan: it is of all that is due and of nothing else, nobody waits for ever, chance has no say."""

from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncer.core.planner import Planner, Prefer, Task, forecast
from syncer.core.rates import Line

NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)

seconds = st.one_of(st.integers(-20, 200), st.floats(-20, 200))
tasks = st.builds(
    lambda name, until, size, has_link, wait: Task(
        f"job-{name}",
        None if until is None or not has_link else NOW + until * SECOND,
        has_link=has_link,
        size=size,
        not_before=None if wait is None else NOW + wait * SECOND,
    ),
    st.integers(0, 40),
    st.none() | seconds,
    st.none() | st.integers(0, 5000),
    st.integers(0, 9).map(bool),
    st.none() | st.integers(0, 30),
)
lines = st.one_of(
    st.just(Line()),
    st.builds(
        lambda total, lanes, spread: Line(total, total / lanes, spread * total, lanes),
        st.floats(1, 1000),
        st.integers(1, 6),
        st.floats(0, 0.5),
    ),
)
preferences = st.sampled_from(Prefer)


def play(due, line, slots, prefer, *, refused=frozenset()):
    """A pass without a line's doing: what is started ends at once, and what is told to stop is stopped. The starts."""
    planner, now, started = Planner(NOW, prefer=prefer), NOW, []
    planner.add(due)
    for _ in range(20 * len(due) + 20):
        decision = planner.decide(now, line, slots, ahead=slots)
        assert len(set(decision.start)) == len(decision.start) <= slots
        for job_id in decision.stop:
            planner.yielded(job_id)
        for job_id in decision.start:
            started.append(job_id)
            planner.remove(job_id)
        if planner.is_spent:
            return started
        now += SECOND
    raise AssertionError("something waits for ever")


@given(st.lists(tasks, max_size=40), lines, st.integers(1, 6), preferences)
def test_every_due_entry_has_its_turn_exactly_once(due, line, slots, prefer):
    assert sorted(play(due, line, slots, prefer)) == sorted({task.id for task in due})


@given(st.lists(tasks, max_size=40), lines, st.integers(1, 6), preferences)
def test_the_same_input_gives_the_same_plan(due, line, slots, prefer):
    assert play(due, line, slots, prefer) == play(due, line, slots, prefer)


@given(st.lists(tasks, min_size=1, max_size=30), lines, st.integers(1, 6), st.data())
def test_what_was_refused_is_never_started_again_unless_it_comes_with_another_link(due, line, slots, data):
    planner, refused, now = Planner(NOW), set(), NOW
    planner.add(due)
    known = sorted({task.id for task in due})
    for _ in range(3 * len(known)):
        decision = planner.decide(now, line, slots)
        assert not refused & {*decision.start, *decision.ahead}
        for job_id in decision.stop:
            planner.yielded(job_id)
        for job_id in decision.start:
            if data.draw(st.booleans(), label=f"{job_id} is refused"):
                refused.add(job_id)
                planner.remove(job_id)
            else:
                planner.again(job_id, now + 5 * SECOND)
        for job_id in refused:
            planner.renewed(job_id, now + 1000 * SECOND)  # an answer to a question asked before the refusal
            assert job_id not in planner
        now += SECOND


@given(lines, st.integers(1, 4), st.integers(1, 2))
@settings(max_examples=15)
def test_nobody_starves_though_more_pressing_entries_come_for_ever(line, slots, each):
    planner, now, started = Planner(NOW), NOW, set()
    planner.add([Task("patient", NOW + 6 * SECOND, size=10), Task("linkless", has_link=False)])
    for turn in range(120):
        planner.add(Task(f"{turn}-{n}", now + 2 * SECOND, size=1) for n in range(each * slots))
        decision = planner.decide(now, line, slots)
        for job_id in decision.stop:
            planner.yielded(job_id)
        for job_id in decision.start:
            started.add(job_id)
            planner.remove(job_id)
        now += SECOND
    assert {"patient", "linkless"} <= started


@given(st.lists(tasks, max_size=40, unique_by=lambda task: task.id), lines, preferences)
def test_a_forecast_accounts_for_every_task(due, line, prefer):
    outlook = forecast(due, line, NOW, prefer=prefer)
    assert outlook.saved + outlook.lost == outlook.files == len(due)
    assert outlook.at_risk <= outlook.saved
    assert set(outlook.lost_ids) <= {task.id for task in due}
    assert outlook.fits == (outlook.lost == 0)
    assert len(outlook.at_risk_ids) == outlook.at_risk
    assert set(outlook.at_risk_ids) <= {task.id for task in due} - set(outlook.lost_ids)
    assert line.spread or prefer is Prefer.BYTES or not outlook.at_risk


living = st.builds(
    lambda name, until, size: Task(f"job-{name}", NOW + until * SECOND, size=size),
    st.integers(0, 40),
    st.floats(1, 200),
    st.integers(1, 5000),
)


@given(
    st.lists(living, min_size=1, max_size=40, unique_by=(lambda task: task.id, lambda task: task.deadline)),
    lines.filter(lambda line: line.total),
)
@example([Task("job-0", NOW + SECOND, size=1)], Line(1.0, 0.5, 0.0, 2))
@example([Task("job-0", NOW + SECOND, size=2)], Line(2.0, 1.0, 0.0, 2))
def test_at_risk_is_who_is_kept_and_would_be_given_up_on_a_line_slower_by_its_spread(due, line):
    planner = Planner(NOW)
    planner.add(due)
    planner.decide(NOW, line, 1)
    outlook, foreseen = planner.outlook(line, NOW), forecast(due, line, NOW)
    assert (outlook.saved, outlook.at_risk, outlook.lost) == (foreseen.saved, foreseen.at_risk, foreseen.lost)
    assert outlook.at_risk_ids == foreseen.at_risk_ids
    share = max(0.1, 1 - line.spread / line.total)
    poorer = Line(line.total * share, line.connection * share, lanes=line.lanes)
    kept = [task for task in due if task.id not in foreseen.lost_ids]
    assert set(outlook.at_risk_ids) == set(forecast(kept, poorer, NOW).lost_ids)
    assert planner.outlook(line, NOW) == outlook


def test_who_is_at_risk_changes_with_the_line_and_with_time():
    planner = Planner(NOW)
    planner.add(Task(f"job-{n}", NOW + 10 * (n + 1) * SECOND, size=900) for n in range(10))
    steady, wavering = Line(100.0), Line(100.0, spread=15.0)
    planner.decide(NOW, steady, 1)
    assert (planner.outlook(steady, NOW).saved, planner.outlook(steady, NOW).at_risk) == (10, 0)
    later = NOW + SECOND
    outlook = planner.outlook(wavering, later)
    assert (outlook.saved, outlook.lost) == (10, 0)
    assert 0 < outlook.at_risk == len(outlook.at_risk_ids) < 10
    for job_id in outlook.at_risk_ids:
        planner.remove(job_id)
    assert planner.outlook(wavering, later + SECOND).at_risk_ids == ()
