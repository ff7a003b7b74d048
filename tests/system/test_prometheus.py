"""promtool as the judge of `/metrics` and of the alert rules; run by make test-prometheus."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from fake_metrics import full_metrics
from harness_health import HealthBench, fetch

pytestmark = pytest.mark.prometheus

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus"
BOARD = ROOT / "deploy" / "grafana" / "tinybms.json"


def promtool(*arguments: str, text: str = "") -> str:
    """What it says; AssertionError when it finds fault."""
    done = subprocess.run(
        ["promtool", *arguments], input=text, capture_output=True, text=True, check=False, cwd=RULES
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_every_family_has_the_form_and_a_name_as_prometheus_wants_it() -> None:
    assert promtool("check", "metrics", text=full_metrics()) == ""


def test_a_running_gateway_gives_what_promtool_takes(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench:
        assert promtool("check", "metrics", text=fetch(bench.port, "/metrics")[1].decode()) == ""
        bench.publish_until_shown({"soc_pct": 50.0})
        assert promtool("check", "metrics", text=fetch(bench.port, "/metrics")[1].decode()) == ""


def test_the_rules_are_right_and_fire_when_they_must() -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    assert "SUCCESS" in promtool("test", "rules", "tinybms.rules.test.yml")


def test_each_query_of_the_dashboard_is_one(tmp_path: Path) -> None:
    queries = [
        target["expr"].replace("$instance", "x")
        for panel in json.loads(BOARD.read_text())["panels"]
        for target in panel["targets"]
    ]
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(queries)]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
    assert "SUCCESS" in promtool("check", "rules", str(file))
