"""A run as a picture; the only module that needs matplotlib (extra `plot`)."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tinybms_sim.loop.run import Result


def draw(result: Result, path: Path) -> None:
    """Write cell voltages, CVL, currents and states of charge over time to `path`."""
    trace = result.trace
    hours = [moment.time_s / 3600.0 for moment in trace]
    cells = result.scenario.pack.cells
    cvl = [None if m.command is None else m.command[0] / cells for m in trace]
    ccl = [None if m.command is None else m.command[1] for m in trace]
    figure = Figure(figsize=(11, 9), layout="constrained")
    FigureCanvasAgg(figure)
    volts, amperes, charge = figure.subplots(3, 1, sharex=True)
    figure.suptitle(f"{result.scenario.name}, seed {result.seed}: {result.scenario.title}")
    volts.plot(hours, [m.highest_v for m in trace], label="highest cell")
    volts.plot(hours, [m.pack_v / cells for m in trace], label="pack / cells")
    volts.plot(hours, [m.lowest_v for m in trace], label="lowest cell")
    volts.plot(hours, cvl, label="CVL / cells", color="black")
    volts.axhline(result.scenario.site.absorb_v, linestyle=":", color="grey")
    volts.set_ylabel("V per cell")
    amperes.plot(hours, [m.current_a for m in trace], label="battery")
    amperes.plot(hours, [m.surplus_a for m in trace], label="sun less loads", alpha=0.5)
    amperes.plot(hours, ccl, label="CCL", color="black")
    amperes.set_ylabel("A, + = charge")
    charge.plot(hours, [m.soc_pct for m in trace], label="true mean SoC")
    charge.plot(hours, [m.counted_soc_pct for m in trace], label="SoC of the BMS")
    charge.set_ylabel("%")
    charge.set_xlabel("h")
    for axes in (volts, amperes, charge):
        axes.legend(loc="best", fontsize="small")
        axes.grid(visible=True, alpha=0.3)
    figure.savefig(path, dpi=110)
