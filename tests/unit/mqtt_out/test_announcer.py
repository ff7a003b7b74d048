"""When discovery messages go out, and how what was announced is taken back."""

from __future__ import annotations

import json
from typing import Any

from tinybms_config.model import Config, Mqtt, MqttGroups
from tinybms_messages.live import Identity
from tinybms_mqtt_out.announcer import SEARCH_S, Announcer, Memory, Step
from tinybms_mqtt_out.discovery import Battery, Discovery
from tinybms_mqtt_out.publication import Publication

SERIAL = "0123456789abcdef01234567"
TOPIC = f"homeassistant/device/tinybms_{SERIAL}/config"
BIRTH_DELAY_S = 7.0
TICK_S = 0.25


def identity(serial_number: str = SERIAL) -> Identity:
    return Identity(
        serial_number=serial_number,
        firmware=243,
        hardware="2.1",
        capacity_ah=280.0,
        single_port=False,
    )


class Bench:
    """An announcer with a clock; `run` gives what went out, each with its time."""

    def __init__(
        self, mqtt: Mqtt | None = None, memory: Memory | None = None, root: str = "root"
    ) -> None:
        self.discovery = Discovery(Config(mqtt=mqtt or Mqtt()), root, version="1.0.0")
        self.announcer = Announcer(
            self.discovery, memory or Memory(), birth_delay_s=lambda: BIRTH_DELAY_S
        )
        self.now_s = 100.0

    def run(self, seconds: float) -> list[tuple[float, Step]]:
        steps: list[tuple[float, Step]] = []
        end_s = self.now_s + seconds
        start_s = self.now_s
        while self.now_s <= end_s:
            while (step := self.announcer.tick(self.now_s)) is not None:
                steps.append((self.now_s - start_s, step))
            self.now_s += TICK_S
        return steps

    def sent(self, seconds: float) -> list[Publication]:
        return [one for _at_s, step in self.run(seconds) for one in step.publications]

    def battery(self, cells: int, serial_number: str = SERIAL) -> None:
        self.announcer.battery_is(identity(serial_number), cells, self.now_s)

    def known(self, cells: int = 16) -> Bench:
        """Connected and announced, all steps done."""
        self.announcer.connected(self.now_s)
        self.battery(cells)
        self.run(10.0)
        return self


def body(publication: Publication) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(publication.payload)
    return loaded


def test_before_the_first_contact_ever_nothing_is_announced() -> None:
    bench = Bench()
    bench.announcer.connected(bench.now_s)
    bench.announcer.battery_is(None, 0, bench.now_s)
    bench.announcer.born(bench.now_s)
    assert bench.sent(60.0) == []


def test_the_first_contact_announces_and_asks_for_the_values_a_second_later() -> None:
    bench = Bench()
    bench.announcer.connected(bench.now_s)
    bench.battery(16)
    (first_s, first), (second_s, second) = bench.run(5.0)
    (message,) = first.publications
    assert (message.topic, message.qos, message.retain) == (TOPIC, 1, True)
    assert "cell_voltage_16" in body(message)["components"]
    assert not first.full_set
    assert second.full_set
    assert 1.0 <= second_s - first_s <= 1.25


def test_a_known_battery_is_announced_at_each_connection_without_hearing_of_it() -> None:
    memory = Bench().known().announcer.memory
    bench = Bench(memory=memory)
    for _connection in range(2):
        bench.announcer.connected(bench.now_s)
        (message,) = bench.sent(10.0)
        assert message.topic == TOPIC
        assert "cell_voltage_16" in body(message)["components"]
        bench.announcer.disconnected()
    assert bench.announcer.memory == memory


def test_the_same_battery_again_is_no_news() -> None:
    bench = Bench().known()
    bench.battery(16)
    bench.announcer.battery_is(identity(), 0, bench.now_s)
    assert bench.run(10.0) == []


def test_home_assistants_birth_is_answered_after_a_while_once() -> None:
    bench = Bench().known()
    for _again in range(3):
        bench.announcer.born(bench.now_s)
    (first_s, first), (_second_s, second) = bench.run(40.0)
    assert first_s == BIRTH_DELAY_S
    assert [one.topic for one in first.publications] == [TOPIC]
    assert second.full_set


def test_fewer_cells_are_withdrawn_by_name_and_then_left_out() -> None:
    bench = Bench().known(16)
    bench.battery(15)
    farewell, clean = bench.sent(10.0)
    components = body(farewell)["components"]
    assert components["cell_voltage_16"] == {"platform": "sensor"}
    assert components["cell_voltage_15"]["unique_id"] == f"tinybms_{SERIAL}_cell_voltage_15"
    assert "cell_voltage_16" not in body(clean)["components"]
    assert "cell_voltage_16" not in bench.announcer.memory.announced[TOPIC]


def test_a_withdrawal_that_was_cut_short_is_done_again() -> None:
    bench = Bench().known(16)
    bench.battery(15)
    assert len(bench.sent(0.0)) == 1
    bench.announcer.disconnected()
    again = Bench(memory=bench.announcer.memory)
    again.announcer.connected(again.now_s)
    farewell, _clean = again.sent(10.0)
    assert body(farewell)["components"]["cell_voltage_16"] == {"platform": "sensor"}


def test_a_group_that_is_switched_off_is_withdrawn_at_the_next_start() -> None:
    memory = Bench().known().announcer.memory
    bench = Bench(Mqtt(groups=MqttGroups(settings=False)), memory)
    bench.announcer.connected(bench.now_s)
    farewell, clean = bench.sent(10.0)
    gone = {
        key for key, one in body(farewell)["components"].items() if one == {"platform": "sensor"}
    }
    assert gone
    assert all(key.startswith("setting_") for key in gone)
    assert not gone & body(clean)["components"].keys()


def test_another_battery_takes_the_place_of_the_old_one() -> None:
    bench = Bench().known()
    other = "f00d" * 6
    bench.battery(14, other)
    cleared, announced = bench.sent(10.0)
    assert (cleared.topic, cleared.payload, cleared.retain) == (TOPIC, b"", True)
    assert announced.topic == f"homeassistant/device/tinybms_{other}/config"
    assert list(bench.announcer.memory.announced) == [announced.topic]


def test_another_prefix_clears_the_old_topics() -> None:
    memory = Bench().known().announcer.memory
    bench = Bench(Mqtt(discovery_prefix="ha"), memory)
    bench.announcer.connected(bench.now_s)
    cleared, announced = bench.sent(10.0)
    assert (cleared.topic, cleared.payload) == (TOPIC, b"")
    assert announced.topic == f"ha/device/tinybms_{SERIAL}/config"


def test_from_entities_to_device_the_entities_move_with_their_history() -> None:
    memory = Bench(Mqtt(discovery_form="entities")).known().announcer.memory
    count = len(memory.announced)
    bench = Bench(memory=memory)
    bench.announcer.connected(bench.now_s)
    steps = [step.publications for _at_s, step in bench.run(10.0)]
    migrate, device, clear = steps[0], steps[1], steps[2]
    assert {one.payload for one in migrate} == {b'{"migrate_discovery":true}'}
    assert [one.topic for one in device] == [TOPIC]
    assert {one.payload for one in clear} == {b""}
    assert {one.topic for one in migrate} == {one.topic for one in clear} == set(memory.announced)
    assert len(clear) == count


def test_from_device_to_entities_the_device_goes_first() -> None:
    memory = Bench().known().announcer.memory
    bench = Bench(Mqtt(discovery_form="entities"), memory)
    bench.announcer.connected(bench.now_s)
    sent = bench.sent(10.0)
    assert (sent[0].topic, sent[0].payload) == (TOPIC, b"")
    assert TOPIC not in {one.topic for one in sent[1:]}
    assert TOPIC not in bench.announcer.memory.announced


def test_strays_of_ours_are_cleared_and_nothing_of_others() -> None:
    old = Discovery(Config(mqtt=Mqtt(discovery_form="entities")), "root", version="0.9.0")
    other = Discovery(Config(), "fleet/other", version="1.0.0")
    bench = Bench().known()
    battery = Battery.of(identity(), 16)
    stray = f"homeassistant/sensor/tinybms_{SERIAL}/battery_voltage/config"
    foreign = "homeassistant/device/tinybms_other/config"
    bench.announcer.connected(bench.now_s)
    bench.announcer.heard(stray, old.documents(battery)[stray].payload)
    (theirs,) = other.documents(battery).values()
    bench.announcer.heard(foreign, theirs.payload)
    bench.announcer.heard("homeassistant/device/0x00158d/config", b'{"origin":{"name":"z2m"}}')
    bench.announcer.heard("homeassistant/device/broken/config", b"\xff{")
    (ours,) = bench.discovery.documents(battery).values()
    bench.announcer.heard(TOPIC, ours.payload)
    sent = bench.run(SEARCH_S + 5.0)
    cleared = [one for _at_s, step in sent for one in step.publications if one.payload == b""]
    assert [one.topic for one in cleared] == [stray]


def test_what_comes_long_after_the_connection_is_no_stray() -> None:
    bench = Bench().known()
    battery = Battery.of(identity(), 16)
    (document,) = bench.discovery.documents(battery).values()
    bench.announcer.heard("homeassistant/device/tinybms_old/config", document.payload)
    assert bench.run(20.0) == []


def test_forgetting_clears_every_topic() -> None:
    bench = Bench(Mqtt(discovery_form="entities")).known()
    topics = set(bench.announcer.memory.announced)
    cleared = bench.announcer.withdraw_all()
    assert {one.topic for one in cleared} == topics
    assert {(one.payload, one.retain, one.qos) for one in cleared} == {(b"", True, 1)}
    assert bench.announcer.memory.announced == {}
