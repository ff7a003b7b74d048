"""Keys that are each right but contradict one another, and texts with rules of their own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from tinybms_config.model import Config
from tinybms_config.problems import Problem

SOCKET_PATH_LIMIT: Final = 107
"""Longest path of a unix socket on Linux."""

LONGEST_SOCKET_NAME: Final = "supervisor.sock"

GX_SPECIAL_NAMES: Final = (
    "pylon",
    "byd",
    "lg",
    "pelio",
    "lynx",
    "freedomwon",
    "victron",
)
"""Battery names that the GX gives rules of their own (dbus-systemcalc-py, quirks by product)."""


def cross_problems(config: Config) -> Iterator[Problem]:
    """Every contradiction in `config`."""
    yield from _ages(config)
    yield from _folders(config)
    yield from _device(config)
    yield from _root_topic(config)
    yield from _mqtt(config)
    yield from _listen(config)


def _ages(config: Config) -> Iterator[Problem]:
    ageing = config.ageing
    steps = {
        "frozen_after_s": ageing.frozen_after_s,
        "stale_after_s": ageing.stale_after_s,
        "alarm_after_s": ageing.alarm_after_s,
        "lost_after_s": ageing.lost_after_s,
    }
    names = list(steps)
    for earlier, later in pairwise(names):
        if steps[earlier] >= steps[later]:
            yield Problem(
                key=f"ageing.{later}",
                value=repr(steps[later]),
                allowed=f"a number above ageing.{earlier} ({steps[earlier]})",
            )


def _folders(config: Config) -> Iterator[Problem]:
    for key in ("run_dir", "state_dir", "log_dir"):
        value = getattr(config.gateway, key)
        if not value.startswith("/"):
            yield Problem(key=f"gateway.{key}", value=repr(value), allowed="an absolute path")
    room = SOCKET_PATH_LIMIT - len(LONGEST_SOCKET_NAME) - 1
    if len(config.gateway.run_dir.encode()) > room:
        yield Problem(
            key="gateway.run_dir",
            value=repr(config.gateway.run_dir),
            allowed=f"a path of at most {room} bytes (it holds unix sockets)",
        )


def _device(config: Config) -> Iterator[Problem]:
    name = config.gateway.device
    if config.can.enabled and name.startswith(GX_SPECIAL_NAMES):
        yield Problem(
            key="gateway.device",
            value=repr(name),
            allowed="a name that does not begin with one to which the GX applies rules of its own "
            f"({', '.join(GX_SPECIAL_NAMES)})",
        )


def _root_topic(config: Config) -> Iterator[Problem]:
    root = config.mqtt.root_topic.replace("{device}", config.gateway.device)
    usable = re.sub(r"[^A-Za-z0-9_/-]", "", root).strip("/")
    if re.search(r"[+#\x00]", root) or root.startswith("/") or root.endswith("/") or not usable:
        yield Problem(
            key="mqtt.root_topic",
            value=repr(config.mqtt.root_topic),
            allowed="levels of letters, digits, _ and -, joined by /, without +, # and NUL and "
            "without a slash at either end; {device} stands for gateway.device",
        )


def _mqtt(config: Config) -> Iterator[Problem]:
    mqtt = config.mqtt
    if not re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*", mqtt.discovery_prefix):
        yield Problem(
            key="mqtt.discovery_prefix",
            value=repr(mqtt.discovery_prefix),
            allowed="levels of letters, digits, _ and -, joined by /, as set in Home Assistant",
        )
    labels = mqtt.host.rstrip(".").split(".")
    if not all(0 < len(label) <= 63 for label in labels) and ":" not in mqtt.host:
        yield Problem(key="mqtt.host", value=repr(mqtt.host), allowed="a host name or an address")
    if (mqtt.tls.cert_file is None) != (mqtt.tls.key_file is None):
        yield Problem(
            key="mqtt.tls.cert_file",
            value=repr(mqtt.tls.cert_file),
            allowed="cert_file and key_file together, or neither",
        )


def _listen(config: Config) -> Iterator[Problem]:
    port = int(config.health.listen.rsplit(":", 1)[1])
    if not 1 <= port <= 65535:
        yield Problem(
            key="health.listen",
            value=repr(config.health.listen),
            allowed="address:port with a port from 1 to 65535",
        )
    if config.health.token_file is None and not _only_this_machine(config.health.listen):
        yield Problem(
            key="health.listen",
            value=repr(config.health.listen),
            allowed="an address of this machine alone (127.0.0.1, [::1], localhost), or any "
            "together with health.token_file",
        )


def _only_this_machine(listen: str) -> bool:
    host = listen.rsplit(":", 1)[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
