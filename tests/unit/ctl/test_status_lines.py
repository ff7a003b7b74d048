"""The page knows every line that status can print when something is not well."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

import msgspec

from fake_live import fake_alarms, fake_live, fake_sample
from fake_view import BOOT_ID, NOW_NS, fake_heard, fake_latest, fake_view, header
from fake_view import facts as process
from tinybms_ctl.doctor.status_lines import STATUS_LINES, StatusLine
from tinybms_ctl.look import with_states
from tinybms_health.document import Check, DataReport, StatusDocument
from tinybms_health.status import status_document
from tinybms_health.view import Heard, SupervisorFacts, SupervisorState
from tinybms_messages.latest import LatestLive
from tinybms_messages.live import Link
from tinybms_messages.status import BufferStatus, CanStatus, MqttStatus
from tinybms_runtime.processes import NAMES

SUPERVISOR_STATES: Final[tuple[SupervisorState, ...]] = ("down", "hung", "unknown")
DISABLED: Final = "disabled"
"""Said by a process only where its output is off, which is well."""


def states_of(struct: type[msgspec.Struct], word: str = "`state`: ") -> tuple[str, ...]:
    """The states that a message can hold, as its contract lists them."""
    text = re.sub(r"\([^)]*\)", "", " ".join((struct.__doc__ or "").split()))
    listed = re.search(rf"{re.escape(word)}(.*?)[;.]", text)
    assert listed is not None, struct
    named = re.split(r"\s*(?:,|\bor\b)\s*", listed[1].strip())
    return tuple(state for state in named if state != DISABLED)


def test_the_states_are_found_in_the_contracts() -> None:
    assert states_of(Link) == ("no_port", "no_answer", "wrong_battery", "online", "asleep")
    assert states_of(BufferStatus)[-1] == "storage_off"
    assert {"no_adapter", "sending", "silent"} <= set(states_of(CanStatus))


def with_heard(**changes: object) -> StatusDocument:
    return status_document(fake_view(heard=fake_heard(**changes)))


def with_link(state: str, *, age_s: float = 0.1) -> StatusDocument:
    sample = fake_sample(boottime_ns=NOW_NS - round(age_s * 1e9))
    link = Link(state=state, port="/dev/x", detail="as seen")
    newest = fake_live(sample=sample, link=link, asleep=state == "asleep")
    return with_heard(live=fake_latest(newest))


def with_alarm(level: int) -> StatusDocument:
    sample = fake_sample(boottime_ns=NOW_NS)
    return with_heard(live=fake_latest(fake_live(sample=sample, alarms=fake_alarms(low_soc=level))))


def without_process() -> list[StatusDocument]:
    view = fake_view()
    states = (
        {"pid": 0},
        {"pid": 0, "supervisor_state": "FATAL"},
        {"frozen": True},
        {"uptime_s": 1.0},
    )
    found = []
    for changes in states:
        processes = {name: process(name, **changes) for name in NAMES}
        heard = replace(view.heard, heartbeats={})
        found.append(status_document(replace(view, processes=processes, heard=heard)))
    found.append(with_states(status_document(view), dict.fromkeys(NAMES, "unknown")))
    return found


def documents() -> list[StatusDocument]:
    """The gateway with each of its parts in each of its states."""
    nobody = Heard(live=LatestLive(kernel_boot_id=BOOT_ID))
    found = [*without_process(), status_document(fake_view(heard=nobody))]
    found += [
        status_document(fake_view(supervisor=SupervisorFacts(state=state)))
        for state in SUPERVISOR_STATES
    ]
    for age_s in (0.1, 5.0, 15.0, 25.0, 100.0):
        found += [with_link(state, age_s=age_s) for state in states_of(Link)]
    for state in states_of(CanStatus):
        for heard in (True, False):
            can = CanStatus(state=state, detail="as seen", victron_keepalive_ok=heard)
            found.append(with_heard(can=(header("can_out"), can)))
    for state in states_of(MqttStatus):
        mqtt = MqttStatus(state=state, connected=state == "online", last_error="as seen")
        found.append(with_heard(mqtt=(header("mqtt_out"), mqtt)))
    for state in states_of(BufferStatus):
        buffer = BufferStatus(state=state, detail="as seen" if state == "storage_off" else "")
        found.append(with_heard(buffer=(header("buffer"), buffer)))
    return [*found, with_alarm(1), with_alarm(2)]


def bad_checks() -> list[Check]:
    found = {
        (check.name, check.state, check.text): check
        for document in documents()
        for check in document.checks
        if not check.well
    }
    return list(found.values())


def fits(line: StatusLine, check: Check) -> bool:
    name = "process" if check.name in NAMES else check.name
    return (line.check, line.state) == (name, check.state) and line.says in check.text


def test_every_line_that_is_not_well_is_on_the_page() -> None:
    unknown = [
        f"{check.name}: {check.state} {check.text}"
        for check in bad_checks()
        if not any(fits(line, check) for line in STATUS_LINES)
    ]
    assert unknown == []


def test_every_line_of_the_page_can_be_printed() -> None:
    checks = bad_checks()
    never = [line for line in STATUS_LINES if not any(fits(line, check) for check in checks)]
    assert never == []


def test_the_states_of_the_data_are_all_there() -> None:
    named = {line.says for line in STATUS_LINES if line.check == "data"}
    states = set(states_of(DataReport, "data: ")) - {"fresh"}
    assert named == (states - {"unknown"}) | {"no sample"}
