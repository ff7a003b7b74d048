"""health as a real process: it answers over HTTP, lives without its peers, watches supervisord."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness_gateway import BusProbe, GatewayFolder
from harness_net import LOOPBACK, wait_for_port
from harness_sim import wait_until
from tinybms_messages.status import MqttStatus
from tinybms_messages.topics import GATEWAY_EVENT, MQTT_STATUS

FreePort = Callable[[], int]


def get(port: int, path: str = "/api/status", method: str = "GET") -> tuple[int, Any]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text[:1] == b"{" else text
    finally:
        connection.close()


def healthy(folder: Path, port: int) -> GatewayFolder:
    return GatewayFolder(folder, {"health": {"listen": f"{LOOPBACK}:{port}"}})


def test_it_answers_with_nobody_else_there(run_dir: Path, free_port: FreePort) -> None:
    port = free_port()
    with healthy(run_dir, port) as gateway:
        gateway.start("health")
        assert wait_for_port(port, 10)
        code, document = get(port)
        assert (code, document["status"]) == (200, "down")
        wait_until(lambda: get(port)[1]["supervisord"]["state"] == "down", 5, "word of supervisord")
        assert get(port, "/healthz")[0] == 200
        assert gateway.stop("health") == 0


def test_it_shows_what_the_bus_says(run_dir: Path, free_port: FreePort) -> None:
    port = free_port()
    with healthy(run_dir, port) as gateway, BusProbe(gateway.paths, "mqtt_out") as mqtt_out:
        gateway.start("broker")
        gateway.start("health")
        assert wait_for_port(port, 10)

        def shown() -> bool:
            mqtt_out.publish(MQTT_STATUS, MqttStatus(state="online", publish_count=41))
            mqtt_out.wait_for(lambda: False, 0.05)
            return bool(get(port)[1]["mqtt"]["publish_count"] == 41)

        wait_until(shown, 10, "the MQTT counters in the status")
        wait_until(
            lambda: get(port)[1]["processes"]["broker"]["work"] == "running", 5, "its heartbeat"
        )
        assert get(port)[1]["processes"]["broker"]["heartbeat_age_s"] < 3


def test_a_taken_port_is_said_and_tried_again(run_dir: Path, free_port: FreePort) -> None:
    port = free_port()
    with (
        socket.create_server((LOOPBACK, port)) as intruder,
        healthy(run_dir, port) as gateway,
        BusProbe(gateway.paths) as probe,
    ):
        probe.listen(GATEWAY_EVENT)
        process = gateway.start("health")
        said = gateway.log("health")
        wait_until(lambda: "cannot listen" in said.read_text(), 10, "word of the taken port")
        assert process.poll() is None
        intruder.close()
        wait_until(lambda: wait_for_port(port, 0.1) and get(port)[0] == 200, 10, "an answer")
        assert said.read_text().count("cannot listen") == 1


def test_it_changes_nothing_on_request(run_dir: Path, free_port: FreePort) -> None:
    port = free_port()
    with healthy(run_dir, port) as gateway:
        gateway.start("health")
        assert wait_for_port(port, 10)
        assert get(port, method="POST")[0] == 405
        assert get(port, path="/nothing")[0] == 404


def test_slow_and_mute_clients_do_not_keep_others_from_an_answer(
    run_dir: Path, free_port: FreePort
) -> None:
    port = free_port()
    with healthy(run_dir, port) as gateway:
        gateway.start("health")
        assert wait_for_port(port, 10)
        mute = [socket.create_connection((LOOPBACK, port)) for _ in range(20)]
        try:
            for each in mute[:10]:
                each.sendall(b"GET /api/status HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            assert get(port)[0] == 200
            many = [threading.Thread(target=get, args=(port,)) for _ in range(10)]
            for thread in many:
                thread.start()
            for thread in many:
                thread.join(5)
        finally:
            for each in mute:
                each.close()
        assert gateway.stop("health") == 0


def test_the_end_comes_soon_though_a_client_hangs_on(run_dir: Path, free_port: FreePort) -> None:
    port = free_port()
    with healthy(run_dir, port) as gateway:
        process = gateway.start("health")
        assert wait_for_port(port, 10)
        with socket.create_connection((LOOPBACK, port)) as client:
            client.sendall(b"GET /api/status HTTP/1.1\r\nHost: x\r\n")
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(8) == 0
            assert time.monotonic() - begun < 4
