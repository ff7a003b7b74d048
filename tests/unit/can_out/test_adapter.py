"""python-can's failures become two kinds."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterator

import can
import pytest

from tinybms_can_out.adapter import AdapterGone, FrameNotSent, PythonCanAdapter
from tinybms_can_out.core import CanFrame
from tinybms_can_out.service import make_adapter
from tinybms_can_out.slcan import SlcanAdapter
from tinybms_config.model import Can

FRAME = CanFrame(id=0x351, data=bytes.fromhex("28025802E803B801"))
_NAMES = itertools.count()


class Failing(can.BusABC):
    """A bus that raises what it is given."""

    def __init__(self, error: Exception) -> None:
        super().__init__("failing")
        self.error = error

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        del msg, timeout
        raise self.error

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        del timeout
        raise self.error


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> PythonCanAdapter:
    monkeypatch.setattr(can, "Bus", lambda **_: Failing(error))
    adapter = PythonCanAdapter(Can(interface="socketcan", channel="can0"))
    adapter.open()
    return adapter


@pytest.fixture
def pair() -> Iterator[tuple[PythonCanAdapter, can.BusABC]]:
    channel = f"test-{next(_NAMES)}"
    adapter = PythonCanAdapter(Can(interface="virtual", channel=channel))
    adapter.open()
    with can.Bus(interface="virtual", channel=channel) as far:
        yield adapter, far
    adapter.close()


def test_slcan_has_an_adapter_of_its_own() -> None:
    assert isinstance(make_adapter(Can(interface="slcan")), SlcanAdapter)
    assert isinstance(make_adapter(Can(interface="socketcan")), PythonCanAdapter)


def test_frames_leave_with_eleven_bits(pair: tuple[PythonCanAdapter, can.BusABC]) -> None:
    adapter, far = pair
    adapter.send(FRAME)
    message = far.recv(1)
    assert message is not None
    assert (message.arbitration_id, bytes(message.data)) == (FRAME.id, FRAME.data)
    assert not message.is_extended_id


def test_frames_arrive_and_29_bit_ones_do_not(
    pair: tuple[PythonCanAdapter, can.BusABC],
) -> None:
    adapter, far = pair
    for extended in (True, False):
        far.send(can.Message(arbitration_id=0x305, data=bytes(8), is_extended_id=extended))
    far.send(can.Message(arbitration_id=0x305, is_remote_frame=True, is_extended_id=False))
    far.send(can.Message(arbitration_id=0x40, data=bytes(8), is_error_frame=True))
    received = adapter.receive()
    assert [item.frame.id for item in received if not item.is_error] == [0x305]
    assert [item.frame.id for item in received if item.is_error] == [0x40]


@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.EAGAIN, None])
def test_a_full_queue_is_a_frame_not_sent(
    monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    adapter = failing(monkeypatch, can.CanOperationError("full", code))
    with pytest.raises(FrameNotSent):
        adapter.send(FRAME)
    adapter.close()


@pytest.mark.parametrize(
    "error",
    [
        can.CanOperationError("down", errno.ENETDOWN),
        can.CanOperationError("gone", errno.ENODEV),
        OSError(errno.EBADF, "closed"),
        ValueError("x"),
        IndexError("x"),
    ],
)
def test_anything_else_is_a_device_that_is_gone(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    adapter = failing(monkeypatch, error)
    with pytest.raises(AdapterGone):
        adapter.send(FRAME)
    with pytest.raises(AdapterGone):
        adapter.receive()
    adapter.close()


def test_an_unknown_interface_says_so() -> None:
    with pytest.raises(AdapterGone, match="no-such-interface"):
        PythonCanAdapter(Can(interface="no-such-interface", channel="x")).open()


def test_a_closed_adapter_sends_nothing_and_closing_twice_is_harmless() -> None:
    adapter = PythonCanAdapter(Can(interface="virtual", channel="closed"))
    adapter.close()
    with pytest.raises(AdapterGone):
        adapter.send(FRAME)
    assert adapter.receive() == []
    assert adapter.fileno() is None
