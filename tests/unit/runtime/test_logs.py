"""Log lines: JSON, bounded, and no reason to stop work when nobody reads them."""

import json
import logging
import os

from tinybms_runtime.logs import QUEUE_LINES, JsonLineFormatter, QueuedLineHandler, fields


def record(message: str, **values: object) -> logging.LogRecord:
    made = logging.LogRecord("tinybms.can_out", logging.WARNING, "", 0, message, (), None)
    made.__dict__.update(fields(**values))
    return made


def test_a_line_is_json_with_time_level_process_message_and_fields() -> None:
    line = JsonLineFormatter("can_out").format(record("adapter gone", channel="can0", tries=3))
    parsed = json.loads(line)
    assert parsed["level"] == "warning"
    assert parsed["process"] == "can_out"
    assert parsed["message"] == "adapter gone"
    assert (parsed["channel"], parsed["tries"]) == ("can0", 3)
    assert parsed["time"].endswith("+00:00")
    assert "\n" not in line


def handler_to(descriptor: int) -> QueuedLineHandler:
    handler = QueuedLineHandler(descriptor)
    handler.setFormatter(JsonLineFormatter("can_out"))
    return handler


def test_lines_reach_the_descriptor_in_order() -> None:
    reader, writer = os.pipe()
    handler = handler_to(writer)
    for number in range(3):
        handler.emit(record("line", number=number))
    handler.close()
    os.close(writer)
    with os.fdopen(reader) as lines:
        assert [json.loads(line)["number"] for line in lines] == [0, 1, 2]
    assert handler.dropped == 0


def test_a_full_pipe_drops_lines_and_blocks_nobody() -> None:
    reader, writer = os.pipe()
    handler = handler_to(writer)
    for _ in range(QUEUE_LINES + 2000):
        handler.emit(record("x" * 200))
    assert handler.dropped > 0
    os.close(reader)
    handler.close()
    os.close(writer)


def test_a_broken_pipe_turns_logging_off() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    handler = handler_to(writer)
    handler.emit(record("into the void"))
    handler.emit(record("and again"))
    handler.close()
    os.close(writer)
    assert handler.dropped == 2
