"""Critical records with what a test changes."""

from __future__ import annotations

from msgspec.structs import replace

from fake_clock import FakeClock
from tinybms_messages.critical import Critical, CriticalClass

BOOT = "00000000000000a1"


def make_record(seq: int, **changes: object) -> Critical:
    """A SoC record of BOOT; `changes` are fields of it."""
    record = Critical(
        boot=BOOT,
        seq=seq,
        record_class=CriticalClass.SAMPLE,
        suffix="soc_percent",
        live_seq=10 * seq,
        value=51.5,
        raw=51_500_000,
        wall_ns=1_795_600_000_000_000_000,
        boottime_ns=1_000_000_000_000,
        kernel_boot_id="boot-of-the-test",
        time_ok=True,
    )
    return replace(record, **changes)


def make_alarm(seq: int, **changes: object) -> Critical:
    return make_record(
        seq,
        **{
            "record_class": CriticalClass.ALARM,
            "suffix": "alarm_low_soc",
            "value": 1,
            "raw": None,
            "text": "SoC 9 %",
        }
        | changes,
    )


def record_at(clock: FakeClock, seq: int, **changes: object) -> Critical:
    """A record with the times of `clock`."""
    times = {
        "wall_ns": clock.wall_ns(),
        "boottime_ns": clock.boottime_ns(),
        "kernel_boot_id": clock.kernel_boot_id,
        "time_ok": clock.time_ok(),
    }
    return make_record(seq, **(times | changes))
