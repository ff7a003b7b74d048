"""What the system says about ports, adapters, CAN interfaces and disks; opens no device."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import psutil
from serial.tools import list_ports

from tinybms_config.model import Can
from tinybms_ctl.doctor.facts import CanFacts, DiskFacts
from tinybms_runtime.paths import Paths

IP_TIMEOUT_S: Final = 3.0
IFF_UP: Final = 1
STABLE_FOLDERS: Final = ("/dev/serial/by-id/", "/dev/serial/by-path/")
UNSTABLE_NAMES: Final = ("/dev/ttyUSB", "/dev/ttyACM")
USB_SERIAL_CHIPS: Final[Mapping[str, str]] = {
    "0403": "an FTDI serial adapter",
    "067b": "a Prolific serial adapter",
    "10c4": "a CP210x serial adapter",
    "1a86": "a CH340 serial adapter",
}
"""By USB vendor: chips that do nothing but serial ports."""
_USB: Final = Path("/sys/bus/usb/devices")
_NET: Final = Path("/sys/class/net")


def is_stable(path: str) -> bool:
    """Whether a port's path stays with its adapter."""
    return path.startswith(STABLE_FOLDERS) or not path.startswith(UNSTABLE_NAMES)


def may_use(path: str, uid: int) -> bool | None:
    """Whether this user may read and write `path`; None for another user than us, or no path."""
    try:
        facts = Path(path).stat()
    except OSError:
        return None
    if uid == os.geteuid() and uid != 0:
        return os.access(path, os.R_OK | os.W_OK)
    everybody = stat.S_IROTH | stat.S_IWOTH
    own = facts.st_uid == uid and facts.st_mode & stat.S_IRUSR and facts.st_mode & stat.S_IWUSR
    if uid == 0 or own or facts.st_mode & everybody == everybody:
        return True
    # Groups can be given to a service alone, where nobody else can see them.
    group = stat.S_IRGRP | stat.S_IWGRP
    return None if facts.st_mode & group == group else False


def users_of(path: str, own_pids: Iterable[int]) -> tuple[str, ...]:
    """Other programs that have the port open, as far as this user may see.

    Who also holds the other end of a pty is no rival but the device itself.
    """
    device = os.path.realpath(path)
    found: list[str] = []
    skip = {os.getpid(), *own_pids}
    for process in psutil.process_iter(["pid", "name"]):
        if process.pid in skip:
            continue
        files = _open_files(process.pid)
        if device in files and not any(name.endswith("/ptmx") for name in files):
            found.append(f"{process.info['name']} (pid {process.pid})")
    return tuple(found)


def usb_without_port() -> tuple[str, ...]:
    """USB serial adapters that the kernel sees and gives no port."""
    with_port = {(port.vid, port.pid) for port in list_ports.comports() if port.vid is not None}
    found: list[str] = []
    for folder in sorted(_USB.glob("*")):
        vendor, product = _text(folder / "idVendor"), _text(folder / "idProduct")
        if vendor not in USB_SERIAL_CHIPS or not product:
            continue
        if (int(vendor, 16), int(product, 16)) not in with_port:
            found.append(f"{USB_SERIAL_CHIPS[vendor]} ({vendor}:{product})")
    return tuple(found)


def can_facts(can: Can) -> CanFacts | None:
    """The channel as the system shows it; None for interfaces that it does not know."""
    if can.interface == "slcan":
        return CanFacts(exists=Path(can.channel.partition("@")[0]).exists())
    if can.interface != "socketcan":
        return None
    folder = _NET / can.channel
    if not folder.exists():
        return CanFacts(exists=False)
    flags, queue = _text(folder / "flags"), _text(folder / "tx_queue_len")
    return can_details(
        _ip_link(can.channel),
        up=bool(int(flags, 16) & IFF_UP) if flags else None,
        tx_queue=int(queue) if queue.isdigit() else None,
    )


def can_details(ip_json: str, *, up: bool | None, tx_queue: int | None) -> CanFacts:
    """The facts in the output of `ip -details -json link show`; "" when there is none."""
    try:
        rows = json.loads(ip_json or "[]")
    except ValueError:
        rows = []
    row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    data = row.get("linkinfo", {}).get("info_data", {})
    return CanFacts(
        exists=True,
        up=up,
        bitrate=data.get("bittiming", {}).get("bitrate"),
        controller=data.get("state"),
        tx_queue=tx_queue,
        restart_ms=data.get("restart_ms", 0 if "bittiming" in data else None),
    )


def disks(paths: Paths) -> tuple[DiskFacts, ...]:
    """Room for each folder of the gateway that is there; one entry for each disk."""
    found: dict[int, DiskFacts] = {}
    for folder in (paths.state_dir, paths.log_dir, paths.run_dir):
        try:
            device = folder.stat().st_dev
            room = shutil.disk_usage(folder)
        except OSError:
            continue
        found.setdefault(device, DiskFacts(folder=str(folder), free_bytes=room.free))
    return tuple(found.values())


def _ip_link(channel: str) -> str:
    program = shutil.which("ip", path=os.pathsep.join((os.defpath, "/usr/sbin", "/sbin")))
    if program is None:
        return ""
    try:
        answer = subprocess.run(
            [program, "-details", "-json", "link", "show", "dev", channel],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=IP_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""


def _open_files(pid: int) -> set[str]:
    found: set[str] = set()
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.add(str(entry.readlink()))
    except OSError:
        return set()
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
