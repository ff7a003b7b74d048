"""What a power cut leaves: the log is synced before a batch counts, and any rest opens again.

SIGKILL alone would prove nothing, for the page cache survives it.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fake_clock import FakeClock
from fake_critical import make_record
from fake_store import claim_all, open_store
from harness_gateway import BusProbe, GatewayFolder
from harness_sim import wait_until
from tinybms_messages.status import BufferStatus
from tinybms_messages.topics import BUFFER_STATUS, CRITICAL
from tinybms_runtime.lock import holder_pid

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

BATCHES = 5
BATCH = 20
CUTS = 200
PAGE_BYTES = 4096
CALLS = "pwrite64,write,fsync,fdatasync,rename,renameat,renameat2"


def test_each_batch_is_synced_before_it_counts_and_any_rest_opens(run_dir: Path) -> None:
    trace = run_dir / "trace"
    copies: list[tuple[int, Path]] = []
    with GatewayFolder(run_dir, {}) as gateway, BusProbe(gateway.paths, "acquisition") as probe:
        probe.listen(BUFFER_STATUS)
        gateway.start("broker")
        tracer = traced_buffer(gateway, trace)
        lock = gateway.paths.lock("buffer")
        wait_until(lambda: holder_pid(lock) is not None, 20, "the traced buffer")
        assert probe.wait_for(lambda: bool(probe.bodies(BUFFER_STATUS)), 20)
        for batch in range(BATCHES):
            for number in range(BATCH):
                probe.publish(CRITICAL, make_record(batch * BATCH + number + 1))
            rows = (batch + 1) * BATCH
            wait_for_rows(probe, rows)
            copies.append((rows, copy_of(gateway, run_dir / f"copy{batch}")))
        os.kill(holder_pid(lock) or 0, signal.SIGTERM)
        assert tracer.wait(20) == 0
    assert synced_batches(trace) >= BATCHES
    for rows, copy in copies:
        assert stored(copy, run_dir / "looked at") == list(range(1, rows + 1))
    cut_and_spoil(run_dir, copies)


def traced_buffer(gateway: GatewayFolder, trace: Path) -> subprocess.Popen[bytes]:
    strace = shutil.which("strace")
    assert strace is not None, "strace is missing; install it with: apt-get install strace"
    command = [strace, "-f", "-y", "-s", "4096", "-e", f"trace={CALLS}", "-o", str(trace)]
    command += [sys.executable, "-P", "-m", "tinybms_buffer", "--config", str(gateway.config_file)]
    with gateway.log("buffer").open("ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def wait_for_rows(probe: BusProbe, rows: int) -> None:
    assert probe.wait_for(lambda: rows_of(probe) == rows, 20), rows_of(probe)


def rows_of(probe: BusProbe) -> int:
    last = probe.last(BUFFER_STATUS)
    status = BufferStatus(state="") if last is None else last.body
    return status.rows if status.waiting == 0 else -1


def copy_of(gateway: GatewayFolder, folder: Path) -> Path:
    """Database and log as a power cut would leave them: without the shared memory beside them."""
    folder.mkdir()
    path = gateway.paths.state_file("buffer.sqlite")
    for name in (path.name, f"{path.name}-wal"):
        shutil.copyfile(path.with_name(name), folder / name)
    return folder / path.name


def synced_batches(trace: Path) -> int:
    """Syncs of the log; AssertionError when something counted as stored before its sync."""
    unsynced, syncs = False, 0
    noted, synced_since_note = r"\"stored\":[]", False
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        if re.search(r"pwrite64\(\d+<[^>]*sqlite-wal>", line):
            unsynced = True
        elif re.search(r"f(data)?sync\(\d+<[^>]*sqlite-wal>", line):
            syncs += unsynced
            synced_since_note |= unsynced
            unsynced = False
        elif "write(" in line and "buffer-memory.new" in line:
            news = re.search(r'\\"stored\\":\[[\[\]\d,]*\]', line)
            if news is not None and news[0] != noted:
                assert synced_since_note, "records were noted as stored that no sync had reached"
                noted = news[0]
            synced_since_note = False
        elif "buffer-memory.new" in line and "rename" in line:
            assert not unsynced, "what is stored was noted before its log was synced"
    assert not unsynced
    assert f"{BATCHES * BATCH}]]" in noted
    return syncs


def stored(path: Path, scratch: Path) -> list[int]:
    """Numbers of the records in a copy of `path`, which stays as it is."""
    shutil.copytree(path.parent, scratch)
    store = open_store(scratch / path.name, FakeClock())
    try:
        return [one.record.seq for one in claim_all(store) if one.record.suffix != "event"]
    finally:
        store.close()
        shutil.rmtree(scratch)


def cut_and_spoil(folder: Path, copies: list[tuple[int, Path]]) -> None:
    """Cut the log anywhere, or put a page of noise anywhere: it opens, or is set aside.

    Each batch that lay in the log before that place is there.
    """
    chance = random.Random(6)
    copy = copies[-1][1]
    whole = [(log_of(one).stat().st_size, rows) for rows, one in copies]
    assert whole == sorted(set(whole)), "the log was emptied meanwhile; take fewer batches"
    opened = 0
    for turn in range(CUTS):
        place = folder / f"turn{turn}"
        shutil.copytree(copy.parent, place)
        log = log_of(place / copy.name)
        cut = turn % 2 == 0
        sound = 0
        if cut:
            sound = chance.randrange(log.stat().st_size)
            os.truncate(log, sound)
        elif turn % 4 == 1:
            sound = spoil(log, chance)
        else:
            spoil(place / copy.name, chance)
        store = open_store(place / copy.name, FakeClock())
        aside = store.set_aside is not None
        store.close()
        left = stored(place / copy.name, folder / "looked at")
        assert left == list(range(1, len(left) + 1)), (turn, left)
        assert not (cut and aside), f"turn {turn}: a log that ends early is no damage"
        least = max((rows for size, rows in whole if size <= sound), default=0)
        assert aside or least <= len(left) <= copies[-1][0], (turn, sound, left)
        opened += not aside
        shutil.rmtree(place)
    assert opened > CUTS // 2


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def spoil(file: Path, chance: random.Random) -> int:
    """Put a page of noise into `file`; where it begins."""
    offset = chance.randrange(max(1, file.stat().st_size // PAGE_BYTES)) * PAGE_BYTES
    with file.open("r+b") as target:
        target.seek(offset)
        target.write(chance.randbytes(PAGE_BYTES))
    return offset
