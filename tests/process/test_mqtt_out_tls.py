"""mqtt_out and a broker that speaks TLS."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness_mosquitto import Mosquitto
from harness_mqtt import MqttStack

NAME = "broker.test"


@dataclass(frozen=True)
class SecureBroker:
    broker: Mosquitto
    ca_file: Path
    other_ca_file: Path


def make_certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate `name`.pem for NAME with its key `name`.key."""
    certificate = folder / f"{name}.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={NAME}"),
            *("-addext", f"subjectAltName=DNS:{NAME}"),
            *("-keyout", str(folder / f"{name}.key"), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    (folder / f"{name}.key").chmod(0o644)
    return certificate


@pytest.fixture
def secure(run_dir: Path) -> Iterator[SecureBroker]:
    folder = run_dir / "tls"
    folder.mkdir()
    certificate, other = make_certificate(folder, "ours"), make_certificate(folder, "other")
    config = f"certfile {certificate}\nkeyfile {folder / 'ours.key'}"
    with Mosquitto(folder, extra_config=config) as broker:
        yield SecureBroker(broker, certificate, other)


def test_the_right_ca_and_name_let_us_in(run_dir: Path, secure: SecureBroker) -> None:
    tls = {"enabled": True, "ca_file": str(secure.ca_file), "server_name": NAME}
    with MqttStack(run_dir, secure.broker.port, {"tls": tls}) as stack:
        stack.start()
        stack.feed_until(stack.online)
        stack.feed_until(
            lambda: (status := stack.status()) is not None and status.publish_count > 60
        )


def test_verification_can_be_switched_off(run_dir: Path, secure: SecureBroker) -> None:
    with MqttStack(
        run_dir, secure.broker.port, {"tls": {"enabled": True, "verify": False}}
    ) as stack:
        stack.start()
        stack.feed_until(stack.online)


@pytest.mark.parametrize(
    ("use_other_ca", "server_name", "words"),
    [
        (True, NAME, "the broker's certificate is refused: self-signed certificate"),
        (False, "somebody.else", "the broker's certificate is refused: Hostname mismatch"),
    ],
)
def test_a_certificate_that_does_not_fit_is_refused_in_words_and_retried_slowly(
    run_dir: Path, secure: SecureBroker, use_other_ca: bool, server_name: str, words: str
) -> None:
    ca_file = secure.other_ca_file if use_other_ca else secure.ca_file
    tls = {"enabled": True, "ca_file": str(ca_file), "server_name": server_name}
    with MqttStack(run_dir, secure.broker.port, {"tls": tls}) as stack:
        process = stack.start()

        def refused() -> bool:
            status = stack.status()
            return status is not None and words in status.last_error

        stack.feed_until(refused)
        stack.feed(2.0)
        assert process.poll() is None
        assert sum(line.get("event") == "mqtt_lost" for line in stack.log_lines()) == 1


def test_a_missing_or_wrong_ca_file_is_named(run_dir: Path, secure: SecureBroker) -> None:
    for number, (name, words) in enumerate(
        [
            ("missing.pem", "No such file or directory"),
            ("tls/mosquitto.conf", "holds no PEM certificate"),
        ]
    ):
        folder = run_dir / str(number)
        folder.mkdir()
        tls = {"enabled": True, "ca_file": str(run_dir / name)}
        with MqttStack(folder, secure.broker.port, {"tls": tls}) as stack:
            stack.start()

            def named(stack: MqttStack = stack, words: str = words) -> bool:
                status = stack.status()
                return status is not None and words in status.last_error

            stack.feed_until(named)


def test_tls_to_a_broker_without_it_is_told_in_words(run_dir: Path, mosquitto: Mosquitto) -> None:
    mqtt = {"tls": {"enabled": True}, "keepalive_s": 5}
    with MqttStack(run_dir, mosquitto.port, mqtt) as stack:
        stack.start()

        def told() -> bool:
            status = stack.status()
            return status is not None and "does this port speak TLS?" in status.last_error

        stack.feed_until(told)
