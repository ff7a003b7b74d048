"""A critical value is a record when it moved by its dead band, and never before a valid sample."""

import pytest
from msgspec.structs import replace

from fake_live import fake_alarms, fake_limits, fake_sample
from tinybms_acquisition.critical import (
    ALARM_SUFFIXES,
    DEAD_BANDS,
    KEYFRAME_S,
    CriticalRecords,
    Seen,
)
from tinybms_acquisition.sample import Moment
from tinybms_charge.ageing import Aged
from tinybms_messages.critical import Critical, CriticalClass
from tinybms_messages.live import Alarm, AlarmName, Limits

SECOND_NS = 10**9
ALL = {*DEAD_BANDS, *ALARM_SUFFIXES.values()}


class Battery:
    """Says what holds, one LIVE_DATA after the other, a second apart."""

    def __init__(self) -> None:
        self.records = CriticalRecords(boot="a1" * 8, kernel_boot_id="k")
        self.live_seq = 0
        self.at_ns = 5 * SECOND_NS
        self.soc_pct = 50.0
        self.limits: Limits | None = fake_limits()
        self.alarms: tuple[Alarm, ...] = fake_alarms()
        self.sample = fake_sample()
        self.all: list[Critical] = []

    def moment(self) -> Moment:
        return Moment(boottime_ns=self.at_ns, wall_ns=10**18 + self.at_ns, time_ok=True)

    def poll(self, *, answered: bool = True, seconds: float = 1.0) -> list[Critical]:
        self.live_seq += 1
        self.at_ns += round(seconds * SECOND_NS)
        moment = self.moment()
        if answered:
            self.sample = replace(
                self.sample,
                seq=self.live_seq,
                soc_pct=self.soc_pct,
                boottime_ns=moment.boottime_ns,
                wall_ns=moment.wall_ns,
            )
        shown = Aged(
            data_state="fresh",
            send=self.limits is not None,
            limits=self.limits,
            alarms=self.alarms,
            alarm_level=0,
        )
        seen = Seen(live_seq=self.live_seq, moment=moment, sample=self.sample, shown=shown)
        records = self.records.take(seen)
        self.all += records
        return records


@pytest.fixture
def battery() -> Battery:
    battery = Battery()
    battery.poll()
    return battery


def suffixes(records: list[Critical]) -> list[str]:
    return [record.suffix for record in records]


def test_nothing_is_a_record_before_the_first_sample() -> None:
    records = CriticalRecords(boot="a1" * 8, kernel_boot_id="k")
    shown = Aged(data_state="unknown", send=False, limits=None, alarms=fake_alarms(), alarm_level=0)
    moment = Moment(boottime_ns=1, wall_ns=1, time_ok=True)
    assert records.take(Seen(live_seq=1, moment=moment, sample=None, shown=shown)) == []


def test_the_first_sample_makes_a_record_of_every_value() -> None:
    battery = Battery()
    records = battery.poll()
    assert set(suffixes(records)) == ALL
    assert [record.seq for record in records] == list(range(1, len(ALL) + 1))
    assert {record.live_seq for record in records} == {1}
    soc = next(record for record in records if record.suffix == "soc_percent")
    assert (soc.value, soc.raw, soc.record_class) == (50.0, 50_000_000, CriticalClass.SAMPLE)


def test_a_battery_at_rest_makes_no_records(battery: Battery) -> None:
    assert [battery.poll() for _ in range(100)] == [[]] * 100


@pytest.mark.parametrize(
    ("suffix", "field", "start", "within", "beyond"),
    [
        ("charge_voltage_limit", "charge_voltage_v", 55.2, 55.2, 55.3),
        ("discharge_voltage_limit", "discharge_voltage_v", 44.0, 44.0, 43.9),
        ("charge_current_limit", "charge_current_a", 60.0, 60.5, 60.6),
        ("charge_current_limit", "charge_current_a", 5.0, 5.0, 4.9),
        ("discharge_current_limit", "discharge_current_a", 100.0, 99.1, 99.0),
        ("discharge_current_limit", "discharge_current_a", 0.1, 0.1, 0.0),
        ("charge_current_limit", "charge_current_a", 0.0, 0.0, 0.05),
    ],
)
def test_a_limit_is_a_record_when_it_moved_by_its_dead_band(
    battery: Battery, suffix: str, field: str, start: float, within: float, beyond: float
) -> None:
    battery.limits = fake_limits(**{field: start})
    battery.poll()
    battery.limits = fake_limits(**{field: within})
    assert battery.poll() == []
    battery.limits = fake_limits(**{field: beyond})
    assert [(one.suffix, one.value) for one in battery.poll()] == [(suffix, beyond)]


def test_a_slow_drift_is_not_lost_in_the_dead_band(battery: Battery) -> None:
    values = []
    for tenth in range(1, 31):
        battery.soc_pct = 50.0 + 0.01 * tenth
        values += [record.value for record in battery.poll()]
    assert values == pytest.approx([50.1, 50.2, 50.3])


def test_soc_reaching_and_leaving_zero_is_a_record(battery: Battery) -> None:
    values = []
    for soc_pct in (0.05, 0.0, 0.04, 0.06):
        battery.soc_pct = soc_pct
        values += [record.value for record in battery.poll()]
    assert values == [0.05, 0.0, 0.04]


def test_an_alarm_is_a_record_when_its_level_changes_not_when_its_words_do(
    battery: Battery,
) -> None:
    def alarms(level: int, text: str) -> tuple[Alarm, ...]:
        return (Alarm(name=AlarmName.LOW_SOC, level=level, text=text),)

    records = []
    for level, text in [(1, "SoC 9 %"), (1, "SoC 8 %"), (2, "SoC 4 %"), (0, "")]:
        battery.alarms = alarms(level, text)
        records += battery.poll()
    assert [(one.value, one.text) for one in records] == [(1, "SoC 9 %"), (2, "SoC 4 %"), (0, "")]
    assert {one.record_class for one in records} == {CriticalClass.ALARM}


def test_a_keyframe_comes_each_hour(battery: Battery) -> None:
    assert battery.poll(seconds=KEYFRAME_S - 2) == []
    assert set(suffixes(battery.poll(seconds=3))) == ALL
    assert battery.poll() == []


def test_a_keyframe_comes_when_it_is_asked_for(battery: Battery) -> None:
    battery.records.want_keyframe()
    assert set(suffixes(battery.poll())) == ALL
    assert battery.poll() == []


def test_what_ageing_changes_is_a_record_with_the_time_of_the_change(battery: Battery) -> None:
    sampled_ns = battery.at_ns
    battery.limits = fake_limits(charge_current_a=0.0)
    (record,) = battery.poll(answered=False, seconds=10)
    assert (record.suffix, record.value) == ("charge_current_limit", 0.0)
    assert record.boottime_ns == sampled_ns + 10 * SECOND_NS
    assert record.live_seq == battery.live_seq


def test_an_old_soc_is_never_a_new_record(battery: Battery) -> None:
    battery.records.want_keyframe()
    assert "soc_percent" not in suffixes(battery.poll(answered=False))
    assert suffixes(battery.poll()) == ["soc_percent"]


def test_limits_that_nobody_knows_any_more_are_unknown_once(battery: Battery) -> None:
    battery.limits = None
    records = battery.poll(answered=False)
    assert {(one.suffix, one.value) for one in records} == {
        (suffix, None) for suffix in DEAD_BANDS if suffix != "soc_percent"
    }
    battery.records.want_keyframe()
    later = battery.poll(answered=False)
    assert {one.record_class for one in later} == {CriticalClass.ALARM}
    battery.limits = fake_limits()
    assert len([one for one in battery.poll() if one.suffix.endswith("limit")]) == 4


def test_events_and_values_share_one_sequence_without_gaps(battery: Battery) -> None:
    event = battery.records.event("bms_fault", "over-voltage", "alarm", battery.moment())
    battery.soc_pct = 49.0
    battery.all.append(event)
    battery.poll()
    assert (event.suffix, event.value, event.text) == ("event", "bms_fault", "over-voltage")
    assert [one.seq for one in battery.all] == list(range(1, len(battery.all) + 1))


def test_every_record_has_its_own_name(battery: Battery) -> None:
    for number in range(50):
        battery.soc_pct = 50.0 + number
        battery.limits = fake_limits(charge_current_a=float(number))
        battery.poll(answered=number % 3 > 0)
        battery.all.append(battery.records.event("x", "y", "info", battery.moment()))
        battery.all.append(battery.records.event("x", "y", "info", battery.moment()))
    names = [(one.boot, one.live_seq, one.suffix) for one in battery.all]
    assert len(set(names)) == len(names)
