"""What a Tracker is told in tests, in a few words."""

from fake_critical import BOOT
from tinybms_buffer.tracker import Tracker
from tinybms_messages.critical import Critical, DeliveredBoot, MqttDelivered
from tinybms_messages.requests import CatchUp, CaughtUp, RingBoot
from tinybms_messages.sequences import SequenceSet

OTHER = "00000000000000a2"


def delivered(*numbers: int, boot: str = BOOT) -> MqttDelivered:
    """Records with these numbers have arrived."""
    numbers_set = SequenceSet((number, number) for number in numbers)
    return MqttDelivered(boots=(DeliveredBoot.of(boot, numbers_set, most_ranges=99),))


def ring(first: int, last: int, *records: Critical, boot: str = BOOT) -> CaughtUp:
    """The ring holds these numbers, and answers with `records`."""
    return CaughtUp(inventory=(RingBoot(boot=boot, first=first, last=last),), records=records)


def numbers(records: list[Critical]) -> list[int]:
    """The numbers of `records`, in their order."""
    return [record.seq for record in records]


def place(tracker: Tracker, last: int, now_s: float = 1.0) -> None:
    """The ring says that BOOT is its first start, with records up to `last`."""
    assert tracker.wanted(now_s) is not None
    tracker.caught_up(ring(1, last), now_s)


def asked() -> Tracker:
    """One that has already asked for the ring's inventory, which is empty."""
    tracker = Tracker(None, now_s=0.0)
    assert tracker.wanted(0.0) == CatchUp()
    tracker.caught_up(CaughtUp(), 0.0)
    return tracker
