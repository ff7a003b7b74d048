"""The simulated TinyBMS: a request frame and the time go in, an answer or silence comes out.

Pure: it knows no port and no clock. Behaviour follows TinyBMS protocol Rev D chapters 1-5 and the
user manual; where these leave a choice, the comment at the place says which was taken.
"""

import struct
from collections.abc import Callable, Mapping, Sequence

from tinybms_sim import image as reg
from tinybms_sim.events import Event, EventLog, events_payload
from tinybms_sim.image import Image
from tinybms_sim.plant import Plant
from tinybms_sim.wire import (
    Command,
    Frame,
    Refusal,
    accepted,
    answer,
    packets,
    refused,
    sized_answer,
    words_big,
    words_little,
)

RESET_SILENCE_S = 3.0
FLASH_WRITE_S = 0.2
AWAKE_AFTER_TRAFFIC_S = 13.0
"""3 s until communication counts as ended, then the 10 s sleep timer."""
MAX_MODBUS_READ = 127
MAX_WRITE = 100
_WAKE_BY_UART = 3
_NO_FLASH = frozenset({reg.SOH_SET, reg.SOC_SET})


class SimulatedBms:
    """One TinyBMS; `handle` answers a request, `refresh` lets time pass without one."""

    def __init__(self, image: Image, plant: Plant, *, start_s: float) -> None:
        self.image = image
        self.events = EventLog(image)
        self.plant = plant
        self.flash_writes = 0
        self.soc_writes = 0
        self.requests = 0
        self.refusals = 0
        self.asleep = False
        self._overrides: dict[int, int] = {}
        self._last_traffic_s = start_s
        self._silent_until_s = start_s
        self._busy_until_s = start_s
        self._commands = self._command_table()

    @property
    def busy_until_s(self) -> float:
        """No answer leaves before this moment: a flash write is going on."""
        return self._busy_until_s

    def handle(self, frame: Frame, now_s: float) -> bytes | None:
        """The answer to a frame; None when the BMS is silent (asleep, restarting, reset)."""
        self.refresh(now_s)
        self._last_traffic_s = now_s
        if now_s < self._silent_until_s:
            return None
        if self.asleep:
            self._wake()
            return None
        self.requests += 1
        reply = self._answer(frame, now_s)
        if reply is not None and reply[1] == 0x00:
            self.refusals += 1
        return reply

    def refresh(self, now_s: float) -> None:
        """Bring live values, faults and sleep up to now (values change each 100 ms)."""
        self.plant.refresh(self.image, self.events, now_s)
        quiet_s = now_s - self._last_traffic_s
        if quiet_s >= AWAKE_AFTER_TRAFFIC_S and self.plant.may_sleep(self.image):
            self.asleep = True

    def override(self, words: Mapping[int, int]) -> None:
        """Hold these registers at these words, whatever the battery does."""
        self._overrides.update({address: word & 0xFFFF for address, word in words.items()})

    def release(self) -> None:
        """Let every register follow the battery again."""
        self._overrides.clear()

    def log_event(self, event: int) -> None:
        """Write an event of any number into the log, at the present lifetime."""
        self.events.append(event, self.image.u32(reg.LIFETIME))

    def reset(self, now_s: float) -> None:
        """Restart: silence for some seconds, then a start event; statistics and settings stay."""
        self._silent_until_s = now_s + RESET_SILENCE_S
        self.asleep = False
        self.plant.restart()
        self.events.append(Event.STARTED, self.image.u32(reg.LIFETIME))

    def read(self, address: int, count: int) -> list[int]:
        """`count` words from address on, as the host reads them."""
        words = self.image.block(address, count)
        for offset in range(count):
            current = (address + offset) & 0xFFFF
            if current in reg.NEW_IN_REV_D and not self._rev_d:
                words[offset] = 0
            words[offset] = self._overrides.get(current, words[offset])
        return words

    @property
    def _rev_d(self) -> bool:
        return self.image[reg.FIRMWARE] >= reg.FIRST_REV_D_FIRMWARE

    def _wake(self) -> None:
        self.asleep = False
        if self.plant.living:
            self.image[reg.CAUSES] = _WAKE_BY_UART << 8 | self.image[reg.CAUSES] & 0xFF

    def _answer(self, frame: Frame, now_s: float) -> bytes | None:
        if not frame.crc_ok:
            return refused(frame.command, Refusal.CRC)
        serve = self._commands.get(frame.command)
        if serve is None:
            return refused(frame.command, Refusal.COMMAND)
        return serve(frame, now_s)

    def _command_table(self) -> dict[int, Callable[[Frame, float], bytes | None]]:
        table: dict[int, Callable[[Frame, float], bytes | None]] = {
            Command.OPTION: self._option,
            Command.READ_BLOCK_MODBUS: self._read_modbus,
            Command.READ_BLOCK: self._read_block,
            Command.READ_SCATTERED: self._read_scattered,
            Command.WRITE_BLOCK: self._write_block,
            Command.WRITE_SCATTERED: self._write_scattered,
            Command.WRITE_BLOCK_MODBUS: self._write_modbus,
            Command.NEWEST_EVENTS: lambda f, _: self._event_answer(f, self.events.take_newest()),
            Command.ALL_EVENTS: lambda f, _: self._event_answer(f, self.events.all()),
            Command.TEMPERATURES: self._temperatures,
            Command.CELLS: self._cells,
            Command.SETTINGS: self._settings,
            Command.VERSION: lambda f, _: self._version(f, extended=False),
            Command.VERSION_EXTENDED: lambda f, _: self._version(f, extended=True),
            Command.SPEED: self._speed,
        }
        for command, (address, count) in _PLAIN_VALUES.items():
            table[command] = self._plain_value(address, count)
        return table

    def _plain_value(self, address: int, count: int) -> Callable[[Frame, float], bytes]:
        def serve(frame: Frame, _now_s: float) -> bytes:
            return answer(frame.command, words_little(self.read(address, count)))

        return serve

    def _option(self, frame: Frame, now_s: float) -> bytes | None:
        match frame.payload[0]:
            case 0x01:
                self.events.clear()
            case 0x02:
                self.plant.clear_statistics(self.image)
            case 0x05:
                self.reset(now_s)
                # The switches open and the BMS restarts first: the acknowledgement is lost.
                return None
            case _:
                return refused(frame.command, Refusal.COMMAND)
        return accepted(frame.command)

    def _read_modbus(self, frame: Frame, _now_s: float) -> bytes:
        address, count = struct.unpack(">HH", frame.payload)
        if not 1 <= count <= MAX_MODBUS_READ:
            return refused(frame.command, Refusal.COMMAND)
        return sized_answer(frame.command, words_big(self.read(address, count)))

    def _read_block(self, frame: Frame, _now_s: float) -> bytes:
        count, address = struct.unpack("<BH", frame.payload)
        if count == 0:
            return refused(frame.command, Refusal.COMMAND)
        return packets(frame.command, words_little(self.read(address, count)))

    def _read_scattered(self, frame: Frame, _now_s: float) -> bytes:
        length, body = frame.payload[0], frame.payload[1:]
        if length == 0 or length % 2 or length > 62:
            return refused(frame.command, Refusal.COMMAND)
        pairs: list[int] = []
        for (address,) in struct.iter_unpack("<H", body):
            pairs += (address, *self.read(address, 1))
        return packets(frame.command, words_little(pairs))

    def _write_block(self, frame: Frame, now_s: float) -> bytes:
        body = frame.payload[1:]
        if len(body) < 4 or len(body) % 2:
            return refused(frame.command, Refusal.COMMAND)
        address, *words = struct.unpack(f"<{len(body) // 2}H", body)
        if not self._write(list(enumerate(words, start=address)), now_s):
            return refused(frame.command, Refusal.COMMAND)
        return accepted(frame.command)

    def _write_scattered(self, frame: Frame, now_s: float) -> bytes:
        body = frame.payload[1:]
        if not body or len(body) % 4 or len(body) > 60:
            return refused(frame.command, Refusal.COMMAND)
        if not self._write(list(struct.iter_unpack("<HH", body)), now_s):
            return refused(frame.command, Refusal.COMMAND)
        return accepted(frame.command)

    def _write_modbus(self, frame: Frame, now_s: float) -> bytes:
        address, count, length = struct.unpack(">HHB", frame.payload[:5])
        body = frame.payload[5:]
        if not 1 <= count <= MAX_WRITE or length != 2 * count or len(body) != length:
            return refused(frame.command, Refusal.COMMAND)
        words = struct.unpack(f">{count}H", body)
        if not self._write(list(enumerate(words, start=address)), now_s):
            return refused(frame.command, Refusal.COMMAND)
        return answer(frame.command, struct.pack(">HH", address, count))

    def _write(self, pairs: Sequence[tuple[int, int]], now_s: float) -> bool:
        """Write settings, all or none. An out-of-range word is refused; a real BMS may clamp it."""
        trial = Image({a: self.image[a] for a in range(reg.SETTINGS, reg.SETTINGS_END)})
        for address, word in pairs:
            if not reg.SETTINGS <= address < reg.SETTINGS_END:
                return False
            if not trial.setting_allowed(address, word):
                return False
            trial[address] = word
        restarts = trial[reg.OPERATION_MODE] != self.image[reg.OPERATION_MODE]
        for address, word in pairs:
            self._store(address, word)
        if any(address not in _NO_FLASH for address, _ in pairs):
            self.flash_writes += 1
            self._busy_until_s = now_s + FLASH_WRITE_S
        if restarts:
            self.reset(now_s)
        return True

    def _store(self, address: int, word: int) -> None:
        self._overrides.pop(address, None)
        if address in reg.NEW_IN_REV_D and not self._rev_d:
            return
        if address == reg.SOC_SET:
            self.soc_writes += 1
            self.plant.set_soc(self.image, word * 0.002)
        elif address == reg.SOH_SET:
            self.image[reg.SOH] = word
        else:
            self.image[address] = word

    def _event_answer(self, frame: Frame, entries: Sequence[int]) -> bytes:
        payload = events_payload(self.image.u32(reg.LIFETIME), entries)
        return sized_answer(frame.command, payload)

    def _temperatures(self, frame: Frame, _now_s: float) -> bytes:
        words = self.read(reg.BOARD_TEMP, 1) + self.read(reg.EXTERNAL_TEMP_1, 2)
        return sized_answer(frame.command, words_little(words))

    def _cells(self, frame: Frame, _now_s: float) -> bytes:
        # The number of values is not documented for packs below 16S: all channels are sent.
        return sized_answer(frame.command, words_little(self.read(0, reg.CELL_CHANNELS)))

    def _settings(self, frame: Frame, _now_s: float) -> bytes:
        option, zero, count = frame.payload
        if option not in (1, 2, 3, 4) or zero or not 1 <= count <= MAX_WRITE:
            return refused(frame.command, Refusal.COMMAND)
        addresses = range(reg.SETTINGS, reg.SETTINGS + count)
        if option == 3:
            words = [reg.DEFAULT_SETTINGS.get(address, 0) for address in addresses]
        elif option == 4:
            words = self.read(reg.SETTINGS, count)
        else:
            words = [self.image.setting_limits(address)[option - 1] for address in addresses]
        return sized_answer(frame.command, words_little(words))

    def _version(self, frame: Frame, *, extended: bool) -> bytes:
        hardware, public, firmware, boot = self.read(reg.HARDWARE, 4)
        payload = struct.pack("<HBH", hardware, public & 0xFF, firmware)
        if extended:
            payload += struct.pack("<H", boot)
        return sized_answer(frame.command, payload)

    def _speed(self, frame: Frame, _now_s: float) -> bytes:
        speed = words_little(self.read(reg.SPEED, 2))
        distance = words_little([*self.read(reg.DISTANCE_LEFT, 1), 0])
        return answer(frame.command, speed + distance + words_little(self.read(reg.TIME_LEFT, 2)))


_PLAIN_VALUES: Mapping[int, tuple[int, int]] = {
    Command.PACK_VOLTAGE: (reg.PACK_VOLTAGE, 2),
    Command.PACK_CURRENT: (reg.PACK_CURRENT, 2),
    Command.MAX_CELL: (reg.MAX_CELL, 1),
    Command.MIN_CELL: (reg.MIN_CELL, 1),
    Command.STATUS: (reg.STATUS, 1),
    Command.LIFETIME: (reg.LIFETIME, 2),
    Command.SOC: (reg.SOC, 2),
}
