"""How a machine is set up is read from its files; what is not used there is no trouble."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tinybms_config.model import Acquisition, Can, Config
from tinybms_ctl.doctor.facts import NetworkFacts, SetupFacts
from tinybms_ctl.doctor.setup import bitrate_of, network_facts, setup_facts, unit_state
from tinybms_runtime.configfile import DEFAULT_PATH

DEPLOY = Path(__file__).parents[3] / "deploy"
CAN0 = Config(can=Can(interface="socketcan", channel="can0"))
WANTS = "etc/systemd/system/multi-user.target.wants"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with systemd, on which nothing of ours is installed."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return tmp_path


def put(root: Path, name: str, text: str = "") -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def install(root: Path, name: str, source: str) -> Path:
    return put(root, name, (DEPLOY / source).read_text(encoding="utf-8"))


def facts(
    root: Path, config: Config = CAN0, *running: str, file: Path = DEFAULT_PATH
) -> SetupFacts:
    return setup_facts(config, file, root=root, running=frozenset(running))


def all_installed(root: Path) -> None:
    unit = install(
        root, "etc/systemd/system/tinybms-gateway.service", "systemd/tinybms-gateway.service"
    )
    put(root, f"{WANTS}/tinybms-gateway.service", unit.read_text())
    install(root, "etc/udev/rules.d/60-tinybms.rules", "udev/60-tinybms.rules")
    install(root, "etc/systemd/network/80-can0.network", "systemd/80-can0.network")
    put(root, f"{WANTS}/systemd-networkd.service")


def test_a_machine_without_systemd_uses_none_of_it(tmp_path: Path) -> None:
    assert facts(tmp_path) == SetupFacts()


def test_what_deploy_holds_is_found_and_well(root: Path) -> None:
    all_installed(root)
    found = facts(root)
    assert (found.unit, found.udev_rule) == ("enabled", "/etc/udev/rules.d/60-tinybms.rules")
    assert found.network == NetworkFacts(
        file="/etc/systemd/network/80-can0.network",
        networkd=True,
        enabled=True,
        bitrate=CAN0.can.bitrate,
        restarts=True,
    )


def test_the_unit_matters_to_the_configuration_that_it_starts(root: Path) -> None:
    assert facts(root).unit == "missing"
    assert facts(root, file=root / "gateway.toml").unit == ""


def test_a_unit_is_missing_disabled_enabled_or_masked(root: Path) -> None:
    assert unit_state(root) == "missing"
    put(root, "lib/systemd/system/tinybms-gateway.service")
    assert unit_state(root) == "disabled"
    put(root, f"{WANTS}/tinybms-gateway.service")
    assert unit_state(root) == "enabled"
    (root / "etc/systemd/system/tinybms-gateway.service").symlink_to(os.devnull)
    assert unit_state(root) == "masked"


def test_the_rule_is_needed_by_the_name_that_it_makes(root: Path) -> None:
    named = Config(acquisition=Acquisition(port="/dev/tinybms"))
    by_id = Config(acquisition=Acquisition(port="/dev/serial/by-id/usb-1"))
    assert (facts(root, named).rule_needed, facts(root, by_id).rule_needed) == (True, False)


@pytest.mark.parametrize(
    ("known", "kept_off"),
    [
        ("E:ID_MM_PORT_IGNORE=1\n", True),
        ("E:ID_MM_DEVICE_IGNORE=1\n", True),
        ("E:ID_MM_DEVICE_IGNORE=0\n", False),
        ("", False),
    ],
)
def test_udev_says_whether_modem_manager_leaves_a_usb_port_alone(
    root: Path, known: str, *, kept_off: bool
) -> None:
    port = Path(os.devnull)
    number = f"{os.major(port.stat().st_rdev)}:{os.minor(port.stat().st_rdev)}"
    config = Config(acquisition=Acquisition(port=str(port)))
    put(root, f"run/udev/data/c{number}", known)
    assert not facts(root, config).usb_port
    device = root / "sys/devices/pci0/usb1/1-1/ttyUSB0"
    device.mkdir(parents=True)
    link = root / "sys/dev/char" / number
    link.parent.mkdir(parents=True)
    link.symlink_to(device)
    found = facts(root, config, "ModemManager")
    assert (found.usb_port, found.modem_manager, found.kept_off) == (True, True, kept_off)


def test_brltty_counts_when_it_runs_or_starts_with_the_machine(root: Path) -> None:
    assert facts(root, CAN0, "brltty").brltty
    put(root, "bin/brltty")
    put(root, "lib/systemd/system/brltty.service")
    assert not facts(root).brltty
    put(root, "etc/systemd/system/sysinit.target.wants/brltty.service")
    assert facts(root).brltty
    (root / "etc/systemd/system/brltty.service").symlink_to(os.devnull)
    assert not facts(root).brltty


@pytest.mark.parametrize(
    "can",
    [
        Can(enabled=False, interface="socketcan", channel="can0"),
        Can(interface="slcan", channel="/dev/ttyACM0"),
        Can(interface="socketcan", channel="vcan0"),
    ],
)
def test_a_channel_that_needs_no_file_asks_for_none(root: Path, can: Can) -> None:
    assert facts(root, Config(can=can)).network is None


def test_without_a_file_nothing_brings_the_interface_up(root: Path) -> None:
    install(root, "etc/systemd/network/80-can0.network", "systemd/80-can0.network")
    assert network_facts("can1", root) == NetworkFacts()


def test_networkd_that_is_off_is_seen(root: Path) -> None:
    install(root, "etc/systemd/network/80-can0.network", "systemd/80-can0.network")
    assert not network_facts("can0", root).enabled


def test_the_first_file_by_name_counts_with_its_drop_ins(root: Path) -> None:
    install(root, "usr/lib/systemd/network/80-can0.network", "systemd/80-can0.network")
    put(root, "etc/systemd/network/70-all.network", "[Match]\nType=can\n[CAN]\nBitRate=1M\n")
    first = network_facts("can0", root)
    assert (first.file, first.bitrate) == ("/etc/systemd/network/70-all.network", 1_000_000)
    assert not first.restarts
    drop_in = "[CAN]\nBitRate=250K\nRestartSec=1\n"
    put(root, "etc/systemd/network/70-all.network.d/site.conf", drop_in)
    changed = network_facts("can0", root)
    assert (changed.bitrate, changed.restarts) == (250_000, True)


def test_a_file_in_etc_hides_the_one_of_the_same_name(root: Path) -> None:
    install(root, "usr/lib/systemd/network/80-can0.network", "systemd/80-can0.network")
    put(root, "etc/systemd/network/80-can0.network", "[Match]\nName=can*\n[CAN]\nBitRate=125K\n")
    assert network_facts("can0", root).bitrate == 125_000


def test_a_damaged_file_of_networkd_is_read_as_far_as_it_goes(root: Path) -> None:
    put(root, "etc/systemd/network/1.network", "BitRate=1\n\x00[[[\n")
    (root / "etc/systemd/network/2.network").write_bytes(b"\xff\xfe")
    assert network_facts("can0", root).file == ""


@pytest.mark.parametrize(
    "name", ["etc/network/interfaces", "etc/network/interfaces.d/can", f"{WANTS}/own-can.service"]
)
def test_others_that_bring_it_up_count_too(root: Path, name: str) -> None:
    text = "ExecStart=ip link set can0 up" if name.endswith("service") else "iface can0 can static"
    put(root, name, f"# ours\n{text}\n")
    found = network_facts("can0", root)
    assert found.file in {f"/{name}", Path(name).name}
    assert not found.networkd
    assert network_facts("can", root).file == ""


def test_an_slcan_adapter_is_brought_up_by_its_unit(root: Path) -> None:
    wanted = "etc/systemd/system/dev-ttyACM0.device.wants/tinybms-slcan@ttyACM0.service"
    install(root, wanted, "systemd/tinybms-slcan@.service")
    assert network_facts("slcan0", root).file == "tinybms-slcan@ttyACM0.service"


@pytest.mark.parametrize(
    ("text", "bitrate"),
    [("500K", 500_000), ("500000", 500_000), ("1M", 1_000_000), ("12.5K", 12_500), ("fast", None)],
)
def test_a_bitrate_in_the_words_of_systemd(text: str, bitrate: int | None) -> None:
    assert bitrate_of(text) == bitrate


def test_this_machine_can_be_looked_at() -> None:
    assert isinstance(setup_facts(CAN0, DEFAULT_PATH), SetupFacts)
