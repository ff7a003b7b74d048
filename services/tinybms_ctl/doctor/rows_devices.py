"""What can be wrong with the serial line, the BMS and CAN."""

from __future__ import annotations

from tinybms_ctl.doctor.row import fault, warning

SERIAL = (
    fault(
        "port_missing",
        "serial_port",
        "the path in acquisition.port is not there",
        "plug the adapter in; see what there is: ls -l /dev/serial/by-id; "
        "or let it be found: tinybms-ctl init",
    ),
    fault(
        "port_taken_by_driver",
        "serial_port",
        "the kernel sees a USB serial adapter but gives it no port",
        "often brltty has taken it: remove the package brltty, then plug the adapter in again; "
        "else load the kernel module for it",
    ),
    fault(
        "port_unusable",
        "serial_port",
        "the port is there but can't be opened",
        "check that acquisition.port names the serial adapter, and plug it in again",
    ),
    warning(
        "port_not_by_id",
        "serial_path",
        "acquisition.port is a name like /dev/ttyUSB0, which can become another adapter's",
        "use the path of the same adapter under /dev/serial/by-id",
    ),
    fault(
        "port_rights",
        "serial_rights",
        "the gateway's user may not open the serial port",
        "add it to the port's group (usermod -a -G dialout USER), then start the gateway again",
    ),
    fault(
        "port_taken",
        "serial_owner",
        "another program has the serial port open",
        "end that program, or keep it off the adapter (ModemManager: a udev rule with "
        "ID_MM_DEVICE_IGNORE)",
    ),
    fault(
        "bms_silent",
        "bms",
        "the port is open, but no valid answer comes",
        "check the cable (TX to RX, ground), that the BMS has supply, and that nothing else, "
        "such as a Bluetooth module, uses its UART",
    ),
    fault(
        "bms_wrong",
        "bms",
        "another battery than the configured one answers",
        "plug in the right one, or set acquisition.bms_serial",
    ),
    warning(
        "bms_asleep",
        "bms",
        "the BMS sleeps, as an empty pack may",
        "charge the battery; a GX on CAN wakes the polling",
    ),
    warning(
        "bms_settling",
        "bms",
        "the BMS answers, but its settings can't be used yet",
        "wait some seconds; if it stays, read: tinybms-ctl logs acquisition",
    ),
    warning(
        "line_noise",
        "serial_line",
        "more than 1 in 100 answers is damaged or missing",
        "a shorter or shielded cable away from the power cables; see: tinybms-ctl frames",
    ),
    warning(
        "firmware_old",
        "bms_firmware",
        "the BMS's firmware lacks state of health and restart by SoC",
        "bring it to 2.3.251 or later with the vendor's tool, by cable",
    ),
    warning(
        "settings_hurt",
        "bms_settings",
        "settings of the BMS that will not work well with an inverter",
        "change them with the vendor's tool; the register numbers are named",
    ),
)

CAN = (
    fault(
        "can_missing",
        "can_interface",
        "the CAN interface or adapter is not there",
        "plug it in and check can.interface and can.channel; for socketcan: ip link show",
    ),
    fault(
        "can_down",
        "can_interface",
        "the CAN interface is down",
        "ip link set CHANNEL up type can bitrate 500000 restart-ms 100",
    ),
    fault(
        "can_unusable",
        "can_interface",
        "can_out can't open the channel",
        "check can.interface, can.channel, the rights of the port and that nobody else uses it",
    ),
    fault(
        "can_bitrate",
        "can_bitrate",
        "the interface has another bitrate than can.bitrate",
        "ip link set CHANNEL down; ip link set CHANNEL up type can bitrate 500000 restart-ms 100",
    ),
    fault(
        "can_bus_off",
        "can_state",
        "the controller has gone off the bus after too many errors (BUS-OFF)",
        "check bitrate, wiring and the two 120 ohm terminators",
    ),
    fault(
        "can_no_acknowledge",
        "can_state",
        "frames are not acknowledged or not taken: nobody else is on the bus",
        "check the cable, the socket (on a GX the BMS-Can or VE.Can port) and both terminators",
    ),
    warning(
        "can_queue_short",
        "can_queue",
        "the interface's queue is shorter than a turn of frames",
        "ip link set CHANNEL txqueuelen 100",
    ),
    warning(
        "can_no_restart",
        "can_restart",
        "the interface stays off the bus after BUS-OFF",
        "on socketcan: ip link set CHANNEL type can restart-ms 100; an slcan adapter can't do it, "
        "can_out opens it again",
    ),
    fault(
        "can_no_data",
        "can_frames",
        "no frames are sent, for there are no fresh data of the battery",
        "mend what is said about the BMS and the processes",
    ),
    warning(
        "can_as_asked",
        "can_frames",
        "no frames, or frames without data, as the owner has asked for",
        "end it: tinybms-ctl can start, or tinybms-ctl can service-end",
    ),
    fault(
        "gx_silent",
        "gx",
        "no GX is heard on CAN (0x305)",
        "choose the CAN-bus BMS (500 kbit/s) profile for that port of the GX; check the cable",
    ),
)
