"""Temperature of the pack from its losses and the air."""

import pytest

from tinybms_sim.loop.thermal import LOSS_FACTOR, ThermalNode, ThermalSpec

SPEC = ThermalSpec(start_c=20.0, heat_capacity_j_per_k=10_000.0, leak_w_per_k=10.0)


def test_without_current_the_pack_goes_to_the_air_with_its_time_constant() -> None:
    node = ThermalNode(SPEC, 0.0064)
    for _ in range(1000):
        node.step(0.0, 0.0, 1.0)
    assert node.celsius == pytest.approx(20.0 * 0.36788, rel=1e-3)


@pytest.mark.parametrize("current_a", [100.0, -100.0])
def test_a_current_of_either_sign_heats_by_its_losses(current_a: float) -> None:
    node = ThermalNode(SPEC, 0.0064)
    node.step(current_a, 20.0, 1e6)
    assert node.celsius == pytest.approx(20.0 + 100.0**2 * 0.0064 * LOSS_FACTOR / 10.0)


def test_the_first_second_stores_the_heat_that_was_lost() -> None:
    node = ThermalNode(SPEC, 0.0064)
    node.step(100.0, 20.0, 1.0)
    assert (node.celsius - 20.0) * 10_000.0 == pytest.approx(
        100.0**2 * 0.0064 * LOSS_FACTOR, rel=1e-3
    )
