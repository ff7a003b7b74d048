"""The one-screen text of `tinybms-sim gx` for people."""

from tinybms_sim.gx_view import Report

_CLEAR = "\x1b[2J\x1b[H"
_UNITS = {
    "/Info/MaxChargeVoltage": "V",
    "/Info/MaxChargeCurrent": "A",
    "/Info/MaxDischargeCurrent": "A",
    "/Info/BatteryLowVoltage": "V",
    "/Dc/0/Voltage": "V",
    "/Dc/0/Current": "A",
    "/Dc/0/Temperature": "degC",
    "/Soc": "%",
    "/Soh": "%",
    "/Capacity": "Ah",
    "/InstalledCapacity": "Ah",
    "/System/MinCellVoltage": "V",
    "/System/MaxCellVoltage": "V",
    "/System/MinCellTemperature": "degC",
    "/System/MaxCellTemperature": "degC",
    "/History/ChargedEnergy": "kWh",
    "/History/DischargedEnergy": "kWh",
}
_LEVELS = {0: "ok", 1: "WARNING", 2: "ALARM"}
_SHOWN_PROBLEMS = 8


def screen(report: Report, link: str, fault: str) -> str:
    """A screen of text for one report of `GxView`."""
    state = "battery connected" if report.connected else "no battery"
    rate = sum(report.frames.values())
    lines = [
        f"GX simulator on {link}: {state}, {rate} frames/s, fault: {fault}",
        "",
    ]
    lines += [
        f"  {path:36} {_shown(path, value)}" for path, value in sorted(report.display.items())
    ]
    if report.problems:
        lines += ["", f"problems ({len(report.problems)}):"]
        lines += [f"  {problem}" for problem in report.problems[-_SHOWN_PROBLEMS:]]
    return _CLEAR + "\n".join(lines) + "\n"


def _shown(path: str, value: object) -> str:
    if value is None:
        return "--"
    if path.startswith("/Alarms/"):
        return _LEVELS.get(value, str(value)) if isinstance(value, int) else str(value)
    return f"{value} {_UNITS.get(path, '')}".rstrip()
