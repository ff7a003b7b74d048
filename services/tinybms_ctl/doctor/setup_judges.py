"""Judgements about the set-up of the machine: pure. Where a thing is not used, all is well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tinybms_ctl.doctor.facts import Facts, NetworkFacts, SetupFacts
from tinybms_ctl.doctor.finding import Finding, good, trouble

NOT_USED: Final = "not used"


def setup_findings(facts: Facts) -> Iterator[Finding]:
    """Service, udev rule, what else may take the port, and the CAN interface's file."""
    setup = facts.setup
    yield _service(setup)
    yield _udev_rule(setup)
    yield _modem_manager(setup)
    yield _brltty(setup, port_there=facts.port.exists)
    yield _network(facts, setup.network)


def _service(setup: SetupFacts) -> Finding:
    if setup.unit == "enabled":
        return good("service", "the unit starts with the machine")
    if setup.unit == "missing":
        return trouble("unit_missing", "")
    if setup.unit:
        return trouble("unit_off", f"tinybms-gateway.service: {setup.unit}")
    return good("service", NOT_USED)


def _udev_rule(setup: SetupFacts) -> Finding:
    if setup.udev_rule:
        return good("udev_rule", setup.udev_rule)
    if setup.rule_needed:
        return trouble("udev_rule_missing", "")
    return good("udev_rule", NOT_USED)


def _modem_manager(setup: SetupFacts) -> Finding:
    if not setup.modem_manager:
        return good("modem_manager", "does not run")
    if not setup.usb_port:
        return good("modem_manager", "the port is not at USB: left alone")
    if setup.kept_off:
        return good("modem_manager", "kept off the port by udev")
    return trouble("modem_manager", "")


def _brltty(setup: SetupFacts, *, port_there: bool) -> Finding:
    if not setup.brltty:
        return good("brltty", "does not run")
    if port_there and not setup.usb_port:
        return good("brltty", "the port is not at USB: left alone")
    return trouble("brltty", "")


def _network(facts: Facts, network: NetworkFacts | None) -> Finding:
    channel = facts.config.can.channel
    if network is None:
        return good("can_network", NOT_USED)
    if not network.file:
        return trouble("can_network_missing", f"{channel}: nothing found brings it up")
    wrong = _wrong_in_file(network, facts.config.can.bitrate) if network.networkd else ""
    if wrong:
        return trouble("can_network_differs", f"{network.file}: {wrong}")
    if not network.enabled:
        return trouble("can_network_off", f"{network.file}: systemd-networkd is off")
    return good("can_network", f"{channel}: {network.file}")


def _wrong_in_file(network: NetworkFacts, bitrate: int) -> str:
    if network.bitrate != bitrate:
        shown = "no bitrate" if network.bitrate is None else f"{network.bitrate} bit/s"
        return f"{shown} instead of {bitrate} bit/s"
    return "" if network.restarts else "no RestartSec"
