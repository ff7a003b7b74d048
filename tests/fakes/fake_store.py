"""The buffer's store over a file of the test, with bounds that a test can reach."""

from __future__ import annotations

from pathlib import Path

from fake_clock import FakeClock
from tinybms_buffer.bounds import StoreLimits
from tinybms_buffer.store import GapNumbers, Store
from tinybms_messages.requests import StoredRecord

BUFFER_BOOT = "00000000000000bf"
CLAIMER = "00000000000000c1"


def open_store(
    path: Path | None,
    clock: FakeClock,
    *,
    limits: StoreLimits | None = None,
    distrust: str = "",
    gap_numbers: GapNumbers | None = None,
) -> Store:
    return Store(
        path,
        limits=limits or StoreLimits(),
        clock=clock,
        gap_numbers=gap_numbers or GapNumbers(BUFFER_BOOT),
        distrust=distrust,
    )


def claim_all(store: Store, claimer: str = CLAIMER) -> list[StoredRecord]:
    """Claim and acknowledge until nothing is left; all records in the order they came."""
    everything: list[StoredRecord] = []
    while claimed := store.claim(claimer, 100):
        everything += claimed
        store.ack([stored.id for stored in claimed])
    return everything
