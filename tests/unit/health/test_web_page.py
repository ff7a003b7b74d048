"""The page's files: whole, in three languages, and with words for every alarm and reason."""

from __future__ import annotations

import json
import re

import pytest

from fake_live import fake_live
from fake_view import fake_heard, fake_latest, fake_view
from tinybms_charge.reasons import ReasonCode
from tinybms_health.status import status_document
from tinybms_health.values import HISTORY_VALUES
from tinybms_health.web_page import page_files
from tinybms_messages.live import AlarmName
from tinybms_messages.owner import ActiveMode, OwnerMode
from tinybms_runtime.processes import NAMES

LANGUAGES = ("en", "fr", "de")


def words(language: str) -> dict[str, str]:
    def flat(tree: dict[str, object], prefix: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, value in tree.items():
            if isinstance(value, dict):
                found |= flat(value, f"{prefix}{key}.")
            else:
                found[prefix + key] = str(value)
        return found

    return flat(json.loads(page_files()[f"words/{language}.json"]), "")


def source() -> str:
    return "\n".join(
        text.decode()
        for name, text in page_files().items()
        if name.endswith((".js", ".html")) and "/" not in name
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_the_same_words_with_the_same_places(language: str) -> None:
    english, other = words("en"), words(language)
    assert list(other) == list(english)
    assert [key for key, text in other.items() if not text.strip()] == []
    for key, text in other.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key])), key


def test_every_alarm_has_a_name_and_says_what_to_do() -> None:
    known = words("en")
    for name in AlarmName:
        assert f"alarm_name.{name}" in known
        assert known[f"alarm_do.{name}"].endswith(".")


def test_every_reason_has_words() -> None:
    assert [code for code in ReasonCode if f"reason.{code}" not in words("en")] == []


def test_every_check_has_a_name_in_words() -> None:
    asked = ActiveMode(mode=OwnerMode.CHARGE_OFF, ends_ns=10**15)
    heard = fake_heard(live=fake_latest(fake_live(modes=(asked,))))
    document = status_document(fake_view(heard=heard))
    named = {check.name for check in document.checks} - {*NAMES, "supervisord"}
    assert named == {"link", "data", "can", "mqtt", "buffer_store", "owner", "battery"}
    assert {name for name in named if f"check_name.{name}" in words("en")} == named


def test_every_word_that_the_page_asks_for_is_there() -> None:
    known = words("en")
    asked = set(re.findall(r'data-word="([\w.]+)"', source()))
    asked |= set(re.findall(r'\bword\("([\w.]+)"', source()))
    assert len(asked) > 40
    assert sorted(asked - set(known)) == []


def test_every_line_of_the_charts_is_a_column_of_the_history() -> None:
    charts = page_files()["charts.js"].decode()
    lines = set(re.findall(r'"(\w+_(?:v|a|c|pct))"', charts))
    known = {value.key for value in HISTORY_VALUES}
    assert lines - known == {"charge_voltage_limit_v", "charge_current_limit_a"}


def test_the_page_names_no_other_host_and_ships_the_license_of_what_it_uses() -> None:
    assert set(re.findall(r"https?://[\w.]+", source())) == set()
    files = page_files()
    assert b"MIT License" in files["vendor/uPlot.LICENSE.txt"]
    loaded = set(re.findall(r'(?:src|href)="page/([^"]+)"', files["index.html"].decode()))
    assert loaded <= set(files)
    for name, text in files.items():
        if name.endswith(".js") and "/" not in name:
            for other in re.findall(r'from "\./([^"]+)"', text.decode()):
                assert other in files, (name, other)
