"""A disk that takes no more and a database in others' hands: what is stored stays."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fake_clock import FakeClock
from fake_critical import make_alarm, make_record
from fake_disk import no_file_longer_than
from fake_store import CLAIMER, claim_all, open_store
from tinybms_buffer import opening
from tinybms_buffer import store as store_module
from tinybms_buffer.gaps import GapKind
from tinybms_buffer.rows import MAX_RECORD_BYTES
from tinybms_buffer.trouble import Damaged, OffCode, StorageOff


def test_a_disk_that_takes_no_more_leaves_what_is_stored(path: Path) -> None:
    store = open_store(path, FakeClock())
    store.append([make_alarm(1)])
    size = path.with_name(path.name + "-wal").stat().st_size
    with no_file_longer_than(size), pytest.raises(StorageOff):
        store.append([make_alarm(seq, text="x" * 200) for seq in range(2, 900)])
    assert store.rows == 1
    assert [stored.record.seq for stored in store.claim(CLAIMER, 100)] == [1]
    assert store.append([make_alarm(2)]).stored == 1
    assert store.rows == 2
    store.close()


def test_a_gap_record_that_the_disk_did_not_take_is_made_anew(path: Path) -> None:
    store = open_store(path, FakeClock())
    store.append([make_alarm(1)])
    size = path.with_name(path.name + "-wal").stat().st_size
    too_large = [make_alarm(2, text="x" * (MAX_RECORD_BYTES + 1))]
    with no_file_longer_than(size), pytest.raises(StorageOff):
        store.append(too_large)
    assert store.removed == {}
    store.append(too_large)
    assert store.removed == {GapKind.REFUSED: 1}
    _, gap = claim_all(store)
    assert (gap.record.value, gap.record.raw) == ("records_refused", 1)
    store.close()


def test_a_probe_of_a_disk_that_takes_no_more_says_so(path: Path) -> None:
    """A probe that changes nothing would write nothing, and call every full disk well."""
    store = open_store(path, FakeClock())
    store.append([make_alarm(1)])
    size = path.with_name(path.name + "-wal").stat().st_size
    with no_file_longer_than(size), pytest.raises(StorageOff):
        store.probe()
    store.probe()
    assert store.rows == 1
    store.close()


def test_an_acknowledged_row_that_can_not_be_removed_is_not_sent_again(path: Path) -> None:
    store = open_store(path, FakeClock())
    store.append([make_alarm(1), make_alarm(2)])
    first = store.claim(CLAIMER, 1)[0].id
    size = path.with_name(path.name + "-wal").stat().st_size
    with no_file_longer_than(size), pytest.raises(StorageOff):
        store.ack([first])
    assert [stored.record.seq for stored in store.claim("another", 100)] == [2]
    assert store.remove_acked() == 1
    assert store.rows == 1
    store.close()


def test_what_can_not_be_removed_is_bounded_and_then_nothing_is_given_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MOST_UNREMOVED", 2)
    store = open_store(path, FakeClock())
    store.append([make_alarm(seq) for seq in (1, 2, 3)])
    ids = [stored.id for stored in store.claim(CLAIMER, 2)]
    size = path.with_name(path.name + "-wal").stat().st_size
    with no_file_longer_than(size), pytest.raises(StorageOff):
        store.ack(ids)
    assert store.claim(CLAIMER, 100) == []
    assert store.remove_acked() == 2
    assert [stored.record.seq for stored in store.claim(CLAIMER, 100)] == [3]
    store.close()


def test_another_program_that_holds_the_database_is_named(path: Path) -> None:
    store = open_store(path, FakeClock())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageOff, match="another program") as caught:
            store.append([make_record(1)])
    assert caught.value.code is OffCode.LOCKED
    assert store.append([make_record(1)]).stored == 1
    store.close()


def test_a_row_that_was_never_stored_is_damage(path: Path) -> None:
    store = open_store(path, FakeClock())
    store.append([make_record(1)])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE record SET suffix = ''")
    with pytest.raises(Damaged, match="never stored"):
        store.claim(CLAIMER, 1)
    store.close()


@pytest.mark.parametrize("statement", range(1, 9))
def test_a_crash_while_the_schema_is_made_leaves_nothing_or_all(path: Path, statement: int) -> None:
    text = (Path(opening.__file__).parent / "schema_v1.sql").read_text(encoding="utf-8")
    cut = ";".join(text.split(";")[:statement]) + ";"
    script = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('PRAGMA auto_vacuum = INCREMENTAL')\n"
        "connection.execute('PRAGMA journal_mode = WAL').fetchall()\n"
        "connection.executescript('BEGIN IMMEDIATE;' + sys.argv[2])\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path), cut], check=True)
    store = open_store(path, FakeClock())
    assert store.set_aside is None
    assert store.append([make_record(1)]).stored == 1
    store.close()
