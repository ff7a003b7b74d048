"""Modes of the owner: what they ask for, when they end, and how they outlive a restart."""

from dataclasses import replace

import pytest

from tinybms_acquisition.modes import ModeRefused, Modes, restored, saved
from tinybms_acquisition.sample import Moment
from tinybms_charge.state import ChargeMode
from tinybms_messages.owner import LONGEST_MODE_S, OwnerMode, SetMode, time_left

NOW_NS = 10**12
SECOND_NS = 10**9
NOW = Moment(boottime_ns=NOW_NS, wall_ns=1_790_000_000 * SECOND_NS, time_ok=True)


def asked(mode: OwnerMode, duration_s: float = 3600.0, limit_a: float | None = None) -> SetMode:
    return SetMode(mode=mode, duration_s=duration_s, limit_a=limit_a)


def with_modes(*requests: SetMode) -> Modes:
    modes = Modes()
    for request in requests:
        modes.set(request, NOW_NS)
    return modes


def caps(modes: Modes, now_ns: int = NOW_NS) -> tuple[list[float], list[float]]:
    owner = modes.owner(now_ns)
    return (
        [cap.value_a for cap in owner.charge_caps],
        [cap.value_a for cap in owner.discharge_caps],
    )


def test_without_modes_nothing_is_asked() -> None:
    owner = Modes().owner(NOW_NS)
    assert (owner.request, owner.charge_caps, owner.discharge_caps) == ("", (), ())


def test_each_mode_asks_for_its_own_and_they_add_up() -> None:
    assert caps(with_modes(asked(OwnerMode.CHARGE_OFF))) == ([0.0], [])
    assert caps(with_modes(asked(OwnerMode.DISCHARGE_OFF))) == ([], [0.0])
    both = with_modes(
        asked(OwnerMode.CHARGE_CURRENT, limit_a=12.5),
        asked(OwnerMode.CHARGE_OFF),
        asked(OwnerMode.TOP_BALANCE),
    )
    assert caps(both) == ([0.0, 12.5], [])
    assert both.owner(NOW_NS).request == "top_balance"


def test_a_current_of_zero_is_a_value() -> None:
    assert caps(with_modes(asked(OwnerMode.CHARGE_CURRENT, limit_a=0.0))) == ([0.0], [])


def test_the_words_say_who_what_and_for_how_long() -> None:
    modes = with_modes(asked(OwnerMode.CHARGE_CURRENT, 7300.0, 20.0))
    (cap,) = modes.owner(NOW_NS).charge_caps
    assert cap.text == "the owner (charge current at most 20.0 A, 2 h 2 min left)"


@pytest.mark.parametrize(
    ("left_s", "words"),
    [
        (0.0, "under 1 min left"),
        (60.0, "under 1 min left"),
        (60.1, "2 min left"),
        (7140.0, "119 min left"),
        (7200.0, "2 h left"),
        (86_401.0, "24 h 1 min left"),
    ],
)
def test_time_left_in_words(left_s: float, words: str) -> None:
    assert time_left(left_s) == words


def test_a_mode_ends_at_its_time_even_before_it_is_taken_away() -> None:
    modes = with_modes(asked(OwnerMode.CHARGE_OFF, 10.0), asked(OwnerMode.TOP_BALANCE, 20.0))
    end_ns = NOW_NS + 10 * SECOND_NS
    assert caps(modes, end_ns - 1) == ([0.0], [])
    assert caps(modes, end_ns) == ([], [])
    assert modes.expired(end_ns - 1) == ()
    assert [mode.mode for mode in modes.expired(end_ns)] == [OwnerMode.CHARGE_OFF]
    assert [mode.mode for mode in modes.active] == [OwnerMode.TOP_BALANCE]


def test_asked_again_a_mode_begins_anew() -> None:
    modes = with_modes(asked(OwnerMode.CHARGE_OFF, 10.0), asked(OwnerMode.CHARGE_OFF, 5.0))
    assert [mode.ends_ns for mode in modes.active] == [NOW_NS + 5 * SECOND_NS]


def test_a_current_belongs_to_one_mode_alone() -> None:
    with pytest.raises(ModeRefused, match="needs a current"):
        Modes().set(asked(OwnerMode.CHARGE_CURRENT), NOW_NS)
    with pytest.raises(ModeRefused, match="takes no current"):
        Modes().set(asked(OwnerMode.CHARGE_OFF, limit_a=5.0), NOW_NS)


def test_clearing_takes_those_that_are_named_or_all() -> None:
    modes = with_modes(asked(OwnerMode.CHARGE_OFF), asked(OwnerMode.DISCHARGE_OFF))
    assert [one.mode for one in modes.clear((OwnerMode.CHARGE_OFF,))] == [OwnerMode.CHARGE_OFF]
    assert modes.clear((OwnerMode.CHARGE_OFF,)) == ()
    assert [one.mode for one in modes.clear(())] == [OwnerMode.DISCHARGE_OFF]
    assert modes.active == ()


@pytest.mark.parametrize("after", [ChargeMode.FLOAT_DESCENT, ChargeMode.FLOAT])
def test_a_top_balance_is_over_once_that_charge_is_full(after: ChargeMode) -> None:
    modes = with_modes(asked(OwnerMode.TOP_BALANCE), asked(OwnerMode.CHARGE_OFF))
    assert modes.charged(ChargeMode.BULK, ChargeMode.TOP_BALANCE) == ()
    assert modes.charged(ChargeMode.TOP_BALANCE, ChargeMode.TOP_BALANCE) == ()
    assert modes.charged(ChargeMode.FLOAT, ChargeMode.FLOAT) == ()
    assert [one.mode for one in modes.charged(ChargeMode.TOP_BALANCE, after)] == [
        OwnerMode.TOP_BALANCE
    ]
    assert [one.mode for one in modes.active] == [OwnerMode.CHARGE_OFF]


def test_a_restart_of_the_process_changes_no_end() -> None:
    modes = with_modes(asked(OwnerMode.CHARGE_CURRENT, limit_a=7.0), asked(OwnerMode.TOP_BALANCE))
    later = replace(NOW, boottime_ns=NOW_NS + 60 * SECOND_NS, time_ok=False, wall_ns=0)
    assert restored(saved(modes, "one", NOW), "one", later).active == modes.active


def test_after_a_restart_of_the_machine_the_wall_clock_counts_the_time_off() -> None:
    modes = with_modes(asked(OwnerMode.CHARGE_OFF, 3600.0), asked(OwnerMode.TOP_BALANCE, 600.0))
    start = Moment(boottime_ns=SECOND_NS, wall_ns=NOW.wall_ns + 1200 * SECOND_NS, time_ok=True)
    again = restored(saved(modes, "one", NOW), "two", start)
    assert again.expired(start.boottime_ns)[0].mode is OwnerMode.TOP_BALANCE
    assert [mode.left_s(start.boottime_ns) for mode in again.active] == [2400.0]


@pytest.mark.parametrize(
    ("kept_ok", "now_ok", "wall_ns"),
    [
        (False, True, NOW.wall_ns + SECOND_NS),
        (True, False, NOW.wall_ns + SECOND_NS),
        (True, True, NOW.wall_ns - SECOND_NS),
    ],
)
def test_without_a_clock_to_trust_what_lowers_a_limit_stays_and_a_top_balance_is_over(
    kept_ok: bool, now_ok: bool, wall_ns: int
) -> None:
    modes = with_modes(asked(OwnerMode.CHARGE_OFF, 3600.0), asked(OwnerMode.TOP_BALANCE, 600.0))
    data = saved(modes, "one", replace(NOW, time_ok=kept_ok))
    start = Moment(boottime_ns=SECOND_NS, wall_ns=wall_ns, time_ok=now_ok)
    again = restored(data, "two", start)
    assert [(one.mode, one.left_s(SECOND_NS)) for one in again.active] == [
        (OwnerMode.CHARGE_OFF, 3600.0)
    ]


@pytest.mark.parametrize("data", [None, b"", b"\xc1", b"junk", b"\x80", bytes(100)])
def test_a_missing_or_damaged_file_is_no_mode(data: bytes | None) -> None:
    assert restored(data, "one", NOW).active == ()


def test_a_kept_end_is_never_later_than_what_can_be_asked_for() -> None:
    modes = with_modes(asked(OwnerMode.CHARGE_OFF, LONGEST_MODE_S))
    early = replace(NOW, boottime_ns=0)
    (mode,) = restored(saved(modes, "one", NOW), "one", early).active
    assert mode.left_s(0) == LONGEST_MODE_S
