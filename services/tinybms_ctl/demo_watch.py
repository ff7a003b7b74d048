"""What arrives at the far ends of the demo: at the virtual GX by CAN, at a subscriber by MQTT."""

from __future__ import annotations

import contextlib
import json
import threading
from typing import IO, Any, Final

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tinybms_ctl.demo_files import LOOPBACK, ROOT_TOPIC

_SHOWN_BY_GX: Final = (
    ("/Dc/0/Voltage", "{:.2f} V"),
    ("/Dc/0/Current", "{:.1f} A"),
    ("/Soc", "SoC {:.1f} %"),
    ("/Info/MaxChargeVoltage", "CVL {:.1f} V"),
    ("/Info/MaxChargeCurrent", "CCL {:.1f} A"),
    ("/Info/MaxDischargeCurrent", "DCL {:.1f} A"),
)
_SHOWN_BY_MQTT: Final = (
    ("battery_voltage", "{:.2f} V"),
    ("battery_current", "{:.1f} A"),
    ("soc_percent", "SoC {:.1f} %"),
)


class GxReport(msgspec.Struct, frozen=True):
    """A line of the virtual GX that says what it shows."""

    kind: str
    connected: bool = False
    display: dict[str, Any] = {}


class GxWatch:
    """Reads what the virtual GX prints, in a thread."""

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self._report = GxReport("")
        self.frames = 0
        self._thread = threading.Thread(target=self._read, name="gx", daemon=True)
        self._thread.start()

    @property
    def has_data(self) -> bool:
        """Whether the GX shows a battery now."""
        return self._report.connected and "/Dc/0/Voltage" in self._report.display

    def text(self) -> str:
        """What the GX shows, in one line."""
        if not self.has_data:
            return "the GX shows no battery yet"
        shown = _shown(self._report.display, _SHOWN_BY_GX)
        return f"the GX shows {shown} ({self.frames} frames)"

    def join(self) -> None:
        """Wait for the end of the thread, after the GX has ended."""
        self._thread.join(2.0)

    def _read(self) -> None:
        for line in self._output:
            try:
                report = msgspec.json.decode(line, type=GxReport)
            except msgspec.MsgspecError:
                continue
            if report.kind == "display":
                self._report = report
            else:
                self.frames += 1


class MqttWatch:
    """Subscribes to everything of the gateway, in paho's own thread."""

    def __init__(self, port: int) -> None:
        self.messages = 0
        self._values: dict[str, Any] = {}
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 2)
        self._client.connect_async(LOOPBACK, port)
        self._client.loop_start()

    @property
    def has_data(self) -> bool:
        """Whether a voltage has arrived."""
        return "battery_voltage" in self._values

    def text(self) -> str:
        """What has arrived, in one line."""
        if not self.has_data:
            return "no value yet"
        return f"{_shown(self._values, _SHOWN_BY_MQTT)} ({self.messages} messages)"

    def close(self) -> None:
        """Disconnect and end the thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, *_rest: object) -> None:
        client.subscribe(f"{ROOT_TOPIC}/#")

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        self.messages += 1
        name = message.topic.removeprefix(f"{ROOT_TOPIC}/")
        if name in dict(_SHOWN_BY_MQTT):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self._values[name] = json.loads(message.payload)["value"]


def _shown(values: dict[str, Any], forms: tuple[tuple[str, str], ...]) -> str:
    texts = [
        form.format(value)
        for name, form in forms
        if isinstance(value := values.get(name), int | float)
    ]
    return ", ".join(texts)
