from __future__ import annotations

import pytest

from tinybms_protocol.registers import (
    BY_ADDRESS,
    BY_KEY,
    READABLE_BLOCKS,
    REGISTERS,
    Access,
    RegisterGroup,
    RegisterType,
    registers_in,
)

GROUP_WINDOWS = {
    RegisterGroup.LIVE: range(100),
    RegisterGroup.STATISTICS: range(100, 200),
    RegisterGroup.EVENTS: range(200, 300),
    RegisterGroup.SETTINGS: range(300, 400),
    RegisterGroup.VERSION: range(500, 600),
}


def test_the_map_has_159_rows_with_unique_keys_and_labels() -> None:
    assert len(REGISTERS) == 159
    assert len({row.key for row in REGISTERS}) == 159
    assert len({row.label for row in REGISTERS}) == 159


@pytest.mark.parametrize(
    ("group", "rows"),
    [
        (RegisterGroup.LIVE, 36),
        (RegisterGroup.STATISTICS, 19),
        (RegisterGroup.EVENTS, 50),
        (RegisterGroup.SETTINGS, 44),
        (RegisterGroup.VERSION, 10),
    ],
)
def test_rows_of_each_group(group: RegisterGroup, rows: int) -> None:
    assert sum(row.group is group for row in REGISTERS) == rows


@pytest.mark.parametrize("group", list(RegisterGroup))
def test_every_word_of_a_group_is_described(group: RegisterGroup) -> None:
    for address in GROUP_WINDOWS[group]:
        assert address in BY_ADDRESS
        assert all(row.group is group for row in BY_ADDRESS[address])


def test_nothing_is_described_outside_the_groups() -> None:
    assert len(BY_ADDRESS) == sum(len(window) for window in GROUP_WINDOWS.values())


def test_fields_that_share_a_word_do_not_overlap() -> None:
    for rows in BY_ADDRESS.values():
        used = 0
        for row in rows:
            mask = (1 << min(row.bits, 16)) - 1 << row.low_bit
            assert not used & mask, row.key
            used |= mask


def test_only_settings_can_be_written_and_no_reserved_one() -> None:
    for row in REGISTERS:
        assert (row.access is Access.READ_WRITE) == (row.group is RegisterGroup.SETTINGS)
        if row.type is RegisterType.RESERVED:
            assert not row.writable


def test_every_row_is_complete() -> None:
    for row in REGISTERS:
        assert row.label
        assert row.source
        assert row.scale > 0
        if row.minimum is not None and row.maximum is not None:
            assert row.minimum <= row.maximum
        if row.type in {RegisterType.ENUM8, RegisterType.ENUM16}:
            assert row.names
        if row.type in {RegisterType.UINT32, RegisterType.FLOAT32, RegisterType.EVENT}:
            assert row.words == 2


@pytest.mark.parametrize(
    ("key", "address", "type_", "scale", "unit"),
    [
        ("cell_voltage_16", 15, RegisterType.UINT16, 0.0001, "V"),
        ("pack_voltage", 36, RegisterType.FLOAT32, 1.0, "V"),
        ("min_cell_voltage", 40, RegisterType.UINT16, 0.001, "V"),
        ("external_temp_1", 42, RegisterType.INT16, 0.1, "°C"),
        ("state_of_health", 45, RegisterType.UINT16, 0.002, "%"),
        ("state_of_charge", 46, RegisterType.UINT32, 1e-6, "%"),
        ("max_cell_difference", 104, RegisterType.UINT16, 0.0001, "V"),
        ("battery_capacity", 306, RegisterType.UINT16, 0.01, "Ah"),
        ("over_voltage_cutoff", 315, RegisterType.UINT16, 0.001, "V"),
        ("low_temp_charge_cutoff", 320, RegisterType.INT16, 1.0, "°C"),
        ("firmware_internal_version", 502, RegisterType.UINT16, 1.0, None),
    ],
)
def test_rows_that_are_easily_got_wrong(
    key: str, address: int, type_: RegisterType, scale: float, unit: str | None
) -> None:
    row = BY_KEY[key]
    assert (row.address, row.type, row.scale, row.unit) == (address, type_, scale, unit)


@pytest.mark.parametrize(
    ("key", "low_bit", "bits"),
    [
        ("min_pack_temp_seen", 0, 8),
        ("max_pack_temp_seen", 8, 8),
        ("last_reset_cause", 0, 8),
        ("last_wakeup_cause", 8, 8),
        ("enable_charge_restart_level", 2, 1),
        ("charger_type", 0, 8),
        ("discharge_over_current_timeout", 8, 8),
        ("power_type", 8, 1),
        ("current_sensor_used", 9, 2),
    ],
)
def test_bit_positions_of_shared_words(key: str, low_bit: int, bits: int) -> None:
    assert (BY_KEY[key].low_bit, BY_KEY[key].bits) == (low_bit, bits)


def test_the_label_of_register_36_is_the_one_users_see() -> None:
    assert BY_KEY["pack_voltage"].label == "Battery Pack Voltage"


def test_rev_d_registers_know_their_first_firmware() -> None:
    assert {row.key for row in REGISTERS if row.since_firmware == 251} == {
        "state_of_health",
        "peak_discharge_current_cutoff",
        "charger_startup_delay",
        "charger_disable_delay",
        "charge_restart_level",
        "max_cycles",
        "soh_set",
        "enable_charge_restart_level",
        "discharge_over_current_timeout",
    }


def test_numbers_of_the_enumerations() -> None:
    names = {row.key: dict(row.names) for row in REGISTERS if row.names}
    assert names["online_status"] == {
        145: "charging",
        146: "fully_charged",
        147: "discharging",
        150: "regeneration",
        151: "idle",
        155: "fault",
    }
    assert names["load_switch_type"][8] == "aiho2_high"
    assert names["charger_switch_type"][9] == "aiho2_high"
    assert names["charger_switch_type"][1] == "charge_fet"
    assert names["precharge_pin"][2] == "discharge_fet"
    assert names["precharge_pin"][9] == "aiho2_low"
    assert 1 not in names["precharge_pin"]
    assert names["ignition_input"][6] == "aiho2"
    assert names["charger_detection"][7] == "aiho2"
    assert names["operation_mode"] == {0: "dual_port", 1: "single_port"}
    assert names["broadcast_time"][7] == "10s"


def test_registers_in_a_block_leave_out_what_is_cut_or_reserved() -> None:
    assert [row.key for row in registers_in(37, 4)] == ["pack_current", "min_cell_voltage"]
    assert [row.key for row in registers_in(48, 2)] == ["internal_temp"]


def test_the_readable_blocks_have_different_lengths() -> None:
    lengths = [len(block) for block in READABLE_BLOCKS.values()]
    assert lengths == [56, 18, 98, 44, 10]
    assert len(set(lengths)) == len(lengths)
