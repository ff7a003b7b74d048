"""Each thing that can be wrong leads to its row of the table, and to nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from fake_doctor import CONFIG, IDENTITY, PORT, STEPS, fake_facts, settings, well_view
from fake_live import fake_live, fake_sample
from fake_view import NOW_NS, fake_latest, header
from fake_view import facts as process
from tinybms_config.model import Can, Config, Mqtt
from tinybms_ctl.doctor.command import as_document, plain_lines
from tinybms_ctl.doctor.facts import (
    CanFacts,
    DiskFacts,
    Facts,
    NetworkFacts,
    PortFacts,
    ProbeFacts,
    SetupFacts,
)
from tinybms_ctl.doctor.host import can_details, is_stable
from tinybms_ctl.doctor.judges import judge
from tinybms_ctl.doctor.page import markdown
from tinybms_ctl.doctor.row import Level
from tinybms_ctl.doctor.table import TROUBLES
from tinybms_ctl.mqtt_finding import MqttFinding
from tinybms_health.view import SupervisorFacts
from tinybms_messages.line import FramesNow
from tinybms_messages.live import Link
from tinybms_messages.registers import RegisterValue
from tinybms_messages.status import BufferStatus, MqttStatus

PAGE = Path(__file__).parents[3] / "deploy/docs/troubleshooting.md"


def found(facts: Facts) -> set[str]:
    return {one.trouble for one in judge(facts).findings if one.trouble}


def line(state: str, detail: str = "", **counts: Any) -> FramesNow:  # noqa: ANN401 - any count
    link = Link(state=state, detail=detail, port=PORT, polls=1000, replies=1000)
    return FramesNow(link=msgspec.structs.replace(link, **counts))


def port(**changes: object) -> PortFacts:
    known = PortFacts(path=PORT, exists=True, stable=True, usable=True)
    return replace(known, **cast("dict[str, Any]", changes))


def can(**changes: object) -> CanFacts:
    known = fake_facts().can
    assert known is not None
    return replace(known, **cast("dict[str, Any]", changes))


def with_can_status(**changes: object) -> Facts:
    view = well_view()
    assert view.heard.can is not None
    status = msgspec.structs.replace(view.heard.can[1], **changes)
    return fake_facts(replace(view, heard=replace(view.heard, can=(header("can_out"), status))))


def with_mqtt(status: MqttStatus, *steps: MqttFinding) -> Facts:
    view = well_view()
    view = replace(view, heard=replace(view.heard, mqtt=(header("mqtt_out"), status)))
    return fake_facts(view, mqtt=steps or STEPS)


def with_process(name: str, **changes: object) -> Facts:
    view = well_view()
    return fake_facts(replace(view, processes={**view.processes, name: process(name, **changes)}))


def with_supervisor(state: str, *, alive: bool = True) -> Facts:
    view = well_view(supervisor=SupervisorFacts(state=cast("Any", state), detail="as seen"))
    if not alive:
        dead = {name: process(name, pid=0, supervisor_state="") for name in view.processes}
        view = replace(view, processes=dead)
        return fake_facts(view, line=None, settings=None)
    return fake_facts(view)


def with_buffer(status: BufferStatus) -> Facts:
    view = well_view()
    return fake_facts(replace(view, heard=replace(view.heard, buffer=(header("buffer"), status))))


def brought_up(**changes: object) -> Facts:
    file = "/etc/systemd/network/80-can0.network"
    known = NetworkFacts(file=file, networkd=True, bitrate=500_000)
    network = replace(known, **cast("dict[str, Any]", changes))
    return fake_facts(setup=SetupFacts(unit="enabled", network=network))


OFFLINE = MqttStatus(state="back_off", broker="127.0.0.1:1883", last_error="refused")
ONLINE = MqttStatus(state="online", connected=True, broker="127.0.0.1:1883")


def failed(step: str) -> tuple[MqttFinding, ...]:
    order = [one.step for one in STEPS]
    before = STEPS[: order.index(step)] if step in order else STEPS[:2]
    return (*before, MqttFinding(step=step, ok=False, text=f"{step} fails", advice=f"do {step}"))


NO_PORT = line("no_port", f"{PORT}: No such file or directory (acquisition.port)")
CASES: dict[str, tuple[Facts, set[str]]] = {
    "all well": (fake_facts(), set()),
    "port missing": (fake_facts(line=NO_PORT, port=port(exists=False)), {"port_missing"}),
    "brltty": (
        fake_facts(line=NO_PORT, port=port(exists=False, usb_without_port=("a CH340",))),
        {"port_taken_by_driver"},
    ),
    "rights by owner": (
        fake_facts(line=line("no_port", f"{PORT}: Permission denied: the user")),
        {"port_rights"},
    ),
    "rights seen": (
        fake_facts(line=None, port=port(usable=False, probe=ProbeFacts(opened=True, firmware=254))),
        {"port_rights"},
    ),
    "taken": (
        fake_facts(line=line("no_port", f"{PORT}: busy: another program uses the port")),
        {"port_taken"},
    ),
    "taken by name": (
        fake_facts(line=line("no_answer", "nothing"), port=port(users=("ModemManager (pid 3)",))),
        {"port_taken", "bms_silent"},
    ),
    "odd port": (fake_facts(line=line("no_port", f"{PORT}: I/O error")), {"port_unusable"}),
    "ttyUSB0": (fake_facts(port=port(stable=False)), {"port_not_by_id"}),
    "silent": (fake_facts(line=line("no_answer", "no valid answer")), {"bms_silent"}),
    "silent to the probe": (
        fake_facts(line=None, port=port(probe=ProbeFacts(opened=True, error="not one byte"))),
        {"bms_silent"},
    ),
    "wrong": (fake_facts(line=line("wrong_battery", "serial")), {"bms_wrong"}),
    "asleep": (fake_facts(line=line("asleep", "empty")), {"bms_asleep"}),
    "settling": (fake_facts(line=line("online", "waits for settings")), {"bms_settling"}),
    "noise": (fake_facts(line=line("online", line_errors={"crc": 11})), {"line_noise"}),
    "a little noise": (fake_facts(line=line("online", line_errors={"crc": 10})), set()),
    "restart by SoC off": (
        fake_facts(
            replace(
                well_view(),
                heard=replace(
                    well_view().heard,
                    live=fake_latest(
                        fake_live(
                            identity=msgspec.structs.replace(IDENTITY, firmware=250),
                            advisories=("Register 329 bit 2 is off.",),
                            sample=fake_sample(boottime_ns=NOW_NS),
                        )
                    ),
                ),
            )
        ),
        {"firmware_old", "settings_hurt"},
    ),
    "single port": (
        fake_facts(
            settings=settings(
                RegisterValue(key="operation_mode", address=340, raw=1, value="single_port")
            )
        ),
        {"settings_hurt"},
    ),
    "unknown choice": (
        fake_facts(
            settings=settings(
                RegisterValue(key="charger_type", address=330, raw=7, value="unknown_7")
            )
        ),
        {"settings_hurt"},
    ),
    "CAN missing": (fake_facts(can=CanFacts(exists=False)), {"can_missing"}),
    "CAN down": (fake_facts(can=can(up=False)), {"can_down"}),
    "CAN not opened": (with_can_status(state="no_adapter", detail="busy"), {"can_unusable"}),
    "bitrate": (fake_facts(can=can(bitrate=250_000)), {"can_bitrate"}),
    "bus off": (fake_facts(can=can(controller="BUS-OFF")), {"can_bus_off"}),
    "bus off heard": (with_can_status(state="error", detail="bus off"), {"can_bus_off"}),
    "not acknowledged": (fake_facts(can=can(controller="ERROR-PASSIVE")), {"can_no_acknowledge"}),
    "queue full": (with_can_status(state="error", detail="No buffer"), {"can_no_acknowledge"}),
    "short queue": (fake_facts(can=can(tx_queue=10)), {"can_queue_short"}),
    "no restart": (fake_facts(can=can(restart_ms=0)), {"can_no_restart"}),
    "no frames": (with_can_status(state="silent", detail="too old"), {"can_no_data"}),
    "stopped": (with_can_status(state="stopped", detail="by the owner"), {"can_as_asked"}),
    "no GX": (with_can_status(victron_keepalive_ok=False), {"gx_silent"}),
    "resolve": (with_mqtt(OFFLINE, *failed("resolve")), {"mqtt_resolve", "mqtt_session"}),
    "connect": (with_mqtt(OFFLINE, *failed("connect")), {"mqtt_connect", "mqtt_session"}),
    "TLS": (with_mqtt(OFFLINE, *failed("TLS")), {"mqtt_tls", "mqtt_session"}),
    "login": (with_mqtt(OFFLINE, *failed("login")), {"mqtt_login", "mqtt_session"}),
    "publish": (with_mqtt(OFFLINE, *failed("publish")), {"mqtt_publish", "mqtt_session"}),
    "our own try": (with_mqtt(ONLINE, *failed("login")), {"mqtt_own_try"}),
    "certificate ends": (
        with_mqtt(ONLINE, MqttFinding(step="TLS", ok=True, text="3 days", soon=True)),
        {"mqtt_tls_ends"},
    ),
    "storage": (with_buffer(BufferStatus(state="storage_off", detail="full")), {"storage_off"}),
    "clock": (fake_facts(time_ok=False), {"clock_off"}),
    "disk": (fake_facts(disks=(DiskFacts(folder="/var", free_bytes=49_999_999),)), {"disk_full"}),
    "unit missing": (fake_facts(setup=SetupFacts(unit="missing")), {"unit_missing"}),
    "unit disabled": (fake_facts(setup=SetupFacts(unit="disabled")), {"unit_off"}),
    "unit masked": (fake_facts(setup=SetupFacts(unit="masked")), {"unit_off"}),
    "no rule": (fake_facts(setup=SetupFacts(rule_needed=True)), {"udev_rule_missing"}),
    "ModemManager": (
        fake_facts(setup=SetupFacts(usb_port=True, modem_manager=True)),
        {"modem_manager"},
    ),
    "ModemManager kept off": (
        fake_facts(setup=SetupFacts(usb_port=True, modem_manager=True, kept_off=True)),
        set(),
    ),
    "ModemManager and no USB": (fake_facts(setup=SetupFacts(modem_manager=True)), set()),
    "brltty may come": (fake_facts(setup=SetupFacts(usb_port=True, brltty=True)), {"brltty"}),
    "brltty and no USB": (fake_facts(setup=SetupFacts(brltty=True)), set()),
    "brltty and no port": (
        fake_facts(line=NO_PORT, port=port(exists=False), setup=SetupFacts(brltty=True)),
        {"port_missing", "brltty"},
    ),
    "CAN file": (brought_up(), set()),
    "CAN file of another kind": (brought_up(networkd=False, bitrate=None), set()),
    "no CAN file": (brought_up(file=""), {"can_network_missing"}),
    "CAN file, networkd off": (brought_up(enabled=False), {"can_network_off"}),
    "CAN file, bitrate": (brought_up(bitrate=250_000), {"can_network_differs"}),
    "CAN file, no bitrate": (brought_up(bitrate=None), {"can_network_differs"}),
    "CAN file, no restart": (brought_up(restarts=False), {"can_network_differs"}),
    "supervisord gone": (with_supervisor("down"), {"supervisord_down"}),
    "supervisord hung": (with_supervisor("hung"), {"supervisord_hung"}),
    "supervisord hidden": (with_supervisor("unknown"), {"supervisord_unknown"}),
    "mqtt_out down": (with_process("mqtt_out", pid=0), {"process_down"}),
    "can_out fatal": (with_process("can_out", pid=0, supervisor_state="FATAL"), {"process_fatal"}),
    "can_out frozen": (with_process("can_out", frozen=True), {"process_hung"}),
    "health down": (with_process("health", pid=0), {"side_process_down"}),
    "buffer frozen": (with_process("buffer", frozen=True), {"side_process_hung"}),
    "old data": (
        fake_facts(
            replace(well_view(), heard=replace(well_view().heard, live=fake_latest(age_s=25.0)))
        ),
        {"data_age", "firmware_old"},
    ),
    "no data": (
        fake_facts(
            replace(well_view(), heard=replace(well_view().heard, live=fake_latest(age_s=100.0)))
        ),
        {"no_data", "firmware_old"},
    ),
}
BELOW = {"gateway_down", "not_allowed"}
"""Proved by tests of their own."""


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_named_and_leads_to_its_exit_code(name: str) -> None:
    facts, expected = CASES[name]
    assert found(facts) == expected
    faults = {TROUBLES[one].level for one in expected}
    assert judge(facts).exit_code == (1 if Level.FAULT in faults else 0)


def test_every_row_of_the_table_can_be_reached() -> None:
    reached = set().union(*(expected for _, expected in CASES.values())) | BELOW
    assert reached == set(TROUBLES)


def test_what_the_owner_may_leave_as_it_is_is_no_fault() -> None:
    for name in ("port_not_by_id", "clock_off", "settings_hurt", "can_no_restart"):
        assert TROUBLES[name].level is Level.WARNING


def test_a_gateway_that_was_never_started_is_a_fault_with_how_to_start_it() -> None:
    judgement = judge(with_supervisor("down", alive=False))
    first = judgement.findings[0]
    assert (first.trouble, first.word, judgement.exit_code) == ("gateway_down", "down", 1)
    assert "tinybms-ctl up" in first.fix


def test_who_may_not_look_is_told_so_and_hears_nothing_of_processes() -> None:
    facts = fake_facts(well_view(observer="tinybms-ctl"), may_look=False)
    judgement = judge(facts)
    assert judgement.exit_code == 3
    assert judgement.findings[0].trouble == "not_allowed"
    assert "broker" not in {one.check for one in judgement.findings}


def test_who_may_not_look_hears_what_health_says() -> None:
    assert judge(fake_facts(may_look=False)).exit_code == 0


def test_a_disabled_output_is_no_trouble_whatever_its_process_does() -> None:
    config = Config(
        acquisition=CONFIG.acquisition, can=Can(enabled=False), mqtt=Mqtt(enabled=False)
    )
    view = well_view(config=config)
    dead = {name: process(name, pid=0) for name in ("can_out", "mqtt_out")}
    view = replace(view, processes={**view.processes, **dead})
    facts = fake_facts(view, config=config, can=None, mqtt=())
    assert found(facts) == {"side_process_down"}
    assert judge(facts).exit_code == 0


def test_the_line_is_judged_by_what_acquisition_says_now_when_the_bus_is_dead() -> None:
    view = well_view()
    silent = replace(view, heard=replace(view.heard, live=fake_latest(age_s=100.0), heartbeats={}))
    checks = {one.check: one.word for one in judge(fake_facts(silent)).findings}
    assert (checks["bms"], checks["data"]) == ("ok", "fault")


def test_each_line_has_name_word_text_and_fix_in_one_line() -> None:
    facts = fake_facts(line=line("no_answer", "first\nsecond"))
    lines = list(plain_lines(judge(facts)))
    assert all(
        re.match(r"[a-z_]+: (ok|warning|fault|running|hung|down)( |$)", one) for one in lines
    )
    text = next(one for one in lines if one.startswith("bms:"))
    assert text.startswith("bms: fault first second; check the cable")


def test_the_name_of_the_process_stands_in_the_fix() -> None:
    judgement = judge(with_process("mqtt_out", pid=0))
    fix = next(one.fix for one in judgement.findings if one.check == "mqtt_out")
    assert "logs mqtt_out" in fix
    assert "restart mqtt_out" in fix


def test_a_command_in_a_fix_names_this_channel_and_bitrate() -> None:
    config = msgspec.structs.replace(CONFIG, can=Can(channel="can7", bitrate=250_000))
    judgement = judge(fake_facts(config=config, can=can(up=False, bitrate=500_000)))
    fixes = {one.trouble: one.fix for one in judgement.findings}
    assert fixes["can_down"].startswith("ip link set can7 up type can bitrate 250000 ")
    assert "ip link set can7 down" in fixes["can_bitrate"]
    assert not any("CHANNEL" in fix for fix in fixes.values())


def test_json_holds_the_same_findings() -> None:
    judgement = judge(fake_facts(time_ok=False))
    document = msgspec.json.decode(as_document(judgement))
    assert document["exit_code"] == 0
    clock = next(row for row in document["findings"] if row["check"] == "clock")
    assert (clock["level"], clock["trouble"]) == ("warning", "clock_off")
    assert len(document["findings"]) == len(judgement.findings)


def test_a_can_status_is_not_needed_to_know_the_interface() -> None:
    view = well_view()
    facts = fake_facts(replace(view, heard=replace(view.heard, can=None)), can=can(up=False))
    assert "can_down" in found(facts)


IP_LINK = """[{"ifindex":3,"ifname":"can0","flags":["NOARP","UP"],"txqlen":10,"linkinfo":{
"info_kind":"can","info_data":{"state":"ERROR-PASSIVE","restart_ms":100,
"bittiming":{"bitrate":250000,"sample_point":"0.875"},"clock":8000000}}}]"""


def test_the_answer_of_ip_is_read() -> None:
    facts = can_details(IP_LINK, up=True, tx_queue=10)
    assert (facts.bitrate, facts.controller, facts.restart_ms) == (250_000, "ERROR-PASSIVE", 100)


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "[1]", "{}", '[{"linkinfo":{}}]'])
def test_an_answer_of_ip_that_is_none_leaves_it_open(text: str) -> None:
    facts = can_details(text, up=None, tx_queue=None)
    assert (facts.exists, facts.bitrate, facts.restart_ms) == (True, None, None)


@pytest.mark.parametrize(
    ("path", "stable"),
    [
        ("/dev/serial/by-id/usb-FTDI", True),
        ("/dev/tinybms", True),
        ("/dev/ttyUSB0", False),
        ("/dev/ttyACM1", False),
        ("/dev/ttyAMA0", True),
    ],
)
def test_a_path_that_can_move_is_known(path: str, *, stable: bool) -> None:
    assert is_stable(path) is stable


def test_the_page_is_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == markdown(), "run: make docs"
    assert all(row.shows in page and row.fix in page for row in TROUBLES.values())
