"""The tests' own broker takes part in real MQTT and can be ended and started again."""

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from harness_mosquitto import Mosquitto
from harness_net import wait_for_port


def _publish(broker: Mosquitto) -> bool:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect(broker.host, broker.port)
    try:
        message = client.publish("test", "1", qos=1)
        for _ in range(50):
            if message.is_published() or client.loop(0.1) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
        return message.is_published()
    finally:
        client.disconnect()


def test_it_acknowledges_a_message(mosquitto: Mosquitto) -> None:
    assert _publish(mosquitto)


def test_it_comes_back_on_the_same_port_after_a_kill(mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    assert not wait_for_port(mosquitto.port, timeout_s=0.05)
    mosquitto.start()
    assert _publish(mosquitto)


def test_two_brokers_run_side_by_side(mosquitto: Mosquitto) -> None:
    folder = mosquitto.folder / "second"
    folder.mkdir()
    with Mosquitto(folder) as second:
        assert second.port != mosquitto.port
        assert _publish(second)
        assert _publish(mosquitto)
