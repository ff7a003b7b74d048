"""A pseudo-terminal with a link to it, as a stand-in for a serial port."""

import errno
import os
import secrets
import tty
from pathlib import Path

_READ_BYTES = 4096


class LinkError(OSError):
    """The link can't be made; the text says why."""


class PtyLine:
    """A raw pty whose host side is reached through a symbolic link.

    The host side is kept open here too, so that it stays raw and a host that closes and opens it
    again sees no end of file; `close` hangs up whoever has it open, as pulling the plug does.
    """

    def __init__(self, link: Path) -> None:
        self._link = link
        self._master: int | None = None
        self._slave: int | None = None
        self._name = ""
        self.dropped_bytes = 0

    @property
    def fd(self) -> int | None:
        """The descriptor to read from; None while unplugged."""
        return self._master

    @property
    def link(self) -> Path:
        """Path that the host opens."""
        return self._link

    def open(self) -> None:
        """Make the pty and put the link in place in one step; raises LinkError."""
        if self._link.exists() and not self._link.is_symlink():
            raise LinkError(f"{self._link}: is there and is not a link; choose another --link")
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._master, self._slave, self._name = master, slave, os.ttyname(slave)
        draft = self._link.with_name(f".{self._link.name}.{secrets.token_hex(4)}")
        try:
            draft.symlink_to(self._name)
            draft.replace(self._link)
        except OSError as error:
            draft.unlink(missing_ok=True)
            self.close()
            raise LinkError(f"{self._link}: {error.strerror}; its folder must exist") from error

    def close(self) -> None:
        """Take the link away, unless it is another's by now, and hang up."""
        if self._name and self._link.is_symlink() and str(self._link.readlink()) == self._name:
            self._link.unlink(missing_ok=True)
        for descriptor in (self._master, self._slave):
            if descriptor is not None:
                os.close(descriptor)
        self._master = self._slave = None
        self._name = ""

    def read(self) -> bytes:
        """Bytes that the host has written; empty when there are none."""
        if self._master is None:
            return b""
        try:
            return os.read(self._master, _READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno == errno.EIO:
                return b""
            raise

    def write(self, data: bytes) -> None:
        """Give bytes to the host; what it does not take away is lost and counted."""
        if self._master is None or not data:
            return
        try:
            written = os.write(self._master, data)
        except BlockingIOError:
            written = 0
        self.dropped_bytes += len(data) - written
