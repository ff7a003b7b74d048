"""A USB-CAN adapter of the LAWICEL kind (slcan): command lines in, answers and CAN frames out.

Pure. A command ends with CR; CR answers "done", BEL "refused". `t` and `r` carry an 11-bit id as
three hex digits, `T` and `R` a 29-bit id as eight, then the length and the data. Source: LAWICEL
CANUSB manual.
"""

from collections import deque
from dataclasses import dataclass

CR, BEL = b"\r", b"\a"
BITRATE_500K = "S6"
MAX_LINE = 64
"""Longest command that is kept; a longer run of bytes without CR is refused as a whole."""
MAX_EVENTS = 4096
_HEX = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True, kw_only=True)
class CanFrame:
    """A frame that the host asked the adapter to send."""

    can_id: int
    data: bytes
    extended: bool = False
    remote: bool = False


class Adapter:
    """The adapter's side of the serial line."""

    def __init__(self) -> None:
        self.open = False
        self.listen_only = False
        self.bitrate = ""
        self.tx_full = False
        self.refused = 0
        self._line = bytearray()
        self._stamps = False
        self._sent: deque[CanFrame] = deque(maxlen=MAX_EVENTS)

    def feed(self, data: bytes) -> bytes:
        """Serve the commands in data; the answers come back."""
        answers = []
        for byte in data:
            if byte == CR[0]:
                line = bytes(self._line)
                self._line.clear()
                answers.append(self._serve(line))
            elif len(self._line) <= MAX_LINE:
                self._line.append(byte)
        return b"".join(answers)

    def take_frames(self) -> list[CanFrame]:
        """Frames sent to the bus since the last call, oldest first."""
        frames = list(self._sent)
        self._sent.clear()
        return frames

    def to_host(self, can_id: int, data: bytes, t_s: float) -> bytes:
        """The line for a frame heard on the bus; empty while the channel is closed."""
        if not self.open:
            return b""
        stamp = f"{int(t_s * 1000) % 60_000:04X}" if self._stamps else ""
        return f"t{can_id:03X}{len(data)}{data.hex().upper()}{stamp}\r".encode("ascii")

    def _serve(self, line: bytes) -> bytes:
        try:
            text = line.decode("ascii")
            answer = self._command(text)
        except (UnicodeDecodeError, ValueError, IndexError):
            answer = BEL
        if answer == BEL:
            self.refused += 1
        return answer

    def _command(self, text: str) -> bytes:
        if text == "":
            return CR
        name = text[0]
        if name in "tTrR":
            return self._transmit(text)
        if name in "OLC":
            return self._channel(name)
        if name in "SsMm":
            return self._configure(text)
        if name == "Z":
            self._stamps = text[1] == "1"
        return _REPLIES.get(name, BEL)

    def _channel(self, name: str) -> bytes:
        if name == "C":
            self.open = False
            return CR
        if self.open:
            return BEL
        self.open = True
        self.listen_only = name == "L"
        return CR

    def _configure(self, text: str) -> bytes:
        """Bit rate and acceptance filter, which a real adapter takes only while closed."""
        if self.open or (text[0] == "S" and not text[1:].isdigit()):
            return BEL
        if text[0] in "Ss":
            self.bitrate = text
        return CR

    def _transmit(self, text: str) -> bytes:
        digits = 3 if text[0] in "tr" else 8
        if not set(text[1:]) <= _HEX:
            return BEL
        can_id = int(text[1 : 1 + digits], 16)
        length = int(text[1 + digits], 16)
        payload = text[2 + digits :]
        remote = text[0] in "rR"
        if length > 8 or len(payload) != (0 if remote else 2 * length):
            return BEL
        if can_id > (0x7FF if digits == 3 else 0x1FFF_FFFF):
            return BEL
        if not self.open or self.listen_only or self.tx_full:
            return BEL
        frame = CanFrame(
            can_id=can_id,
            data=bytes.fromhex(payload),
            extended=digits == 8,
            remote=remote,
        )
        self._sent.append(frame)
        return b"z\r" if digits == 3 else b"Z\r"


_REPLIES = {"V": b"V1013\r", "N": b"NSIM1\r", "F": b"F00\r", "Z": CR, "W": CR, "X": CR, "U": CR}
