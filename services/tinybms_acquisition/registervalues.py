"""Words of a block as the register values that go out on MQTT, lean enough for ten times a second.

Most registers hold the same words from poll to poll: their value is made once and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinybms_messages.registers import RegisterValue
from tinybms_protocol.decode import decode_register
from tinybms_protocol.poll_plan import BLOCKS, BlockName
from tinybms_protocol.registers import Register, registers_in


@dataclass(slots=True)
class _Field:
    register: Register
    start: int
    end: int
    words: tuple[int, ...] | None = None
    value: RegisterValue | None = None


class BlockValues:
    """Decodes one polled block; `firmware` is register 502."""

    def __init__(self, name: BlockName, firmware: int) -> None:
        block = BLOCKS[name]
        self._firmware = firmware
        self._fields = [
            _Field(register, register.address - block.address, register.end - block.address)
            for register in registers_in(block.address, block.count)
        ]

    def values(self, words: Sequence[int]) -> tuple[RegisterValue, ...]:
        """All register values of the block; a register that this firmware lacks has none."""
        block = tuple(words)
        return tuple(self._value(field, block[field.start : field.end]) for field in self._fields)

    def _value(self, field: _Field, words: tuple[int, ...]) -> RegisterValue:
        if field.value is None or field.words != words:
            register = field.register
            reading = decode_register(register, words)
            absent = register.since_firmware > self._firmware
            field.words = words
            field.value = RegisterValue(
                key=register.key,
                address=register.address,
                raw=reading.raw,
                value=None if absent else reading.value,
            )
        return field.value


class RegisterDecoder:
    """Decodes any polled block of one battery."""

    def __init__(self) -> None:
        self._firmware = -1
        self._blocks: dict[BlockName, BlockValues] = {}

    def values(
        self, name: BlockName, words: Sequence[int], firmware: int
    ) -> tuple[RegisterValue, ...]:
        """Register values of a block; another `firmware` than before starts afresh."""
        if firmware != self._firmware:
            self._firmware = firmware
            self._blocks.clear()
        if name not in self._blocks:
            self._blocks[name] = BlockValues(name, firmware)
        return self._blocks[name].values(words)
