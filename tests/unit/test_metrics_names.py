"""The names of the metrics, and that the examples use no others."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from syncer.core.model import Listing, Tally
from syncer.core.report import Deadlines, Report, Transfer
from syncer.reporting.vitals import WatchVitals

EXAMPLES = Path(__file__).parents[2] / "examples"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def families():
    vitals = WatchVitals("default", 3600, lambda: NOW)
    deadlines = Deadlines(earliest=NOW)
    vitals.learn(Report(NOW, NOW, 0, Listing(complete=True), Tally(), Transfer(), deadlines))
    found = text_string_to_metric_families(vitals.metrics().body.decode())
    return {family.name: family for family in found if not family.name.endswith("_created")}


def samples():
    return {sample.name for family in families().values() for sample in family.samples}


def expressions():
    rules = yaml.safe_load((EXAMPLES / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]
    for panel in json.loads((EXAMPLES / "grafana.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def test_names_follow_the_conventions_of_prometheus():
    """What `promtool check metrics` asks: help, base units at the end of a name, _total for counters alone."""
    for name, family in families().items():
        if not name.startswith("syncer_"):
            continue
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert family.documentation
        assert not re.search(
            r"(_count|_sum|_bucket|_info|gauge|counter|_(milli|micro|kilo|mega)|_ms|_minutes|_hours|_kb)$", name
        )
        for sample in family.samples:
            assert sample.name.endswith(("_total", "_created")) == (family.type == "counter")
        if "timestamp" in name:
            assert name.endswith("_timestamp_seconds")
        if "bytes" in name:
            assert name.endswith("_bytes")


@pytest.mark.parametrize("expression", list(expressions()))
def test_the_examples_ask_for_metrics_that_exist(expression):
    named = set(re.findall(r"\b(?:syncer|process)_[a-z_]+", expression))
    assert named
    assert named <= samples()
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


def test_the_alert_rules_are_alert_rules():
    rules = yaml.safe_load((EXAMPLES / "alerts.yml").read_text())
    names = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    assert len(names) == len(set(names)) >= 6
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert rule["annotations"]["summary"]


def test_the_dashboard_is_laid_out_without_overlap():
    board = json.loads((EXAMPLES / "grafana.json").read_text())
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
