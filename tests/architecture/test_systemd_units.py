"""The systemd units and udev rules agree with supervisord.conf, the defaults and the code."""

from __future__ import annotations

import re
from configparser import RawConfigParser
from pathlib import Path

import pytest

from harness_units import GATEWAY, NETWORK, SLCAN, SYSTEMD, read_unit
from tinybms_config.model import Config
from tinybms_ctl.main import STOP_WITHIN_S, app
from tinybms_runtime.configfile import DEFAULT_PATH
from tinybms_runtime.processes import PROCESSES

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "udev" / "60-tinybms.rules"
PAGE = ROOT / "deploy" / "docs" / "install-by-hand.md"
TERM = re.compile(r'[A-Z_]+(\{[A-Za-z_.]+\})?(==|!=|=|\+=|:=)"[^"]*"')


@pytest.fixture
def unit() -> dict[str, list[str]]:
    return read_unit(GATEWAY)


@pytest.fixture
def conf() -> RawConfigParser:
    parser = RawConfigParser(inline_comment_prefixes=None)
    parser.read(ROOT / "supervisord.conf", encoding="utf-8")
    return parser


def test_the_unit_waits_longer_than_all_programs_may_take_one_after_another(
    unit: dict[str, list[str]], conf: RawConfigParser
) -> None:
    programs = [conf[name] for name in conf.sections() if name.startswith("program:")]
    longest_s = sum(int(program["stopwaitsecs"]) for program in programs)
    assert longest_s == sum(process.stop_wait_s for process in PROCESSES)
    # `tinybms-ctl down` must not give up before the programs do, nor systemd before that command.
    assert longest_s < STOP_WITHIN_S < int(unit["Service.TimeoutStopSec"][0])


def test_the_unit_gives_what_supervisord_asks_for(
    unit: dict[str, list[str]], conf: RawConfigParser
) -> None:
    assert int(unit["Service.LimitNOFILE"][0]) > int(conf["supervisord"]["minfds"])
    assert int(unit["Service.TasksMax"][0]) > int(conf["supervisord"]["minprocs"])


def test_the_unit_runs_commands_that_exist(unit: dict[str, list[str]]) -> None:
    names = {
        str(each.name or getattr(each.callback, "__name__", "")) for each in app.registered_commands
    }
    for key in ("Service.ExecStart", "Service.ExecStop"):
        program, command, option, file = unit[key][0].lstrip("-").split()
        assert program == "/opt/tinybms-gateway/current/bin/tinybms-ctl"
        assert command in names
        assert (option, file) == ("--config", str(DEFAULT_PATH))


def test_the_folders_of_the_unit_are_the_defaults(unit: dict[str, list[str]]) -> None:
    gateway = Config().gateway
    assert f"/run/{unit['Service.RuntimeDirectory'][0]}" == gateway.run_dir
    assert f"/var/lib/{unit['Service.StateDirectory'][0]}" == gateway.state_dir
    assert f"/var/log/{unit['Service.LogsDirectory'][0]}" == gateway.log_dir


def test_the_unit_comes_back_always_and_leaves_no_process(unit: dict[str, list[str]]) -> None:
    assert unit["Service.Type"] == ["exec"]
    assert unit["Service.Restart"] == ["always"]
    assert unit["Unit.StartLimitIntervalSec"] == ["0"]
    assert unit["Service.KillMode"] == ["control-group"]
    assert unit["Service.OOMPolicy"] == ["continue"]
    assert "Service.WatchdogSec" not in unit, "supervisord does not notify"


def test_the_unit_waits_for_the_clock_but_not_for_the_network(unit: dict[str, list[str]]) -> None:
    settings = [f"{key}={value}" for key, values in unit.items() for value in values]
    assert "time-sync.target" in unit["Unit.After"][0].split()
    assert [each for each in settings if "network-online" in each] == []


def test_the_clock_may_be_asked(unit: dict[str, list[str]]) -> None:
    allowed = {word for line in unit["Service.SystemCallFilter"] for word in line.split()}
    assert {"adjtimex", "clock_adjtime", "clock_adjtime64"} <= allowed
    assert not [word for word in allowed if word.startswith("~")]
    assert "Service.ProtectClock" not in unit


def test_the_serial_ports_and_the_can_sockets_are_allowed(unit: dict[str, list[str]]) -> None:
    assert unit["Service.DevicePolicy"] == ["closed"]
    assert {"char-188 rw", "char-166 rw"} <= set(unit["Service.DeviceAllow"])
    assert "Service.PrivateDevices" not in unit
    assert "dialout" in unit["Service.SupplementaryGroups"]
    families = set(unit["Service.RestrictAddressFamilies"][0].split())
    assert {"AF_UNIX", "AF_INET", "AF_INET6", "AF_CAN"} <= families


def test_the_can_interface_is_the_default_one() -> None:
    network = read_unit(NETWORK)
    can = Config().can
    assert network["Match.Name"] == [can.channel]
    assert network["CAN.BitRate"] == [f"{can.bitrate // 1000}K"]
    assert network["CAN.RestartSec"] == ["100ms"]
    assert network["Link.RequiredForOnline"] == ["no"]


def test_the_slcan_unit_sets_the_default_bitrate() -> None:
    start = read_unit(SLCAN)["Service.ExecStart"][0]
    assert Config().can.bitrate == 500_000
    assert "-s6" in start.split(), "slcan calls 500 kbit/s S6"


def test_each_udev_rule_has_the_form_of_one() -> None:
    text = RULES.read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            assert all(TERM.fullmatch(term) for term in line.split(", ")), line
    assert set(re.findall(r'GOTO="(\w+)"', text)) == set(re.findall(r'LABEL="(\w+)"', text))


def test_the_bms_cable_has_a_name_and_no_modem_manager() -> None:
    rules = [line for line in RULES.read_text(encoding="utf-8").splitlines() if "10c4" in line]
    assert any('SYMLINK+="tinybms"' in rule and 'GROUP="dialout"' in rule for rule in rules)
    assert any('ENV{ID_MM_DEVICE_IGNORE}="1"' in rule for rule in rules)


def test_the_page_names_every_file_and_no_other() -> None:
    files = [*SYSTEMD.iterdir(), *RULES.parent.iterdir()]
    there = {str(file.relative_to(ROOT)) for file in files}
    named = set(re.findall(r"deploy/(?:systemd|udev)/[\w@.-]+", PAGE.read_text(encoding="utf-8")))
    assert named == there


def test_the_page_uses_commands_that_exist() -> None:
    names = {
        str(each.name or getattr(each.callback, "__name__", "")) for each in app.registered_commands
    }
    names |= {str(each.name) for each in app.registered_groups}
    used = re.findall(r"tinybms-ctl ([a-z-]+)", PAGE.read_text(encoding="utf-8"))
    assert len(used) > 5
    assert set(used) <= names
