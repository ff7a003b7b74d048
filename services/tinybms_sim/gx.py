"""The process `tinybms-sim gx`: a USB-CAN adapter on a pty, a GX at the other end of the bus."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from tinybms_sim.gx_frames import IDENTIFICATION, IDENTIFICATION_ID, KEEPALIVE_ID
from tinybms_sim.gx_screen import screen
from tinybms_sim.gx_view import GxView, Heard
from tinybms_sim.pty_line import PtyLine
from tinybms_sim.shell import boottime_s, serve
from tinybms_sim.slcan import BITRATE_500K, Adapter, CanFrame

PERIOD_S = 1.0
FAULTS = ("none", "adapter_gone", "queue_full", "tx_full", "gx_silent")
"""queue_full: the adapter reads nothing; tx_full: it refuses each frame; gx_silent: no 0x305."""


class GxProcess:
    """Joins adapter, GX and pty; prints one JSON line per event, or a screen each second."""

    def __init__(self, pty: PtyLine, *, as_json: bool, with_gx: bool, fault: str = "none") -> None:
        self._pty = pty
        self._as_json = as_json
        self._with_gx = with_gx
        self._fault = fault
        self._adapter = Adapter()
        self._view = GxView()
        self._received = 0
        self._problems = 0
        self._printing = True
        self._next_s = boottime_s()

    def start(self) -> None:
        """Make the port unless the fault chosen has none; raises LinkError, ValueError."""
        self.set_fault(self._fault)

    def sources(self) -> dict[int, Callable[[], None]]:
        """What to wait on; nothing while the adapter is gone or does not read."""
        if self._pty.fd is None or self._fault == "queue_full":
            return {}
        return {self._pty.fd: self._receive}

    def deadline_s(self) -> float:
        """When `on_time` is to be called next."""
        return self._next_s

    def on_time(self) -> None:
        """Once a second: the frames that a GX sends, and its display."""
        now_s = boottime_s()
        self._next_s = max(self._next_s + PERIOD_S, now_s)
        self._report(now_s)
        if self._with_gx and self._fault not in ("gx_silent", "queue_full"):
            lines = self._adapter.to_host(KEEPALIVE_ID, bytes(8), now_s)
            lines += self._adapter.to_host(IDENTIFICATION_ID, IDENTIFICATION, now_s)
            self._pty.write(lines)

    def set_fault(self, name: str) -> None:
        """Enter a fault of `FAULTS`; raises ValueError for another name."""
        if name not in FAULTS:
            raise ValueError(f"unknown fault {name!r}: one of {', '.join(FAULTS)}")
        self._fault = name
        self._adapter.tx_full = name == "tx_full"
        if name == "adapter_gone":
            self._pty.close()
        elif self._pty.fd is None:
            self._adapter = Adapter()
            self._adapter.tx_full = name == "tx_full"
            self._pty.open()

    def command(self, text: str) -> str:
        """Serve one control command: `fault NAME` or `status`."""
        name, _, rest = text.partition(" ")
        try:
            if name == "fault":
                self.set_fault(rest.strip())
                return "ok"
            if name == "status":
                return f"ok {json.dumps(self._status())}"
        except (ValueError, OSError) as error:
            return f"error {name}: {error}"
        return f"error unknown command {name!r}: one of fault, status"

    def _status(self) -> dict[str, object]:
        return {
            "fault": self._fault,
            "plugged": self._pty.fd is not None,
            "open": self._adapter.open,
            "bitrate": self._adapter.bitrate,
            "received": self._received,
            "refused": self._adapter.refused,
            "problems": self._problems,
            "connected": self._view.connected(boottime_s()),
        }

    def _receive(self) -> None:
        answers = self._adapter.feed(self._pty.read())
        self._pty.write(answers)
        now_s = boottime_s()
        for frame in self._adapter.take_frames():
            self._hear(frame, now_s)

    def _hear(self, frame: CanFrame, now_s: float) -> None:
        self._received += 1
        kind = "29-bit" if frame.extended else "remote" if frame.remote else ""
        if kind:
            self._view.note(f"0x{frame.can_id:X} is a {kind} frame, which a GX ignores")
            return
        if self._adapter.bitrate != BITRATE_500K:
            self._view.note(f"bit rate {self._adapter.bitrate or 'not set'} is not 500 kbit/s (S6)")
            return
        heard = self._view.hear(frame.can_id, frame.data, now_s)
        self._problems += len(heard.problems)
        if self._as_json:
            self._print_json(_frame_line(heard))

    def _report(self, now_s: float) -> None:
        report = self._view.report(now_s)
        if self._as_json:
            self._print_json(
                {
                    "kind": "display",
                    "t": round(report.t_s, 6),
                    "connected": report.connected,
                    "frames": {f"0x{i:03X}": count for i, count in report.frames.items()},
                    "display": report.display,
                    "problems": report.problems,
                }
            )
        else:
            self._print(screen(report, str(self._pty.link), self._fault))

    def _print_json(self, line: dict[str, object]) -> None:
        self._print(json.dumps(line, separators=(",", ":")) + "\n")

    def _print(self, text: str) -> None:
        if not self._printing:
            return
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            self._printing = False  # the reader is gone; the bus goes on


def _frame_line(heard: Heard) -> dict[str, object]:
    return {
        "kind": "frame",
        "t": round(heard.t_s, 6),
        "id": f"0x{heard.can_id:03X}",
        "data": heard.data.hex(),
        "fields": heard.fields,
        "problems": heard.problems,
    }


def run_gx(
    link: Path, control: Path | None, *, as_json: bool, with_gx: bool, fault: str = "none"
) -> None:
    """Serve until SIGTERM or SIGINT; the link and the control path are gone afterwards."""
    pty = PtyLine(link)
    process = GxProcess(pty, as_json=as_json, with_gx=with_gx, fault=fault)
    serve(process, pty, control, "GX simulator")
