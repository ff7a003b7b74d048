"""Cells of the closed loop: charge, voltage and what a BMS reads of them."""

import random
from itertools import pairwise

import pytest

from tinybms_sim.loop.curves import CURVES, curve_table, open_circuit_v
from tinybms_sim.loop.pack import Pack, PackSpec

PLAIN = PackSpec(
    cells=4,
    capacity_ah=100.0,
    start_soc_pct=50.0,
    soc_spread_pct=0.0,
    capacity_spread_pct=0.0,
    resistance_spread=0.0,
    noise_mv=0.0,
)


def make_pack(seed: int = 1, **changes: object) -> Pack:
    values = {field: getattr(PLAIN, field) for field in PLAIN.__dataclass_fields__}
    return Pack(PackSpec(**(values | changes)), random.Random(seed))


@pytest.mark.parametrize("name", CURVES)
def test_every_curve_rises_all_the_way_and_the_table_follows_it(name: str) -> None:
    assert all(low[1] < high[1] and low[0] < high[0] for low, high in pairwise(CURVES[name]))
    table = curve_table(name)
    assert all(rise > 0 for rise in table.rise)
    for soc_pct, volts in CURVES[name]:
        assert open_circuit_v(name, soc_pct) == pytest.approx(volts)


@pytest.mark.parametrize(("soc_pct", "volts"), [(50, 3.296), (99, 3.400), (100, 3.600), (2, 2.98)])
def test_a_rested_cell_has_the_voltage_of_its_curve(soc_pct: float, volts: float) -> None:
    pack = make_pack(start_soc_pct=soc_pct)
    assert pack.cell_v == pytest.approx([volts] * 4)
    assert pack.lowest_open_v() == pytest.approx(volts)


def test_what_flows_in_is_in_the_cells_and_comes_out_again() -> None:
    pack = make_pack(capacity_spread_pct=2.0, soc_spread_pct=0.5)
    before_ah = pack.charge_ah()
    rng = random.Random(5)
    flowed_as = 0.0
    for _ in range(3000):
        current_a = rng.uniform(-60.0, 60.0)
        pack.step(current_a, 1.0)
        flowed_as += current_a
    assert pack.charge_ah() - before_ah == pytest.approx(4 * flowed_as / 3600.0, abs=1e-6)
    pack.step(-flowed_as / 1000.0, 1000.0)
    assert pack.charge_ah() == pytest.approx(before_ah, abs=1e-6)


def test_the_step_width_changes_no_charge_and_hardly_a_voltage() -> None:
    coarse, fine = make_pack(), make_pack()
    for _ in range(600):
        coarse.step(50.0, 1.0)
    for _ in range(6000):
        fine.step(50.0, 0.1)
    assert coarse.charge_ah() == pytest.approx(fine.charge_ah())
    assert coarse.cell_v == pytest.approx(fine.cell_v, abs=1e-6)


def test_bleeding_takes_charge_out_of_one_cell_only() -> None:
    pack = make_pack()
    before = pack.soc_pct()
    for _ in range(3600):
        pack.step(0.0, 1.0, 0.15, (2,))
    after = pack.soc_pct()
    assert pack.bled_ah == pytest.approx(0.15)
    assert after[2] == pytest.approx(before[2] - 0.15)
    assert [after[i] for i in (0, 1, 3)] == pytest.approx([before[i] for i in (0, 1, 3)])


def test_current_lifts_the_voltage_by_its_resistance_at_once_and_by_the_rest_slowly() -> None:
    pack = make_pack(start_soc_pct=45.0)
    rest_v = pack.cell_v[0]
    pack.step(28.0, 1.0)
    ohm = 280.0 / 100.0 * 1e-3
    assert pack.cell_v[0] - rest_v == pytest.approx(28.0 * 0.40 * ohm, abs=1e-3)
    assert pack.resistance_ohm == pytest.approx(4 * 0.40 * ohm)
    for _ in range(7200):
        pack.step(0.001, 1.0)
    loaded = make_pack(start_soc_pct=45.0)
    for _ in range(900):
        loaded.step(28.0, 1.0)
        loaded.step(-28.0, 1e-9)
    lag_v = loaded.source_v - 4 * open_circuit_v("lfp", loaded.soc_pct()[0])
    assert 0.7 * 4 * 28.0 * 0.8 * ohm < lag_v < 4 * 28.0 * 0.8 * ohm


def test_more_charge_never_means_less_voltage() -> None:
    pack = make_pack(start_soc_pct=1.0)
    lowest = []
    for _ in range(105):
        pack.step(100.0, 36.0)
        lowest.append(min(pack.cell_v))
    assert all(low < high for low, high in pairwise(lowest[20:]))


def test_an_odd_cell_is_ahead_and_a_full_one_runs_away_first() -> None:
    pack = make_pack(offsets_pct=((1, 3.0),), start_soc_pct=96.5)
    assert pack.soc_pct()[1] - pack.soc_pct()[0] == pytest.approx(3.0)
    for _ in range(60):
        pack.step(50.0, 1.0)
    assert pack.cell_v.index(max(pack.cell_v)) == 1
    assert pack.cell_v[1] - pack.cell_v[0] > 0.1


def test_the_reading_is_in_millivolts_with_the_noise_asked_for() -> None:
    exact, noisy = make_pack(), make_pack(noise_mv=2.0)
    assert exact.measured_v() == [3.296] * 4
    readings = [v for _ in range(2000) for v in noisy.measured_v()]
    assert all(abs(v * 1000 - round(v * 1000)) < 1e-9 for v in readings)
    mean = sum(readings) / len(readings)
    spread = (sum((v - mean) ** 2 for v in readings) / len(readings)) ** 0.5
    assert mean == pytest.approx(3.296, abs=0.0003)
    assert spread == pytest.approx(0.002, rel=0.1)


def test_a_pack_beyond_every_limit_stays_a_number() -> None:
    pack = make_pack()
    for current_a in (1e5, -1e5):
        for _ in range(200):
            pack.step(current_a, 10.0)
        assert all(-1e6 < v < 1e6 for v in pack.cell_v)
