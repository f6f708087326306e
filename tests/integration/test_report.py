"""`syncer report`: the last passes as a table, as JSON, and as a page that asks for nothing."""

import json
import re
from html.parser import HTMLParser

from helpers.site import jobs

from syncer.sandbox.faults import When
from syncer.sandbox.faults_wire import ErrorPage, Status
from syncer.sandbox.scenarios import HEALTHY, Scenario


class Page(HTMLParser):
    """Reads a page strictly: every tag closed in its order, and nothing in it that loads or runs."""

    VOID = frozenset({"meta", "br", "hr"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "img", "iframe", "object", "form")
        assert not {name for name, _ in attrs} & {"src", "href", "onclick", "onload", "action"}
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)


async def troubled(site):
    """Three passes: one with a file that stays an error page, one that heals it after a busy storage, one idle."""
    here = site(jobs(4, size=2000), Scenario("t", storage=(ErrorPage(when=When(jobs=frozenset({"job-001"}))),)))
    assert (await here.sync(tries="2")).exit_code == 6
    here.sandbox.set_scenario(Scenario("t", storage=(Status(status=503, when=When(first=1)),)))
    assert (await here.sync()).exit_code == 0
    here.sandbox.set_scenario(HEALTHY)
    assert (await here.sync()).exit_code == 0
    return here


async def test_scripts_get_every_figure(site):
    here = await troubled(site)
    said = json.loads(here.command("report", "--json").stdout)
    first, second, third = said["passes"]
    assert [one["exit_code"] for one in said["passes"]] == [6, 0, 0]
    assert [one["fetched"] for one in said["passes"]] == [3, 1, 0]
    assert first["reasons"] == {"not the file": 2}
    assert second["reasons"] == {"storage busy": 1}
    assert third["reasons"] == {}
    assert said["reasons"] == {"not the file": 2, "storage busy": 1}
    assert first["margin_hours"] == {"23": 3}
    assert 23 * 3600 < said["least_margin_seconds"] <= 24 * 3600
    assert said["entries"]["stored"] == 4
    assert first["jobs"]["pending"] == 1
    assert len(json.loads(here.command("report", "--json", "--last", 2).stdout)["passes"]) == 2


async def test_people_get_a_table_with_the_newest_on_top(site):
    here = await troubled(site)
    lines = here.command("report").stdout.splitlines()
    assert re.search(r"ended with +listed +fetched", lines[0])
    assert [re.search(r"(\d) (all is well|some pending)", line)[1] for line in lines[1:4]] == ["0", "0", "6"]
    assert "Tries that failed: not the file 2, storage busy 1." in lines


async def test_the_page_is_whole_and_asks_for_nothing(site):
    here = await troubled(site)
    target = here.folder / "passes.html"
    done = here.command("report", "--html", target)
    assert (done.returncode, done.stdout) == (0, "")
    page = Page(target.read_text(encoding="utf-8"))
    assert "http" not in target.read_text(encoding="utf-8").replace("http-equiv", "")
    assert page.tags.count("li") == 3 * 3
    for text in ("Bytes a pass", "Time left on the link when a file was saved", "not the file", "6 some pending"):
        assert text in page.texts
    assert "prefers-color-scheme: dark" in target.read_text(encoding="utf-8")


async def test_a_destination_cannot_write_on_the_page(site):
    here = site(jobs(1, size=1000))
    odd = here.folder / "a<script>alert(1)<&script>"
    assert (await here.sync(dest=str(odd))).exit_code == 0
    target = here.folder / "p.html"
    assert here.command("report", "--html", target).returncode == 0
    page = Page(target.read_text(encoding="utf-8"))
    assert any("a<script>alert(1)" in text for text in page.texts)


async def test_a_ledger_without_passes_makes_a_page_too(site):
    here = site([])
    assert here.command("ledger", "upgrade").returncode == 0
    assert here.command("report").stdout == "No pass yet; `syncer run` makes one.\n"
    target = here.folder / "p.html"
    assert here.command("report", "--html", target).returncode == 0
    Page(target.read_text(encoding="utf-8"))
    assert here.command("report", "--html", here.folder / "no/where.html").returncode == 2
