"""What a cycle, its register values, a silence and a full set make of the bus's messages."""

from __future__ import annotations

import json
from typing import Any

from fake_clock import FakeClock
from fake_live import fake_limits, fake_live, fake_sample
from tinybms_charge.parameters import charge_parameters
from tinybms_config.model import Config, Mqtt
from tinybms_messages.header import Header
from tinybms_messages.live import LiveData
from tinybms_messages.registers import BmsSettings, RegisterValue, RegisterValues
from tinybms_mqtt_out.cycle import HELD_AT_MOST
from tinybms_mqtt_out.feed import Feed
from tinybms_mqtt_out.publication import Publication
from tinybms_mqtt_out.values import Values

VOLTAGE = RegisterValue(key="pack_voltage", address=36, raw=5271, value=52.71)
CYCLES = RegisterValue(key="full_charge_count", address=112, raw=77, value=77)


class Bench:
    """A feed with a clock under control; `take` gives what it offered since the last look."""

    def __init__(self, config: Mqtt | None = None) -> None:
        self.clock = FakeClock()
        self._offered: list[Publication] = []
        self._seq = 0
        self.feed = Feed(
            values=Values(config or Mqtt(), "root"),
            parameters=charge_parameters(Config()),
            kernel_boot_id=self.clock.kernel_boot_id,
            offer=self._offered.append,
        )

    def header(self, seq: int, boot: str = "a" * 16) -> Header:
        return Header(
            source="acquisition",
            boot=boot,
            seq=seq,
            wall_ns=self.clock.wall_ns(),
            boottime_ns=self.clock.boottime_ns(),
            kernel_boot_id=self.clock.kernel_boot_id,
            time_ok=True,
        )

    def live(self, body: LiveData | None = None, *, boot: str = "a" * 16, **sample: object) -> int:
        self._seq += 1
        now = {"seq": self._seq, "boottime_ns": self.clock.boottime_ns()}
        fresh = fake_live(sample=fake_sample(**{**now, **sample}))
        header = self.header(self._seq, boot)
        self.feed.live(header, fresh if body is None else body, self.clock.boottime_ns())
        return self._seq

    def registers(self, live_seq: int, *values: RegisterValue, boot: str = "a" * 16) -> None:
        body = RegisterValues(live_seq=live_seq, wall_ns=self.clock.wall_ns(), values=values)
        self.feed.registers(self.header(live_seq, boot), body, self.clock.boottime_ns())

    def cycle(self, **sample: object) -> None:
        self.registers(self.live(None, **sample), VOLTAGE)  # type: ignore[arg-type]  # sample's fields

    def settings(self, raw: int) -> None:
        value = RegisterValue(key="over_voltage_cutoff", address=315, raw=raw, value=raw / 1000)
        body = BmsSettings(
            wall_ns=self.clock.wall_ns(), settings_words=(), version_words=(), values=(value,)
        )
        self.feed.settings(self.header(self._seq), body, self.clock.boottime_ns())

    def pass_time(self, seconds: float) -> dict[str, dict[str, Any]]:
        """Let time pass with ticks but no message."""
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)
            self.feed.tick(self.clock.boottime_ns())
        return self.take()

    def take(self) -> dict[str, dict[str, Any]]:
        taken = {one.topic.removeprefix("root/"): json.loads(one.payload) for one in self._offered}
        self._offered.clear()
        return taken


def test_measured_values_wait_for_their_registers_and_the_rest_does_not() -> None:
    bench = Bench()
    seq = bench.live()
    at_once = bench.take()
    assert "charge_current_limit" in at_once
    assert "battery_voltage" not in at_once
    assert bench.feed.awaits_registers
    bench.registers(seq, VOLTAGE)
    assert bench.take()["battery_voltage"]["raw"] == 5271
    assert not bench.feed.awaits_registers


def test_registers_that_do_not_come_are_not_waited_for() -> None:
    bench = Bench()
    bench.live()
    bench.take()
    bench.feed.registers_are_late(bench.clock.boottime_ns())
    assert bench.take()["battery_voltage"]["raw"] == 5270
    bench.feed.registers_are_late(bench.clock.boottime_ns())
    assert bench.take() == {}


def test_registers_that_come_first_are_held_for_their_live_data_in_order() -> None:
    bench = Bench()
    bench.registers(1, CYCLES)
    bench.registers(2, RegisterValue(key="full_charge_count", address=112, raw=78, value=78))
    assert bench.take() == {}
    bench.live()
    first = bench.take()["charge_cycles"]
    bench.clock.advance(1.0)
    bench.live()
    second = bench.take()["charge_cycles"]
    assert [(body["seq"], body["value"]) for body in (first, second)] == [(1, 77), (2, 78)]


def test_held_registers_are_bounded_and_those_of_a_dead_process_are_forgotten() -> None:
    bench = Bench()
    for _ in range(3 * HELD_AT_MOST):
        bench.registers(1000, CYCLES, boot="b" * 16)
    assert len(bench.feed._join._held) == HELD_AT_MOST
    bench.live()
    assert "charge_cycles" not in bench.take()
    assert not bench.feed._join._held


def test_a_repeat_of_the_same_sample_is_no_news() -> None:
    bench = Bench()
    bench.cycle()
    bench.take()
    same = fake_live(sample=fake_sample(seq=1, boottime_ns=bench.clock.boottime_ns()))
    for _ in range(15):
        bench.clock.advance(1.0)
        bench.live(same)
    assert "battery_voltage" not in bench.take()


def test_limits_step_down_with_age_and_everything_falls_silent() -> None:
    bench = Bench()
    bench.cycle()
    bench.take()
    assert bench.pass_time(9.5) == {}
    stale = bench.pass_time(1.0)
    assert stale["charge_current_limit"]["value"] == 0.0
    assert stale["charge_current_limit"]["seq"] == 1
    assert stale["alarm_bms_cable"]["value"] == 1
    assert "battery_voltage" not in stale
    assert bench.pass_time(10.0)["alarm_bms_cable"]["value"] == 2
    bench.pass_time(10.0)
    assert bench.feed.aged(bench.clock.boottime_ns()).data_state == "lost"
    lost = bench.pass_time(60.0)
    assert set(lost) == {"alarm_bms_cable"}


def test_a_constant_battery_is_repeated_as_long_as_it_answers() -> None:
    bench = Bench()
    told = []
    for _ in range(305):
        bench.cycle()
        told += [bench.take().get("battery_voltage", {}).get("seq")]
        bench.clock.advance(0.1)
    assert [seq for seq in told if seq] == [1, 101, 201, 301]


def test_a_full_set_comes_with_the_next_sample_and_holds_everything() -> None:
    bench = Bench()
    seq = bench.live()
    bench.registers(seq, VOLTAGE, CYCLES)
    everything = bench.take()
    bench.clock.advance(0.1)
    bench.feed.full_set(bench.clock.boottime_ns())
    assert set(bench.take()) == {"charge_cycles", "stat_full_charge_count"}
    bench.cycle()
    rest = bench.take()
    assert set(rest) == set(everything) - {"charge_cycles", "stat_full_charge_count"}
    assert {body["seq"] for body in rest.values()} == {2}


def test_a_full_set_without_a_next_sample_shows_the_last_one_while_it_is_fresh() -> None:
    bench = Bench()
    bench.cycle()
    bench.take()
    bench.clock.advance(0.5)
    bench.feed.full_set(bench.clock.boottime_ns())
    assert bench.take() == {}
    assert "battery_voltage" in bench.pass_time(1.0)


def test_old_data_are_never_shown_as_a_full_set() -> None:
    bench = Bench()
    bench.cycle()
    bench.take()
    bench.pass_time(15.0)
    bench.feed.full_set(bench.clock.boottime_ns())
    stale = bench.take()
    assert stale["charge_current_limit"]["value"] == 0.0
    assert "battery_voltage" not in stale
    bench.pass_time(60.0)
    bench.feed.full_set(bench.clock.boottime_ns())
    assert set(bench.take()) == {"alarm_bms_cable"}


def test_an_hour_old_message_in_the_cache_says_nothing() -> None:
    bench = Bench()
    old_ns = bench.clock.boottime_ns() - 3600 * 10**9
    bench.live(fake_live(sample=fake_sample(boottime_ns=old_ns)))
    assert "soc_percent" not in bench.take()


def test_a_snapshot_without_sample_says_nothing() -> None:
    bench = Bench()
    bench.live(fake_live(sample=None, limits=None, identity=None))
    assert bench.take() == {}
    assert bench.feed.aged(bench.clock.boottime_ns()).data_state == "unknown"


def test_a_smaller_pack_has_the_topics_of_its_cells_alone() -> None:
    bench = Bench()
    bench.cycle(cell_voltages_v=(3.3,) * 14, cells_balancing=(False,) * 14)
    cells = [name for name in bench.take() if name.startswith("cell_voltage_")]
    assert len(cells) == 14
    assert bench.feed.values.cell_count == 14


def test_qos_and_dead_bands_follow_the_configuration() -> None:
    bench = Bench(Mqtt(qos={"battery_voltage": 1}, deadband={"battery_voltage": 0.5}))
    bench.cycle()
    sent = {one.topic: one.qos for one in bench._offered}
    assert sent["root/battery_voltage"] == 1
    assert sent["root/battery_current"] == 0
    bench.take()
    for volts, news in ((53.1, False), (53.3, True)):
        bench.clock.advance(1.0)
        bench.cycle(pack_voltage_v=volts)
        assert ("battery_voltage" in bench.take()) is news


def test_a_limit_of_zero_is_told_as_zero() -> None:
    bench = Bench()
    now_ns = bench.clock.boottime_ns()
    sample = fake_sample(seq=1, boottime_ns=now_ns)
    bench.live(fake_live(sample=sample, limits=fake_limits(discharge_current_a=0.0)))
    assert bench.take()["discharge_current_limit"]["value"] == 0.0


def test_settings_come_on_change_and_each_hour() -> None:
    bench = Bench()
    told: list[tuple[int, int]] = []
    for second in range(0, 7300, 10):
        bench.settings(3650 if second < 100 else 3600)
        body = bench.take().get("setting_over_voltage_cutoff")
        if body is not None:
            told.append((second, body["raw"]))
        bench.clock.advance(10.0)
    assert told == [(0, 3650), (100, 3600), (3700, 3600)]
