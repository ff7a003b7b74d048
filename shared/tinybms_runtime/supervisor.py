"""supervisord's XML-RPC over its unix socket, with a time limit on every call.

The transport of the package `supervisor` has no time limit and costs 6 MB of memory in the process
that imports it; the one of the standard library needs only the connection below.
"""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

CALL_TIMEOUT_S: Final = 1.0

_HANDLER: Final = "/RPC2"

Answer = TypeVar("Answer")


class SupervisorError(Exception):
    """supervisord did not do what it was asked; the text says why."""


class SupervisorUnreachableError(SupervisorError):
    """Nobody answers on the socket. `hung`: somebody listens but is silent."""

    def __init__(self, text: str, *, hung: bool) -> None:
        self.hung = hung
        super().__init__(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program as supervisord sees it.

    `state`: STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL or UNKNOWN. `pid` is 0
    when it does not run. `error`: why it could not be started.
    """

    name: str
    state: str
    pid: int
    uptime_s: float
    exit_status: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a newer supervisord.conf does to the programs that supervisord has."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


class SupervisorClient:
    """Calls supervisord. One thread at a time; each step of a call takes at most `timeout_s`."""

    def __init__(self, socket_path: Path, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._socket_path = socket_path
        self._transport = _UnixTransport(socket_path, timeout_s)

    @property
    def connections(self) -> int:
        """Connections opened so far: while it stays the same, the same supervisord answers."""
        return self._transport.connections

    def programs(self) -> dict[str, Program]:
        """Every program by its name."""
        rows = self._call("supervisor.getAllProcessInfo", list[_Row])
        return {row.name: _program(row) for row in rows}

    def pid(self) -> int:
        """Pid of supervisord."""
        return self._call("supervisor.getPID", int)

    def start(self, name: str) -> None:
        """Have a program started; does not wait until it runs."""
        wait = False
        self._call("supervisor.startProcess", bool, name, wait)

    def terminate(self, name: str) -> None:
        """Send SIGTERM to a program, which ends it in good order; autorestart brings it back."""
        self._call("supervisor.signalProcess", bool, name, "TERM")

    def kill(self, name: str) -> None:
        """Send SIGKILL to a program, which ends a stopped one too; autorestart brings it back."""
        self._call("supervisor.signalProcess", bool, name, "KILL")

    def stop(self, name: str) -> None:
        """Have a program stopped for good; does not wait until it has ended."""
        wait = False
        self._call("supervisor.stopProcess", bool, name, wait)

    def reread(self) -> Changes:
        """Read supervisord.conf again; what differs takes effect by `forget` and `add`."""
        (rows,) = self._call("supervisor.reloadConfig", list[list[list[str]]])
        added, changed, removed = map(tuple, rows)
        return Changes(added=added, changed=changed, removed=removed)

    def forget(self, name: str) -> None:
        """Drop a program that is stopped."""
        self._call("supervisor.removeProcessGroup", bool, name)

    def add(self, name: str) -> None:
        """Take a program from the supervisord.conf that was read last, and start it."""
        self._call("supervisor.addProcessGroup", bool, name)

    def shutdown(self) -> None:
        """Have supervisord stop every program and end."""
        self._call("supervisor.shutdown", bool)

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        self._transport.close()

    def _call(self, method: str, kind: type[Answer], *arguments: str | bool) -> Answer:
        request = xmlrpc.client.dumps(arguments, method).encode()
        try:
            answers = self._transport.request("localhost", _HANDLER, request)
            return msgspec.convert(answers[0], kind)
        except TimeoutError as error:
            self.close()
            text = f"supervisord does not answer on {self._socket_path}"
            raise SupervisorUnreachableError(text, hung=True) from error
        except BlockingIOError as error:
            self.close()
            text = f"supervisord takes no more connections on {self._socket_path}"
            raise SupervisorUnreachableError(text, hung=True) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            text = f"no supervisord on {self._socket_path}: {reason}"
            raise SupervisorUnreachableError(text, hung=False) from error
        except xmlrpc.client.Error as error:
            self.close()
            text = f"supervisord refused {method}: {_fault_text(error)}"
            raise SupervisorError(text) from error
        except msgspec.ValidationError as error:
            raise SupervisorError(f"odd answer to {method}: {error}") from error


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is used of a row of getAllProcessInfo; times are whole seconds of wall time."""

    name: str
    statename: str
    pid: int
    now: int
    start: int
    exitstatus: int
    spawnerr: str


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float, on_connect: Callable[[], None]) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s
        self._on_connect = on_connect

    def connect(self) -> None:
        self._on_connect()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_s)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__()
        self._path = path
        self._timeout_s = timeout_s
        self._open: _UnixConnection | None = None
        self.connections = 0
        """How many were opened so far; http.client opens a new one by itself when one is cut."""

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        del host
        if self._open is None:
            self._open = _UnixConnection(self._path, self._timeout_s, self._count)
        return self._open

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _count(self) -> None:
        self.connections += 1


def _program(row: _Row) -> Program:
    return Program(
        name=row.name,
        state=row.statename,
        pid=row.pid,
        uptime_s=max(0.0, float(row.now - row.start)) if row.pid else 0.0,
        exit_status=row.exitstatus,
        error=row.spawnerr,
    )


def _fault_text(error: xmlrpc.client.Error) -> str:
    return str(getattr(error, "faultString", None) or getattr(error, "errmsg", None) or error)
