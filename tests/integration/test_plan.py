"""`syncer plan`: its figures are the sandbox's own, and asking for them costs no more than it says."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from helpers.site import jobs

from syncer.cli.plan import plan_command
from syncer.sandbox.faults import Kind, Op, When
from syncer.sandbox.faults_wire import Status
from syncer.sandbox.model import LinkForm, LinkOrigin, LinkRules, Rules, SandboxJob
from syncer.sandbox.scenarios import Scenario

MIB = 1 << 20
HOUR = timedelta(hours=1)


def dying(**links):
    return Scenario("dying", rules=Rules(links=LinkRules(origin=LinkOrigin.COMPLETION, **links)))


def lot(*hours, size=2 * MIB):
    """A job a life: so many hours each link has left, negative where it is dead."""
    now = datetime.now(UTC)
    return [
        SandboxJob(f"job-{n:03}", f"Film {n}.mp4", size=size * (n + 1), created_at=now - 24 * HOUR + hour * HOUR)
        for n, hour in enumerate(hours)
    ]


@pytest.fixture(autouse=True)
def _own_log():
    """The command sets up logging; the tests after these have it as it was."""
    root, ours = logging.getLogger(), logging.getLogger("syncer")
    handlers, level = root.handlers[:], ours.level
    yield
    root.handlers[:] = handlers
    ours.setLevel(level)
    logging.captureWarnings(capture=False)


def plan(here, *argv):
    """The command in this process: its exit code is 0, and this is its output."""
    done = CliRunner().invoke(plan_command, [str(here.dest), *argv], env=here.environ(), standalone_mode=False)
    assert (done.exception, done.return_value) == (None, 0), done.stderr
    return done.stdout


def planned(here, *argv):
    return json.loads(plan(here, "--json", *argv))


def told(here, *argv):
    text = plan(here, *argv)
    assert all(len(line) <= 100 for line in text.splitlines())
    return text


def test_probing_costs_one_request_of_one_byte_a_file_and_writes_nothing(site):
    here = site(jobs(20, size=3 * MIB))
    value = planned(here, "--probe", "--rate", "1M")
    assert value["bytes"] == {"known": 60 * MIB, "unknown_sizes": 0, "estimated_total": 60 * MIB}
    assert [(seen.range, seen.body_bytes) for seen in here.storage_requests()] == [("bytes=0-0", 1)] * 20
    assert here.sandbox.token_leaks == 0
    assert not here.dest.exists()
    assert not here.ledger.exists()


def test_its_figures_are_exact_where_sizes_and_rate_are_known(site):
    # 2, 4, 6, 8 and 10 MiB: at 1 KiB a second, 2048 s for the first, 12288 s for the first three.
    here = site(lot(1, 3, 3.2, 9, -2), dying())
    value = planned(here, "--probe", "--rate", "1k")
    # The dead one cannot be asked for, and counts as large as the mean of the others: 5 MiB.
    assert value["bytes"] == {"known": 20 * MIB, "unknown_sizes": 1, "estimated_total": 25 * MIB}
    assert (value["dead_links"], value["in_time"]) == (1, False)
    assert value["rate"] == {"bytes_per_second": 1024, "source": "given", "passes": 0}
    assert (value["would_be_saved"], value["would_be_lost"]["files"]) == (3, 2)
    assert set(value["would_be_lost"]["ids"]) == {"job-002", "job-004"}
    assert value["would_be_lost"]["bytes"] == 11 * MIB
    assert value["seconds"] == 14 * 1024
    # What is due within 3.2 hours sets the width; a minute or two pass while the test runs.
    assert 12 * MIB / (3.2 * 3600) < value["needed"]["bytes_per_second"] < 12 * MIB / (3.1 * 3600)
    assert value["needed"]["workers"] == 5
    text = told(here, "--probe", "--rate", "1k")
    for part in (
        "NOT ALL: 3 of 5 files in 3 h 59 min",
        "1 whose turn comes too late and 1 under dead links",
        "--workers 5",
    ):
        assert part in text
    assert "saves all but the 1 dead" in text


def test_a_line_as_wide_as_it_says_saves_them_all(site):
    here = site(lot(1, 3, 3.2, 9), dying())
    needed = planned(here, "--probe", "--rate", "1k")["needed"]["bytes_per_second"]
    value = planned(here, "--probe", "--rate", str(int(needed * 1.05)))
    assert (value["in_time"], value["would_be_lost"]["files"]) == (True, 0)
    assert value["at_risk"] == {"files": 0, "ids": []}  # a line that is given does not waver
    assert "yes, all of it" in told(here, "--probe", "--rate", "2k")


def test_the_rate_of_past_passes_is_remembered_and_a_limit_is_heeded(site):
    here = site(jobs(4, size=MIB))
    assert here.command("run", here.dest, "--include", "Film [0-1]*").returncode == 0
    value = planned(here)
    assert value["rate"]["source"] == "measured"
    assert value["rate"]["passes"] == 1
    assert 0 < value["rate"]["bytes_per_second"] < 1000 * MIB
    assert value["bytes"] == {"known": 0, "unknown_sizes": 2, "estimated_total": 2 * MIB}
    assert value["in_time"] is True
    text = told(here)
    assert "about 2.0 MiB: all sizes estimated" in text
    assert "measured by the last pass" in text
    limited = planned(here, "--bwlimit", "1k")["rate"]
    assert (limited["bytes_per_second"], limited["source"]) == (1024, "limit")


def test_what_is_not_known_is_not_foretold(site):
    here = site(lot(1, 2), dying())
    value = planned(here)
    assert (value["in_time"], value["would_be_lost"]["files"], value["seconds"]) == (None, 0, None)
    assert "not known without a size" in told(here, "--rate", "1k")
    assert "not known without a rate" in told(here, "--probe")
    assert here.command("plan", here.dest, "--rate", "0").returncode == 2


def test_estimated_deaths_that_are_past_count_as_nothing(site):
    here = site(lot(-5, 3), dying(form=LinkForm.NONE))
    value = planned(here, "--probe", "--rate", "1M")
    assert (value["dead_links"], value["would_be_lost"]["files"], value["in_time"]) == (0, 0, True)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_probe_that_fails_changes_nothing(site, status):
    refused = Status(status=status, when=When(jobs=frozenset({"job-001"})))
    here = site(jobs(3, size=1000), Scenario("t", storage=(refused,)))
    value = planned(here, "--probe", "--rate", "1M")
    assert value["bytes"] == {"known": 2000, "unknown_sizes": 1, "estimated_total": 3000}
    assert here.sandbox.log.requests(Kind.API, Op.GET) == []


def test_hostile_names_cannot_speak_to_the_terminal(site):
    here = site([replace(job, name="\x1b[31mred\u202e\n") for job in jobs(1)])
    assert "\x1b" not in told(here)
