from __future__ import annotations

import pytest

from tinybms_protocol.events import (
    EVENT_KINDS,
    BmsEvent,
    Conditions,
    EventClass,
    active_events,
    event_time_s,
    kind_of,
    parse_event_reply,
    parse_events,
)
from tinybms_protocol.status import OnlineStatus

FAULT = OnlineStatus.FAULT
IDLE = OnlineStatus.IDLE


def log(*entries: tuple[int, int]) -> list[int]:
    words = [0] * 98
    for slot, (time_s, number) in enumerate(entries):
        words[2 * slot] = time_s & 0xFFFF
        words[2 * slot + 1] = (time_s >> 16 & 0xFF) | number << 8
    return words


def events(*entries: tuple[int, int], lifetime_s: int = 10_000) -> tuple[BmsEvent, ...]:
    return parse_events(log(*entries), lifetime_s)


def numbers(found: tuple[BmsEvent, ...]) -> list[int]:
    return [event.kind.number for event in found]


def test_the_table_holds_every_event_with_the_class_of_its_range() -> None:
    expected = {*range(2, 8), *range(0xA, 0x10), 0x31, 0x37, 0x38, 0x39}
    expected |= {*range(0x61, 0x68), *range(0x73, 0x7E)}
    assert set(EVENT_KINDS) == expected
    assert len({kind.key for kind in EVENT_KINDS.values()}) == len(EVENT_KINDS)
    for number, kind in EVENT_KINDS.items():
        assert kind.number == number
        assert kind.text
        for clearing in kind.cleared_by:
            assert EVENT_KINDS[clearing].event_class is EventClass.INFO


@pytest.mark.parametrize(
    ("number", "event_class"),
    [
        (0x01, EventClass.FAULT),
        (0x30, EventClass.FAULT),
        (0x32, EventClass.WARNING),
        (0x60, EventClass.WARNING),
        (0x68, EventClass.INFO),
        (0x90, EventClass.INFO),
        (0x91, EventClass.UNKNOWN),
        (0xFF, EventClass.UNKNOWN),
    ],
)
def test_unknown_numbers_keep_the_class_of_their_range(
    number: int, event_class: EventClass
) -> None:
    kind = kind_of(number)
    assert kind.event_class is event_class
    assert f"0x{number:02X}" in kind.text


def test_a_captured_slot() -> None:
    words = [0] * 98
    words[4:6] = [0x4E2B, 0x64B9]
    (event,) = parse_events(words, 12493967)
    assert (event.time_s, event.kind.key, event.slot) == (12144171, "charger_connected", 2)
    assert event.age_s(12493967) == 349796


def test_times_wrap_at_24_bits() -> None:
    assert event_time_s(0xFFFFF0, 0x01000010) == 0x00FFFFF0
    assert event_time_s(0x000010, 0x01000010) == 0x01000010
    assert event_time_s(0x000000, 0x05000000) == 0x05000000


def test_an_event_just_after_the_lifetime_was_read_is_new_not_194_days_old() -> None:
    assert event_time_s(0x000012, 0x01000010) == 0x01000012
    assert event_time_s(0x000001, 0x00FFFFFF) == 0x01000001
    (event,) = events((10_002, 0x02))
    assert event.time_s == 10_002
    assert event.age_s(10_000) == 0


def test_a_wrapped_ring_is_sorted_by_time_and_empty_slots_are_left_out() -> None:
    found = events((500, 0x64), (0, 0), (100, 0x61), (300, 0x62))
    assert [event.time_s for event in found] == [100, 300, 500]


def test_an_event_answer_brings_its_own_lifetime() -> None:
    payload = bytes.fromhex("cd93fe0026120065")
    lifetime_s, found = parse_event_reply(payload)
    assert lifetime_s == 16683981
    assert [(e.time_s, e.kind.number) for e in found] == [(4646, 0x65)]
    for bad in (b"", bytes(6)):
        with pytest.raises(ValueError, match="bytes of events"):
            parse_event_reply(bad)
    with pytest.raises(ValueError, match="98 words"):
        parse_events([0] * 96, 0)


@pytest.mark.parametrize(
    ("fault", "recovery"),
    [
        (0x02, 0x7B),
        (0x03, 0x79),
        (0x04, 0x73),
        (0x05, 0x77),
        (0x06, 0x76),
        (0x07, 0x78),
        (0x0A, 0x75),
        (0x0E, 0x7C),
        (0x0F, 0x7D),
    ],
)
def test_a_fault_is_active_until_its_own_recovery(fault: int, recovery: int) -> None:
    other = 0x79 if recovery != 0x79 else 0x7B
    assert numbers(active_events(events((1, fault), (2, other)), FAULT).faults) == [fault]
    cleared = active_events(events((1, fault), (2, recovery)), FAULT)
    assert cleared.faults == ()
    assert cleared.unknown_fault is True


@pytest.mark.parametrize("fault", [0x0B, 0x0C, 0x0D])
def test_switch_faults_end_only_with_a_start_or_the_status(fault: int) -> None:
    infos = [(2 + i, n) for i, n in enumerate((*range(0x62, 0x68), *range(0x73, 0x7E)))]
    assert numbers(active_events(events((1, fault), *infos), FAULT).faults) == [fault]
    assert active_events(events((1, fault), (2, 0x61)), FAULT).faults == ()
    assert active_events(events((1, fault)), IDLE).faults == ()


def test_a_start_ends_all_that_was_before_it() -> None:
    result = active_events(events((1, 0x02), (1, 0x31), (5, 0x61), (9, 0x05)), FAULT)
    assert numbers(result.events) == [0x05]


def test_several_faults_and_their_warning_are_active_together() -> None:
    result = active_events(events((1, 0x31), (2, 0x02), (3, 0x05)), FAULT)
    assert numbers(result.faults) == [0x02, 0x05]
    assert numbers(result.warnings) == [0x31]
    assert numbers(result.events) == [0x02, 0x05, 0x31]
    assert result.unknown_fault is False


def test_no_fault_is_active_when_the_status_says_none() -> None:
    result = active_events(events((1, 0x02), (1, 0x31)), IDLE)
    assert result.faults == ()
    assert numbers(result.warnings) == [0x31]
    assert result.unknown_fault is False


def test_a_fault_that_the_log_does_not_name_is_an_unknown_fault() -> None:
    assert active_events((), FAULT).unknown_fault is True
    assert active_events((), IDLE).unknown_fault is False


def test_an_unknown_fault_number_is_shown_with_its_number() -> None:
    (fault,) = active_events(events((1, 0x15)), FAULT).faults
    assert fault.kind.key == "unknown_15"


def test_a_fault_that_came_again_after_its_recovery_is_active() -> None:
    result = active_events(events((1, 0x05), (4, 0x77), (9, 0x05)), FAULT)
    assert [event.time_s for event in result.faults] == [9]


def test_fault_and_recovery_in_one_second_leave_the_fault_active() -> None:
    for entries in (((7, 0x05), (7, 0x77)), ((7, 0x77), (7, 0x05))):
        assert numbers(active_events(events(*entries), FAULT).faults) == [0x05]


@pytest.mark.parametrize(
    ("number", "over", "still"),
    [
        (
            0x31,
            Conditions(min_cell_voltage_v=2.8, fully_discharged_voltage_v=2.8),
            Conditions(min_cell_voltage_v=2.799, fully_discharged_voltage_v=2.8),
        ),
        (
            0x37,
            Conditions(battery_temperature_c=1.0, low_temp_charge_cutoff_c=1),
            Conditions(battery_temperature_c=0.9, low_temp_charge_cutoff_c=1),
        ),
    ],
)
def test_a_warning_whose_recovery_was_lost_ends_by_measurement(
    number: int, over: Conditions, still: Conditions
) -> None:
    found = events((1, number))
    assert active_events(found, IDLE, over).warnings == ()
    assert numbers(active_events(found, IDLE, still).warnings) == [number]
    assert numbers(active_events(found, IDLE, Conditions()).warnings) == [number]


@pytest.mark.parametrize("next_number", [0x62, 0x63])
def test_a_charger_warning_ends_with_the_next_charge(next_number: int) -> None:
    assert numbers(active_events(events((1, 0x38)), IDLE).warnings) == [0x38]
    assert active_events(events((1, 0x38), (2, next_number)), IDLE).warnings == ()


@pytest.mark.parametrize("entries", [((7, 0x61), (7, 0x05)), ((7, 0x05), (7, 0x61))])
def test_a_fault_in_the_second_of_a_start_is_after_it(
    entries: tuple[tuple[int, int], ...],
) -> None:
    assert numbers(active_events(events(*entries), FAULT).faults) == [0x05]


def test_a_fault_logged_again_while_active_began_when_it_was_logged_first() -> None:
    (fault,) = active_events(events((1, 0x05), (4, 0x05)), FAULT).faults
    assert fault.time_s == 1


def test_measurements_do_not_end_other_warnings() -> None:
    over = Conditions(min_cell_voltage_v=4.0, fully_discharged_voltage_v=2.0)
    assert numbers(active_events(events((1, 0x39)), IDLE, over).warnings) == [0x39]
