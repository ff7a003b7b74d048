"""Messages on their way to the broker are few, and only the newest of a topic waits."""

from hypothesis import given
from hypothesis import strategies as st

from tinybms_mqtt_out.publication import Kind, Publication, RecordId
from tinybms_mqtt_out.window import IN_FLIGHT_LIMIT, PENDING_LIMIT, Window


def message(topic: str, payload: str = "1", kind: Kind = Kind.STATUS) -> Publication:
    return Publication(topic=topic, payload=payload.encode(), qos=1, kind=kind)


def heartbeat() -> Publication:
    return message("status/connected", "true", Kind.HEARTBEAT)


def test_no_more_than_the_limit_is_on_its_way() -> None:
    window = Window()
    for number in range(100):
        window.offer(message(f"topic{number}"))
    first = window.take(0.0)
    assert len(first) == IN_FLIGHT_LIMIT
    assert window.take(0.0) == []
    assert window.acknowledged(first[3][0])
    assert len(window.take(0.0)) == 1


def test_what_waits_is_replaced_by_the_newest_of_its_topic() -> None:
    window = Window(limit=1)
    window.offer(message("busy"))
    busy = window.take(0.0)[0][0]
    for value in ("1", "2", "3"):
        window.offer(message("soc", value))
    window.acknowledged(busy)
    assert [publication.payload for _, publication in window.take(0.0)] == [b"3"]
    assert window.lost == 2


def test_an_alarm_overtakes_what_waits_and_the_heartbeat_comes_last() -> None:
    window = Window(limit=2)
    for publication in (heartbeat(), message("status"), message("alarm", kind=Kind.CRITICAL)):
        window.offer(publication)
    assert [publication.topic for _, publication in window.take(0.0)] == ["alarm", "status"]


def record(seq: int, kind: Kind = Kind.CRITICAL) -> Publication:
    name = RecordId(boot="b", seq=seq)
    return Publication(topic="soc", payload=b"%d" % seq, qos=1, kind=kind, record=name)


def test_of_critical_records_each_one_waits_in_order() -> None:
    window = Window(limit=1)
    for publication in (record(9, Kind.REPLAY), message("soc"), record(1), record(2)):
        window.offer(publication)
    order = []
    while taken := window.take(0.0):
        order.append(taken[0][1].payload)
        window.acknowledged(taken[0][0])
    assert order == [b"1", b"2", b"1", b"9"]
    assert window.lost == 0


def test_records_that_wait_can_be_given_up_alone() -> None:
    window = Window(limit=1)
    for publication in (message("status"), record(1), message("soc")):
        window.offer(publication)
    window.take(0.0)
    window.offer(record(2))
    assert window.give_up_records()
    assert not window.give_up_records()
    assert [one.topic for one in window._pending.values()] == ["status", "soc"]


def test_one_heartbeat_is_on_its_way_at_most() -> None:
    window = Window()
    window.offer(heartbeat())
    token = window.take(0.0)[0][0]
    window.offer(heartbeat())
    assert window.take(0.0) == []
    window.acknowledged(token)
    window.offer(heartbeat())
    assert len(window.take(0.0)) == 1


def test_a_broken_connection_leaves_nothing_behind() -> None:
    window = Window(limit=1)
    for topic in ("a", "b"):
        window.offer(message(topic))
    token = window.take(5.0)[0][0]
    assert window.oldest_age_s(7.5) == 2.5
    window.clear()
    assert window.empty
    assert window.lost == 2
    assert not window.acknowledged(token)


@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans()), max_size=300))
def test_any_use_stays_within_its_bounds(uses: list[tuple[int, bool]]) -> None:
    window = Window()
    tokens: list[int] = []
    for number, acknowledge in uses:
        window.offer(message(f"topic{number}", kind=Kind.CRITICAL))
        tokens += [token for token, _ in window.take(0.0)]
        if acknowledge and tokens:
            window.acknowledged(tokens.pop(0))
        assert window.in_flight <= IN_FLIGHT_LIMIT
        assert len(window._pending) <= PENDING_LIMIT
