"""The topic table holds what the design says of each topic."""

from tinybms_messages.topics import EVERY_PROCESS, HEARTBEAT, LIVE_DATA, TOPICS, topic_of


def test_a_subscription_of_pack1_does_not_catch_pack10() -> None:
    assert not LIVE_DATA.address("pack10", "acquisition").startswith(
        LIVE_DATA.address("pack1", "acquisition")
    )


def test_topics_of_every_process_hold_one_place_for_each() -> None:
    assert HEARTBEAT.address("pack1", "can_out") == b"HEARTBEAT/pack1/can_out/"
    assert HEARTBEAT.address("pack1", "buffer") != HEARTBEAT.address("pack1", "can_out")


def test_cached_topics_are_repeated_at_least_every_ten_seconds() -> None:
    cached = [topic for topic in TOPICS if topic.cached]
    assert cached
    assert all(topic.repeat_s is not None and topic.repeat_s <= 10 for topic in cached)


def test_names_are_unique_and_found_by_address() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    for topic in TOPICS:
        source = "health" if topic.publisher == EVERY_PROCESS else topic.publisher
        assert topic_of(topic.address("pack1", source)) is topic


def test_an_unknown_name_is_no_topic() -> None:
    assert topic_of(b"LIVE_DATAX/pack1/") is None
    assert topic_of(b"") is None
