"""Thirty days with a BMS that counts wrong: what setting SoC at a full charge is good for."""

from __future__ import annotations

import pytest

from tinybms_sim.loop.gateway import gateway
from tinybms_sim.loop.run import run
from tinybms_sim.loop.scenarios import scenario_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

SCENARIO = scenario_for("S16", 1)


def test_a_month_with_writes_allowed_keeps_soc_within_three_percent() -> None:
    metrics = run(scenario_for("S16w", 1), gateway, 1).metrics
    error_pct, days = metrics["synced_soc_error_pct"], metrics["days_without_full"]
    assert error_pct is not None
    assert error_pct < 3.0
    assert days is not None
    assert days <= 14.0


def test_a_month_without_writes_lets_it_drift() -> None:
    error_pct = run(SCENARIO, gateway, 1).metrics["synced_soc_error_pct"]
    assert error_pct is not None
    assert error_pct > 10.0
