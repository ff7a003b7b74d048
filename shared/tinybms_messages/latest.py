"""Which sample counts now, and how old it is: the same answer in every process."""

from __future__ import annotations

from tinybms_messages.header import Header
from tinybms_messages.live import LiveData


class LatestLive:
    """Holds the newest LIVE_DATA and the newest one that carries a sample.

    A restarted acquisition that has not yet heard its battery sends messages without a sample;
    they do not make the sample before them younger, nor do they take it away: it ages.
    """

    def __init__(self, *, kernel_boot_id: str) -> None:
        self._kernel_boot_id = kernel_boot_id
        self._header: Header | None = None
        self.newest: LiveData | None = None
        self.with_sample: LiveData | None = None
        self.boot: str | None = None
        """Boot of the acquisition process that took the sample."""

    def offer(self, header: Header, live: LiveData) -> bool:
        """Take `live` if it is newer than what is held; False when it was dropped as old."""
        if header.kernel_boot_id != self._kernel_boot_id or not header.is_newer_than(self._header):
            return False
        self._header = header
        self.newest = live
        if live.sample is not None and live.limits is not None:
            self.with_sample = live
            self.boot = header.boot
        return True

    def age_s(self, boottime_ns: int) -> float | None:
        """Age of the held sample in seconds, None when there never was one.

        A sample from the future (a clock that is not ours) counts as no sample.
        """
        if self.with_sample is None or self.with_sample.sample is None:
            return None
        age_s = (boottime_ns - self.with_sample.sample.boottime_ns) / 1e9
        return age_s if age_s >= -0.05 else None
