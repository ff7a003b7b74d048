"""mqtt_out and a broker that is away, refuses, dies, freezes; and mqtt_out's own end."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness_mosquitto import Mosquitto, users_file
from harness_mqtt import CYCLE_S, Listener, MqttStack
from harness_net import LOOPBACK

SHORT_FREEZE = 70
"""Cycles: 7 s, the connection survives."""
LONG_FREEZE = 130
"""Cycles: 13 s, longer than mqtt_out trusts a connection on which nothing is acknowledged."""
JUST_NOW_CYCLES = 10
"""The newest critical value waits for its turn and is at most one cycle old; the rest is slack."""
STALL_NOTICED_CYCLES = 45
"""3 s after the freeze (a heartbeat, then two seconds without its acknowledgement), and slack."""


@pytest.fixture
def stack(run_dir: Path, mosquitto: Mosquitto) -> Iterator[MqttStack]:
    with MqttStack(run_dir, mosquitto.port) as stack:
        yield stack


@pytest.fixture
def listener(run_dir: Path, mosquitto: Mosquitto) -> Iterator[Listener]:
    with Listener(mosquitto, run_dir / "heard") as listener:
        yield listener


def tells(stack: MqttStack, *codes: str) -> list[str]:
    """The events of the connection that mqtt_out logged, in order."""
    wanted = codes or ("mqtt_lost", "mqtt_connected")
    return [line["event"] for line in stack.log_lines() if line.get("event") in wanted]


def sequence_of(listener: Listener, topic: str) -> list[int]:
    """The numbers of the messages of a value topic, none for other topics."""
    messages = listener.of(topic)
    return [message.json["seq"] for message in messages if message.payload.startswith('{"key"')]


def last_error(stack: MqttStack) -> str:
    status = stack.status()
    return "" if status is None else status.last_error


def test_a_broker_that_is_down_at_start_is_tried_until_it_is_there(
    stack: MqttStack, mosquitto: Mosquitto, run_dir: Path
) -> None:
    mosquitto.stop()
    process = stack.start()

    def failed() -> bool:
        status = stack.status()
        return status is not None and "refused" in status.last_error

    stack.feed_until(failed)
    status = stack.status()
    assert status is not None
    assert status.last_error_code == 111
    stack.feed(2.0)
    mosquitto.start()
    with Listener(mosquitto, run_dir / "heard") as listener:
        stack.feed_until(lambda: bool(listener.of("battery_voltage")))
    assert process.poll() is None
    assert tells(stack) == ["mqtt_lost", "mqtt_connected"]


def test_a_killed_broker_is_found_again_and_the_outage_is_told_in_two_lines(
    stack: MqttStack, mosquitto: Mosquitto, run_dir: Path
) -> None:
    stack.start()
    stack.feed_until(stack.online)
    mosquitto.kill()
    stack.feed_until(lambda: not stack.online())
    stack.feed(3.0, pack_voltage_v=49.0)
    mosquitto.start()
    with Listener(mosquitto, run_dir / "heard") as listener:
        stack.feed_until(lambda: bool(listener.of("alarm_low_voltage")))
        status = stack.status()
        assert status is not None
        assert status.reconnects == 1
        assert status.failed_publish_count > 0
        retained = {message.topic for message in listener.all()}
    assert {"status/connected", "status/data", "manifest", "status"} <= retained
    assert tells(stack) == ["mqtt_connected", "mqtt_lost", "mqtt_connected"]


def test_sigkill_lets_the_broker_say_false_for_us(stack: MqttStack, listener: Listener) -> None:
    stack.start()
    stack.feed_until(lambda: "true" in listener.payloads("status/connected"))
    stack.gateway.kill("mqtt_out")
    stack.wait_until(lambda: listener.payloads("status/connected")[-1] == "false")
    stack.start()
    stack.wait_until(lambda: listener.payloads("status/connected")[-1] == "true")


def test_sigterm_says_false_waits_for_it_and_ends_quickly(
    stack: MqttStack, listener: Listener, mosquitto: Mosquitto
) -> None:
    process = stack.start()
    stack.feed_until(lambda: "true" in listener.payloads("status/connected"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(3.0) == 0
    stack.wait_until(lambda: listener.payloads("status/connected")[-1] == "false")
    assert listener.payloads("status/connected").count("false") == 1
    log = mosquitto.log_file.read_text(encoding="utf-8")
    assert "Received DISCONNECT from tinybms-pack1" in log


def test_a_stop_is_bounded_when_the_broker_is_frozen(
    stack: MqttStack, mosquitto: Mosquitto
) -> None:
    process = stack.start()
    stack.feed_until(stack.online)
    mosquitto.freeze()
    process.send_signal(signal.SIGTERM)
    assert process.wait(4.0) == 0


@pytest.mark.parametrize(
    "cycles", [SHORT_FREEZE, pytest.param(LONG_FREEZE, marks=pytest.mark.long)]
)
def test_a_frozen_broker_gets_nothing_old_on_a_live_topic_when_it_wakes(
    stack: MqttStack, mosquitto: Mosquitto, listener: Listener, cycles: int
) -> None:
    stack.start()
    stack.feed_until(lambda: len(listener.of("charge_current_limit")) >= 2)
    mosquitto.freeze()
    frozen_at = stack.cycle()
    for number in range(cycles):
        stack.cycle(soc_pct=20 + 0.2 * number, pack_voltage_v=50 + 0.05 * number)
        stack.probe.wait_for(lambda: False, CYCLE_S)
    assert stack.online() is (cycles == SHORT_FREEZE)
    woken_at = stack.cycle()
    mosquitto.thaw()
    stack.feed_until(
        lambda: stack.online() and sequence_of(listener, "battery_voltage")[-1] > woken_at
    )
    for topic in {message.topic for message in listener.all()}:
        numbers = sequence_of(listener, topic)
        assert numbers == sorted(set(numbers)), f"{topic} goes back or repeats itself"
        late = [number for number in numbers if frozen_at < number < woken_at - JUST_NOW_CYCLES]
        # What the kernel had taken for the broker before the stall was noticed is out of our hands.
        assert max(late, default=0) < frozen_at + STALL_NOTICED_CYCLES, topic


def test_a_broker_that_never_answers_is_left_and_tried_again(run_dir: Path) -> None:
    with (
        socket.create_server((LOOPBACK, 0)) as mute,
        MqttStack(run_dir, mute.getsockname()[1]) as stack,
    ):
        process = stack.start()

        def gave_up() -> bool:
            status = stack.status()
            return status is not None and "does not answer" in status.last_error

        stack.feed_until(gave_up, timeout_s=20)
        assert process.poll() is None


def test_a_refused_password_is_told_in_words_and_no_secret_is_shown(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    secret = "pa55!@/:word"
    folder = run_dir / "closed"
    folder.mkdir()
    (folder / "users").write_text("", encoding="utf-8")
    closed = Mosquitto(folder, extra_config=f"password_file {folder}/users")
    closed_config = closed._config().replace("allow_anonymous true", "allow_anonymous false")
    closed._config = lambda: closed_config  # type: ignore[method-assign]  # this broker alone
    with closed, MqttStack(run_dir, closed.port, {"username": "gateway"}) as stack:
        stack.start(TINYBMS_MQTT_PASSWORD=secret)

        def refused() -> bool:
            status = stack.status()
            return status is not None and "not authorized" in status.last_error

        stack.feed_until(refused)
        stack.feed(2.5)
        status = stack.status()
        assert status is not None
        assert status.state == "back_off"
        assert tells(stack) == ["mqtt_lost"]
        assert secret not in stack.gateway.log("mqtt_out").read_text(encoding="utf-8")
        assert secret not in str(stack.probe.messages)
    assert mosquitto.pid


def test_a_password_from_a_file_lets_us_in(run_dir: Path) -> None:
    folder = run_dir / "closed"
    folder.mkdir()
    users = users_file(folder / "users", "gateway", "secret")
    password = run_dir / "password"
    password.write_text("secret\n", encoding="utf-8")
    config = f"password_file {users}"
    mqtt = {"username": "gateway", "password_file": str(password)}
    with (
        Mosquitto(folder, extra_config=config) as closed,
        MqttStack(run_dir, closed.port, mqtt) as stack,
    ):
        stack.start()
        stack.feed_until(stack.online)
        assert "u'gateway'" in closed.log_file.read_text(encoding="utf-8")


def test_an_unreadable_password_file_is_named(run_dir: Path, mosquitto: Mosquitto) -> None:
    mqtt = {"username": "gateway", "password_file": str(run_dir / "nothing-here")}
    with MqttStack(run_dir, mosquitto.port, mqtt) as stack:
        stack.start()

        def named() -> bool:
            status = stack.status()
            return status is not None and "mqtt.password_file" in status.last_error

        stack.feed_until(named)


def test_a_second_client_with_our_id_is_named_and_does_not_make_a_fast_fight(
    stack: MqttStack, mosquitto: Mosquitto
) -> None:
    stack.start()
    stack.feed_until(stack.online)
    rival = subprocess.Popen(
        [
            *("mosquitto_sub", "-h", mosquitto.host, "-p", str(mosquitto.port)),
            *("-i", "tinybms-pack1", "-t", "nothing"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        stack.feed_until(lambda: "'tinybms-pack1'" in last_error(stack))
        status = stack.status()
        assert status is not None
        assert status.reconnects <= 3
    finally:
        rival.kill()
        rival.wait()


@pytest.mark.long
def test_the_helper_that_connects_leaves_no_descriptor_behind(
    stack: MqttStack, mosquitto: Mosquitto
) -> None:
    process = stack.start()
    stack.feed_until(stack.online)

    def descriptors() -> int:
        return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))

    before = descriptors()
    for _ in range(3):
        mosquitto.kill()
        stack.feed_until(lambda: not stack.online())
        mosquitto.start()
        stack.feed_until(stack.online, timeout_s=20)
    assert descriptors() <= before + 1
