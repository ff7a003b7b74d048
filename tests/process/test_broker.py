"""The broker as a real process: last values for newcomers, and life without it."""

import signal
from pathlib import Path

import pytest

from harness_gateway import BusProbe, GatewayFolder
from tinybms_messages.live import Link, LiveData
from tinybms_messages.status import GatewayEvent, Heartbeat
from tinybms_messages.topics import GATEWAY_EVENT, HEARTBEAT, LIVE_DATA


def live(polls: int) -> LiveData:
    return LiveData(link=Link(state="online", polls=polls))


def reach(publisher: BusProbe, subscriber: BusProbe, body: LiveData) -> bool:
    """Publish until the subscriber has it: a connection takes a moment to stand."""
    for _ in range(100):
        publisher.publish(LIVE_DATA, body)
        if subscriber.wait_for(lambda: body in subscriber.bodies(LIVE_DATA), 0.1):
            return True
    return False


def newcomer_gets(gateway: GatewayFolder, body: LiveData) -> bool:
    """Whether a new subscriber is given `body` and nothing else."""
    with BusProbe(gateway.paths) as late:
        late.listen(LIVE_DATA)
        return late.wait_for(lambda: late.bodies(LIVE_DATA) == [body])


def test_a_newcomer_gets_the_last_value_at_once(run_dir: Path) -> None:
    with (
        GatewayFolder(run_dir, {}) as gateway,
        BusProbe(gateway.paths, "acquisition") as publisher,
        BusProbe(gateway.paths) as early,
    ):
        gateway.start("broker")
        early.listen(LIVE_DATA)
        assert reach(publisher, early, live(7))
        with BusProbe(gateway.paths) as late:
            late.listen(LIVE_DATA)
            assert late.wait_for(lambda: late.bodies(LIVE_DATA) == [live(7)])


def test_a_newcomers_value_is_not_repeated_to_everybody(run_dir: Path) -> None:
    with (
        GatewayFolder(run_dir, {}) as gateway,
        BusProbe(gateway.paths, "acquisition") as publisher,
        BusProbe(gateway.paths) as early,
    ):
        gateway.start("broker")
        early.listen(LIVE_DATA)
        assert reach(publisher, early, live(1))
        received = len(early.messages["LIVE_DATA"])
        for _ in range(3):
            assert newcomer_gets(gateway, live(1))
        assert not early.wait_for(lambda: len(early.messages["LIVE_DATA"]) > received, 0.3)
        assert early.bus.rejected == 0


def test_events_are_not_kept_for_newcomers(run_dir: Path) -> None:
    event = GatewayEvent(code="test", text="a test", wall_ns=0)
    with (
        GatewayFolder(run_dir, {}) as gateway,
        BusProbe(gateway.paths, "acquisition") as publisher,
        BusProbe(gateway.paths) as early,
    ):
        gateway.start("broker")
        early.listen(LIVE_DATA, GATEWAY_EVENT)
        assert reach(publisher, early, live(1))
        publisher.publish(GATEWAY_EVENT, event)
        assert early.wait_for(lambda: early.bodies(GATEWAY_EVENT) == [event])
        with BusProbe(gateway.paths) as late:
            late.listen(GATEWAY_EVENT, LIVE_DATA)
            assert late.wait_for(lambda: late.bodies(LIVE_DATA) == [live(1)])
            assert late.bodies(GATEWAY_EVENT) == []


def test_life_goes_on_after_the_broker_was_killed(run_dir: Path) -> None:
    with (
        GatewayFolder(run_dir, {}) as gateway,
        BusProbe(gateway.paths, "acquisition") as publisher,
        BusProbe(gateway.paths) as subscriber,
    ):
        gateway.start("broker")
        subscriber.listen(LIVE_DATA)
        assert reach(publisher, subscriber, live(1))
        gateway.kill("broker")
        publisher.publish(LIVE_DATA, live(2))
        gateway.start("broker")
        assert reach(publisher, subscriber, live(3))


def test_a_flood_to_a_reader_that_does_not_read_leaves_the_broker_alive(run_dir: Path) -> None:
    with (
        GatewayFolder(run_dir, {}) as gateway,
        BusProbe(gateway.paths, "acquisition") as publisher,
        BusProbe(gateway.paths) as slow,
        BusProbe(gateway.paths) as quick,
    ):
        gateway.start("broker")
        slow.listen(LIVE_DATA)
        quick.listen(LIVE_DATA, HEARTBEAT)
        assert reach(publisher, quick, live(1))
        for number in range(5000):
            publisher.publish(LIVE_DATA, live(number + 10))
        assert reach(publisher, quick, live(9999))
        beats = len(quick.messages["HEARTBEAT"])
        assert quick.wait_for(lambda: len(quick.messages["HEARTBEAT"]) > beats)
        assert slow.wait_for(lambda: len(slow.messages["LIVE_DATA"]) > 0)


def test_the_broker_beats_and_ends_on_sigterm(run_dir: Path) -> None:
    with GatewayFolder(run_dir, {}) as gateway, BusProbe(gateway.paths) as probe:
        process = gateway.start("broker")
        probe.listen(HEARTBEAT)
        assert probe.wait_for(lambda: bool(probe.messages["HEARTBEAT"]))
        message = probe.last(HEARTBEAT)
        assert message is not None
        assert isinstance(message.body, Heartbeat)
        assert message.body.pid == process.pid
        assert message.header.source == "broker"
        assert gateway.stop("broker") == 0


def test_a_second_broker_refuses_and_the_first_goes_on(run_dir: Path) -> None:
    with (
        GatewayFolder(run_dir, {}) as gateway,
        BusProbe(gateway.paths, "acquisition") as publisher,
        BusProbe(gateway.paths) as subscriber,
    ):
        first = gateway.start("broker")
        subscriber.listen(LIVE_DATA)
        assert reach(publisher, subscriber, live(1))
        second = gateway.start("broker")
        assert second.wait(10) == 75
        gateway.processes["broker"] = first
        assert f"pid {first.pid}" in gateway.log("broker").read_text(encoding="utf-8")
        assert reach(publisher, subscriber, live(2))


def test_a_file_in_the_sockets_place_is_not_deleted(run_dir: Path) -> None:
    with GatewayFolder(run_dir, {}) as gateway:
        precious = run_dir / "run" / "bus-in"
        precious.write_text("precious", encoding="utf-8")
        process = gateway.start("broker")
        assert process.wait(10) == 70
        assert precious.read_text(encoding="utf-8") == "precious"
        assert "is not a socket" in gateway.log("broker").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_frees_the_lock_at_once(run_dir: Path, number: signal.Signals) -> None:
    with GatewayFolder(run_dir, {}) as gateway, BusProbe(gateway.paths) as probe:
        probe.listen(HEARTBEAT)
        first = gateway.start("broker")
        assert probe.wait_for(lambda: bool(probe.messages["HEARTBEAT"]))
        first.send_signal(number)
        assert first.wait(10) == 0
        second = gateway.start("broker")
        assert probe.wait_for(
            lambda: any(beat.pid == second.pid for beat in probe.bodies(HEARTBEAT))
        )
