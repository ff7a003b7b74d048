"""The names of the metrics are a promise: dashboards and rules of owners ask for them."""

from __future__ import annotations

import re

from fake_metrics import full_metrics

PROMISED = """
alarm_level gauge alarm
alarms_active gauge
battery_temperature_celsius gauge
board_temperature_celsius gauge
buffer_dropped_total counter
buffer_oldest_age_seconds gauge
buffer_replayed_total counter
buffer_rows gauge
buffer_size_bytes gauge
buffer_waiting_records gauge
bus_missed_messages_total counter process stream
bus_rejected_messages_total counter process
can_frames_received_total counter
can_frames_refused_total counter
can_frames_sent_total counter
can_gx_heard gauge
can_longest_period_seconds gauge
can_reopened_total counter
can_send_errors_total counter
cell_balancing gauge cell
cell_voltage_highest_volts gauge
cell_voltage_lowest_volts gauge
cell_voltage_volts gauge cell
charge_current_limit_amperes gauge
charge_voltage_limit_volts gauge
charged_coulombs_total counter
charged_energy_joules_total counter
check_ok gauge check
data_age_seconds gauge
data_state gauge state
discharge_current_limit_amperes gauge
discharge_voltage_limit_volts gauge
discharged_coulombs_total counter
discharged_energy_joules_total counter
gateway_info gauge device version
gateway_status gauge status
limit_reason gauge limit reason
line_errors_total counter kind
line_overruns_total counter
line_poll_time_seconds gauge
line_polls_total counter
line_reopened_total counter
line_replies_total counter
line_timeouts_total counter
mqtt_connected gauge
mqtt_failed_total counter
mqtt_in_flight_messages gauge
mqtt_last_ack_age_seconds gauge
mqtt_published_total counter
mqtt_reconnects_total counter
pack_current_amperes gauge
pack_power_watts gauge
pack_voltage_volts gauge
process_cpu_ratio gauge process
process_heartbeat_age_seconds gauge process
process_lag_seconds gauge process
process_log_lines_dropped_total counter process
process_resident_bytes gauge process
process_restarts_total counter process
process_up gauge process
process_uptime_seconds gauge process
state_of_charge_ratio gauge
state_of_health_ratio gauge
"""
"""Name without `tinybms_`, type, labels."""

LABEL = re.compile(r'[{,]([a-z]+)="')


def test_each_metric_keeps_its_name_its_type_and_its_labels() -> None:
    lines = full_metrics().splitlines()
    types = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE"))
    labels: dict[str, set[str]] = {name: set() for name in types}
    for line in lines:
        if not line.startswith("#"):
            labels[re.split("[{ ]", line)[0]].update(LABEL.findall(line))
    found = {
        " ".join((name.removeprefix("tinybms_"), types[name], *sorted(labels[name])))
        for name in types
    }
    assert found == set(PROMISED.split("\n")) - {""}
