"""Where the port is looked for, how a real pty is opened and lost, and the charge state's file."""

import os
import select
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_clock import FakeClock
from fake_context import FakeContext
from tinybms_acquisition.chargefile import ChargeFile
from tinybms_acquisition.ports import PortError, SerialPort, UsbPort, candidates
from tinybms_acquisition.registervalues import BlockValues
from tinybms_charge.state import ChargeMode, ChargeState, Cycle, Trim
from tinybms_protocol.poll_plan import BlockName

USB = [
    UsbPort(device="/dev/ttyUSB0", serial_number="0001"),
    UsbPort(device="/dev/ttyUSB1", serial_number="0002"),
    UsbPort(device="/dev/ttyACM0", serial_number=None),
]


def found(
    usb_serial: str | None, *, there: bool = False, search: bool = False, taken: str = ""
) -> list[str]:
    return candidates(
        "/dev/bms",
        usb_serial,
        search_all=search,
        taken=(taken,),
        exists=lambda _path: there,
        list_usb=lambda: USB,
    )


def test_the_configured_path_is_taken_while_it_is_there() -> None:
    assert found("0002", there=True, search=True) == ["/dev/bms"]


def test_without_a_serial_number_no_other_adapter_is_touched() -> None:
    assert found(None) == ["/dev/bms"]


def test_the_adapter_is_found_again_by_its_usb_serial_number() -> None:
    assert found("0002") == ["/dev/ttyUSB1"]
    assert found("0009") == ["/dev/bms"]


def test_the_battery_is_looked_for_behind_every_adapter_but_those_of_others() -> None:
    assert found(None, search=True, taken="/dev/ttyUSB0") == ["/dev/ttyUSB1", "/dev/ttyACM0"]


def open_pty(folder: Path) -> tuple[int, Path]:
    """The far end of a port, and the path of the port."""
    master, slave = os.openpty()
    tty.setraw(slave)
    link = folder / "port"
    link.symlink_to(os.ttyname(slave))
    os.close(slave)
    return master, link


@pytest.fixture
def pty(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    master, link = open_pty(tmp_path)
    yield master, link
    os.close(master)


def test_bytes_go_both_ways(pty: tuple[int, Path]) -> None:
    master, link = pty
    port = SerialPort(str(link))
    assert port.read() == b""
    os.write(master, b"\xaa\x00\x11\x13")
    assert port.read() == b"\xaa\x00\x11\x13"
    port.write(b"\xaa\x0a\x0d\xff")
    assert os.read(master, 100) == b"\xaa\x0a\x0d\xff"
    port.close()
    port.close()


def test_an_answer_is_announced_when_it_is_whole(pty: tuple[int, Path]) -> None:
    master, link = pty
    port = SerialPort(str(link))

    def announced() -> bool:
        return bool(select.select([port.fileno()], (), (), 0.05)[0])

    port.announce_at(117)
    os.write(master, bytes(116))
    assert not announced()
    os.write(master, b"\xff")
    assert announced()
    assert port.read() == bytes(116) + b"\xff"
    os.write(master, b"part")
    assert not announced()
    port.announce_at(1)
    assert announced()
    assert port.read() == b"part"
    port.close()


def test_the_end_of_a_port_is_announced_whatever_is_waited_for(tmp_path: Path) -> None:
    master, link = open_pty(tmp_path)
    port = SerialPort(str(link))
    port.announce_at(1000)
    os.close(master)
    assert select.select([port.fileno()], (), (), 5.0)[0]
    port.close()


def test_the_port_is_ours_alone(pty: tuple[int, Path]) -> None:
    port = SerialPort(str(pty[1]))
    with pytest.raises(PortError, match="another program uses"):
        SerialPort(str(pty[1]))
    port.close()


def test_a_port_that_can_not_be_set_up_is_let_go(
    pty: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(SerialPort, "announce_at", _refused)
        with pytest.raises(PortError, match="gone") as caught:
            SerialPort(str(pty[1]))
    SerialPort(str(pty[1])).close()
    assert caught.type is PortError  # alive until here, and with it what it holds


def _refused(_port: SerialPort, _count: int) -> None:
    raise PortError("gone")


def test_a_missing_port_is_named(tmp_path: Path) -> None:
    with pytest.raises(PortError, match=r"nowhere.*No such file"):
        SerialPort(str(tmp_path / "nowhere"))


def test_a_file_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(PortError, match="no serial port"):
        SerialPort(str(tmp_path / "file"))


def test_unplugging_is_noticed_by_read_and_write(tmp_path: Path) -> None:
    master, link = open_pty(tmp_path)
    port = SerialPort(str(link))
    os.close(master)

    def read_on() -> None:
        for _ in range(5):
            port.read()

    with pytest.raises(PortError):
        read_on()
    with pytest.raises(PortError):
        port.write(b"\xaa")
    port.close()


def test_a_stuck_port_is_not_waited_for(pty: tuple[int, Path]) -> None:
    port = SerialPort(str(pty[1]))

    def fill() -> None:
        for _ in range(1000):
            port.write(b"\xaa" * 1000)

    with pytest.raises(PortError):
        fill()
    port.close()


def test_a_path_that_leads_elsewhere_is_noticed(pty: tuple[int, Path], tmp_path: Path) -> None:
    port = SerialPort(str(pty[1]))
    moved = [port.moved]
    (tmp_path / "new").symlink_to("/dev/null")
    (tmp_path / "new").replace(pty[1])
    moved.append(port.moved)
    assert moved == [False, True]
    port.close()


def test_a_young_charge_state_is_gone_on_from(tmp_path: Path) -> None:
    clock = FakeClock()
    state = ChargeState(cell_count=16, charge_current_a=42.0)
    at_ns = clock.boottime_ns()
    ChargeFile(FakeContext(tmp_path, clock).typed()).keep(state, at_ns)
    clock.advance(59)
    again = ChargeFile(FakeContext(tmp_path, clock).typed())
    assert (again.state, again.state_at_ns) == (state, at_ns)


def charged_state() -> ChargeState:
    """In the middle of an absorption with a trimmed CVL."""
    return ChargeState(
        cell_count=16,
        charge_voltage_v=53.9,
        charge_current_a=42.0,
        trim=Trim(trim_v=1.3),
        cycle=Cycle(mode=ChargeMode.ABSORB, tail_s=200.0, soc_pct=97.0),
    )


@pytest.mark.parametrize("why", ["old", "other boot", "run folder gone"])
def test_an_older_charge_state_keeps_the_charge_but_not_the_current(
    tmp_path: Path, why: str
) -> None:
    clock = FakeClock()
    context = FakeContext(tmp_path, clock)
    state = charged_state()
    at_ns = clock.boottime_ns()
    ChargeFile(context.typed()).keep(state, at_ns)
    clock.advance(3600 if why == "old" else 1)
    if why != "old":
        clock.kernel_boot_id = "another"
    if why == "run folder gone":
        context.paths.run_file("charge-state").unlink()
    again = ChargeFile(FakeContext(tmp_path, clock).typed())
    assert (again.state.cycle, again.state.trim) == (state.cycle, state.trim)
    assert again.state.charge_voltage_v == 53.9
    assert again.state.charge_current_a == 0
    assert again.state_at_ns == (at_ns if why == "old" else None)


@pytest.mark.parametrize("why", ["damaged", "missing"])
def test_without_a_charge_state_there_is_a_fresh_start(tmp_path: Path, why: str) -> None:
    context = FakeContext(tmp_path)
    if why == "damaged":
        for path in (
            context.paths.run_file("charge-state"),
            context.paths.state_file("charge-state"),
        ):
            path.write_bytes(b"\x00garbage")
    again = ChargeFile(context.typed())
    assert (again.state, again.state_at_ns) == (ChargeState(), None)


def test_the_durable_copy_is_written_each_five_minutes(tmp_path: Path) -> None:
    context = FakeContext(tmp_path)
    file, start_ns = ChargeFile(context.typed()), context.clock.boottime_ns()
    path = context.paths.state_file("charge-state")
    file.keep_now_and_then(ChargeState(), start_ns + 299 * 10**9)
    before = path.exists()
    file.keep_now_and_then(ChargeState(), start_ns + 300 * 10**9)
    first = path.read_bytes()
    file.keep_now_and_then(ChargeState(), start_ns + 310 * 10**9)
    assert (before, path.read_bytes()) == (False, first)


def test_the_charge_state_is_kept_once_a_second(tmp_path: Path) -> None:
    context = FakeContext(tmp_path)
    file = ChargeFile(context.typed())
    path = context.paths.run_file("charge-state")
    file.keep_now_and_then(ChargeState(), 10**9)
    first = path.read_bytes()
    file.keep_now_and_then(ChargeState(), 10**9 + 500_000_000)
    assert path.read_bytes() == first
    file.keep_now_and_then(ChargeState(), 2 * 10**9)
    assert path.read_bytes() != first


def test_a_run_folder_that_is_gone_is_said_once(tmp_path: Path) -> None:
    context = FakeContext(tmp_path)
    file = ChargeFile(context.typed())
    context.paths.run_dir.rmdir()
    file.keep(ChargeState(), 1)
    file.keep(ChargeState(), 2)
    assert context.codes == ["charge_state_not_kept"]


def test_register_values_follow_their_words_and_the_firmware() -> None:
    new, old = BlockValues(BlockName.LIVE, 254), BlockValues(BlockName.LIVE, 242)
    words = [0] * 56
    words[45], words[42], words[50] = 49_000, 0x8000, 0x97
    first = {value.key: value for value in new.values(words)}
    assert first["state_of_health"].value == 98.0
    assert first["external_temp_1"].value is None
    assert (first["online_status"].value, first["online_status"].raw) == ("idle", 0x97)
    words[42] = 0xFF33
    second = {value.key: value for value in new.values(words)}
    assert (second["external_temp_1"].value, second["external_temp_1"].raw) == (-20.5, -205)
    assert second["state_of_health"] is first["state_of_health"]
    soh = {value.key: value for value in old.values(words)}["state_of_health"]
    assert (soh.value, soh.raw) == (None, 49_000)
