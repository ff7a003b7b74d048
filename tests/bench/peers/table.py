"""Every rule that the gateway is compared with, by the name that the report shows."""

from collections.abc import Mapping
from types import MappingProxyType

from peers import dbus_serialbattery, diybms, plain, thieryfr, yambms
from tinybms_sim.loop.view import ControllerFactory

PEERS: Mapping[str, ControllerFactory] = MappingProxyType(
    {
        "fixed 3.45 V per cell": plain.Fixed,
        "thieryfr/TinyBMS": thieryfr.ThieryFr,
        "dbus-serialbattery 1": dbus_serialbattery.mode_1,
        "dbus-serialbattery 2": dbus_serialbattery.mode_2,
        "dbus-serialbattery 3": dbus_serialbattery.mode_3,
        "YamBMS default": yambms.default,
        "YamBMS Auto": yambms.auto_cvl_ccl,
        "YamBMS Auto by timer": yambms.auto_by_timer,
        "diyBMS dynamic": diybms.DiyBms,
        "cell latch": plain.CellLatch,
    }
)
