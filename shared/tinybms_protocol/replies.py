"""Answers to any read command, in terms of the register table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from tinybms_protocol.commands_read import (
    Query,
    ReadBlock,
    ReadPackets,
    ReadScattered,
    ReadSettings,
)
from tinybms_protocol.decode import Reading, decode_block, decode_register, uint32_from_words
from tinybms_protocol.frames import Reply
from tinybms_protocol.registers import BY_ADDRESS, BY_KEY, RegisterType
from tinybms_protocol.registers_live import CHANNELS
from tinybms_protocol.wire import Command

_REGISTERS_OF: Final[Mapping[Command, tuple[str, ...]]] = MappingProxyType(
    {
        Command.PACK_VOLTAGE: ("pack_voltage",),
        Command.PACK_CURRENT: ("pack_current",),
        Command.MAX_CELL_VOLTAGE: ("max_cell_voltage",),
        Command.MIN_CELL_VOLTAGE: ("min_cell_voltage",),
        Command.ONLINE_STATUS: ("online_status",),
        Command.LIFETIME: ("lifetime_counter",),
        Command.STATE_OF_CHARGE: ("state_of_charge",),
        Command.TEMPERATURES: ("internal_temp", "external_temp_1", "external_temp_2"),
    }
)
"""Registers whose words the answer holds, one after the other."""


def reply_readings(reply: Reply) -> dict[str, Reading]:
    """Readings of an answer, by register key, as the newest firmware means them.

    Empty for answers without registers: ACKs, echoes, events (`events.parse_event_reply`), and for
    0x1C with another number of cells than 16, since the vendor does not say which those are.
    """
    match reply.request:
        case ReadBlock(address=address) | ReadPackets(address=address):
            return _block(address, reply.words)
        case ReadScattered(addresses=addresses):
            return _scattered(dict(zip(addresses, reply.words, strict=True)))
        case ReadSettings():
            return _block(300, reply.words)
        case Query(query=query):
            return _query(query, reply)
        case _:
            return {}


def _query(query: Command, reply: Reply) -> dict[str, Reading]:
    if query in _REGISTERS_OF:
        return _sequence(_REGISTERS_OF[query], reply.words)
    if query is Command.CELL_VOLTAGES and len(reply.words) == CHANNELS:
        return _block(0, reply.words)
    if query in {Command.VERSION, Command.EXTENDED_VERSION}:
        return _version(reply.payload)
    if query is Command.TRIP:
        return _trip(reply.words)
    return {}


def _block(address: int, words: Sequence[int]) -> dict[str, Reading]:
    newest = max(row.since_firmware for row in BY_KEY.values())
    return decode_block(address, words, firmware=newest)


def _scattered(words: Mapping[int, int]) -> dict[str, Reading]:
    readings = {}
    for address in words:
        for row in BY_ADDRESS[address]:
            covered = range(row.address, row.end)
            if row.type is RegisterType.RESERVED or not all(a in words for a in covered):
                continue
            readings[row.key] = decode_register(row, [words[a] for a in covered])
    return readings


def _sequence(keys: Sequence[str], words: Sequence[int]) -> dict[str, Reading]:
    readings = {}
    start = 0
    for key in keys:
        row = BY_KEY[key]
        readings[key] = decode_register(row, words[start : start + row.words])
        start += row.words
    return readings


def _version(payload: bytes) -> dict[str, Reading]:
    """Hardware, its changes, public firmware, firmware (16 bits), and two more bytes in 0x1F."""
    keys = ["hardware_version", "hardware_changes_version", "firmware_public_version"]
    numbers = list(payload[:3])
    keys.append("firmware_internal_version")
    numbers.append(int.from_bytes(payload[3:5], "little"))
    if len(payload) > 5:
        keys += ["bootloader_version", "profile_version"]
        numbers += payload[5:7]
    return {
        key: Reading(key=key, raw=number, value=number)
        for key, number in zip(keys, numbers, strict=True)
    }


def _trip(words: Sequence[int]) -> dict[str, Reading]:
    """Speed, then distance left with 32 bits where the register has 16, then time left."""
    distance_km = uint32_from_words(words[2:4])
    return {
        "speed": decode_register(BY_KEY["speed"], words[:2]),
        "distance_left": Reading(key="distance_left", raw=distance_km, value=distance_km),
        "estimated_time_left": decode_register(BY_KEY["estimated_time_left"], words[4:6]),
    }
