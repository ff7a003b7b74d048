"""An MQTT broker for the demo: mosquitto when it is there, else amqtt from the extra `demo`."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tinybms_ctl.demo_files import LOOPBACK, DemoRefusedError

_MOSQUITTO: Final = """# Made by the demo.
listener {port} {host}
allow_anonymous true
persistence false
set_tcp_nodelay true
log_dest stderr
"""
_AMQTT: Final = """---
listeners:
  default:
    type: tcp
    bind: {host}:{port}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
"""


def broker_command(folder: Path, port: int) -> list[str]:
    """The command that serves MQTT on `port`; writes its configuration to `folder`."""
    mosquitto = find_mosquitto()
    if mosquitto is not None:
        text = _MOSQUITTO.format(port=port, host=LOOPBACK)
        if os.getuid() == 0:
            text += "user root\n"
        file = folder / "mosquitto.conf"
        file.write_text(text, encoding="utf-8")
        return [mosquitto, "-c", str(file)]
    if find_spec("amqtt") is None:
        raise DemoRefusedError(
            "no MQTT broker: install the package mosquitto, or amqtt into this environment"
        )
    file = folder / "amqtt.yaml"
    file.write_text(_AMQTT.format(port=port, host=LOOPBACK), encoding="utf-8")
    return [sys.executable, "-P", "-m", "amqtt.scripts.broker_script", "-c", str(file)]


def find_mosquitto() -> str | None:
    """Path of mosquitto, which Debian keeps outside an ordinary user's PATH."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("mosquitto", path=path)
