"""Topics of the limits and of what binds them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Final

from tinybms_messages.live import Limits, Reason
from tinybms_mqtt_out import derive
from tinybms_mqtt_out.model import Band, Group, Snapshot, Value, ValueTopic
from tinybms_victron.gx import gx_rows


def _reason_topic(
    suffix: str,
    label: str,
    binding: Callable[[Limits | None], Reason | None],
    sentence: Callable[[Limits], str],
) -> ValueTopic:
    """The code of a limit's binding cap, with the limit's sentence in words."""

    def code(snapshot: Snapshot) -> Value:
        reason = binding(snapshot.limits)
        return None if reason is None else reason.code

    def words(snapshot: Snapshot) -> str:
        return "" if snapshot.limits is None else sentence(snapshot.limits)

    return ValueTopic(suffix=suffix, label=label, group=Group.LIMITS, derive=code, words=words)


_voltage_limit = partial(
    ValueTopic,
    group=Group.LIMITS,
    unit="V",
    critical=True,
    band=Band(absolute=0.1),
    decimals=1,
)
_current_limit = partial(
    ValueTopic,
    group=Group.LIMITS,
    unit="A",
    critical=True,
    band=Band(absolute=0.1, fraction=0.01),
    decimals=1,
)

LIMIT_TOPICS: Final[tuple[ValueTopic, ...]] = (
    _voltage_limit(
        suffix="charge_voltage_limit",
        label="Charge Voltage Limit",
        derive=derive.charge_voltage_limit,
        gx=gx_rows(305),
    ),
    _voltage_limit(
        suffix="discharge_voltage_limit",
        label="Discharge Voltage Limit",
        derive=derive.discharge_voltage_limit,
        gx=gx_rows(306),
    ),
    _current_limit(
        suffix="charge_current_limit",
        label="Charge Current Limit",
        derive=derive.charge_current_limit,
        gx=gx_rows(307),
        legacy_suffix="max_charge_current",
    ),
    _current_limit(
        suffix="discharge_current_limit",
        label="Discharge Current Limit",
        derive=derive.discharge_current_limit,
        gx=gx_rows(308),
        legacy_suffix="max_discharge_current",
    ),
    ValueTopic(
        suffix="system_state",
        label="Charge Control State",
        group=Group.LIMITS,
        derive=derive.system_state,
    ),
    _reason_topic(
        "limit_reason_charge",
        "Reason of CCL",
        derive.binding_charge_reason,
        attrgetter("charge_sentence"),
    ),
    _reason_topic(
        "limit_reason_discharge",
        "Reason of DCL",
        derive.binding_discharge_reason,
        attrgetter("discharge_sentence"),
    ),
    _reason_topic(
        "limit_reason_voltage",
        "Reason of CVL",
        derive.binding_voltage_reason,
        attrgetter("voltage_sentence"),
    ),
)
