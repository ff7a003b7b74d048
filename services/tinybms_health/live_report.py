"""What `/api/live` and the stream show of the battery: the last sample, aged. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from tinybms_charge.ageing import aged
from tinybms_charge.parameters import ChargeParameters
from tinybms_health.document import DataReport, ModeReport
from tinybms_health.status import data_report, iso_time, mode_reports
from tinybms_health.values import PACK_VALUES
from tinybms_messages.latest import LatestLive
from tinybms_messages.live import ActiveFault, Counters, Identity, Limits, Link, Sample


class SampleReport(msgspec.Struct, frozen=True, kw_only=True):
    """One sample. Current and power are positive while charging; cells count from 1."""

    pack_voltage_v: float
    pack_current_a: float
    power_w: float
    soc_pct: float
    soh_pct: float | None
    battery_temperature_c: float | None
    external_temperature_1_c: float | None
    external_temperature_2_c: float | None
    internal_temperature_c: float | None
    cell_voltages_v: tuple[float, ...]
    cells_balancing: tuple[bool, ...]
    min_cell_voltage_v: float
    min_cell_id: int
    max_cell_voltage_v: float
    max_cell_id: int
    online_status: str
    time_to_go_s: int | None


class AlarmReport(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that is on: level 1 (warning) or 2 (alarm); `since` when it was first seen so."""

    name: str
    level: int
    text: str
    since: str | None


class LiveReport(msgspec.Struct, frozen=True, kw_only=True):
    """The battery now. `sample` and `limits` are None without data or when these are lost.

    `data` says how old the sample is; limits and alarms are aged as CAN sends them.
    """

    schema: int = 1
    device: str
    time: str
    time_ok: bool
    data: DataReport
    sample: SampleReport | None = None
    limits: Limits | None = None
    alarms: tuple[AlarmReport, ...] = ()
    faults: tuple[ActiveFault, ...] = ()
    advisories: tuple[str, ...] = ()
    modes: tuple[ModeReport, ...] = ()
    soc_unsynchronised_days: float | None = None
    counters: Counters | None = None
    identity: Identity | None = None
    link: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """What the report is made from. `alarms_since`: wall time in ns, by name of the alarm."""

    device: str
    parameters: ChargeParameters
    latest: LatestLive
    boottime_ns: int
    wall_ns: int
    time_ok: bool
    alarms_since: Mapping[str, int]


def live_report(view: LiveView) -> LiveReport:
    """The report of this moment."""
    latest = view.latest
    age_s = latest.age_s(view.boottime_ns)
    shown = aged(latest.with_sample or latest.newest, age_s, view.parameters)
    sample = latest.with_sample.sample if latest.with_sample else None
    newest = latest.newest
    return LiveReport(
        device=view.device,
        time=iso_time(view.wall_ns),
        time_ok=view.time_ok,
        data=data_report(latest, shown, age_s),
        sample=_sample(sample) if sample is not None and shown.send else None,
        limits=shown.limits,
        alarms=tuple(
            AlarmReport(
                name=alarm.name.value,
                level=alarm.level,
                text=alarm.text,
                since=_since(view.alarms_since.get(alarm.name.value)),
            )
            for alarm in shown.alarms
            if alarm.level
        ),
        faults=newest.faults if newest else (),
        advisories=newest.advisories if newest else (),
        modes=mode_reports(newest, view.boottime_ns),
        soc_unsynchronised_days=newest.soc_unsynchronised_days if newest else None,
        counters=newest.counters if newest else None,
        identity=newest.identity if newest else None,
        link=newest.link if newest else None,
    )


def _since(wall_ns: int | None) -> str | None:
    return iso_time(wall_ns) if wall_ns is not None else None


def _sample(sample: Sample) -> SampleReport:
    figures = {value.key: _rounded(value.of(sample), value.decimals) for value in PACK_VALUES}
    return msgspec.convert(
        {
            **figures,
            "external_temperature_1_c": sample.external_temperature_1_c,
            "external_temperature_2_c": sample.external_temperature_2_c,
            "cell_voltages_v": tuple(round(voltage_v, 4) for voltage_v in sample.cell_voltages_v),
            "cells_balancing": sample.cells_balancing,
            "min_cell_id": sample.min_cell_id,
            "max_cell_id": sample.max_cell_id,
            "online_status": sample.online_status,
            "time_to_go_s": sample.time_to_go_s,
        },
        SampleReport,
    )


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(value, decimals)
