"""The whole gateway against simulators: a battery travels from the UART to a GX and to MQTT."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tinybms_ctl.demo_broker import broker_command
from tinybms_ctl.demo_children import Children, end_orphans
from tinybms_ctl.demo_files import LOOPBACK, ROOT_TOPIC, DemoFiles
from tinybms_ctl.demo_watch import GxWatch, MqttWatch
from tinybms_ctl.look import ask_health
from tinybms_ctl.render import screen
from tinybms_ctl.up import environment_for, supervisord_command
from tinybms_health.document import StatusDocument
from tinybms_health.verdict import OK
from tinybms_runtime.configfile import load
from tinybms_runtime.paths import Paths

SCREEN_EACH_S: Final = 0.5
LINE_EACH_S: Final = 3.0


def demo(seconds: float | None) -> bool:
    """Run until a signal or for `seconds`; whether data arrived on CAN and on MQTT.

    Raises DemoRefusedError when it can't be started. Leaves no process, and no file outside
    `.demo` in the working directory.
    """
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    former = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    files = DemoFiles(Path.cwd())
    try:
        return _run(files, stop, seconds)
    finally:
        files.close()
        for number, handler in former.items():
            signal.signal(number, handler)


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _run(files: DemoFiles, stop: threading.Event, seconds: float | None) -> bool:
    environ = {name: value for name, value in os.environ.items() if name not in _OURS}
    paths = Paths.of(load(files.config_file, environ).config)
    children = Children(files.log_dir, environment_for(files.config_file, paths, environ))
    try:
        children.start("mqtt-broker", broker_command(files.root, files.mqtt_port))
        children.start("sim-bms", [*_SIMULATOR, "bms", "--link", str(files.bms_port)])
        gx_command = [*_SIMULATOR, "gx", "--link", str(files.can_port), "--json"]
        gx_output = children.start("sim-gx", gx_command, piped=True)
        children.start("supervisord-output", supervisord_command())
        _say_where(files)
        watch = Watch(files, paths, GxWatch(gx_output) if gx_output else None, children)
        try:
            return watch.run(stop, seconds)
        finally:
            print("ending all processes ...", flush=True)
            watch.mqtt.close()
    finally:
        children.end()
        end_orphans(paths)


_OURS: Final = frozenset({"TINYBMS_CONFIG", "TINYBMS_RUN_DIR", "TINYBMS_LOG_DIR"})
_SIMULATOR: Final = (sys.executable, "-P", "-m", "tinybms_sim")


class Watch:
    """Shows the state of everything and what arrives."""

    def __init__(
        self, files: DemoFiles, paths: Paths, gx: GxWatch | None, children: Children
    ) -> None:
        self._files = files
        self._paths = paths
        self._children = children
        self._gx = gx
        self.mqtt = MqttWatch(files.mqtt_port)
        self._arrived = False

    def run(self, stop: threading.Event, seconds: float | None) -> bool:
        """Show until stopped; whether data arrived at both ends."""
        end = None if seconds is None else time.monotonic() + seconds
        if sys.stdout.isatty():
            with Live(console=Console(), auto_refresh=False) as live:
                while not _over(stop, end, SCREEN_EACH_S):
                    live.update(self._screen(), refresh=True)
        else:
            while not _over(stop, end, LINE_EACH_S):
                print(self._line(), flush=True)
        self._note_arrival()
        return self._arrived

    def _screen(self) -> Group:
        document = self._document()
        self._note_arrival()
        head = screen(document) if document else Text("health does not answer yet", "yellow")
        return Group(head, Text(f"CAN   {self._gx_text()}"), Text(f"MQTT  {self.mqtt.text()}"))

    def _line(self) -> str:
        document = self._document()
        self._note_arrival()
        state = document.status if document else "health does not answer yet"
        line = f"demo: {state}; CAN: {self._gx_text()}; MQTT: {self.mqtt.text()}"
        if document is not None and document.status != OK:
            bad = [check.name for check in document.checks if not check.well]
            line += f"; not well: {', '.join(bad)}"
        ended = self._children.ended()
        return f"{line}; ended: {', '.join(ended)} (see {self._files.log_dir})" if ended else line

    def _document(self) -> StatusDocument | None:
        return ask_health(f"{LOOPBACK}:{self._files.http_port}", self._paths)

    def _gx_text(self) -> str:
        return self._gx.text() if self._gx else "no GX"

    def _note_arrival(self) -> None:
        if self._gx is not None and self._gx.has_data and self.mqtt.has_data:
            self._arrived = True


def _over(stop: threading.Event, end: float | None, pause_s: float) -> bool:
    """Wait for the pause, or less when it is over before."""
    left_s = pause_s if end is None else min(pause_s, end - time.monotonic())
    return stop.wait(max(0.0, left_s)) or (end is not None and time.monotonic() >= end)


def _say_where(files: DemoFiles) -> None:
    print(
        f"TinyBMS gateway demo in {files.root}\n"
        f"  status   http://{LOOPBACK}:{files.http_port}/api/status\n"
        f"           {sys.executable} -m tinybms_ctl status --config {files.config_file}\n"
        f"  MQTT     mosquitto_sub -h {LOOPBACK} -p {files.mqtt_port} -t '{ROOT_TOPIC}/#' -v\n"
        f"  logs     {files.log_dir}\n"
        "  Ctrl-C ends all of it\n",
        flush=True,
    )
