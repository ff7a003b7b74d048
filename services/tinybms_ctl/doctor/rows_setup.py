"""What can be wrong with how the machine is set up: it shows at its next start, or the next plug.

None of it is a fault: what it stops today is found by the rows of the devices.
"""

from __future__ import annotations

from tinybms_ctl.doctor.row import warning

SETUP = (
    warning(
        "unit_missing",
        "service",
        "nothing starts the gateway when this machine starts: its systemd unit is not there",
        "sudo deploy/install.sh, or by hand as in deploy/docs/install-by-hand.md, part 4",
    ),
    warning(
        "unit_off",
        "service",
        "the systemd unit is there, but does not start with the machine",
        "systemctl enable --now tinybms-gateway; when it is masked, systemctl unmask "
        "tinybms-gateway first",
    ),
    warning(
        "udev_rule_missing",
        "udev_rule",
        "acquisition.port is a name that a udev rule has to make, and no rule does",
        "install deploy/udev/60-tinybms.rules in /etc/udev/rules.d, then: udevadm control "
        "--reload; udevadm trigger",
    ),
    warning(
        "modem_manager",
        "modem_manager",
        "ModemManager runs, and nothing keeps it off the BMS's port",
        "install deploy/udev/60-tinybms.rules in /etc/udev/rules.d, then: udevadm control "
        "--reload; udevadm trigger; for another adapter add its vendor and product to the rule",
    ),
    warning(
        "brltty",
        "brltty",
        "brltty, for Braille terminals, is installed and can take the USB serial adapter",
        "systemctl mask brltty.service, or remove the package brltty",
    ),
    warning(
        "can_network_missing",
        "can_network",
        "nothing is found that brings the CAN interface up when this machine starts",
        "install deploy/systemd/80-can0.network in /etc/systemd/network (another interface: change "
        "its Name=), then: systemctl enable --now systemd-networkd; networkctl reload",
    ),
    warning(
        "can_network_off",
        "can_network",
        "the CAN interface has its file, but systemd-networkd does not start with the machine",
        "systemctl enable --now systemd-networkd",
    ),
    warning(
        "can_network_differs",
        "can_network",
        "the file that brings the CAN interface up sets another bitrate, or no restart",
        "set BitRate= and RestartSec= in its [CAN] part as deploy/systemd/80-can0.network does, "
        "then: networkctl reload",
    ),
)
