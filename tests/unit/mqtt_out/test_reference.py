"""The pages about MQTT say what the tables publish."""

from __future__ import annotations

import re
from pathlib import Path

from tinybms_config.model import Mqtt
from tinybms_mqtt_out.announcer import LONGEST_BIRTH_DELAY_S
from tinybms_mqtt_out.reference import markdown
from tinybms_mqtt_out.topics import value_topics

DOCS = Path(__file__).parents[3] / "deploy" / "docs"
PAGES = (
    "mqtt.md",
    "mqtt-home-assistant.md",
    "mqtt-node-red.md",
    "mqtt-venus-os.md",
    "mqtt-topics.md",
)
OTHER_TOPICS = {"status", "manifest", "venus", "event", "test"}


def test_the_list_of_topics_is_the_generated_one() -> None:
    page = DOCS / "mqtt-topics.md"
    assert page.read_text(encoding="utf-8") == markdown(), "run make docs"


def test_every_topic_has_its_line() -> None:
    for topic in value_topics(16, legacy=True):
        assert f"| `{topic.suffix}` |" in markdown(), topic.suffix


def test_links_between_the_pages_lead_somewhere() -> None:
    for name in PAGES:
        text = (DOCS / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (DOCS / target).exists(), f"{name}: {target}"
    overview = (DOCS / "mqtt.md").read_text(encoding="utf-8")
    assert all(page in overview for page in PAGES[1:])


def test_topics_and_keys_that_the_pages_name_exist() -> None:
    known = {topic.suffix for topic in value_topics(16, legacy=True)} | OTHER_TOPICS
    keys = set(Mqtt.__struct_fields__)
    for name in PAGES:
        text = (DOCS / name).read_text(encoding="utf-8")
        for suffix in re.findall(r"victron/tinybms/([a-z0-9_]+)(?![a-z0-9_/])", text):
            assert suffix in known, f"{name}: {suffix}"
        for key in re.findall(r"`mqtt\.([a-z_0-9]+)", text):
            assert key in keys, f"{name}: mqtt.{key}"


def test_the_delay_after_the_birth_message_is_the_real_one() -> None:
    text = (DOCS / "mqtt-home-assistant.md").read_text(encoding="utf-8")
    assert f"within {LONGEST_BIRTH_DELAY_S:.0f} seconds" in text
