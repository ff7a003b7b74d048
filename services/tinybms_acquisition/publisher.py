"""What acquisition says on the bus, and when it says it again."""

from __future__ import annotations

from typing import Final

from tinybms_acquisition.battery import Battery
from tinybms_acquisition.pipeline import Snapshot
from tinybms_acquisition.registervalues import RegisterDecoder
from tinybms_messages.live import Counters, Link, LiveData
from tinybms_messages.owner import ActiveMode
from tinybms_messages.registers import BmsSettings, RegisterValues
from tinybms_messages.topics import BMS_SETTINGS, LIVE_DATA, MQTT_REGISTER_VALUE
from tinybms_protocol.poll_plan import BlockName
from tinybms_runtime.runner import ServiceContext

REPEAT_S: Final = 0.9
"""Silence after which the last sample is said again; a tick of 0.25 s makes that 1 s at most."""
SETTINGS_REPEAT_S: Final = 9.5


class Publisher:
    """Makes the messages and keeps to the repeat times of the topic table."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._live_at_ns: int | None = None
        self._settings_at_ns = 0
        self._settings: BmsSettings | None = None
        self._decoder = RegisterDecoder()

    def next_seq(self) -> int:
        """Number of the next LIVE_DATA."""
        return self._context.bus.next_seq(LIVE_DATA)

    def publish_live(
        self,
        snapshot: Snapshot | None,
        counters: Counters,
        link: Link,
        modes: tuple[ActiveMode, ...],
        *,
        asleep: bool,
    ) -> tuple[LiveData, int]:
        """Send LIVE_DATA with this snapshot, which may be one that was sent before.

        What was sent, with its number.
        """
        live = LiveData(counters=counters, link=link, asleep=asleep, modes=modes)
        if snapshot is not None:
            live = LiveData(
                sample=snapshot.sample,
                limits=snapshot.limits,
                alarms=snapshot.alarms,
                faults=snapshot.faults,
                counters=counters,
                identity=snapshot.identity,
                link=link,
                asleep=asleep,
                advisories=snapshot.advisories,
                modes=modes,
                soc_unsynchronised_days=round(snapshot.soc_unsynchronised_days, 6),
            )
        header = self._context.bus.publish(LIVE_DATA, live)
        self._live_at_ns = self._context.clock.boottime_ns()
        return live, header.seq

    def publish_values(self, snapshot: Snapshot, live_seq: int) -> None:
        """Send the register values of a cycle, after its LIVE_DATA."""
        if not snapshot.values:
            return
        self._context.bus.publish(
            MQTT_REGISTER_VALUE,
            RegisterValues(
                live_seq=live_seq, wall_ns=snapshot.sample.wall_ns, values=snapshot.values
            ),
        )

    def repeat_is_due(self) -> bool:
        """Whether LIVE_DATA has been silent for too long."""
        now_ns = self._context.clock.boottime_ns()
        return self._live_at_ns is None or now_ns - self._live_at_ns >= REPEAT_S * 1e9

    def publish_settings_if_changed(self, battery: Battery) -> None:
        """Send BMS_SETTINGS when settings and version are known and not the ones sent last."""
        known = battery.settled
        if known is None:
            return
        sent = self._settings
        words = (battery.settings_words, battery.version_words)
        if sent is not None and (sent.settings_words, sent.version_words) == words:
            return
        firmware = known.version.firmware
        settings, version = words
        values = self._decoder.values(BlockName.SETTINGS, settings, firmware)
        values += self._decoder.values(BlockName.VERSION, version, firmware)
        self._settings = BmsSettings(
            wall_ns=self._context.clock.wall_ns(),
            settings_words=settings,
            version_words=version,
            values=values,
            warnings=battery.warnings,
        )
        self._send_settings(self._settings)

    def repeat_settings(self) -> None:
        """Send BMS_SETTINGS again when it is time."""
        now_ns = self._context.clock.boottime_ns()
        if self._settings and now_ns - self._settings_at_ns >= SETTINGS_REPEAT_S * 1e9:
            self._send_settings(self._settings)

    def _send_settings(self, settings: BmsSettings) -> None:
        self._context.bus.publish(BMS_SETTINGS, settings)
        self._settings_at_ns = self._context.clock.boottime_ns()
