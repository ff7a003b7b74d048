"""A process that looks at the bus now and then, over a real broker."""

from pathlib import Path

from harness_gateway import BusProbe, GatewayFolder
from tinybms_messages.live import Link, LiveData
from tinybms_messages.status import GatewayEvent
from tinybms_messages.topics import GATEWAY_EVENT, LIVE_DATA


def live(polls: int) -> LiveData:
    return LiveData(link=Link(state="online", polls=polls))


def event(text: str) -> GatewayEvent:
    return GatewayEvent(code="test", text=text, wall_ns=0, severity="info")


def test_looking_now_and_then_gives_the_newest_value_and_every_event(run_dir: Path) -> None:
    with (
        GatewayFolder(run_dir, {}) as gateway,
        BusProbe(gateway.paths, "acquisition") as publisher,
        BusProbe(gateway.paths) as late,
    ):
        gateway.start("broker")
        late.listen(LIVE_DATA, GATEWAY_EVENT)
        assert publisher.wait_for(lambda: _arrives(publisher, late), 10)
        late.bus.look_each(0.2)
        late.messages["LIVE_DATA"].clear()
        late.messages["GATEWAY_EVENT"].clear()
        for number in range(2, 7):
            publisher.publish(LIVE_DATA, live(number))
            publisher.publish(GATEWAY_EVENT, event(f"event {number}"))
        assert late.wait_for(lambda: live(6) in late.bodies(LIVE_DATA), 5)
        assert late.wait_for(lambda: len(late.bodies(GATEWAY_EVENT)) == 5, 5)
        assert len(late.bodies(LIVE_DATA)) < 5, "only the newest of those that waited"
        late.bus.look_each(None)
        publisher.publish(LIVE_DATA, live(7))
        assert late.wait_for(lambda: live(7) in late.bodies(LIVE_DATA), 5)


def _arrives(publisher: BusProbe, subscriber: BusProbe) -> bool:
    publisher.publish(LIVE_DATA, live(1))
    return subscriber.wait_for(lambda: bool(subscriber.bodies(LIVE_DATA)), 0.1)
