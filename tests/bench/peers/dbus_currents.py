"""venus-os_dbus-serialbattery 2.1: current tables and their output filter."""

from tinybms_sim.loop.view import View

Table = tuple[tuple[float, float], ...]

BY_HIGHEST_V: Table = ((3.375, 1), (3.400, 0.25), (3.425, 0.05), (3.450, 0.005), (3.500, 0))
BY_LOWEST_V: Table = ((2.800, 0), (2.900, 0.005), (3.000, 0.05), (3.100, 0.25), (3.190, 1))
CHARGE_BY_C: Table = (
    (0, 0), (2, 0.25), (5, 0.5), (10, 1), (40, 1), (45, 0.5), (50, 0.25), (55, 0)
)  # fmt: skip
DISCHARGE_BY_C: Table = (
    (-10, 0), (0, 0.25), (5, 0.5), (10, 1), (40, 1), (45, 0.5), (50, 0.25), (55, 0)
)  # fmt: skip
HOLD_S, RISE_A_PER_S, LEAVE_ZERO, UPDATE_S, LARGE_CHANGE = 30.0, 5.0, 0.015, 60.0, 0.33


def linear(table: Table, x: float) -> float:
    """Value of `table` at `x`, held at both ends."""
    left_x, left = table[0]
    if x <= left_x:
        return left
    for right_x, right in table[1:]:
        if x <= right_x:
            return left + (right - left) * (x - left_x) / (right_x - left_x)
        left_x, left = right_x, right
    return left


def share(view: View) -> tuple[float, float]:
    """Shares of the maximum currents for charge and discharge."""
    celsius = [value for _, value in view.temperatures_c]
    charge = min(linear(CHARGE_BY_C, value) for value in celsius)
    discharge = min(linear(DISCHARGE_BY_C, value) for value in celsius)
    cells_v = view.cell_voltages_v
    return (
        min(charge, linear(BY_HIGHEST_V, max(cells_v))),
        min(discharge, linear(BY_LOWEST_V, min(cells_v))),
    )


class SlowCurrent:
    """Down at once, up after a hold and then slowly."""

    def __init__(self, most_a: float) -> None:
        self._most_a, self._now_a, self._since_s = most_a, most_a, 0.0

    def next(self, part: float, dt_s: float) -> float:
        wanted_a = part * self._most_a
        self._since_s += dt_s
        if wanted_a <= self._now_a:
            if wanted_a < self._now_a:
                self._since_s = 0.0
            self._now_a = wanted_a
        elif self._since_s > HOLD_S and (self._now_a > 0 or part > LEAVE_ZERO):
            self._now_a = min(self._now_a + RISE_A_PER_S * dt_s, wanted_a)
        return self._now_a
