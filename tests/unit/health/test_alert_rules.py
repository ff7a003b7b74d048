"""The rules and the dashboard that are shipped ask for metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fake_metrics import families, full_metrics

DEPLOY = Path(__file__).parents[3] / "deploy"
NAME = re.compile(r"\btinybms_[a-z_]+\b")


def test_the_rules_ask_for_metrics_that_exist() -> None:
    text = (DEPLOY / "prometheus" / "tinybms.rules.yml").read_text()
    asked = {name for line in text.splitlines() if "expr:" in line for name in NAME.findall(line)}
    assert len(asked) > 10
    assert asked - families(full_metrics()) == set()


def test_the_dashboard_asks_for_metrics_that_exist_and_has_each_panel_once() -> None:
    board = json.loads((DEPLOY / "grafana" / "tinybms.json").read_text())
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in NAME.findall(target["expr"])
    }
    assert len(asked) > 20
    assert asked - families(full_metrics()) == set()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places)
