"""The verdict and its exit code: 0 all works, 1 in part, 2 no data or no process."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fake_live import fake_alarms, fake_live, fake_sample
from fake_view import NOW_NS, facts, fake_heard, fake_latest, fake_view, header
from tinybms_health.document import StatusDocument
from tinybms_health.status import status_document
from tinybms_health.verdict import EXIT_CODES, duration, verdict
from tinybms_health.view import ProcessFacts, SupervisorFacts, SupervisorState
from tinybms_messages.live import Link
from tinybms_messages.status import BufferStatus, CanStatus, MqttStatus
from tinybms_runtime.processes import NAMES


def code(document: StatusDocument, *, check_battery: bool = False) -> int:
    return EXIT_CODES[verdict(document, check_battery=check_battery)]


def check_of(document: StatusDocument, name: str) -> tuple[str, str]:
    found = next(check for check in document.checks if check.name == name)
    return found.state, found.text


def test_all_well_is_0() -> None:
    document = status_document(fake_view())
    assert code(document) == 0
    assert {check.state for check in document.checks} == {"running", "ok"}


@pytest.mark.parametrize("name", NAMES)
def test_a_process_that_is_down_is_1(name: str) -> None:
    view = fake_view()
    view = replace(view, processes={**view.processes, name: ProcessFacts(pid=0)})
    assert code(status_document(view)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_process_that_hangs_is_1(name: str) -> None:
    view = fake_view()
    view = replace(view, processes={**view.processes, name: facts(name, frozen=True)})
    document = status_document(view)
    assert code(document) == 1
    assert check_of(document, name)[0] == "hung"


@pytest.mark.parametrize("state", ["down", "hung"])
def test_supervisord_that_is_not_there_is_1(state: SupervisorState) -> None:
    view = fake_view(supervisor=SupervisorFacts(state=state, detail="no answer"))
    document = status_document(view)
    assert code(document) == 1
    assert check_of(document, "supervisord") == (state, "no answer")


def test_no_process_is_2() -> None:
    view = fake_view(processes={name: ProcessFacts(pid=0) for name in NAMES})
    assert code(status_document(view)) == 2


@pytest.mark.parametrize(("age_s", "expected"), [(0.1, 0), (9.0, 0), (15.0, 1), (31.0, 2)])
def test_the_age_of_the_data_counts(age_s: float, expected: int) -> None:
    document = status_document(fake_view(heard=fake_heard(live=fake_latest(age_s=age_s))))
    assert code(document) == expected


def test_no_sample_yet_is_2() -> None:
    live = fake_live(sample=None, limits=None, link=Link(state="no_port", port="/dev/ttyX"))
    document = status_document(fake_view(heard=fake_heard(live=fake_latest(live))))
    assert code(document) == 2
    assert check_of(document, "link") == ("fault", "port /dev/ttyX cannot be opened")


def test_a_sleeping_battery_is_1() -> None:
    sample = fake_sample(boottime_ns=NOW_NS - 20_000_000_000)
    live = fake_live(sample=sample, asleep=True, link=Link(state="asleep"))
    assert code(status_document(fake_view(heard=fake_heard(live=fake_latest(live))))) == 1


def test_can_that_does_not_send_is_1() -> None:
    status = (header("can_out"), CanStatus(state="no_adapter", detail="gone"))
    document = status_document(fake_view(heard=fake_heard(can=status)))
    assert code(document) == 1
    assert check_of(document, "can")[0] == "fault"


def test_a_gx_that_is_not_heard_is_a_warning_and_1() -> None:
    status = (header("can_out"), CanStatus(state="sending", victron_keepalive_ok=False))
    document = status_document(fake_view(heard=fake_heard(can=status)))
    assert code(document) == 1
    assert check_of(document, "can")[0] == "warning"


def test_mqtt_without_connection_is_1_and_says_why() -> None:
    status = (header("mqtt_out"), MqttStatus(state="back_off", last_error="connection refused"))
    document = status_document(fake_view(heard=fake_heard(mqtt=status)))
    assert code(document) == 1
    assert "connection refused" in check_of(document, "mqtt")[1]


def test_a_buffer_that_cannot_store_is_1() -> None:
    status = (header("buffer"), BufferStatus(state="storage_off", rows=9, detail="disk full"))
    document = status_document(fake_view(heard=fake_heard(buffer=status)))
    assert code(document) == 1
    assert [check.text for check in document.checks if check.name == "buffer_store"] == [
        "disk full"
    ]


@pytest.mark.parametrize("level", [1, 2])
def test_alarms_of_the_battery_count_only_when_asked(level: int) -> None:
    live = fake_live(sample=fake_sample(boottime_ns=NOW_NS), alarms=fake_alarms(low_soc=level))
    document = status_document(fake_view(heard=fake_heard(live=fake_latest(live))))
    assert code(document) == 0
    assert code(document, check_battery=True) == 1


def test_a_link_report_from_before_acquisition_fell_silent_is_no_good_link() -> None:
    document = status_document(fake_view(heard=fake_heard(live=fake_latest(age_s=15.0))))
    assert check_of(document, "link")[0] == "fault"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.26, "0.3 s"), (42, "42 s"), (119, "119 s"), (420, "7 min"), (9000, "2 h"), (4e5, "5 d")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
