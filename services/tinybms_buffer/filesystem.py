"""Whether a folder lies on a file system of the network, where SQLite's log does not work."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

_NETWORK: Final[dict[int, str]] = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFE534D42: "SMB",
    0xFF534D42: "CIFS",
    0x564C: "NCP",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x73757245: "Coda",
    0x00C36400: "Ceph",
    0x01021997: "9P",
    0x0BD00BD0: "Lustre",
    0x01161970: "GFS2",
    0x7461636F: "OCFS2",
}
"""Type numbers as statfs(2) gives them, by linux/magic.h and the kernel's file system sources."""

_STATFS_BYTES: Final = 256


def network_name(magic: int) -> str | None:
    """Name of the network file system with this type number, None for a local one."""
    return _NETWORK.get(magic & 0xFFFFFFFF)


def network_file_system(folder: Path) -> str | None:
    """Name of the network file system that `folder` lies on, None when it is a local one.

    OSError when the kernel can't say.
    """
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(folder), buffer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(folder))
    return network_name(ctypes.c_long.from_buffer(buffer).value)
