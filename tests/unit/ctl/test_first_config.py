"""The first configuration: what was chosen stands, all else is a comment with its default."""

from __future__ import annotations

import tomllib

import pytest

from tinybms_config.model import Config
from tinybms_config.parse import parse
from tinybms_config.reference import tables
from tinybms_ctl.first_config import first_config
from tinybms_ctl.init_command import InitRefused, can_settings, mqtt_settings


def test_only_what_was_chosen_is_set() -> None:
    chosen: dict[str, str | int | float | bool] = {
        "acquisition.port": '/dev/serial/by-id/a "b" é',
        "can.enabled": False,
    }
    text = first_config(chosen, {"acquisition.port": "a note"})
    plain = tomllib.loads(text)
    assert {
        name: table for name, table in plain.items() if table not in ({}, {"groups": {}, "tls": {}})
    } == {
        "acquisition": {"port": '/dev/serial/by-id/a "b" é'},
        "can": {"enabled": False},
    }
    assert "# a note\nport = " in text


def test_nothing_chosen_is_the_default_configuration() -> None:
    assert parse(first_config({}, {}), {}).config == Config()


def test_every_key_is_there_with_its_default() -> None:
    lines = first_config({}, {}).splitlines()
    for table in tables():
        for key in table.keys:
            assert any(line.startswith(f"# {key.name} = {key.default}") for line in lines)


def test_a_key_that_is_none_is_a_mistake() -> None:
    with pytest.raises(KeyError, match=r"mqtt\.hots"):
        first_config({"mqtt.hots": "x"}, {})


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("off", {"can.enabled": False}),
        ("socketcan:can1", {"can.interface": "socketcan", "can.channel": "can1"}),
        ("slcan:/dev/ttyACM0", {"can.interface": "slcan", "can.channel": "/dev/ttyACM0"}),
    ],
)
def test_the_can_option(option: str, expected: dict[str, object]) -> None:
    assert can_settings(option) == expected


@pytest.mark.parametrize("option", ["can0", ":can0", "slcan:", ""])
def test_a_can_option_that_is_none_is_refused(option: str) -> None:
    with pytest.raises(InitRefused, match="allowed are"):
        can_settings(option)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (None, {}),
        ("off", {"mqtt.enabled": False}),
        ("broker.lan", {"mqtt.host": "broker.lan", "mqtt.port": None}),
        ("broker.lan:8883", {"mqtt.host": "broker.lan", "mqtt.port": 8883}),
        ("fe80::1", {"mqtt.host": "fe80::1", "mqtt.port": None}),
    ],
)
def test_the_mqtt_option(option: str | None, expected: dict[str, object]) -> None:
    assert mqtt_settings(option) == expected
