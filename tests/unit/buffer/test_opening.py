"""Whatever lies where the database should be: a clear answer, and nothing of others is harmed."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fake_clock import FakeClock
from fake_critical import make_alarm, make_record
from fake_store import claim_all, open_store
from tinybms_buffer import opening
from tinybms_buffer.filesystem import network_file_system, network_name
from tinybms_buffer.opening import APPLICATION_ID, MOST_SET_ASIDE, SCHEMA_VERSION, open_database
from tinybms_buffer.trouble import OffCode, StorageOff

NOBODY = 65534
Damage = Callable[[Path], None]


def refused(path: Path) -> StorageOff:
    with pytest.raises(StorageOff) as caught:
        open_store(path, FakeClock())
    assert str(path.parent) in str(caught.value)
    return caught.value


def mounted(monkeypatch: pytest.MonkeyPatch, flags: int) -> None:
    """The kernel says that the file system has these flags."""
    real = os.statvfs(Path("/"))
    fields = [*real[:8], flags, *real[9:]]
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))


def filled(path: Path, rows: int = 500) -> None:
    store = open_store(path, FakeClock())
    store.append([make_alarm(seq, text="x" * 100) for seq in range(1, rows + 1)])
    store.close()


def test_a_new_database_is_ours_and_of_this_schema(path: Path) -> None:
    open_store(path, FakeClock()).close()
    with closing(sqlite3.connect(path)) as connection:
        for pragma, expected in [
            ("application_id", APPLICATION_ID),
            ("user_version", SCHEMA_VERSION),
            ("auto_vacuum", 2),
            ("journal_mode", "wal"),
        ]:
            assert connection.execute(f"PRAGMA {pragma}").fetchone()[0] == expected


def test_its_batches_are_synchronous_and_its_size_is_bounded(path: Path) -> None:
    opened = open_database(path, max_bytes=8 * 1024 * 1024)
    connection = opened.connection
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert connection.execute("PRAGMA max_page_count").fetchone()[0] == 2048
    connection.close()


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(50_000))


def _text(path: Path) -> None:
    path.write_text("a letter that somebody put here\n" * 10, encoding="utf-8")


def _noise_in_the_first_page(path: Path) -> None:
    filled(path)
    with path.open("r+b") as file:
        file.write(bytes(100))


def _noise_in_the_middle(path: Path) -> None:
    filled(path)
    pages = path.stat().st_size // 4096
    with path.open("r+b") as file:
        for page in range(pages // 3, 2 * pages // 3):
            file.seek(4096 * page)
            file.write(os.urandom(4096))


def _truncated(path: Path) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size // 2)


def _a_few_bytes(path: Path) -> None:
    filled(path)
    os.truncate(path, 60)


@pytest.mark.parametrize(
    "damage",
    [
        _garbage,
        _text,
        _noise_in_the_first_page,
        _noise_in_the_middle,
        _truncated,
        _a_few_bytes,
    ],
)
def test_a_damaged_file_is_set_aside_whole_and_a_new_one_begun(path: Path, damage: Damage) -> None:
    damage(path)
    before = path.read_bytes()
    store = open_store(path, FakeClock())
    assert store.set_aside is not None
    aside, reason = store.set_aside
    assert reason
    assert aside.parent == path.parent
    assert aside.read_bytes() == before
    assert store.append([make_record(1)]).stored == 1
    assert [stored.record.seq for stored in claim_all(store)] == [1]
    store.close()


def test_what_is_set_aside_never_fills_the_disk(path: Path) -> None:
    for _ in range(MOST_SET_ASIDE + 3):
        _garbage(path)
        open_store(path, FakeClock()).close()
    kept = [file for file in path.parent.iterdir() if "damaged" in file.name]
    assert len(kept) == MOST_SET_ASIDE


def test_a_distrusted_file_is_set_aside_though_it_looks_sound(path: Path) -> None:
    filled(path)
    store = open_store(path, FakeClock(), distrust="a row held what was never stored")
    assert store.rows == 0
    assert store.set_aside is not None
    assert "never stored" in store.set_aside[1]
    store.close()


def test_an_empty_file_becomes_the_database(path: Path) -> None:
    path.touch()
    store = open_store(path, FakeClock())
    assert store.append([make_record(1)]).stored == 1
    store.close()


def test_a_database_without_its_first_transaction_becomes_ours(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    store = open_store(path, FakeClock())
    assert store.append([make_record(1)]).stored == 1
    store.close()


def _another_program(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA application_id = 252006673")
        connection.execute("CREATE TABLE features (id INTEGER)")


def _unnamed_program(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE music (title TEXT)")


def _newer_release(path: Path) -> None:
    filled(path, rows=3)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (_another_program, OffCode.FOREIGN, "another program; move it away"),
        (_unnamed_program, OffCode.FOREIGN, "another program; move it away"),
        (_newer_release, OffCode.NEWER, "install that release again or move the file away"),
    ],
)
def test_a_file_of_others_is_refused_and_left_as_it_is(
    path: Path, make: Damage, code: OffCode, words: str
) -> None:
    make(path)
    before = path.read_bytes()
    trouble = refused(path)
    assert trouble.code is code
    assert str(path) in str(trouble)
    assert words in str(trouble)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir() if "damaged" in file.name] == []


def test_what_is_no_file_is_refused(path: Path) -> None:
    path.mkdir()
    assert refused(path).code is OffCode.FOREIGN


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    trouble = refused(tmp_path / "not there" / "buffer.db")
    assert trouble.code is OffCode.NOT_WRITABLE


_OPEN_AS_NOBODY = """
import sys
from pathlib import Path
from tinybms_buffer.opening import open_database
from tinybms_buffer.trouble import StorageOff
try:
    open_database(Path(sys.argv[1]), max_bytes=8 << 20)
except StorageOff as trouble:
    print(trouble.code, trouble)
else:
    print("opened")
"""


def _as_nobody(path: Path) -> str:
    """What opening says to a user without rights: root may write everywhere."""
    command = [sys.executable, "-c", _OPEN_AS_NOBODY, str(path)]
    if os.geteuid() == 0:
        ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        command = [shutil.which("setpriv") or "setpriv", *ids, *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    return done.stdout.strip()


@pytest.fixture
def open_folder(run_dir: Path) -> Path:
    """A folder that any user can reach and, at first, write."""
    run_dir.chmod(0o777)
    return run_dir


def test_a_folder_that_may_be_written_is_used_by_another_user(open_folder: Path) -> None:
    assert _as_nobody(open_folder / "buffer.db") == "opened"


def test_a_read_only_folder_is_refused(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    said = _as_nobody(open_folder / "buffer.db")
    assert said.startswith("not_writable")
    assert str(open_folder) in said
    assert "the gateway's user must be able to write" in said
    assert list(open_folder.iterdir()) == []
    open_folder.chmod(0o700)


@pytest.mark.parametrize(
    ("flags", "words"),
    [(os.ST_RDONLY | os.ST_NOATIME, "mounted read-only, look at the disk"), (0, "must be able")],
)
def test_whether_rights_or_the_mount_forbid_writing_is_said(
    path: Path, monkeypatch: pytest.MonkeyPatch, flags: int, words: str
) -> None:
    mounted(monkeypatch, flags)
    monkeypatch.setattr(os, "access", lambda *_: False)
    trouble = refused(path)
    assert trouble.code is OffCode.NOT_WRITABLE
    assert words in str(trouble)


def test_a_read_only_file_is_refused_and_left_as_it_is(open_folder: Path) -> None:
    path = open_folder / "buffer.db"
    filled(path, rows=3)
    path.chmod(0o444)
    before = path.read_bytes()
    assert _as_nobody(path).startswith("not_writable")
    assert path.read_bytes() == before


def test_a_damaged_file_in_a_read_only_folder_is_refused(open_folder: Path) -> None:
    path = open_folder / "buffer.db"
    _garbage(path)
    path.chmod(0o666)
    open_folder.chmod(0o555)
    assert _as_nobody(path).startswith("not_writable")
    assert path.exists()
    open_folder.chmod(0o700)


def test_a_network_file_system_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "network_file_system", lambda _: "NFS")
    trouble = refused(path)
    assert trouble.code is OffCode.NETWORK
    assert "NFS" in str(trouble)
    assert "set gateway.state_dir to a folder of a local disk" in str(trouble)
    assert not path.exists()


@pytest.mark.parametrize(
    ("magic", "name"),
    [
        (0x6969, "NFS"),
        (0xFF534D42, "CIFS"),
        (-11317950, "CIFS"),
        (0xEF53, None),
        (0x01021994, None),
    ],
)
def test_network_file_systems_are_known_by_their_number(magic: int, name: str | None) -> None:
    assert network_name(magic) == name


def test_the_kernel_says_which_file_system_a_folder_lies_on() -> None:
    assert network_file_system(Path("/proc")) is None
    with pytest.raises(FileNotFoundError):
        network_file_system(Path("/proc/not there"))
