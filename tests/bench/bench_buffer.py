"""The offline buffer: what a claim costs as rows grow, what a week of outage takes.

Claims and the week use a folder in memory where there is one, so that the figures are those of
the code and not of the disk beside it; what syncing to this machine's disk costs has its own row.
Nothing but the buffer runs: what the bus costs it is in the row "processor" of the gateway.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from bench_measures import Row, quantiles
from bench_outage import DAY_S, POLLS_A_DAY, day_of_records
from fake_clock import FakeClock
from fake_critical import BOOT, make_alarm, make_record
from fake_store import CLAIMER, open_store
from tinybms_buffer.bounds import StoreLimits
from tinybms_buffer.keeper import Keeper
from tinybms_buffer.memoryfile import MemoryFile
from tinybms_buffer.store import Store
from tinybms_messages.critical import Critical
from tinybms_messages.requests import MAX_RECORDS, CaughtUp, RingBoot

SIZES: Final = (1_000, 100_000, 1_000_000)
CLAIMS: Final = 8
ROUNDS: Final = 5
GROWTH: Final = 2.0
"""How much dearer claim and ack may be with a thousand times as many rows."""
DAYS: Final = 7
MIB: Final = 1024 * 1024
MEMORY_FOLDER: Final = Path("/dev/shm")
RING_RECORDS: Final = 10_000
SYNCED_BATCHES: Final = 300
BATCH_RECORDS: Final = 20
"""Two values that cross their dead bands at each of ten polls a second."""


def measure_buffer(progress: Callable[[str], None]) -> list[Row]:
    """All rows about the buffer."""
    in_memory = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    rows: list[Row] = []
    for text, parent, measure in (
        ("buffer: claims and acknowledgements", in_memory, _measure_claims),
        ("buffer: a week of outage", in_memory, _measure_week),
        ("buffer: a batch synced each second", None, _measure_syncs),
    ):
        progress(text)
        folder = Path(tempfile.mkdtemp(prefix="tb-", dir=parent))
        try:
            rows += measure(folder)
        finally:
            shutil.rmtree(folder)
    return rows


def _measure_claims(folder: Path) -> list[Row]:
    limits = StoreLimits(max_bytes=1024 * MIB, max_rows=2 * SIZES[-1])
    store = open_store(folder / "buffer.sqlite", FakeClock(), limits=limits)
    records = _mixed_records()
    claim_ms: dict[str, list[float]] = defaultdict(list)
    ack_ms: dict[str, list[float]] = defaultdict(list)
    for size in SIZES:
        name = f"1e{len(str(size)) - 1}"
        for _ in range(ROUNDS):
            while store.rows < size:
                store.append([next(records) for _ in range(min(1000, size - store.rows))])
            _claim_and_ack(store, claim_ms[name], ack_ms[name])
    store.close()
    return [
        _by_size(f"buffer: claim of {MAX_RECORDS} by rows stored", claim_ms),
        _by_size(f"buffer: ack of {MAX_RECORDS} by rows stored", ack_ms),
    ]


def _mixed_records() -> Iterator[Critical]:
    """One in ten an alarm, so that each claim finds its class among others."""
    sample, alarm = make_record(1), make_alarm(1)
    seq = 0
    while True:
        seq += 1
        yield replace(alarm if seq % 10 == 0 else sample, seq=seq, live_seq=seq)


def _claim_and_ack(store: Store, claim_ms: list[float], ack_ms: list[float]) -> None:
    for _ in range(CLAIMS):
        began_s = time.perf_counter()
        claimed = store.claim(CLAIMER, MAX_RECORDS)
        claimed_s = time.perf_counter()
        removed = store.ack([stored.id for stored in claimed])
        acked_s = time.perf_counter()
        assert removed == MAX_RECORDS, "as many as were claimed are gone"
        claim_ms.append((claimed_s - began_s) * 1e3)
        ack_ms.append((acked_s - claimed_s) * 1e3)


def _by_size(what: str, found_ms: dict[str, list[float]]) -> Row:
    """The medians in ms, and how often the smallest store's goes into the largest one's."""
    medians = {name: statistics.median(values) for name, values in found_ms.items()}
    first, *_, last = medians.values()
    return Row(
        what=what,
        unit="ms (median), ratio",
        values={**medians, "ratio": last / first},
        bound=GROWTH,
        bound_of="ratio",
    )


def _measure_week(folder: Path) -> list[Row]:
    day = day_of_records()
    clock = FakeClock()
    memory = MemoryFile(folder / "memory")
    (folder / "state").mkdir()
    keeper = Keeper(
        clock=clock,
        open_store=lambda distrust: open_store(
            folder / "state" / "buffer.sqlite", clock, distrust=distrust, limits=StoreLimits()
        ),
        tell=_hear_nothing,
        memory=None,
        save=memory.save,
    )
    most_bytes, said, hours = 0, 0, []
    for hour in range(DAYS * 24):
        began_s = time.process_time()
        for second in range(hour * 3600, (hour + 1) * 3600):
            clock.advance(1)
            for record in day.get(second % DAY_S, ()):
                said += 1
                keeper.take(_shifted(record, said, second // DAY_S, clock))
            _answer(keeper, said, clock)
            keeper.tick()
            keeper.status()
        hours.append(time.process_time() - began_s)
        most_bytes = max(most_bytes, _bytes_in(folder / "state"))
    status = keeper.status()
    keeper.close()
    assert status.rows + status.thinned + status.dropped + status.waiting >= said, "all is told"
    return [
        Row(
            what="buffer: week of outage, ten polls a second",
            unit="MB on disk, records",
            values={
                "on disk": most_bytes / 1e6,
                "made": said,
                "kept": status.rows,
                "thinned": status.thinned,
                "dropped": status.dropped,
            },
            bound=64.0,
            bound_of="on disk",
        ),
        Row(
            what="buffer: week of outage, processor",
            unit="% of a core",
            values={
                "mean": 100 * sum(hours) / (DAYS * DAY_S),
                "busiest hour": 100 * max(hours) / 3600,
            },
            bound=1.0,
            bound_of="busiest hour",
        ),
    ]


def _shifted(record: Critical, seq: int, days: int, clock: FakeClock) -> Critical:
    return replace(
        record,
        seq=seq,
        live_seq=record.live_seq + days * POLLS_A_DAY,
        wall_ns=clock.wall_ns(),
        boottime_ns=clock.boottime_ns(),
    )


def _answer(keeper: Keeper, last: int, clock: FakeClock) -> None:
    """Be acquisition's ring: everything was heard, so that its inventory is all that counts."""
    now_s = clock.boottime_ns() / 1e9
    if keeper.tracker.wanted(now_s) is not None:
        held = RingBoot(boot=BOOT, first=max(1, last - RING_RECORDS + 1), last=last)
        keeper.tracker.caught_up(CaughtUp(inventory=(held,) if last else ()), now_s)


def _hear_nothing(code: str, text: str, severity: str = "info") -> None:
    raise AssertionError(f"{severity} {code}: {text}")


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.iterdir())


def _measure_syncs(folder: Path) -> list[Row]:
    store = open_store(folder / "buffer.sqlite", FakeClock())
    records = _mixed_records()
    batches = [[next(records) for _ in range(BATCH_RECORDS)] for _ in range(SYNCED_BATCHES)]
    took_ms, began_cpu_s = [], time.process_time()
    for batch in batches:
        began_s = time.perf_counter()
        store.append(batch)
        took_ms.append((time.perf_counter() - began_s) * 1e3)
    cpu_s = time.process_time() - began_cpu_s
    store.close()
    return [
        Row(
            what=f"buffer: {BATCH_RECORDS} records synced each second",
            unit="% of a core",
            values={"processor": 100 * cpu_s / SYNCED_BATCHES},
            bound=1.0,
            bound_of="processor",
        ),
        Row(
            what=f"buffer: a batch of {BATCH_RECORDS} on this disk",
            unit="ms",
            values=quantiles(took_ms),
        ),
    ]
