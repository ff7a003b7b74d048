"""The connection's state machine, driven by a test instead of a socket."""

from collections.abc import Iterable

from tinybms_mqtt_out.publication import Kind, Publication, RecordId
from tinybms_mqtt_out.session import (
    ACK_TIMEOUT_S,
    CONNACK_TIMEOUT_S,
    DRAIN_TIMEOUT_S,
    RIVAL_RETRY_S,
    SLOW_RETRY_S,
    STALL_S,
    Action,
    Announce,
    Close,
    Failure,
    FullSet,
    Lost,
    Open,
    Send,
    Session,
    State,
)
from tinybms_runtime.backoff import Backoff

GONE = Failure(code=111, text="connection refused")
WRONG_PASSWORD = Failure(code=5, text="not authorised", lasting=True)
FAREWELL = Publication(topic="status/connected", payload=b"false", qos=1, kind=Kind.STATUS)


def new_session() -> Session:
    return Session(backoff=Backoff(1.0, 60.0, uniform=lambda: 0.0))


def online(now_s: float = 0.0) -> Session:
    session = new_session()
    session.start(now_s)
    session.opened(now_s)
    assert session.accepted(now_s) == (Announce(),)
    return session


def critical(topic: str) -> Publication:
    return Publication(topic=topic, payload=b"1", qos=1, kind=Kind.CRITICAL)


def telemetry() -> Publication:
    return Publication(topic="battery_voltage", payload=b"1")


def tokens(actions: Iterable[Action]) -> list[int]:
    return [action.token for action in actions if isinstance(action, Send)]


def test_the_first_connect_is_tried_again_like_any_other_for_ever() -> None:
    session = new_session()
    assert session.start(0.0) == (Open(),)
    now_s, delays = 0.0, []
    for _ in range(9):
        assert session.failed_with(GONE, now_s) == (Close(in_order=False), Lost(GONE))
        failed_s = now_s
        while session.tick(now_s) == ():
            now_s += 0.5
        delays.append(now_s - failed_s)
        assert session.state is State.CONNECTING
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_after_the_birth_comes_the_full_set_one_second_later() -> None:
    session = online(0.0)
    assert session.tick(0.9) == ()
    assert session.tick(1.0) == (FullSet(),)
    assert session.tick(1.2) == ()


def test_a_broker_that_never_answers_the_connect_is_left() -> None:
    session = new_session()
    session.start(0.0)
    assert session.tick(100.0) == ()  # the helper is still at the name look-up
    session.opened(100.0)
    assert session.tick(100.0 + CONNACK_TIMEOUT_S - 0.1) == ()
    assert isinstance(session.tick(100.0 + CONNACK_TIMEOUT_S)[1], Lost)


def test_a_refusal_that_waiting_can_not_mend_is_retried_slowly() -> None:
    session = new_session()
    session.start(0.0)
    session.failed_with(WRONG_PASSWORD, 0.0)
    assert session.tick(SLOW_RETRY_S - 0.1) == ()
    assert session.tick(SLOW_RETRY_S) == (Open(),)


def test_a_broker_that_acknowledges_nothing_is_left_and_nothing_is_sent_again() -> None:
    session = online(0.0)
    sent = session.offer(critical("alarm_low_voltage"), 0.0)
    assert len(tokens(sent)) == 1
    assert isinstance(session.tick(ACK_TIMEOUT_S)[0], Close)
    assert session.state is State.BACK_OFF
    assert session.failed == 1
    session.tick(ACK_TIMEOUT_S + 1)
    session.opened(ACK_TIMEOUT_S + 1)
    assert session.accepted(ACK_TIMEOUT_S + 1) == (Announce(),)
    assert tokens(session.tick(ACK_TIMEOUT_S + 1)) == []


def test_a_late_acknowledgement_of_an_old_connection_means_nothing() -> None:
    session = online(0.0)
    token = tokens(session.offer(critical("soc_percent"), 0.0))[0]
    session.failed_with(GONE, 1.0)
    assert session.acknowledged(token, 1.1) == ()
    assert session.published == 0


def test_telemetry_is_held_back_while_the_broker_does_not_answer_and_made_up_for() -> None:
    session = online(0.0)
    token = tokens(session.offer(critical("soc_percent"), 0.0))[0]
    assert len(tokens(session.offer(telemetry(), STALL_S))) == 1
    assert session.offer(telemetry(), STALL_S + 0.1) == ()
    assert session.acknowledged(token, STALL_S + 0.2) == (FullSet(),)
    assert len(tokens(session.offer(telemetry(), STALL_S + 0.3))) == 1
    assert session.failed == 1


def test_what_room_promises_an_offer_of_the_same_moment_gets() -> None:
    """A moment later the broker may count as stalled: then a record would be passed over."""
    session = online()
    session.offer(critical("soc_percent"), 0.0)
    room = session.room(STALL_S)
    records = [
        Publication(
            topic="replay/soc_percent",
            payload=b"{}",
            qos=1,
            kind=Kind.REPLAY,
            record=RecordId(boot="b", seq=seq),
        )
        for seq in range(1, room + 1)
    ]
    assert room > 1
    assert all(len(tokens(session.offer(one, STALL_S))) == 1 for one in records)
    assert session.room(STALL_S + 0.1) == 0


def test_what_is_offered_offline_is_counted_and_forgotten() -> None:
    session = new_session()
    session.start(0.0)
    for publication in (telemetry(), critical("soc_percent")):
        assert session.offer(publication, 0.0) == ()
    assert session.failed == 2
    session.opened(0.0)
    session.accepted(0.0)
    assert tokens(session.tick(0.5)) == []


def test_a_steady_connection_makes_the_next_delay_short_again_and_a_fight_does_not() -> None:
    session = online(0.0)
    for _ in range(3):
        now_s = 0.0
        session.failed_with(GONE, now_s)
        while session.state is State.BACK_OFF:
            now_s += 0.5
            session.tick(now_s)
        session.opened(now_s)
        session.accepted(now_s)
    assert now_s == 4.0
    session.failed_with(GONE, now_s + 60)
    assert session.tick(now_s + 60.9) == ()
    assert session.tick(now_s + 61) == (Open(),)


def test_a_clean_stop_waits_for_the_acknowledgement_of_its_farewell() -> None:
    session = online(0.0)
    token = tokens(session.stop(FAREWELL, 5.0))[0]
    assert session.tick(5.1) == ()
    session.acknowledged(token, 5.2)
    assert session.tick(5.3) == (Close(in_order=True),)
    assert session.state is State.STOPPED


def test_a_clean_stop_is_bounded_and_no_heartbeat_follows_the_farewell() -> None:
    session = online(0.0)
    for number in range(20):
        session.offer(critical(f"alarm_{number}"), 5.0)
    session.offer(
        Publication(topic="status/connected", payload=b"true", qos=1, kind=Kind.HEARTBEAT), 5.0
    )
    assert tokens(session.stop(FAREWELL, 5.0)) == []
    sent = [*session.acknowledged(1, 5.1), *session.acknowledged(2, 5.1)]
    assert [action.publication for action in sent if isinstance(action, Send)] == [FAREWELL]
    assert session.tick(5.0 + DRAIN_TIMEOUT_S) == (Close(in_order=False),)


def test_a_stop_while_offline_ends_at_once() -> None:
    session = new_session()
    session.start(0.0)
    assert session.stop(FAREWELL, 0.1) == (Close(in_order=False),)
    assert session.state is State.STOPPED
    assert session.failed_with(GONE, 0.2) == ()


def short_lives(session: Session, count: int, *, refused_between: bool = False) -> list[str]:
    """Texts of `count` connections that each end after a second."""
    now_s, texts = 0.0, []
    session.start(now_s)
    for _life in range(count):
        session.opened(now_s)
        session.accepted(now_s)
        (_close, lost) = session.failed_with(GONE, now_s + 1.0)
        assert isinstance(lost, Lost)
        texts.append(lost.failure.text)
        now_s += next(at_s for at_s in range(1, 1000) if session.tick(now_s + at_s))
        if refused_between:
            session.failed_with(GONE, now_s)
            now_s += next(at_s for at_s in range(1, 1000) if session.tick(now_s + at_s))
    return texts


def test_several_short_lives_name_our_client_id() -> None:
    session = Session(backoff=Backoff(1.0, 60.0, uniform=lambda: 0.0), client_id="my-id")
    named = ["'my-id'" in text for text in short_lives(session, 5)]
    assert named == [False, False, True, True, True]


def test_a_broker_that_comes_and_goes_is_no_rival() -> None:
    session = Session(backoff=Backoff(1.0, 60.0, uniform=lambda: 0.0), client_id="my-id")
    assert set(short_lives(session, 5, refused_between=True)) == {GONE.text}


def test_a_connection_that_was_taken_over_is_not_taken_back_fast() -> None:
    session = online()
    taken = Failure(code=142, text="session taken over", rival=True)
    assert session.failed_with(taken, 300.0)[1] == Lost(taken)
    assert session.tick(300.0 + RIVAL_RETRY_S - 1.0) == ()
    assert session.tick(300.0 + RIVAL_RETRY_S) == (Open(),)


def test_the_brokers_own_bound_is_honoured_for_its_connection_alone() -> None:
    session = new_session()
    session.start(0.0)
    session.accepted(0.0, receive_maximum=3)
    sent = [tokens(session.offer(critical(f"alarm_{number}"), 1.0)) for number in range(10)]
    assert sum(len(one) for one in sent) == 3
    session.failed_with(GONE, 20.0)
    session.tick(100.0)
    session.accepted(100.0)
    sent = [tokens(session.offer(critical(f"alarm_{number}"), 101.0)) for number in range(10)]
    assert sum(len(one) for one in sent) == 10
