"""The cores behind the API: times of alarms, numbers of events, the description, the manifest."""

from __future__ import annotations

import msgspec

from tinybms_health.alarm_book import AlarmBook, packed_book, unpacked_book
from tinybms_health.event_log import KEPT, EventLog
from tinybms_health.http_routes import OPERATIONS
from tinybms_health.live_report import SampleReport
from tinybms_health.manifest import manifest
from tinybms_health.openapi import openapi
from tinybms_health.values import PACK_VALUES
from tinybms_messages.status import GatewayEvent


def event(code: str = "x") -> GatewayEvent:
    return GatewayEvent(code=code, text="something", wall_ns=10**18)


def test_an_alarm_keeps_its_time_until_it_goes() -> None:
    book = AlarmBook()
    assert book.note({"low_soc"}, 100)
    assert not book.note({"low_soc"}, 200)
    assert book.note({"low_soc", "high_voltage"}, 300)
    assert book.since_ns == {"low_soc": 100, "high_voltage": 300}
    assert book.note(set(), 400)
    assert book.note({"low_soc"}, 500)
    assert unpacked_book(packed_book(book)).since_ns == {"low_soc": 500}


def test_a_damaged_book_is_an_empty_one() -> None:
    for data in (None, b"", b"{", b'{"since_ns": [1]}'):
        assert unpacked_book(data).since_ns == {}


def test_events_are_numbered_bounded_and_asked_for_by_number() -> None:
    log = EventLog(first_id=1000)
    for number in range(KEPT + 50):
        log.add("health", event(str(number)))
    report = log.report(limit=3)
    assert [item.id for item in report.events] == [2047, 2048, 2049]
    assert report.last_id == 2049
    assert log.report(after=2048).events == report.events[-1:]
    assert len(log.report(limit=5000).events) == KEPT


def test_the_description_names_each_path_and_resolves_each_reference() -> None:
    document = openapi("1.0", OPERATIONS)
    text = msgspec.json.encode(document).decode()
    assert set(document["paths"]) == {operation.path for operation in OPERATIONS}
    schemas = document["components"]["schemas"]
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= set(schemas)
    assert {"StatusDocument", "LiveReport", "EventsReport", "Manifest", "ErrorReport"} <= set(
        schemas
    )


def test_each_figure_of_the_table_is_one_of_the_sample_and_in_the_manifest() -> None:
    fields = {field.name for field in msgspec.structs.fields(SampleReport)}
    keys = [value.key for value in PACK_VALUES]
    assert set(keys) <= fields
    assert len({value.metric for value in PACK_VALUES}) == len(keys)
    entries = {entry.key: entry for entry in manifest("1.0", "pack1").values}
    assert list(entries) == keys
    assert entries["soc_pct"].register == 46
    assert {place.register for place in entries["pack_voltage_v"].gx} == {259, 840}
