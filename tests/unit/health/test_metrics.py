"""The Prometheus text: right in form, right in value, silent about what is not known."""

from __future__ import annotations

import re
from dataclasses import replace

from fake_live import fake_alarms, fake_live, fake_sample
from fake_view import BOOT_ID, NOW_NS, WALL_NS, fake_heard, fake_latest, fake_view, header
from tinybms_charge.parameters import charge_parameters
from tinybms_config.model import Config
from tinybms_health.live_report import LiveView, live_report
from tinybms_health.metrics import metrics_page
from tinybms_health.status import status_document
from tinybms_messages.latest import LatestLive
from tinybms_messages.live import Link, LiveData
from tinybms_messages.status import BufferStatus

LINE = re.compile(r'^[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? -?[0-9][0-9.e+-]*$')


def lines(latest: LatestLive) -> list[str]:
    view = LiveView(
        device="pack1",
        parameters=charge_parameters(Config()),
        latest=latest,
        boottime_ns=NOW_NS,
        wall_ns=WALL_NS,
        time_ok=True,
        alarms_since={},
    )
    heard = replace(fake_heard(), live=latest)
    return (
        metrics_page(status_document(fake_view(heard=heard)), live_report(view))
        .decode()
        .split("\n")
    )


def of(live: LiveData) -> list[str]:
    return lines(fake_latest(live))


def fresh(**changes: object) -> LiveData:
    return fake_live(sample=fake_sample(boottime_ns=NOW_NS - 100_000_000), **changes)


def test_each_line_has_the_form_and_each_family_stands_once() -> None:
    page = of(fresh())
    assert page[-1] == ""
    plain = [line for line in page[:-1] if not line.startswith("#")]
    assert [line for line in plain if not LINE.match(line)] == []
    families = [line.split()[2] for line in page if line.startswith("# TYPE")]
    assert len(set(families)) == len(families)
    assert {line.split("{")[0].split()[0] for line in plain} == set(families)


def test_the_figures_are_in_base_units() -> None:
    page = of(fresh())
    assert "tinybms_state_of_charge_ratio 0.6326" in page
    assert "tinybms_pack_current_amperes -12.3" in page
    assert "tinybms_charged_energy_joules_total 444240000" in page
    assert 'tinybms_process_up{process="can_out"} 1' in page
    assert "tinybms_can_frames_sent_total 190" in page


def test_errors_of_the_line_come_by_kind() -> None:
    page = of(fresh(link=Link(state="online", line_errors={"crc": 3, "late": 0})))
    assert 'tinybms_line_errors_total{kind="crc"} 3' in page
    assert 'tinybms_line_errors_total{kind="late"} 0' in page


def test_lost_data_leave_no_figure_behind() -> None:
    page = of(fake_live(sample=fake_sample(boottime_ns=NOW_NS - 60_000_000_000)))
    assert 'tinybms_data_state{state="lost"} 1' in page
    assert not [line for line in page if line.startswith(("tinybms_pack_", "tinybms_charge_"))]


def test_before_the_first_sample_there_is_no_battery_at_all() -> None:
    page = lines(LatestLive(kernel_boot_id=BOOT_ID))
    assert 'tinybms_data_state{state="unknown"} 1' in page
    assert not [line for line in page if line.startswith(("tinybms_pack_", "tinybms_cell_"))]


def test_alarms_show_their_level() -> None:
    page = of(fresh(alarms=fake_alarms(high_voltage=2, low_soc=1)))
    assert 'tinybms_alarm_level{alarm="high_voltage"} 2' in page
    assert "tinybms_alarms_active 2" in page


def test_the_age_of_the_oldest_record_is_shown() -> None:
    status = BufferStatus(state="storing", rows=5, oldest_wall_ns=WALL_NS - 90_000_000_000)
    view = fake_view(heard=replace(fake_heard(), buffer=(header("buffer"), status)))
    live = live_report(
        LiveView(
            device="pack1",
            parameters=charge_parameters(Config()),
            latest=fake_latest(),
            boottime_ns=NOW_NS,
            wall_ns=WALL_NS,
            time_ok=True,
            alarms_since={},
        )
    )
    page = metrics_page(status_document(view), live).decode()
    assert "\ntinybms_buffer_oldest_age_seconds 90\n" in page
