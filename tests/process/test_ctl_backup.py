"""tinybms-ctl backup and restore as real processes, with real files and open databases."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tinybms_ctl.backup_archive import pack
from tinybms_ctl.backup_files import put_back
from tinybms_runtime.lock import ProcessLock

SECRET = "hunter2-planted"
BEFORE = ".before-restore"


def ctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TINYBMS_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "tinybms_ctl", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )


class Machine:
    """A configuration with its folders, and secrets that lie in the state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config_file = folder / "gateway.toml"
        self.run_dir, self.state_dir = folder / "run", folder / "state"
        self.password = self.state_dir / "pack1-password"
        for each in (self.run_dir, self.state_dir):
            each.mkdir(parents=True)
        self.config_file.write_text(
            f'[gateway]\nrun_dir = "{self.run_dir}"\nstate_dir = "{self.state_dir}"\n'
            f'log_dir = "{folder}/log"\n[can]\nenabled = false\n'
            f'[mqtt]\nusername = "me"\npassword_file = "{self.password}"\n'
            f'[health]\ntoken_file = "{folder}/token"\n'
        )
        self.password.write_text(SECRET)
        (folder / "token").write_text(SECRET + "-token")
        (self.state_dir / "pack1-counters").write_bytes(b"\x00\x01counters")

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return ctl(*arguments, "--config", str(self.config_file))

    def seen(self) -> dict[str, bytes]:
        """Every file with its content."""
        files = (each for each in sorted(self.folder.rglob("*")) if each.is_file())
        return {str(each.relative_to(self.folder)): each.read_bytes() for each in files}


@pytest.fixture
def machine(run_dir: Path) -> Machine:
    return Machine(run_dir / "m")


@pytest.fixture
def writer(machine: Machine) -> Iterator[sqlite3.Connection]:
    """A database with its rows still in the write-ahead log, and its writer at work."""
    with closing(sqlite3.connect(machine.state_dir / "pack1-buffer.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE t (n INTEGER)")
        connection.execute("INSERT INTO t VALUES (42)")
        connection.commit()
        connection.execute("INSERT INTO t VALUES (43)")
        yield connection


def rows(file: Path) -> list[int]:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in connection.execute("SELECT n FROM t")]


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        streams = {each.name: archive.extractfile(each) for each in archive}
        return {name: stream.read() for name, stream in streams.items() if stream}


def test_a_backup_taken_while_a_database_is_written_comes_back(
    machine: Machine, writer: sqlite3.Connection, run_dir: Path
) -> None:
    file = run_dir / "b.tar.gz"
    answer = machine.ctl("backup", str(file))
    assert answer.returncode == 0, answer.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    writer.commit()
    (machine.state_dir / "pack1-counters").write_bytes(b"later")
    (machine.state_dir / "pack1-later").write_bytes(b"not in the backup")
    answer = machine.ctl("restore", str(file), "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["device"] == "pack1"
    state = machine.state_dir
    assert (state / "pack1-counters").read_bytes() == b"\x00\x01counters"
    assert (state / f"pack1-counters{BEFORE}").read_bytes() == b"later"
    assert not (state / "pack1-later").exists()
    assert (state / f"pack1-later{BEFORE}").read_bytes() == b"not in the backup"
    assert machine.password.read_text() == SECRET
    assert rows(state / "pack1-buffer.sqlite") == [42]
    assert rows(state / f"pack1-buffer.sqlite{BEFORE}") == [42, 43]


def test_another_computer_gets_it_all_and_hears_which_secret_is_missing(
    machine: Machine, writer: sqlite3.Connection, run_dir: Path
) -> None:
    file = run_dir / "b.tar.gz"
    assert machine.ctl("backup", str(file)).returncode == 0
    writer.close()
    machine.folder.rename(run_dir / "old")
    answer = machine.ctl("restore", str(file))
    assert answer.returncode == 0, answer.stderr
    assert f"missing: mqtt.password_file ({machine.password})" in answer.stdout
    assert sorted(machine.seen()) == [
        "gateway.toml",
        "state/pack1-buffer.sqlite",
        "state/pack1-counters",
    ]
    assert machine.ctl("config", "check").returncode == 0


def test_no_secret_is_in_a_backup_unless_it_is_asked_for(machine: Machine, run_dir: Path) -> None:
    plain, full = run_dir / "plain.tar.gz", run_dir / "full.tar.gz"
    answer = machine.ctl("backup", str(plain))
    assert "not in it: mqtt.password_file" in answer.stdout
    assert all(SECRET.encode() not in data for data in members(plain).values())
    assert all("secret" not in name and "password" not in name for name in members(plain))
    assert machine.ctl("backup", str(full), "--secrets").returncode == 0
    assert members(full)["secrets/mqtt.password_file"] == SECRET.encode()
    machine.password.unlink()
    (machine.folder / "token").write_text("other")
    assert machine.ctl("restore", str(full)).returncode == 0
    assert machine.password.read_text() == SECRET
    assert (machine.folder / "token").read_text() == SECRET + "-token"


def test_nothing_is_restored_while_a_process_runs(machine: Machine, run_dir: Path) -> None:
    file = run_dir / "b.tar.gz"
    assert machine.ctl("backup", str(file)).returncode == 0
    before = machine.seen()
    lock = ProcessLock(machine.run_dir / "buffer-pack1.lock")
    lock.acquire()
    try:
        answer = machine.ctl("restore", str(file))
    finally:
        lock.release()
    assert answer.returncode == 75
    assert f"buffer runs (pid {os.getpid()})" in answer.stderr
    assert machine.seen() == {**before, "run/buffer-pack1.lock": f"{os.getpid()}\n".encode()}
    assert machine.ctl("restore", str(file)).returncode == 0


def test_an_archive_that_is_broken_newer_or_another_thing_changes_nothing(
    machine: Machine, run_dir: Path
) -> None:
    whole = run_dir / "b.tar.gz"
    assert machine.ctl("backup", str(whole)).returncode == 0
    before = machine.seen()
    bad = run_dir / "bad.tar.gz"
    for data, word in (
        (whole.read_bytes()[:-5], "not a whole tar.gz"),
        (b"hello", "not a whole tar.gz"),
        (newer(whole), "its format is 99"),
        (odd(b"[gateway]\nunknown = 1\n", "pack1"), "unknown"),
        (odd(b"", "pack2"), "its manifest of 'pack2'"),
    ):
        bad.write_bytes(data)
        answer = machine.ctl("restore", str(bad))
        assert (answer.returncode, word in answer.stderr) == (1, True), answer.stderr
        assert "nothing is changed" in answer.stderr
        assert machine.seen() == before
    assert machine.ctl("restore", str(run_dir / "none.tar.gz")).returncode == 1


def newer(file: Path) -> bytes:
    parts = members(file)
    parts["manifest.json"] = json.dumps({"format": 99}).encode()
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, data in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return target.getvalue()


def odd(config: bytes, device: str) -> bytes:
    return pack({"gateway.toml": config}, version="0", time="", device=device, wall_s=0)


def test_a_backup_that_can_not_be_whole_is_none(machine: Machine, run_dir: Path) -> None:
    (machine.state_dir / "pack1-history.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 900)
    file = run_dir / "b.tar.gz"
    answer = machine.ctl("backup", str(file))
    assert answer.returncode == 1
    assert "pack1-history.sqlite" in answer.stderr
    assert not list(run_dir.glob("b.tar.gz*"))


def test_a_restore_that_fails_half_way_leaves_everything_as_it_was(tmp_path: Path) -> None:
    good, bad = tmp_path / "a", tmp_path / "b"
    good.write_text("old")
    (tmp_path / "a-wal").write_text("old log")
    bad.mkdir()
    with pytest.raises(OSError, match=r"[Dd]irectory|permitted"):
        put_back({good: b"new", tmp_path / "c": b"new", bad: b"new"}, private=set(), obsolete=[])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "a-wal", "b"]
    assert (good.read_text(), (tmp_path / "a-wal").read_text()) == ("old", "old log")


def test_a_user_who_may_not_write_is_told_where(machine: Machine, run_dir: Path) -> None:
    file = run_dir / "b.tar.gz"
    assert machine.ctl("backup", str(file)).returncode == 0
    obstacle = machine.folder / "gateway.toml.restoring"
    obstacle.mkdir()
    before = machine.seen()
    answer = machine.ctl("restore", str(file))
    assert answer.returncode == 1
    assert str(obstacle) in answer.stderr
    assert "nothing is changed" in answer.stderr
    assert machine.seen() == before
