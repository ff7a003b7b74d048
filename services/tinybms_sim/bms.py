"""The process `tinybms-sim bms`: the simulated line on a pty, steered through a control socket."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from tinybms_sim.line import BmsLine
from tinybms_sim.pty_line import PtyLine
from tinybms_sim.shell import boottime_s, serve

TICK_S = 0.1
"""Cadence of the live values when nobody asks."""
_IDLE_TICK_S = 1.0


class BmsProcess:
    """Joins a `BmsLine` to a pty and serves the control commands."""

    def __init__(self, line: BmsLine, pty: PtyLine) -> None:
        self._line = line
        self._pty = pty
        self._next_tick_s = boottime_s()

    def start(self) -> None:
        """Make the port; raises LinkError."""
        self._pty.open()

    def sources(self) -> dict[int, Callable[[], None]]:
        """What to wait on."""
        return {} if self._pty.fd is None else {self._pty.fd: self._receive}

    def deadline_s(self) -> float:
        """When `on_time` is to be called next."""
        due_s = self._line.next_due_s()
        return self._next_tick_s if due_s is None else min(due_s, self._next_tick_s)

    def on_time(self) -> None:
        """Write what has arrived by now and let the battery live on."""
        now_s = boottime_s()
        if now_s >= self._next_tick_s:
            self._line.tick(now_s)
            busy = self._line.reader.unfinished or self._line.broadcasting
            self._next_tick_s = now_s + (TICK_S if busy else _IDLE_TICK_S)
        self._pty.write(self._line.due(now_s))

    def command(self, text: str) -> str:
        """Serve one control command; answers "ok ..." or "error ..."."""
        name, _, rest = text.partition(" ")
        serve = self._COMMANDS.get(name)
        if serve is None:
            return f"error unknown command {name!r}: one of {', '.join(self._COMMANDS)}"
        try:
            return f"ok {serve(self, rest.split())}".rstrip()
        except (ValueError, IndexError, OSError) as error:
            return f"error {name}: {error}"

    def _receive(self) -> None:
        now_s = boottime_s()
        self._line.receive(self._pty.read(), now_s)
        self._next_tick_s = min(self._next_tick_s, now_s + TICK_S)
        self._pty.write(self._line.due(now_s))

    def _scenario(self, words: list[str]) -> str:
        self._next_tick_s = boottime_s()
        if words[0] in ("unplug", "replug"):
            return self._unplug([]) if words[0] == "unplug" else self._replug([])
        self._line.choose(words[0], boottime_s(), float(words[1]) if len(words) > 1 else None)
        return ""

    def _set(self, words: list[str]) -> str:
        return self._words([f"{words[0]}={words[1]}"])

    def _words(self, words: list[str]) -> str:
        pairs = [word.partition("=")[::2] for word in words]
        self._line.bms.override({int(address, 0): int(word, 0) for address, word in pairs})
        return ""

    def _release(self, _words: list[str]) -> str:
        self._line.bms.release()
        return ""

    def _event(self, words: list[str]) -> str:
        self._line.bms.log_event(int(words[0], 0))
        return ""

    def _charger(self, _words: list[str]) -> str:
        self._line.bms.plant.protections.connect_charger()
        return ""

    def _reset(self, _words: list[str]) -> str:
        self._line.bms.reset(boottime_s())
        return ""

    def _unplug(self, _words: list[str]) -> str:
        self._line.hang_up()
        self._pty.close()
        return ""

    def _replug(self, _words: list[str]) -> str:
        if self._pty.fd is None:
            self._pty.open()
        return ""

    def _status(self, _words: list[str]) -> str:
        bms = self._line.bms
        return json.dumps(
            {
                "scenario": self._line.scenario,
                "plugged": self._pty.fd is not None,
                "requests": bms.requests,
                "refusals": bms.refusals,
                "flash_writes": bms.flash_writes,
                "soc_writes": bms.soc_writes,
                "asleep": bms.asleep,
                "faults_applied": self._line.faults.hits,
                "dropped_bytes": self._line.reader.dropped_bytes + self._pty.dropped_bytes,
                "active": [int(event) for event in bms.plant.protections.active],
            }
        )

    _COMMANDS: ClassVar[Mapping[str, Callable[["BmsProcess", list[str]], str]]] = {
        "scenario": _scenario,
        "set": _set,
        "words": _words,
        "release": _release,
        "event": _event,
        "charger": _charger,
        "reset": _reset,
        "unplug": _unplug,
        "replug": _replug,
        "status": _status,
    }


def run_bms(line: BmsLine, link: Path, control: Path | None) -> None:
    """Serve until SIGTERM or SIGINT; the link and the control path are gone afterwards."""
    pty = PtyLine(link)
    serve(BmsProcess(line, pty), pty, control, "TinyBMS simulator")
