"""Commands by MQTT: what they ask for, and what is refused in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tinybms_messages.owner import (
    ActiveMode,
    CanCommand,
    CanNow,
    ClearModes,
    ControlCan,
    ModesNow,
    OwnerMode,
    OwnerRequest,
    SetMode,
)
from tinybms_mqtt_out.commands import ANSWERS_KEPT, COMMANDS, Asked, Commands
from tinybms_mqtt_out.events import Received
from tinybms_mqtt_out.publication import Publication

ROOT = "victron/tinybms"
NOW_MS = 1_795_600_000_000


def message(
    name: str, payload: dict[str, Any] | bytes, *, retained: bool = False, root: str = ROOT
) -> Received:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Received(f"{root}/cmd/{name}", body, retained)


def asked_for(name: str, **order: object) -> Asked:
    found = Commands(ROOT).received(message(name, {"id": "a1", **order}), NOW_MS)
    assert isinstance(found, Asked), found
    return found


def refusal(
    name: str, payload: dict[str, Any] | bytes, *, retained: bool = False, wall_ms: int = NOW_MS
) -> dict[str, Any]:
    found = Commands(ROOT).received(message(name, payload, retained=retained), wall_ms)
    assert isinstance(found, Publication), found
    assert (found.topic, found.qos, found.retain) == (f"{ROOT}/cmd/{name}/result", 1, False)
    answer: dict[str, Any] = json.loads(found.payload)
    assert answer["result"] == "refused"
    return answer


@pytest.mark.parametrize(
    ("name", "order", "body"),
    [
        (
            "charge_off",
            {"value": True, "expires_in_s": 60},
            SetMode(mode=OwnerMode.CHARGE_OFF, duration_s=60.0),
        ),
        ("charge_off", {"value": False}, ClearModes(modes=(OwnerMode.CHARGE_OFF,))),
        (
            "discharge_off",
            {"expires_in_s": 604_800},
            SetMode(mode=OwnerMode.DISCHARGE_OFF, duration_s=604_800.0),
        ),
        (
            "charge_current",
            {"value": 0, "expires_in_s": 1.5},
            SetMode(mode=OwnerMode.CHARGE_CURRENT, duration_s=1.5, limit_a=0.0),
        ),
        (
            "charge_current",
            {"value": 12.5, "expires_in_s": 60},
            SetMode(mode=OwnerMode.CHARGE_CURRENT, duration_s=60.0, limit_a=12.5),
        ),
        ("charge_current", {"value": False}, ClearModes(modes=(OwnerMode.CHARGE_CURRENT,))),
        ("top_balance", {}, SetMode(mode=OwnerMode.TOP_BALANCE, duration_s=21_600.0)),
        ("clear_modes", {}, ClearModes()),
        ("can_stop", {}, ControlCan(command=CanCommand.STOP)),
        ("can_start", {"value": True}, ControlCan(command=CanCommand.START)),
        ("can_service", {}, ControlCan(command=CanCommand.SERVICE, duration_s=600.0)),
        (
            "can_service",
            {"expires_in_s": 90},
            ControlCan(command=CanCommand.SERVICE, duration_s=90.0),
        ),
        ("can_service", {"value": False}, ControlCan(command=CanCommand.SERVICE_END)),
    ],
)
def test_each_command_becomes_its_request(
    name: str, order: dict[str, object], body: OwnerRequest
) -> None:
    found = asked_for(name, **order)
    assert (found.name, found.id, found.body) == (name, "a1", body)
    assert found.process == ("can_out" if name.startswith("can_") else "acquisition")


@pytest.mark.parametrize(
    ("name", "order", "words"),
    [
        ("charge_off", {"value": True}, "expires_in_s None"),
        ("charge_off", {"expires_in_s": 0}, "expires_in_s 0"),
        ("charge_off", {"expires_in_s": 604_801}, "at most 604800"),
        ("charge_off", {"value": 1, "expires_in_s": 60}, "true or false"),
        ("charge_current", {"value": True, "expires_in_s": 60}, "0 to 1000"),
        ("charge_current", {"value": -1, "expires_in_s": 60}, "0 to 1000"),
        ("charge_current", {"value": 1001, "expires_in_s": 60}, "0 to 1000"),
        ("charge_current", {"value": 5}, "expires_in_s None"),
        ("can_service", {"expires_in_s": 601}, "at most 600"),
        ("can_stop", {"value": False}, "takes none"),
        ("clear_modes", {"value": 3}, "takes none"),
        ("set_register", {"value": 3}, "there is no command 'set_register'"),
        ("charge_off", {"expires_in_s": 60, "force": True}, "force"),
        ("charge_off", {"expires_in_s": "60"}, "expires_in_s"),
    ],
)
def test_what_is_not_allowed_is_refused_with_what_is(
    name: str, order: dict[str, object], words: str
) -> None:
    answer = refusal(name, {"id": "a1", **order})
    assert words in answer["text"]
    assert answer["id"] in {"a1", None}


@pytest.mark.parametrize(
    "payload",
    [
        b"ON",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b'{"id": ""}',
        b'{"id": "a b"}',
        b'{"id": 7}',
        b'{"id": "1", "value": NaN}',
        b'{"id": "1", "expires_in_s": 1e999}',
        b" " * 1025,
    ],
)
def test_what_is_no_order_is_refused_without_an_id(payload: bytes) -> None:
    assert refusal("charge_off", payload)["id"] is None


def test_a_retained_command_is_never_carried_out() -> None:
    order = {"id": "a1", "expires_in_s": 60}
    assert "retained" in refusal("charge_off", order, retained=True)["text"]


@pytest.mark.parametrize("away_ms", [-30_001, 30_001])
def test_an_old_command_is_refused_when_it_says_its_time(away_ms: int) -> None:
    order = {"id": "a1", "expires_in_s": 60, "timestamp_ms": NOW_MS + away_ms}
    assert "timestamp_ms" in refusal("charge_off", order)["text"]


def test_without_a_clock_to_trust_the_time_of_a_command_says_nothing() -> None:
    order = {"id": "a1", "expires_in_s": 60, "timestamp_ms": 5}
    assert isinstance(Commands(ROOT).received(message("charge_off", order), None), Asked)


def test_other_topics_and_empty_payloads_are_no_commands() -> None:
    commands = Commands(ROOT)
    assert commands.received(message("charge_off", b""), NOW_MS) is None
    assert commands.received(message("charge_off/result", b"{}"), NOW_MS) is None
    assert commands.received(Received(f"{ROOT}/manifest", b"{}", False), NOW_MS) is None
    assert commands.received(message("charge_off", {"id": "1"}, root="other"), NOW_MS) is None


def test_the_same_id_twice_is_one_command_with_one_answer() -> None:
    commands = Commands(ROOT)
    order = message("charge_off", {"id": "a1", "expires_in_s": 60})
    asked = commands.received(order, NOW_MS)
    assert isinstance(asked, Asked)
    assert commands.received(order, NOW_MS) is None, "under way"
    answer = commands.answer(asked, "ok", "", ModesNow(), 0)
    assert commands.received(order, NOW_MS) == answer


def test_the_memory_of_ids_is_bounded() -> None:
    commands = Commands(ROOT)
    for number in range(ANSWERS_KEPT + 1):
        order = message("can_start", {"id": f"n{number}"})
        assert isinstance(commands.received(order, NOW_MS), Asked)
    assert isinstance(commands.received(message("can_start", {"id": "n0"}), NOW_MS), Asked)
    last = message("can_start", {"id": f"n{ANSWERS_KEPT}"})
    assert commands.received(last, NOW_MS) is None


def test_answers_tell_what_holds_now() -> None:
    commands = Commands(ROOT)
    mode = ActiveMode(mode=OwnerMode.CHARGE_CURRENT, ends_ns=90 * 10**9, limit_a=5.0)
    modes = commands.answer(asked_for("clear_modes"), "ok", "", ModesNow(modes=(mode,)), 30 * 10**9)
    assert json.loads(modes.payload) == {
        "id": "a1",
        "result": "ok",
        "text": "",
        "modes": [{"mode": "charge_current", "left_s": 60.0, "limit_a": 5.0}],
    }
    can = commands.answer(asked_for("can_service"), "ok", "", CanNow(service_left_s=599.96), 0)
    assert json.loads(can.payload) == {
        "id": "a1",
        "result": "ok",
        "text": "",
        "stopped": False,
        "service_left_s": 600.0,
    }
    silent = commands.answer(asked_for("can_stop"), "no_answer", "can_out did not answer", None, 0)
    assert json.loads(silent.payload)["result"] == "no_answer"


def test_every_command_is_in_the_document() -> None:
    assert set(COMMANDS) == {
        *("charge_off", "discharge_off", "charge_current", "top_balance", "clear_modes"),
        *("can_stop", "can_start", "can_service"),
    }
