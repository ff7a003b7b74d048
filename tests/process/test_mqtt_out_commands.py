"""Commands by MQTT: mosquitto_pub on one side, a real acquisition beside a battery on the other."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness_gateway import BusProbe, GatewayFolder
from harness_mosquitto import Mosquitto
from harness_mqtt import ROOT, Listener
from harness_net import LOOPBACK
from harness_sim import SimBms
from tinybms_messages.live import LiveData
from tinybms_messages.topics import LIVE_DATA, MQTT_STATUS


class Rig:
    """mqtt_out and acquisition with what each is joined to."""

    def __init__(
        self, gateway: GatewayFolder, probe: BusProbe, broker: Mosquitto, listener: Listener
    ) -> None:
        self.gateway = gateway
        self.probe = probe
        self.broker = broker
        self.listener = listener

    def say(self, name: str, order: dict[str, object] | str, *options: str) -> None:
        payload = order if isinstance(order, str) else json.dumps(order)
        command = ["mosquitto_pub", "-h", self.broker.host, "-p", str(self.broker.port)]
        subprocess.run(
            [*command, "-q", "1", "-t", f"{ROOT}/cmd/{name}", "-m", payload, *options],
            check=True,
            timeout=10,
        )

    def answers(self, name: str) -> list[dict[str, Any]]:
        return [message.json for message in self.listener.of(f"cmd/{name}/result")]

    def answer(self, name: str, number: int = 1) -> dict[str, Any]:
        """The answer with this number, waiting for it."""
        self.wait(lambda: len(self.answers(name)) >= number)
        return self.answers(name)[number - 1]

    def wait(self, done: Callable[[], bool], timeout_s: float = 20.0) -> None:
        logs = [self.gateway.log(name) for name in ("mqtt_out", "acquisition")]
        assert self.probe.wait_for(done, timeout_s), [log.read_text() for log in logs]

    def live(self) -> LiveData | None:
        message = self.probe.last(LIVE_DATA)
        return None if message is None else message.body

    def discharge_a(self) -> float | None:
        live = self.live()
        return None if live is None or live.limits is None else live.limits.discharge_current_a

    def online(self) -> bool:
        status = self.probe.last(MQTT_STATUS)
        return status is not None and bool(status.body.connected)


@contextmanager
def rig_of(folder: Path, broker: Mosquitto, *, commands: bool) -> Iterator[Rig]:
    with SimBms(folder / "sim") as bms:
        mqtt: dict[str, object] = {"host": LOOPBACK, "port": broker.port, "discovery": False}
        tables: dict[str, dict[str, object]] = {
            "acquisition": {"port": str(bms.link)},
            "can": {"enabled": False},
            "buffer": {"enabled": False},
            "mqtt": {**mqtt, "commands": True} if commands else mqtt,
        }
        with (
            GatewayFolder(folder, tables) as gateway,
            BusProbe(gateway.paths) as probe,
            Listener(broker, folder / "heard") as listener,
        ):
            probe.listen(LIVE_DATA, MQTT_STATUS)
            for name in ("broker", "acquisition", "mqtt_out"):
                gateway.start(name)
            rig = Rig(gateway, probe, broker, listener)
            rig.wait(lambda: rig.online() and rig.discharge_a() == 100.0)
            yield rig


def test_commands_lower_limits_are_answered_and_told(run_dir: Path, mosquitto: Mosquitto) -> None:
    with rig_of(run_dir, mosquitto, commands=True) as rig:
        rig.say("discharge_off", {"id": "first", "value": True, "expires_in_s": 3600})
        answer = rig.answer("discharge_off")
        assert (answer["id"], answer["result"], answer["text"]) == ("first", "ok", "")
        (mode,) = answer["modes"]
        assert (mode["mode"], mode["limit_a"]) == ("discharge_off", None)
        assert 3590 < mode["left_s"] <= 3600
        (heard,) = rig.listener.of("cmd/discharge_off/result")
        assert (heard.qos, heard.retained) == (1, False)
        rig.wait(lambda: rig.discharge_a() == 0.0)
        rig.wait(
            lambda: (
                '"Discharge stopped by the owner (discharge off'
                in "".join(rig.listener.payloads("limit_reason_discharge"))
            )
        )

        rig.say("discharge_off", {"id": "first", "value": True, "expires_in_s": 3600})
        assert rig.answer("discharge_off", 2) == answer, "one command, one deed"

        rig.say("discharge_off", {"id": "second", "value": False})
        assert rig.answer("discharge_off", 3)["modes"] == []
        rig.wait(lambda: rig.discharge_a() == 100.0)
        events = " ".join(rig.listener.payloads("event"))
        assert "command by MQTT: discharge_off, id first: ok" in events

        rig.say("can_service", {"id": "third"})
        refused = rig.answer("can_service")
        assert refused["result"] == "no_answer"
        assert "can_out did not answer" in refused["text"]

        rig.say("charge_off", "OFF")
        assert rig.answer("charge_off")["id"] is None


def test_a_retained_command_is_refused_and_does_nothing(
    run_dir: Path, mosquitto: Mosquitto
) -> None:
    command = ["mosquitto_pub", "-h", mosquitto.host, "-p", str(mosquitto.port), "-r"]
    order = '{"id": "old", "value": true, "expires_in_s": 3600}'
    subprocess.run([*command, "-t", f"{ROOT}/cmd/discharge_off", "-m", order], check=True)
    with rig_of(run_dir, mosquitto, commands=True) as rig:
        answer = rig.answer("discharge_off")
        assert (answer["id"], answer["result"]) == ("old", "refused")
        assert "retained" in answer["text"]
        rig.say("clear_modes", {"id": "new"})
        assert rig.answer("clear_modes")["modes"] == []
        assert rig.discharge_a() == 100.0


def test_without_the_option_nobody_listens(run_dir: Path, mosquitto: Mosquitto) -> None:
    with rig_of(run_dir, mosquitto, commands=False) as rig:
        rig.say("discharge_off", {"id": "first", "value": True, "expires_in_s": 3600})
        before = len(rig.probe.bodies(LIVE_DATA))
        rig.wait(lambda: len(rig.probe.bodies(LIVE_DATA)) > before + 15)
        assert rig.discharge_a() == 100.0
        assert rig.answers("discharge_off") == []
        assert all(not live.modes for live in rig.probe.bodies(LIVE_DATA))
