"""Which battery is on the line: its version and settings, and how many cells it has.

Live data mean nothing before both are known, and they must be confirmed anew on every connection,
since another battery may have been plugged in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tinybms_charge.bms import BmsLimits, bms_limits
from tinybms_messages.live import Identity
from tinybms_protocol.live import MIN_CELLS
from tinybms_protocol.plausibility import settings_warnings
from tinybms_protocol.registers_live import CHANNELS
from tinybms_protocol.settings import (
    FIRMWARE_MINIMUM,
    FIRMWARE_RECOMMENDED,
    SettingsBlock,
    VersionBlock,
)

EQUAL_READS: Final = 10
"""A new number of cells counts after so many equal reads in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a sample and its limits need to know about the battery."""

    version: VersionBlock
    settings: SettingsBlock
    cells: int
    limits: BmsLimits
    identity: Identity


class CellCount:
    """Register 307 against misreadings: the first valid one counts, a change after ten."""

    def __init__(self) -> None:
        self.accepted: int | None = None
        self._candidate: int | None = None
        self._reads = 0

    @property
    def pending(self) -> bool:
        """Whether the last reading is not the accepted one."""
        return self._candidate is not None

    def read(self, count: int) -> bool:
        """Take a reading; True when it has just changed the accepted number."""
        if not MIN_CELLS <= count <= CHANNELS:
            return False
        if self.accepted is None or count == self.accepted:
            self._candidate, self.accepted = None, count
            return False
        self._reads = self._reads + 1 if count == self._candidate else 1
        self._candidate = count
        if self._reads < EQUAL_READS:
            return False
        self.accepted, self._candidate = count, None
        return True


class Battery:
    """Collects version and settings of the battery on the line.

    `wanted_serial`: 24 hexadecimal digits, or None when any battery will do.
    """

    def __init__(self, wanted_serial: str | None) -> None:
        self._wanted_serial = wanted_serial
        self.version_words: tuple[int, ...] = ()
        self.settings_words: tuple[int, ...] = ()
        self.cell_count = CellCount()
        self.advisories: tuple[str, ...] = ()
        self.warnings: tuple[str, ...] = ()
        """Settings outside the register table's range, as sentences."""
        self.refusal = ""
        """Why the battery on the line is not used; empty when it is."""
        self._version: VersionBlock | None = None
        self._settings: SettingsBlock | None = None
        self._settled: Settled | None = None
        self.serial_number: str | None = None
        """Of the battery seen last, also while it is not confirmed."""

    def forget(self) -> None:
        """The line was interrupted: nothing counts until it is read again."""
        self._version = self._settings = self._settled = None

    @property
    def settled(self) -> Settled | None:
        """What is known, complete; None while anything is missing, unsure or refused."""
        return self._settled

    @property
    def waiting_for(self) -> str:
        """Why there is no sample from a battery that answers; empty when there is one."""
        if self._settled is not None:
            return ""
        if self._version is None:
            return "waiting for version and settings of the BMS"
        if self._settings is None:
            return "waiting for the settings of the BMS"
        return self.advisories[-1]

    def take_version(self, words: tuple[int, ...]) -> bool:
        """Take registers 500-509; True when this is another battery than the one before."""
        version = VersionBlock.from_words(words)
        self.refusal = self._refusal(version)
        if self.refusal:
            self.forget()
            return False
        other = self.serial_number not in {None, version.serial_number}
        if other:
            self.cell_count = CellCount()
            self._settings = None
        self.serial_number = version.serial_number
        self.version_words = words
        self._version = version
        self._settle()
        return other

    def take_settings(self, words: tuple[int, ...]) -> bool:
        """Take registers 300-343; True when the accepted number of cells has just changed."""
        if self._version is None:
            return False
        self._settings = SettingsBlock.from_words(words, firmware=self._version.firmware)
        self.settings_words = words
        self.warnings = tuple(settings_warnings(words))
        changed = self.cell_count.read(self._settings.series_cells)
        self._settle()
        return changed

    def _refusal(self, version: VersionBlock) -> str:
        if version.firmware < FIRMWARE_MINIMUM:
            return (
                f"firmware 2.3.{version.firmware} is too old: its registers differ, "
                f"at least 2.3.{FIRMWARE_MINIMUM} is needed; update the BMS"
            )
        if self._wanted_serial not in {None, version.serial_number}:
            return (
                f"this is battery {version.serial_number}, not {self._wanted_serial} "
                "(acquisition.bms_serial): check which adapter is plugged in where"
            )
        return ""

    def _settle(self) -> None:
        version, settings, cells = self._version, self._settings, self.cell_count.accepted
        self._settled = None
        if version is None or settings is None:
            return
        self.advisories = _advisories(version, settings, self.cell_count)
        if cells is None or self.cell_count.pending:
            return
        self._settled = Settled(
            version=version,
            settings=settings,
            cells=cells,
            limits=bms_limits(settings, version, cells),
            identity=Identity(
                serial_number=version.serial_number,
                firmware=version.firmware,
                hardware=version.hardware_name,
                capacity_ah=settings.battery_capacity_ah,
                single_port=settings.single_port,
            ),
        )


def _advisories(
    version: VersionBlock, settings: SettingsBlock, count: CellCount
) -> tuple[str, ...]:
    """What the owner should know about firmware and settings."""
    found = []
    if version.firmware < FIRMWARE_RECOMMENDED:
        found.append(
            f"firmware 2.3.{version.firmware} has known defects in charging: "
            f"2.3.{FIRMWARE_RECOMMENDED} or later is recommended"
        )
    if settings.broadcasts:
        found.append(
            f"the BMS sends text by itself (register 342: {settings.broadcast_time}) and disturbs "
            "its own answers: set 342 to 0"
        )
    if count.accepted is None:
        found.append(
            f"register 307 says {settings.series_cells} cells: "
            f"no data until it is {MIN_CELLS} to {CHANNELS}"
        )
    elif count.pending:
        found.append(
            f"register 307 says {settings.series_cells} cells instead of {count.accepted}: "
            "waiting whether that lasts"
        )
    return tuple(found)
