"""What a restart of everything compares, in which order it goes, and what outlives a version."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fake_view import fake_view
from tinybms_ctl.reload_command import in_turn, worse
from tinybms_ctl.up import installation
from tinybms_health.document import StatusDocument
from tinybms_health.status import status_document
from tinybms_runtime.processes import NAMES
from tinybms_runtime.supervisor import Changes

NO_CHANGES = Changes(added=(), changed=(), removed=())


def document(**states: str) -> StatusDocument:
    """A gateway in which all is well but the checks named."""
    well = status_document(fake_view())
    checks = tuple(
        msgspec.structs.replace(check, state=states.get(check.name, check.state))
        for check in well.checks
    )
    return msgspec.structs.replace(well, checks=checks)


def test_as_well_as_before_is_not_worse() -> None:
    assert worse(document(), document()) == ()


@pytest.mark.parametrize("name", ["can", "mqtt", "data", "link", "buffer_store", "can_out"])
def test_what_works_no_more_is_worse(name: str) -> None:
    assert worse(document(), document(**{name: "fault"}))[0].startswith(f"{name}: fault")


def test_a_broker_that_was_away_before_may_be_away_after() -> None:
    assert worse(document(mqtt="fault"), document(mqtt="fault")) == ()
    assert worse(document(mqtt="fault"), document(mqtt="fault", can="fault")) != ()


@pytest.mark.parametrize("name", NAMES)
def test_a_process_must_run_whatever_was_before(name: str) -> None:
    assert worse(document(**{name: "down"}), document(**{name: "starting"})) != ()


def test_alarms_of_the_battery_do_not_count() -> None:
    assert worse(document(), document(battery="fault")) == ()


def test_can_out_is_the_last_in_turn() -> None:
    assert in_turn(NO_CHANGES) == (
        "broker",
        "health",
        "buffer",
        "mqtt_out",
        "acquisition",
        "can_out",
    )


def test_what_is_gone_from_the_file_goes_first_and_what_is_new_comes_before_can_out() -> None:
    order = in_turn(Changes(added=("modbus",), changed=("broker",), removed=("old", "buffer")))
    assert order == (
        "old",
        "buffer",
        "broker",
        "health",
        "mqtt_out",
        "acquisition",
        "modbus",
        "can_out",
    )


def installed(folder: Path) -> Path:
    version = folder / "0.1.0"
    version.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").touch()
    (folder / "current").symlink_to("0.1.0")
    return version


def test_the_version_that_current_names_belongs_to_an_installation(tmp_path: Path) -> None:
    assert installation(installed(tmp_path)) == tmp_path


def test_another_version_beside_it_starts_its_own_programs(tmp_path: Path) -> None:
    installed(tmp_path)
    (tmp_path / "0.2.0").mkdir()
    assert installation(tmp_path / "0.2.0") is None


def test_an_environment_without_versions_is_no_installation(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    assert installation(tmp_path / ".venv") is None
    version = installed(tmp_path / "no-python")
    (tmp_path / "no-python" / "bin" / "python").unlink()
    assert installation(version) is None
