"""The status document says what is known, and None for what is not."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from fake_live import fake_alarms, fake_limits, fake_live, fake_sample
from fake_view import NOW_NS, facts, fake_heard, fake_latest, fake_view, header, heartbeat
from tinybms_config.model import Can, Config, Mqtt
from tinybms_health.document import StatusDocument
from tinybms_health.status import iso_time, status_document
from tinybms_health.view import ProcessFacts, View
from tinybms_messages.latest import LatestLive
from tinybms_messages.live import Link, LiveData, Reason
from tinybms_messages.status import GatewayEvent, MqttStatus
from tinybms_runtime.processes import NAMES


def without(name: str, **process: object) -> View:
    """A view in which process `name` is as given and was never heard."""
    view = fake_view()
    beats = {other: beat for other, beat in view.heard.heartbeats.items() if other != name}
    return replace(
        view,
        processes={**view.processes, name: facts(name, **process)},
        heard=replace(view.heard, heartbeats=beats),
    )


def silent_for(seconds: float, *names: str) -> View:
    """A view in which the named processes last beat `seconds` ago."""
    view = fake_view()
    old = {name: (header(name, age_s=seconds), heartbeat(name)) for name in names}
    return replace(view, heard=replace(view.heard, heartbeats={**view.heard.heartbeats, **old}))


def test_it_survives_the_way_through_json() -> None:
    document = status_document(fake_view())
    assert msgspec.json.decode(msgspec.json.encode(document), type=StatusDocument) == document


def test_every_process_is_there_with_its_figures() -> None:
    document = status_document(fake_view())
    assert list(document.processes) == list(NAMES)
    broker = document.processes["broker"]
    assert (broker.state, broker.pid, broker.restarts) == ("running", 101, 0)
    assert broker.heartbeat_age_s == pytest.approx(0.2)
    assert broker.uptime_s == pytest.approx(100.2)
    assert (broker.lag_ms, broker.rss_bytes, broker.cpu_pct) == (0.5, 20_000_000, 0.4)


def test_a_process_without_pid_is_down() -> None:
    assert status_document(without("buffer", pid=0)).processes["buffer"].state == "down"


def test_a_process_whose_heartbeat_is_over_ten_seconds_old_is_hung() -> None:
    assert status_document(silent_for(9.9, "mqtt_out")).processes["mqtt_out"].state == "running"
    assert status_document(silent_for(10.1, "mqtt_out")).processes["mqtt_out"].state == "hung"


def test_a_stopped_process_is_hung_at_once() -> None:
    view = fake_view()
    view = replace(view, processes={**view.processes, "can_out": facts("can_out", frozen=True)})
    assert status_document(view).processes["can_out"].state == "hung"


def test_a_young_process_that_was_not_heard_is_starting() -> None:
    assert status_document(without("buffer", uptime_s=2.0)).processes["buffer"].state == "starting"


def test_a_heartbeat_of_a_former_process_is_not_taken_for_the_new_ones() -> None:
    view = fake_view()
    view = replace(
        view, processes={**view.processes, "buffer": facts("buffer", pid=999, uptime_s=0.5)}
    )
    report = status_document(view).processes["buffer"]
    assert (report.state, report.heartbeat_age_s, report.pid) == ("starting", None, 999)


def test_when_nobody_is_heard_the_broker_alone_is_hung() -> None:
    document = status_document(silent_for(30.0, *NAMES))
    states = {name: report.state for name, report in document.processes.items()}
    assert states == {**dict.fromkeys(NAMES, "running"), "broker": "hung"}


def test_when_the_broker_is_down_nobody_else_is_called_hung() -> None:
    view = silent_for(30.0, *NAMES)
    view = replace(view, processes={**view.processes, "broker": ProcessFacts(pid=0)})
    states = {name: report.state for name, report in status_document(view).processes.items()}
    assert states == {**dict.fromkeys(NAMES, "running"), "broker": "down"}


def test_fresh_data_show_battery_and_limits_as_they_came() -> None:
    document = status_document(fake_view())
    assert document.data.state == "fresh"
    assert document.data.age_s == pytest.approx(0.1)
    assert document.battery is not None
    assert document.battery.pack_voltage_v == 52.70
    assert document.limits == fake_limits()


def test_limits_carry_their_reasons() -> None:
    reason = Reason(code="cold", text="cells are cold", value=12.0)
    live = fake_live(
        sample=fake_sample(boottime_ns=NOW_NS),
        limits=fake_limits(charge_current_a=12.0, charge_reasons=(reason,)),
    )
    document = status_document(fake_view(heard=fake_heard(live=fake_latest(live))))
    assert document.limits is not None
    assert document.limits.charge_reasons == (reason,)


def test_stale_data_stop_charging_and_raise_the_cable_alarm() -> None:
    document = status_document(fake_view(heard=fake_heard(live=fake_latest(age_s=12.0))))
    assert document.data.state == "stale"
    assert document.limits is not None
    assert document.limits.charge_current_a == 0.0
    levels = {alarm.name.value: alarm.level for alarm in document.alarms}
    assert levels["bms_cable"] == 1


def test_lost_data_are_not_shown_as_present() -> None:
    document = status_document(fake_view(heard=fake_heard(live=fake_latest(age_s=31.0))))
    assert document.data.state == "lost"
    assert document.data.age_s == pytest.approx(31.0)
    assert document.battery is None
    assert document.limits is None


def test_before_any_sample_data_are_unknown_and_nothing_is_zero() -> None:
    live = LiveData(link=Link(state="no_port", port="/dev/ttyUSB9"))
    document = status_document(fake_view(heard=fake_heard(live=fake_latest(live))))
    assert document.data.state == "unknown"
    assert document.data.age_s is None
    assert (document.battery, document.limits) == (None, None)
    assert document.link is not None
    assert document.link.state == "no_port"


def test_without_any_message_the_link_is_not_known() -> None:
    nothing = LatestLive(kernel_boot_id="other")
    document = status_document(fake_view(heard=fake_heard(live=nothing, can=None, mqtt=None)))
    assert document.link is None
    assert (document.can.state, document.mqtt.state) == ("unknown", "unknown")
    assert document.mqtt.publish_count is None


def test_mqtt_counters_are_there() -> None:
    status = MqttStatus(
        state="back_off",
        publish_count=7,
        failed_publish_count=3,
        last_error_code=111,
        last_error="refused",
    )
    document = status_document(fake_view(heard=fake_heard(mqtt=(header("mqtt_out"), status))))
    mqtt = document.mqtt
    assert (mqtt.publish_count, mqtt.failed_publish_count, mqtt.last_error_code) == (7, 3, 111)


def test_an_old_status_message_is_not_shown_as_present() -> None:
    old = (header("mqtt_out", age_s=11.0), MqttStatus(state="online", connected=True))
    document = status_document(fake_view(heard=fake_heard(mqtt=old)))
    assert document.mqtt.state == "unknown"
    assert document.mqtt.connected is None


def test_disabled_outputs_say_so() -> None:
    config = Config(can=Can(enabled=False), mqtt=Mqtt(enabled=False))
    document = status_document(fake_view(config))
    assert (document.can.state, document.mqtt.state) == ("disabled", "disabled")
    assert document.status == "ok"


def test_gaps_are_told_by_the_process_that_missed_messages() -> None:
    beats = {
        **fake_heard().heartbeats,
        "mqtt_out": (header("mqtt_out"), heartbeat("mqtt_out", gaps={"LIVE_DATA acquisition": 4})),
    }
    document = status_document(fake_view(heard=fake_heard(heartbeats=beats)))
    assert document.bus.gaps == {"mqtt_out": {"LIVE_DATA acquisition": 4}}


def test_events_carry_time_and_source() -> None:
    event = GatewayEvent(code="x", text="it happened", wall_ns=1_795_600_000_123_000_000)
    document = status_document(fake_view(heard=fake_heard(events=(("can_out", event),))))
    assert document.events[0].source == "can_out"
    assert document.events[0].time == "2026-11-25T09:46:40.123Z"


def test_no_secret_gets_into_it() -> None:
    config = Config(mqtt=Mqtt(username="anna", password_file="/etc/secret-of-anna"))
    text = msgspec.json.encode(status_document(fake_view(config))).decode()
    assert "anna" not in text


@pytest.mark.parametrize(
    ("wall_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_600_000_999_999_999, "2026-11-25T09:46:40.999Z"),
    ],
)
def test_times_are_iso_8601_with_zone(wall_ns: int, text: str) -> None:
    assert iso_time(wall_ns) == text


def test_alarms_do_not_make_the_gateway_ill() -> None:
    live = fake_live(sample=fake_sample(boottime_ns=NOW_NS), alarms=fake_alarms(low_soc=2))
    document = status_document(fake_view(heard=fake_heard(live=fake_latest(live))))
    assert document.status == "ok"
    check = document.checks[-1]
    assert (check.name, check.state) == ("battery", "fault")
    assert "low soc" in check.text
