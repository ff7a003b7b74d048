"""install.sh beside systemd, as far as its own calls go: a stand-in for systemctl obeys."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness_machine import INSTALL, Machine

pytestmark = [pytest.mark.install, pytest.mark.timeout(300)]

SYSTEMCTL = """#!/bin/sh
echo "$*" >>/tmp/calls
as_service='setpriv --reuid=tinybms --regid=tinybms --init-groups'
ctl=/opt/tinybms-gateway/current/bin/tinybms-ctl
case "$*" in
  *is-active*) exit 3 ;;
  *is-enabled*) test -e /tmp/enabled ;;
  *disable*)
    rm -f /tmp/enabled
    $as_service $ctl down
    ;;
  *enable*tinybms-gateway.service)
    touch /tmp/enabled
    install -d -m 0750 -o tinybms -g tinybms /run/tinybms
    setsid --fork $as_service $ctl up </dev/null >/dev/null 2>&1 9>&-
    ;;
esac
"""


def test_the_unit_is_enabled_and_started_and_taken_away_again(run_dir: Path) -> None:
    with Machine(run_dir) as machine:
        machine.good("mkdir", "-p", "/run/systemd/system")
        machine.run("tee", "/usr/bin/systemctl", stdin=SYSTEMCTL)
        machine.good("chmod", "755", "/usr/bin/systemctl")
        machine.installed()
        assert "daemon-reload" in calls(machine)
        machine.init()
        assert "enable and start tinybms-gateway.service" in machine.installed()
        assert "-q enable --now tinybms-gateway.service" in calls(machine)
        machine.wait_until_well()
        assert "step" not in machine.installed()
        machine.good("rm", "/tmp/enabled")
        assert "step start" in machine.run(INSTALL, "--dry-run").stdout
        machine.installed("--remove")
        assert "-q disable --now tinybms-gateway.service" in calls(machine)
        assert machine.versions() == set()


def calls(machine: Machine) -> list[str]:
    return machine.good("cat", "/tmp/calls").splitlines()
