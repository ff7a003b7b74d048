"""A password is found nowhere after failures, and files that the gateway's user may not read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness_certificates import Authority
from harness_gateway import AS_NOBODY, NOBODY
from harness_health import fetch
from harness_mosquitto import Mosquitto, users_file
from harness_mqtt import Listener, MqttStack
from harness_net import LOOPBACK, free_port, wait_for_port
from harness_secrets import support_bundle, traces

RIGHT = "canary-right-91c4!@/:word"
WRONG = "canary-wrong-5d20!@/:word"
TOKEN = "canary-token-6b7e6b7e6b7e6b7e6b7e6b7e"
NAME = "broker.test"
READ_PATHS = ("/api/status", "/api/live", "/api/events", "/api/manifest", "/metrics")


def last_error(stack: MqttStack) -> str:
    status = stack.status()
    return "" if status is None else status.last_error


def api_answers(port: int) -> str:
    """Everything that health tells one who has the token."""
    found = []
    for path in READ_PATHS:
        status, body, _headers = fetch(port, path, headers={"Authorization": f"Bearer {TOKEN}"})
        assert status in {200, 503}, path
        found.append(body.decode())
    return "".join(found)


def test_no_secret_is_in_topics_logs_answers_or_on_the_bus_after_failures(run_dir: Path) -> None:
    folder = run_dir / "peer"
    folder.mkdir()
    users = users_file(folder / "users", "gateway", RIGHT)
    password, token = run_dir / "password", run_dir / "token"
    password.write_text(f"{WRONG}\n", encoding="utf-8")
    token.write_text(f"{TOKEN}\n", encoding="utf-8")
    for secret in (password, token):
        secret.chmod(0o600)
    port = free_port()
    mqtt = {"username": "gateway", "password_file": str(password)}
    health = {"listen": f"{LOOPBACK}:{port}", "token_file": str(token)}
    told = []
    with (
        Mosquitto(folder, extra_config=f"password_file {users}") as broker,
        MqttStack(run_dir, broker.port, mqtt, health=health) as stack,
        Listener(broker, run_dir / "heard", under="victron") as listener,
    ):
        stack.gateway.start("health")
        assert wait_for_port(port, 15)
        stack.start()
        stack.feed_until(lambda: "not authorized" in last_error(stack))
        told.append(api_answers(port))
        stack.gateway.stop("mqtt_out")
        password.write_text(f"{RIGHT}\n", encoding="utf-8")
        stack.start()
        stack.feed_until(lambda: any(one.topic.endswith("/status") for one in listener.all()))
        broker.kill()
        stack.feed_until(lambda: not stack.online())
        told.append(api_answers(port))
        broker.start()
        with Listener(broker, run_dir / "again", under="victron") as again:
            stack.feed_until(lambda: any(one.topic.endswith("/status") for one in again.all()))
            told.append(api_answers(port))
        logs = [stack.gateway.log(name) for name in ("mqtt_out", "health", "broker")]
        heard = [run_dir / "heard", run_dir / "again"]
        told += [file.read_text(encoding="utf-8") for file in (*logs, *heard)]
        told.append(str(stack.probe.messages))
        told.append(broker.log_file.read_text(encoding="utf-8"))
        told.append(support_bundle(stack.gateway.config_file, dict(os.environ)))
        # As one who may not read the secrets, so that nothing hides behind the bundle's scrubbing.
        for secret in (password, token):
            secret.unlink()
        told.append(support_bundle(stack.gateway.config_file, dict(os.environ)))
    everything = "\n".join(told)
    assert "not authorized" in everything
    assert traces(everything, RIGHT, WRONG, TOKEN) == []


def password_file(folder: Path) -> tuple[Path, dict[str, object]]:
    file = folder / "password"
    file.write_text(f"{RIGHT}\n", encoding="utf-8")
    return file, {"username": "gateway", "password_file": str(file)}


def ca_file(folder: Path) -> tuple[Path, dict[str, object]]:
    file = Authority(folder).file
    return file, {"tls": {"enabled": True, "server_name": NAME, "ca_file": str(file)}}


def key_file(folder: Path) -> tuple[Path, dict[str, object]]:
    authority = Authority(folder)
    pair = authority.issue("gateway")
    tls = {
        "enabled": True,
        "server_name": NAME,
        "ca_file": str(authority.file),
        "cert_file": str(pair.certificate),
        "key_file": str(pair.key),
    }
    return pair.key, {"tls": tls}


def open_to_nobody(stack: MqttStack) -> tuple[str, ...]:
    """Let another user run the gateway, when we are root; the words that change to it."""
    if os.getuid() != 0:
        return ()
    paths = stack.gateway.paths
    stack.gateway.folder.chmod(0o755)
    stack.gateway.config_file.chmod(0o644)
    for folder in (paths.run_dir, paths.state_dir, paths.log_dir):
        for file in (folder, *folder.rglob("*")):
            os.chown(file, NOBODY, NOBODY)
    return AS_NOBODY


@pytest.mark.long
@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (password_file, "readable for the gateway's user"),
        (ca_file, "check [mqtt.tls]"),
        (key_file, "check [mqtt.tls]"),
    ],
)
def test_a_file_that_the_gateways_user_may_not_read_is_named(
    run_dir: Path,
    mosquitto: Mosquitto,
    make: Callable[[Path], tuple[Path, dict[str, object]]],
    advice: str,
) -> None:
    folder = run_dir / "peer"
    folder.mkdir()
    folder.chmod(0o755)
    file, mqtt = make(folder)
    file.parent.chmod(0o755)
    file.chmod(0o600 if os.getuid() == 0 else 0)
    with MqttStack(run_dir, mosquitto.port, mqtt) as stack:
        stack.wait_until((stack.gateway.paths.run_dir / "bus-in").exists)
        user = open_to_nobody(stack)
        config = ("--config", str(stack.gateway.config_file))
        with stack.gateway.log("mqtt_out").open("ab") as log:
            process = subprocess.Popen(
                [*user, sys.executable, "-P", "-m", "tinybms_mqtt_out", *config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        stack.gateway.processes["mqtt_out"] = process
        stack.feed_until(lambda: f"{str(file)!r}: Permission denied" in last_error(stack))
        assert process.poll() is None
        answer = subprocess.run(
            [*user, sys.executable, "-P", "-m", "tinybms_ctl", "mqtt", "test", *config],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )
        assert answer.returncode == 1
        assert f"{str(file)!r}: Permission denied" in answer.stdout
        assert advice in answer.stdout
        assert "Traceback" not in answer.stderr
        bundle = support_bundle(stack.gateway.config_file, dict(os.environ))
        told = [answer.stdout, answer.stderr, stack.gateway.log("mqtt_out").read_text(), bundle]
        assert traces("\n".join(told), RIGHT) == []
