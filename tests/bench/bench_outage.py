"""A day of a restless battery, polled ten times a second, as acquisition's records.

SoC falls from 100 % to 10 % and rises again, two alarms come and go, and for an hour the charge
limit crosses its dead band at every single poll, which a real limit (it rises by a ramp) can't.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from msgspec.structs import replace

from fake_critical import BOOT
from fake_live import fake_alarms, fake_limits, fake_sample
from tinybms_acquisition.critical import CriticalRecords, Seen
from tinybms_acquisition.sample import Moment
from tinybms_charge.ageing import Aged
from tinybms_messages.critical import Critical

DAY_S: Final = 86_400
POLLS_A_SECOND: Final = 10
POLLS_A_DAY: Final = DAY_S * POLLS_A_SECOND
RESTLESS_HOUR: Final = 22
LOW_SOC_PCT: Final = 15.0


def day_of_records() -> dict[int, list[Critical]]:
    """The records of each second of the day, by the dead bands as they are by default."""
    records = CriticalRecords(boot=BOOT, kernel_boot_id="boot-of-the-test")
    sample, calm = fake_sample(), fake_limits(charge_current_a=60.0)
    restless = (fake_limits(charge_current_a=59.0), calm)
    alarms = {low: fake_alarms(low_soc=int(low)) for low in (False, True)}
    by_second: dict[int, list[Critical]] = defaultdict(list)
    for poll in range(POLLS_A_DAY):
        second = poll // POLLS_A_SECOND
        at_ns = 10**9 + poll * 10**9 // POLLS_A_SECOND
        soc_pct = 10 + 90 * abs(1 - 2 * poll / POLLS_A_DAY)
        limits = restless[poll % 2] if second // 3600 == RESTLESS_HOUR else calm
        seen = Seen(
            live_seq=poll + 1,
            moment=Moment(boottime_ns=at_ns, wall_ns=at_ns, time_ok=True),
            sample=replace(sample, seq=poll + 1, soc_pct=soc_pct, boottime_ns=at_ns),
            shown=Aged(
                data_state="fresh",
                send=True,
                limits=limits,
                alarms=alarms[soc_pct < LOW_SOC_PCT],
                alarm_level=0,
            ),
        )
        made = records.take(seen)
        if made:
            by_second[second] += made
    return by_second
