"""`tinybms-sim loop`."""

import importlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fake_controller import steady
from tinybms_sim.loop import command
from tinybms_sim.loop.command import LoopError, report, run_loop
from tinybms_sim.loop.run import judge, run
from tinybms_sim.loop.scenarios import scenario_for
from tinybms_sim.main import app


def test_a_run_ends_with_its_figures_and_criteria() -> None:
    result = CliRunner().invoke(app, ["loop", "--scenario", "S12", "--seed", "3", "--dt", "0.5"])
    assert result.exit_code in {0, 1}
    assert result.output.startswith("S12, seed 3: wrong readings")
    assert "highest cell over its target:" in result.output
    assert "ccl_zero_s is" in result.output


def test_the_exit_code_says_whether_every_criterion_passed() -> None:
    result = CliRunner().invoke(app, ["loop", "--scenario", "S13"])
    assert result.exit_code == 0
    assert "FAILED" not in result.output


def test_a_criterion_that_is_missed_is_said() -> None:
    fixed = steady(55.2)
    result = run(scenario_for("S12", 1), steady(50.0, 0.0), 1)
    text = report(result, judge(result, fixed))
    assert "FAILED: ccl_zero_s is 900, at most 0 is wanted" in text
    assert "passed: cvl_range_v is 0, at most 0.1001 is wanted" in text


@pytest.mark.parametrize("arguments", [["--scenario", "S99"], ["--dt", "0"], ["--seed", "x"]])
def test_a_wrong_call_ends_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["loop", *arguments]).exit_code == 2


def test_without_matplotlib_a_plot_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(LoopError, match=r"pip install 'tinybms-gateway\[plot\]'"):
        run_loop("S12", 1, 5.0, tmp_path / "run.png")


def test_a_plot_is_drawn_where_matplotlib_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[int, Path]] = []

    class Plot:
        @staticmethod
        def draw(result: object, path: Path) -> None:
            drawn.append((len(getattr(result, "trace", ())), path))

    monkeypatch.setattr(importlib, "import_module", lambda _name: Plot)
    run_loop("S12", 1, 5.0, tmp_path / "run.png")
    assert drawn == [(180, tmp_path / "run.png")]
    assert command.PLOT_POINTS >= 180
