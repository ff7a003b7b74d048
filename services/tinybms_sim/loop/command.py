"""`tinybms-sim loop`: run scenarios with the gateway's charge control and show how they ended."""

import importlib
from pathlib import Path
from typing import Final

from tinybms_sim.loop.gateway import gateway
from tinybms_sim.loop.run import Result, Verdict, judge, run
from tinybms_sim.loop.scenarios import scenario_for

PLOT_POINTS: Final = 2000

_SHOWN: Final = (
    ("overshoot_mv", "highest cell over its target", "mV"),
    ("float_h", "float reached after", "h"),
    ("float_soc_pct", "true mean SoC at float", "%"),
    ("cvl_reversals_h", "CVL reversals over 0.15 V", "per h"),
    ("cvl_small_reversals_h", "CVL reversals over 10 mV per cell", "per h"),
    ("made_reversals_h", "current reversals made by CVL", "per h"),
    ("crossings_300", "times a cell reached register 300", ""),
    ("crossings_315", "times a cell reached register 315", ""),
    ("given_ah", "given by the battery without need", "Ah"),
    ("unused_ah", "sun not used before full", "Ah"),
    ("bled_ah", "bled by balancing", "Ah"),
    ("end_soc_pct", "true mean SoC at the end", "%"),
    ("soc_spread_pct", "spread of SoC at the end", "%"),
    ("pack_over_cvl_v", "most by which the pack was over CVL", "V"),
    ("frames_changed_h", "changes of the limits", "per h"),
    ("switch_open_s", "time with the BMS's switch open", "s"),
    ("ac_off_s", "time without AC output", "s"),
)


class LoopError(Exception):
    """Says what can't be run, and what to do."""


def run_loop(
    scenario_name: str, seed: int, dt_s: float | None, plot: Path | None
) -> tuple[str, bool]:
    """(result as text, whether every criterion passed) of one scenario; raises LoopError."""
    try:
        scenario = scenario_for(scenario_name, seed)
    except ValueError as error:
        raise LoopError(str(error)) from error
    every_s = scenario.hours * 3600.0 / PLOT_POINTS if plot else 0.0
    result = run(scenario, gateway, seed, dt_s=dt_s, trace_every_s=every_s)
    if plot:
        _draw(result, plot)
    verdicts = judge(result, gateway, dt_s=dt_s)
    return report(result, verdicts), all(verdict.passed for verdict in verdicts)


def report(result: Result, verdicts: tuple[Verdict, ...]) -> str:
    """Figures and criteria of one run, a line each."""
    scenario = result.scenario
    lines = [f"{scenario.name}, seed {result.seed}: {scenario.title}"]
    for name, text, unit in _SHOWN:
        lines.append(f"  {text + ':':<42} {_number(result.metrics[name])} {unit}".rstrip())
    lines += [f"  {_sentence(verdict)}" for verdict in verdicts]
    return "\n".join(lines)


def _sentence(verdict: Verdict) -> str:
    criterion = verdict.criterion
    bounds = []
    if criterion.least is not None:
        bounds.append(f"at least {criterion.least + verdict.base:g}")
    if criterion.most is not None:
        bounds.append(f"at most {criterion.most + verdict.base:g}")
    word = "passed" if verdict.passed else "FAILED"
    value = _number(verdict.value)
    return f"{word}: {criterion.metric} is {value}, {' and '.join(bounds)} is wanted"


def _number(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


def _draw(result: Result, path: Path) -> None:
    try:
        plot = importlib.import_module("tinybms_sim.loop.plot")
    except ImportError as error:
        raise LoopError(
            f"a plot needs matplotlib ({error}); install it with: "
            "pip install 'tinybms-gateway[plot]'"
        ) from error
    plot.draw(result, path)
