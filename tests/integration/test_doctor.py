"""`syncer doctor` against sandboxes of every kind: what it says is what is so."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from helpers.site import CREATED, jobs

from syncer.core.doctor import exit_code
from syncer.examining import doctor
from syncer.sandbox.faults import Kind, Op
from syncer.sandbox.faults_wire import Status
from syncer.sandbox.model import (
    ChecksumForm,
    EntryRules,
    LinkForm,
    LinkOrigin,
    LinkRules,
    PageOrder,
    PageRules,
    Rules,
    SandboxJob,
    StorageRules,
    TimeForm,
    ValidatorForm,
)
from syncer.sandbox.scenarios import Scenario


def aged(count=6):
    return [replace(job, created_at=CREATED - timedelta(hours=n)) for n, job in enumerate(jobs(count, size=1000))]


def ruled(**rules):
    return Scenario("t", rules=Rules(**rules))


def told(here, dest=None, *, code=0, **settings):
    chosen = here.settings(**settings, **({"dest": str(dest)} if dest else {}))
    found = asyncio.run(doctor(chosen if dest else replace(chosen, dest=None)))
    text = repr(found)
    assert exit_code(found) == code, text
    assert here.sandbox.api_key not in text
    assert "Signature" not in text
    return [(one.area, str(one.level), one.text) for one in found]


def run_once(here):
    assert asyncio.run(here.sync()).exit_code == 0


def has(found, area, level, text):
    return any(a == area and v == level and text in t for a, v, t in found)


def test_a_sound_installation_is_well_and_nothing_is_changed_by_asking(site):
    here = site(aged())
    run_once(here)
    before = sorted(here.dest.rglob("*")), here.ledger.read_bytes()
    fetched = len(here.storage_requests())
    found = told(here, here.dest)
    assert {level for _, level, _ in found} == {"ok"}
    assert {area for area, _, _ in found} == {"key", "api", "storage", "destination", "ledger"}
    for text in ("Ranges work", "ETag and Last-Modified", "MD5, CRC32C", "X-Goog-Expires"):
        assert has(found, "storage", "ok", text)
    for text in ("counted from 0", "at least 6", "newest first", "signed anew", "with Z", "differ by"):
        assert has(found, "api", "ok", text)
    assert has(found, "destination", "ok", "belongs to")
    assert has(found, "destination", "ok", "fsync and rename work")
    assert (sorted(here.dest.rglob("*")), here.ledger.read_bytes()) == before
    (asked,) = here.storage_requests()[fetched:]
    assert asked.range == "bytes=0-0"
    assert not here.sandbox.log.requests(Kind.API, Op.RETRY)
    assert here.sandbox.token_leaks == 0


def test_without_a_destination_the_one_the_ledger_knows_is_looked_at(site):
    here = site(aged())
    run_once(here)
    assert has(told(here), "destination", "ok", f"{here.dest} is the folder this ledger belongs to")


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({"pages": PageRules(base=1)}, "counted from 1"),
        ({"pages": PageRules(default_count=4)}, "a page has 4 entries"),
        ({"pages": PageRules(order=PageOrder.OLDEST)}, "oldest first"),
        ({"entries": EntryRules(times=TimeForm.NAIVE)}, "without a zone"),
        ({"entries": EntryRules(times=TimeForm.OFFSET)}, "with an offset"),
        ({"entries": EntryRules(times=TimeForm.MISSING)}, "missing"),
        (
            {"links": LinkRules(origin=LinkOrigin.COMPLETION, ttl=timedelta(days=900))},
            "another one each time that dies no later",
        ),
    ],
)
def test_the_ways_of_the_api_are_found_out(site, rules, text):
    here = site(aged(), ruled(**rules))
    assert has(told(here, here.dest), "api", "ok", text)


@pytest.mark.parametrize(
    ("rules", "level", "text"),
    [
        ({"storage": StorageRules(ranges=False)}, "warn", "Ranges are ignored"),
        ({"storage": StorageRules(validators=ValidatorForm.NONE)}, "warn", "Nothing tells two versions"),
        ({"storage": StorageRules(checksum=ChecksumForm.NONE)}, "ok", "No checksum"),
        ({"links": LinkRules(form=LinkForm.NONE)}, "warn", "do not say when they die"),
        ({"links": LinkRules(form=LinkForm.AZURE)}, "ok", "(se, 2"),
    ],
)
def test_the_ways_of_the_storage_are_found_out(site, rules, level, text):
    here = site(aged(), ruled(**rules))
    assert has(told(here, here.dest), "storage", level, text)


def test_an_api_that_does_not_heed_count_is_warned_of(site):
    here = site(aged(), ruled(pages=PageRules(ignore_count=True, default_count=5)))
    assert has(told(here, here.dest), "api", "warn", "does not heed `count`")


def test_a_wrong_clock_is_a_failure_with_its_size(site):
    here = site(aged(), ruled(links=LinkRules(ttl=timedelta(days=3))))
    here.sandbox.advance(timedelta(hours=1))
    (text,) = [text for area, level, text in told(here, here.dest, code=4) if level == "fail"]
    assert 3595 <= int(re.fullmatch(r"This clock is (\d+) s slow\.", text)[1]) <= 3605


def test_a_key_that_is_refused_and_one_that_is_missing(site):
    here = site(aged())
    wrong = here.folder / "key"
    wrong.write_text("sk-nobodys")
    assert has(told(here, here.dest, code=3, api_key_file=str(wrong)), "key", "fail", "did not accept the API key")
    wrong.unlink()
    assert has(told(here, here.dest, code=3, api_key_file=str(wrong)), "key", "fail", "cannot be read")


def test_an_api_out_of_reach_leaves_the_rest_to_be_told(site):
    here = site(aged())
    found = told(here, here.dest, code=4, base_url="http://127.0.0.1:9", tries="1")
    assert has(found, "api", "fail", "cannot be reached")
    assert has(found, "destination", "ok", "the first run makes it")
    assert has(found, "ledger", "ok", "not there yet")
    assert not here.dest.exists()
    assert not here.ledger.exists()


def test_a_storage_that_refuses_is_a_failure(site):
    here = site(aged(), Scenario("t", storage=(Status(status=403),)))
    assert has(told(here, here.dest, code=6), "storage", "fail", "answered 403")


def test_an_account_too_small_to_tell_says_so(site):
    here = site([SandboxJob("one", "One.mp4", 1000)])
    found = told(here, here.dest)
    assert has(found, "api", "ok", "Pages are counted from … not to be told")
    assert has(told(site([]), here.folder / "x"), "storage", "ok", "no job has a link")


def test_destinations_that_are_not_ours_are_told_apart_and_never_written_to(site):
    here, other = site(aged()), site(aged())
    run_once(here)
    run_once(other)
    before = sorted(other.dest.rglob("*"))
    assert has(told(here, other.dest, code=5), "destination", "fail", "that of another ledger")
    assert sorted(other.dest.rglob("*")) == before
    empty = here.folder / "empty"
    empty.mkdir()
    assert has(told(here, empty, code=5), "destination", "fail", "has no marker")
    assert list(empty.iterdir()) == []
    assert has(told(here, here.folder / "gone", code=5), "destination", "fail", "There is no folder")
    (here.dest / ".syncer/destination.json").write_text("{}")
    assert has(told(here, here.dest, code=5), "destination", "fail", "cannot be read")


def test_a_damaged_ledger_and_one_that_others_can_read(site):
    here = site(aged())
    run_once(here)
    here.ledger.chmod(0o644)
    assert has(told(here, here.dest), "ledger", "warn", "Other users can read it")
    here.ledger.write_bytes(b"not a ledger")
    found = told(here, here.dest, code=9)
    assert has(found, "ledger", "fail", "is no database")
    assert has(found, "destination", "warn", "Not looked at")


def test_scripts_read_it_as_json(site):
    here = site(aged())
    done = here.command("doctor", here.folder / "a/b", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == said["exit_code"] == 5
    (failed,) = [row for row in said["findings"] if row["level"] == "fail"]
    assert failed == {
        "area": "destination",
        "level": "fail",
        "text": f"There is no folder {here.folder}/a/b.",
        "way_out": "Mount it, or give another with --dest.",
    }


def test_people_read_it_by_area_with_the_way_out_below(site):
    here = site(aged())
    done = here.command("doctor", here.folder / "a/b")
    lines = done.stdout.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == [
        "key", "api", "storage", "destination", "ledger", "1 failed, 0 to be warned of."
    ]  # fmt: skip
    at = next(n for n, line in enumerate(lines) if line.startswith("  fail"))
    assert lines[at + 1].startswith("        ")
