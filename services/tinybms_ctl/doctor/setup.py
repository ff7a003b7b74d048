"""How the machine is set up, read from its files; nothing is asked and nothing changed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from configparser import Error as IniError
from configparser import RawConfigParser
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import psutil

from tinybms_config.model import Config
from tinybms_ctl.doctor.facts import NetworkFacts, SetupFacts
from tinybms_runtime.configfile import DEFAULT_PATH

UNIT: Final = "tinybms-gateway.service"
RULE: Final = "60-tinybms.rules"
RULE_NAME: Final = "/dev/tinybms"
"""The name that the rule gives to the BMS's cable."""
_UNITS: Final = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system")
_RULES: Final = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d")
_NETWORKS: Final = ("etc/systemd/network", "run/systemd/network", "usr/lib/systemd/network")
_OLD_LIB: Final = "lib"
"""Before /usr was merged, what is in usr/lib was in lib."""
_SUFFIXES: Final = {"": 1, "K": 1_000, "M": 1_000_000}
_IGNORED: Final = re.compile(r"^E:ID_MM_(DEVICE|PORT)_IGNORE=1$", re.MULTILINE)


def setup_facts(
    config: Config, file: Path, *, root: Path = Path("/"), running: frozenset[str] | None = None
) -> SetupFacts:
    """What the files below `root` say; `running`: names of the processes, ours to find out."""
    systemd = (root / "run/systemd/system").is_dir()
    names = _process_names() if running is None else running
    rule = next(_files(root, _RULES, RULE), None)
    port = Path(config.acquisition.port)
    usb, ignored = _usb_port(port, root)
    return SetupFacts(
        unit=unit_state(root) if systemd and file == DEFAULT_PATH else "",
        udev_rule=_shown(rule, root) if rule else "",
        rule_needed=str(port) == RULE_NAME,
        usb_port=usb,
        modem_manager="ModemManager" in names,
        kept_off=ignored,
        brltty="brltty" in names or (systemd and _starts(root, "brltty.service")),
        network=_network(config, root) if systemd else None,
    )


def unit_state(root: Path) -> str:
    """enabled, disabled, masked or missing."""
    file = next(_files(root, _UNITS, UNIT), None)
    if file is None:
        return "missing"
    if _is_mask(file):
        return "masked"
    return "enabled" if _starts(root, UNIT) else "disabled"


def network_facts(channel: str, root: Path) -> NetworkFacts:
    """What brings the CAN interface `channel` up when the machine starts."""
    for file in sorted(_files(root, _NETWORKS, "*.network"), key=lambda found: found.name):
        sections = _read_network(file, root)
        if _matches(sections, channel):
            return NetworkFacts(
                file=_shown(file, root),
                networkd=True,
                enabled=_starts(root, "systemd-networkd.service"),
                bitrate=bitrate_of(sections.get("CAN", "BitRate", fallback="")),
                restarts=_restarts(sections),
            )
    named = re.compile(rf"(?<![\w.-]){re.escape(channel)}(?![\w.-])")
    return NetworkFacts(file=next(_others(root, channel, named), ""))


def bitrate_of(text: str) -> int | None:
    """Bits a second in systemd's words: 500K, 500000; None when it is neither."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KM]?)", text.strip())
    if found is None:
        return None
    return round(float(found[1]) * _SUFFIXES[found[2]])


class _Sections(RawConfigParser):
    def optionxform(self, optionstr: str) -> str:
        """Keys keep their capital letters."""
        return optionstr


def _network(config: Config, root: Path) -> NetworkFacts | None:
    """None without an interface of the kernel; a vcan has no bitrate and needs no file."""
    can = config.can
    if not can.enabled or can.interface != "socketcan" or can.channel.startswith("vcan"):
        return None
    return network_facts(can.channel, root)


def _read_network(file: Path, root: Path) -> RawConfigParser:
    """The file and its drop-ins; what can't be read counts as empty."""
    sections = _Sections(strict=False, delimiters=("=",), comment_prefixes=("#", ";"))
    for each in (file, *sorted(_files(root, _NETWORKS, f"{file.name}.d/*.conf"))):
        try:
            sections.read_string(each.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, IniError):
            continue
    return sections


def _matches(sections: RawConfigParser, channel: str) -> bool:
    """Whether it is for `channel`, as far as its name and type tell."""
    patterns = sections.get("Match", "Name", fallback="").split()
    if patterns:
        return any(fnmatchcase(channel, pattern) for pattern in patterns)
    return "can" in sections.get("Match", "Type", fallback="").split()


def _restarts(sections: RawConfigParser) -> bool:
    return bool(re.search(r"[1-9]", sections.get("CAN", "RestartSec", fallback="")))


def _others(root: Path, channel: str, named: re.Pattern[str]) -> Iterator[str]:
    """Files of ifupdown, and units that start with the machine, that name the interface."""
    iface = re.compile(rf"^\s*iface\s+{re.escape(channel)}\s", re.MULTILINE)
    for file in (
        root / "etc/network/interfaces",
        *sorted((root / "etc/network/interfaces.d").glob("*")),
    ):
        if iface.search(_text(file)):
            yield _shown(file, root)
    for file in sorted((root / _UNITS[0]).glob("*.wants/*")):
        if named.search(_text(file)):
            yield file.name


def _usb_port(port: Path, root: Path) -> tuple[bool, bool]:
    """Whether the port is a USB adapter's, and whether udev keeps ModemManager off it."""
    try:
        device = port.stat().st_rdev
    except OSError:
        return False, False
    number = f"{os.major(device)}:{os.minor(device)}"
    link = root / "sys/dev/char" / number
    known = _text(root / "run/udev/data" / f"c{number}")
    return "/usb" in os.path.realpath(link), bool(_IGNORED.search(known))


def _starts(root: Path, unit: str) -> bool:
    """Whether a unit is wanted by something that starts with the machine, and not masked."""
    if any(_is_mask(file) for file in _files(root, _UNITS, unit)):
        return False
    return any(True for _ in _files(root, _UNITS, f"*.wants/{unit}"))


def _is_mask(file: Path) -> bool:
    return file.is_symlink() and str(file.readlink()) == os.devnull


def _files(root: Path, folders: Iterable[str], pattern: str) -> Iterator[Path]:
    """Files by name, the first of each name alone: a file in /etc hides the one in /usr/lib."""
    seen: set[str] = set()
    for folder in folders:
        for place in dict.fromkeys((folder, folder.replace("usr/lib", _OLD_LIB))):
            for file in sorted((root / place).glob(pattern)):
                name = str(file.relative_to(root / place))
                if name not in seen:
                    seen.add(name)
                    yield file


def _process_names() -> frozenset[str]:
    return frozenset(str(one.info["name"]) for one in psutil.process_iter(["name"]))


def _shown(file: Path, root: Path) -> str:
    return f"/{file.relative_to(root)}"


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
