"""The header that travels in front of every bus message."""

from __future__ import annotations

import msgspec

SCHEMA_VERSION = 1


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Who sent a message, as which number, and when.

    `seq` counts one publisher's messages of one topic from 1 at each start of the process; `boot`
    names that start (16 hexadecimal digits, random). `boottime_ns` is CLOCK_BOOTTIME of the machine
    run named by `kernel_boot_id`: ages are differences of it, never of `wall_ns`.
    """

    schema: int = SCHEMA_VERSION
    source: str
    boot: str
    seq: int
    wall_ns: int
    boottime_ns: int
    kernel_boot_id: str
    time_ok: bool

    def is_newer_than(self, held: Header | None) -> bool:
        """Whether this message may take the place of `held` (same topic).

        Within one boot the higher number wins. A message of another boot wins when it was sent
        later on this machine, so that what a cache re-sends of an earlier process never returns.
        """
        if held is None:
            return True
        if (self.source, self.boot) == (held.source, held.boot):
            return self.seq > held.seq
        if self.kernel_boot_id != held.kernel_boot_id:
            return True
        return self.boottime_ns > held.boottime_ns
