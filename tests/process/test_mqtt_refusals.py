"""Each way in which a real broker can refuse: what mqtt_out says, what `mqtt test` advises.

A secret is planted in every case and must not be found anywhere afterwards.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness_certificates import Authority
from harness_health import fetch
from harness_mosquitto import Mosquitto, users_file
from harness_mqtt import MqttStack
from harness_net import LOOPBACK, free_port, wait_for_port
from harness_secrets import support_bundle, traces

NAME = "broker.test"
SECRET = "canary-7f3a9!@/:word"
PASSWORD_FILE = "password"


@dataclass
class Case:
    """A broker as it is set up, and the [mqtt] keys that meet it."""

    broker: AbstractContextManager[object]
    port: int
    mqtt: dict[str, object] = field(default_factory=dict)
    password: str | None = SECRET
    """Put into the environment, with a user name."""


MakeCase = Callable[[Path], Case]


def broker(folder: Path, *lines: str, anonymous: bool = True) -> Mosquitto:
    return Mosquitto(folder, extra_config="\n".join(lines), anonymous=anonymous)


def tls_lines(authority: Authority, *, name: str = NAME, last_day: int = 400) -> list[str]:
    pair = authority.issue(name, first_day=min(-1, last_day - 10), last_day=last_day)
    return [f"certfile {pair.certificate}", f"keyfile {pair.key}"]


def users(folder: Path) -> Path:
    return users_file(folder / "users", "gateway", "right")


def case(made: Mosquitto, password: str | None = SECRET, **mqtt: object) -> Case:
    return Case(broker=made, port=made.port, mqtt=mqtt, password=password)


def tls(**keys: object) -> dict[str, object]:
    return {"enabled": True, "server_name": NAME, **keys}


def wrong_host(_folder: Path) -> Case:
    return Case(broker=nullcontext(), port=1883, mqtt={"host": "no-such-host.invalid"})


def wrong_port(_folder: Path) -> Case:
    return Case(broker=nullcontext(), port=free_port())


def wrong_password(folder: Path) -> Case:
    made = broker(
        folder, f"password_file {users_file(folder / 'users', 'gateway', 'right')}", anonymous=False
    )
    return case(made)


def no_password(folder: Path) -> Case:
    made = broker(
        folder, f"password_file {users_file(folder / 'users', 'gateway', 'right')}", anonymous=False
    )
    return case(made, password=None)


def missing_password_file(folder: Path) -> Case:
    file = str(folder / "nothing")
    return case(broker(folder), password=None, username="gateway", password_file=file)


def password_file_of_bytes(folder: Path) -> Case:
    file = folder / PASSWORD_FILE
    file.write_bytes(b"\xff\xfe" + SECRET.encode())
    return case(broker(folder), password=None, username="x", password_file=str(file))


def wrong_authority(folder: Path) -> Case:
    made = broker(folder, *tls_lines(Authority(folder)))
    return case(made, tls=tls(ca_file=str(Authority(folder, "other").file)))


def expired_certificate(folder: Path) -> Case:
    authority = Authority(folder)
    made = broker(folder, *tls_lines(authority, last_day=-2))
    return case(made, tls=tls(ca_file=str(authority.file)))


def certificate_of_another_name(folder: Path) -> Case:
    authority = Authority(folder)
    made = broker(folder, *tls_lines(authority, name="elsewhere.test"))
    return case(made, tls=tls(ca_file=str(authority.file)))


def ca_file_that_is_none(folder: Path) -> Case:
    authority = Authority(folder)
    (folder / "no.pem").write_text(SECRET, encoding="utf-8")
    return case(broker(folder, *tls_lines(authority)), tls=tls(ca_file=str(folder / "no.pem")))


def key_that_is_none(folder: Path) -> Case:
    authority = Authority(folder)
    mine = authority.issue("gateway")
    mine.key.write_text(SECRET, encoding="utf-8")
    keys = {"cert_file": str(mine.certificate), "key_file": str(mine.key)}
    made = broker(folder, *tls_lines(authority))
    return case(made, tls=tls(ca_file=str(authority.file), **keys))


def key_of_another_certificate(folder: Path) -> Case:
    authority = Authority(folder)
    keys = {
        "cert_file": str(authority.issue("gateway").certificate),
        "key_file": str(authority.issue("somebody").key),
    }
    made = broker(folder, *tls_lines(authority))
    return case(made, tls=tls(ca_file=str(authority.file), **keys))


def ca_file_of_no_name(folder: Path) -> Case:
    return case(broker(folder, *tls_lines(Authority(folder))), tls=tls(ca_file=""))


def client_certificate_expired(folder: Path) -> Case:
    authority = Authority(folder)
    mine = authority.issue("gateway", first_day=-20, last_day=-2)
    keys = {"cert_file": str(mine.certificate), "key_file": str(mine.key)}
    made = broker(
        folder,
        *tls_lines(authority),
        f"cafile {authority.file}",
        "require_certificate true",
    )
    return case(made, tls=tls(ca_file=str(authority.file), **keys))


def client_certificate_missing(folder: Path) -> Case:
    authority = Authority(folder)
    made = broker(
        folder,
        *tls_lines(authority),
        f"cafile {authority.file}",
        "require_certificate true",
    )
    return case(made, tls=tls(ca_file=str(authority.file)))


def port_without_tls(folder: Path) -> Case:
    return case(broker(folder), tls=tls())


@contextmanager
def openssl_server(folder: Path, port: int, *options: str) -> Iterator[None]:
    server = subprocess.Popen(
        [
            *("openssl", "s_server", "-accept", f"{LOOPBACK}:{port}", "-quiet", *options),
            *("-cert", str(folder / f"authority/{NAME}.pem")),
            *("-key", str(folder / f"authority/{NAME}.key")),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        server.kill()
        server.wait()


def tls_too_old(folder: Path) -> Case:
    authority, port = Authority(folder), free_port()
    authority.issue(NAME)
    return Case(
        broker=openssl_server(folder, port, "-tls1_2"),
        port=port,
        mqtt={"tls": tls(ca_file=str(authority.file), min_version="1.3")},
    )


@contextmanager
def mute_server(port: int) -> Iterator[None]:
    with socket.create_server((LOOPBACK, port), backlog=50):
        yield


def broker_that_never_answers(_folder: Path) -> Case:
    port = free_port()
    return Case(broker=mute_server(port), port=port)


def publishing_refused(folder: Path) -> Case:
    acl = folder / "acl"
    acl.write_text("user gateway\ntopic read #\n", encoding="utf-8")
    acl.chmod(0o644)
    return case(broker(folder, f"acl_file {acl}"), protocol="5")


CASES: list[tuple[MakeCase, str, str]] = [
    # case, what mqtt_out says, what `mqtt test` advises
    (wrong_host, "name look-up failed", "check the name"),
    (wrong_port, "connection refused", "check mqtt.port"),
    (wrong_password, "the broker refuses us: not authorized", "check mqtt.username"),
    (no_password, "the broker refuses us: not authorized", "check mqtt.username"),
    (missing_password_file, "mqtt.password_file", "write the password into this file"),
    (password_file_of_bytes, "is not UTF-8 text", "write the password into this file"),
    (wrong_authority, "certificate is refused", "set mqtt.tls.ca_file"),
    (expired_certificate, "certificate has expired", "renew the broker's certificate"),
    (certificate_of_another_name, "Hostname mismatch", "set mqtt.tls.server_name"),
    (ca_file_that_is_none, "holds no PEM certificate", "check [mqtt.tls]"),
    (key_that_is_none, "no usable pair", "check [mqtt.tls]"),
    (key_of_another_certificate, "is the key of another certificate", "check [mqtt.tls]"),
    (ca_file_of_no_name, "mqtt.tls.ca_file = '': Is a directory", "check [mqtt.tls]"),
    (client_certificate_missing, "want a client certificate", "want a client certificate"),
    (client_certificate_expired, "gateway.pem' expired on", "renew"),
    (port_without_tls, "does this port speak TLS?", "the broker's port for TLS"),
    (tls_too_old, "TLS failed", "check [mqtt.tls]"),
    (broker_that_never_answers, "does not answer within", "check mqtt.username"),
    (publishing_refused, "the broker refuses a message: not authorized", "access list (ACL)"),
]


def environment(password: str | None) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TINYBMS_")}
    return kept if password is None else {**kept, "TINYBMS_MQTT_PASSWORD": password}


def ctl_test(config: Path, password: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "tinybms_ctl", "mqtt", "test", "--config", str(config)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        env=environment(password),
        check=False,
    )


SLOW = frozenset({broker_that_never_answers})
"""Each question to it takes ten seconds."""


@pytest.mark.parametrize(
    ("make", "said", "advised"),
    [
        pytest.param(*row, id=row[0].__name__, marks=[pytest.mark.long] if row[0] in SLOW else [])
        for row in CASES
    ],
)
def test_a_refusal_has_its_own_words_advice_and_leaks_no_secret(
    run_dir: Path, make: MakeCase, said: str, advised: str
) -> None:
    folder = run_dir / "peer"
    folder.mkdir()
    made = make(folder)
    with ExitStack() as cleanup:
        cleanup.enter_context(made.broker)
        environ, user = {}, {}
        if made.password is not None:
            environ, user = {"TINYBMS_MQTT_PASSWORD": made.password}, {"username": "gateway"}
        port = free_port()
        health, mqtt = {"listen": f"{LOOPBACK}:{port}"}, {**user, **made.mqtt}
        stack = cleanup.enter_context(MqttStack(run_dir, made.port, mqtt, health=health))
        stack.gateway.start("health")
        process = stack.start(**environ)

        def told() -> bool:
            status = stack.status()
            return status is not None and status.last_error != "" and said in status.last_error

        stack.feed_until(told)
        assert wait_for_port(port, 15)
        answer = ctl_test(stack.gateway.config_file, made.password)
        assert answer.returncode == 1
        assert advised in answer.stdout, answer.stdout + answer.stderr
        assert "Traceback" not in answer.stderr
        assert process.poll() is None
        _code, page, _headers = fetch(port, "/api/status")
        assert said in page.decode()
        # The bundle is made by one who knows no password: nothing hides behind its own scrubbing.
        bundle = support_bundle(stack.gateway.config_file, environment(None))
        logs = [file.read_text(encoding="utf-8") for file in stack.gateway.paths.log_dir.iterdir()]
        messages = str(stack.probe.messages)
        everything = [answer.stdout, answer.stderr, page.decode(), bundle, messages, *logs]
        assert traces("\n".join(everything), SECRET) == []
        assert "right" not in answer.stdout


def test_mqtt_test_goes_all_the_way_and_counts_the_days(run_dir: Path) -> None:
    folder = run_dir / "peer"
    folder.mkdir()
    authority = Authority(folder)
    mine = authority.issue("gateway", last_day=33)
    acl = folder / "acl"
    acl.write_text("user gateway\ntopic readwrite #\n", encoding="utf-8")
    acl.chmod(0o644)
    lines = (
        *tls_lines(authority, last_day=9),
        f"cafile {authority.file}",
        "require_certificate true",
        f"password_file {users_file(folder / 'users', 'gateway', 'right')}",
        f"acl_file {acl}",
    )
    (run_dir / PASSWORD_FILE).write_text("right\n", encoding="utf-8")
    mqtt = {
        "username": "gateway",
        "password_file": str(run_dir / PASSWORD_FILE),
        "tls": tls(
            ca_file=str(authority.file),
            cert_file=str(mine.certificate),
            key_file=str(mine.key),
        ),
    }
    with (
        broker(folder, *lines, anonymous=False) as made,
        MqttStack(run_dir, made.port, mqtt) as stack,
    ):
        stack.start()
        stack.feed_until(stack.online)
        answer = ctl_test(stack.gateway.config_file, None)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert "is good for 9 days: renew it soon" in answer.stdout
        assert f"own certificate ({mine.certificate}) is good for 33 days\n" in answer.stdout
        assert "login    with a user name" in answer.stdout
        assert answer.stdout.count("written and read back") == 2
        assert stack.online()


def test_mqtt_test_tells_of_an_access_list_that_swallows_messages(run_dir: Path) -> None:
    folder = run_dir / "peer"
    folder.mkdir()
    acl = folder / "acl"
    acl.write_text("topic read #\n", encoding="utf-8")
    acl.chmod(0o644)
    with (
        broker(folder, f"acl_file {acl}") as made,
        MqttStack(run_dir, made.port, {}) as stack,
    ):
        answer = ctl_test(stack.gateway.config_file, None)
        assert answer.returncode == 1
        assert "took the message but does not hand it out" in answer.stdout
        assert "access list (ACL)" in answer.stdout
