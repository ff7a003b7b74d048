"""Locks and state files: whole or absent, one holder, freed by any kind of death."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tinybms_runtime.lock import AlreadyRunningError, ProcessLock, holder_pid
from tinybms_runtime.statefile import read_bytes, write_atomic

HOLD = """
import sys, time
from pathlib import Path
from tinybms_runtime.lock import ProcessLock
lock = ProcessLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_copy_is_refused_and_told_the_first_ones_pid(tmp_path: Path) -> None:
    path = tmp_path / "can_out-pack1.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunningError, match=f"pid {holder.pid}"):
            ProcessLock(path).acquire(patience_s=0.0)
        assert holder_pid(path) == holder.pid
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert holder_pid(path) is None
    lock = ProcessLock(path)
    lock.acquire(patience_s=5.0)
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_freed_lock_can_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    first = ProcessLock(path)
    first.acquire()
    first.release()
    second = ProcessLock(path)
    second.acquire(patience_s=0.0)
    second.release()


def test_nobody_holds_a_lock_that_does_not_exist(tmp_path: Path) -> None:
    assert holder_pid(tmp_path / "none.lock") is None


@pytest.mark.parametrize("durable", [True, False])
def test_a_state_file_is_replaced_as_a_whole(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "state"
    assert read_bytes(path) is None
    write_atomic(path, b"one", durable=durable)
    write_atomic(path, b"2", durable=durable)
    assert read_bytes(path) == b"2"
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]


def test_a_state_file_that_can_not_be_written_is_an_error_and_the_old_one_stays(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state"
    write_atomic(path, b"old", durable=False)
    (tmp_path / "state.new").mkdir()
    with pytest.raises(OSError, match=r"state\.new"):
        write_atomic(path, b"new", durable=False)
    assert read_bytes(path) == b"old"
