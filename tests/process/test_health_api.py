"""The HTTP interface of a real health process: what it shows, to whom, and what it withstands."""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake_live import fake_alarms
from harness_gateway import BusProbe
from harness_health import HealthBench, Stream, fetch
from harness_net import LOOPBACK
from harness_sim import wait_until
from tinybms_health.http_protocol import CONNECTIONS_AT_MOST, READ_WITHIN_S
from tinybms_health.stream import STREAMS_AT_MOST
from tinybms_messages.live import LiveData
from tinybms_messages.status import GatewayEvent
from tinybms_messages.topics import GATEWAY_EVENT, LIVE_DATA


def test_live_shows_the_sample_and_since_when_an_alarm_is_on(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench:
        first = bench.json("/api/live")
        assert (first["data"]["state"], first["sample"], first["limits"]) == ("unknown", None, None)
        shown = bench.publish_until_shown(
            {"pack_voltage_v": 52.71, "pack_current_a": 0.0}, alarms=fake_alarms(high_voltage=2)
        )
        assert shown["data"]["state"] == "fresh"
        assert (shown["sample"]["power_w"], shown["sample"]["max_cell_id"]) == (0.0, 16)
        assert shown["limits"]["charge_voltage_v"] == 55.2

        def since() -> str | None:
            bench.publish(alarms=fake_alarms(high_voltage=2))
            alarms = bench.json("/api/live")["alarms"]
            mine = (alarm["since"] for alarm in alarms if alarm["name"] == "high_voltage")
            return next(mine, None)

        wait_until(lambda: since() is not None, 5, "the time of the alarm")
        begun = since()
        bench.gateway.kill("health")
        bench.gateway.start("health")
        wait_until(lambda: reachable(bench.port), 10, "health again")
        bench.publish_until_shown({"soc_pct": 63.2}, alarms=fake_alarms(high_voltage=2))
        assert since() == begun


def no_constant(word: str) -> None:
    raise AssertionError(word)


def reachable(port: int) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return fetch(port, "/healthz")[0] == 200
    return False


def test_the_stream_brings_each_snapshot_at_once_and_then_the_silence(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench:
        bench.publish_until_shown({"soc_pct": 50.0})
        with Stream(bench.port) as stream:
            assert stream.answer.getheader("content-type") == "text/event-stream"
            assert stream.next("live")["sample"]["soc_pct"] == 50.0
            assert stream.next("status")["observer"] == "health"
            bench.acquisition.wait_for(lambda: False, 0.5)
            sent = time.monotonic()
            bench.publish({"soc_pct": 51.0})
            bench.acquisition.wait_for(lambda: False, 0.01)
            wait_until(lambda: stream.next("live")["sample"]["soc_pct"] == 51.0, 3, "the news")
            assert time.monotonic() - sent < 0.5
            # Nobody speaks any more: the stream goes on and says how old the sample is.
            wait_until(lambda: stream.next("live")["data"]["age_s"] > 2, 8, "its age")


def test_an_answer_holds_what_is_on_the_bus_now(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench, BusProbe(bench.gateway.paths) as other:
        bench.publish_until_shown({"soc_pct": 40.0})
        other.listen(LIVE_DATA)
        wait_until(lambda: relayed(bench, other, 41.0), 10, "a second listener")
        shown = 0
        for number in range(10):
            soc_pct = 50.0 + number
            assert relayed(bench, other, soc_pct)
            other.wait_for(lambda: False, 0.1)
            shown += bench.json("/api/live")["sample"]["soc_pct"] == soc_pct
        assert shown >= 7, "a busy machine may be late now and then"


def relayed(bench: HealthBench, other: BusProbe, soc_pct: float) -> bool:
    """Publish one sample; whether another listener has it."""
    bench.publish({"soc_pct": soc_pct})
    bench.acquisition.wait_for(lambda: False, 0.01)

    def arrived() -> bool:
        last = other.bodies(LIVE_DATA)[-1:]
        return bool(
            last
            and isinstance(last[0], LiveData)
            and last[0].sample
            and last[0].sample.soc_pct == soc_pct
        )

    return other.wait_for(arrived, 2)


def test_events_come_numbered_and_on_the_stream(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench:
        known = bench.json("/api/events?limit=1")["last_id"]
        event = GatewayEvent(code="bus_off", text="the CAN bus is off", wall_ns=10**18)
        with Stream(bench.port) as stream:
            stream.next("live")
            bench.acquisition.publish(GATEWAY_EVENT, event)
            bench.acquisition.wait_for(lambda: False, 0.01)
            for kind, data in stream:
                if kind == "event" and data["code"] == "bus_off":
                    break
        report = bench.json(f"/api/events?after={known}")
        mine = [item for item in report["events"] if item["code"] == "bus_off"]
        assert (mine[0]["source"], mine[0]["id"] > known) == ("acquisition", True)
        assert bench.json(f"/api/events?after={report['last_id']}")["events"] == []


def test_metrics_hold_what_is_known_and_no_line_for_the_rest(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench:
        assert b"tinybms_pack_voltage_volts" not in fetch(bench.port, "/metrics")[1]
        bench.publish_until_shown({"pack_voltage_v": 52.71, "soh_pct": None})
        status, text, headers = fetch(bench.port, "/metrics")
        assert (status, headers["content-type"]) == (
            200,
            "text/plain; version=0.0.4; charset=utf-8",
        )
        assert b"\ntinybms_pack_voltage_volts 52.71\n" in text
        assert b'\ntinybms_cell_voltage_volts{cell="16"} 3.305\n' in text
        assert b"tinybms_state_of_health_ratio" not in text


def test_no_request_that_the_description_allows_or_forbids_ends_in_a_500(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench:
        bench.publish_until_shown({"soc_pct": 50.0})
        paths = bench.json("/api/openapi.json")["paths"]
        plain = sorted(set(paths) - {"/api/stream"})
        names = sorted(
            {parameter["name"] for path in plain for parameter in paths[path]["get"]["parameters"]}
        )
        value = st.one_of(
            st.integers().map(str), st.floats().map(str), st.text(max_size=30), st.just("")
        )
        query = st.lists(st.tuples(st.sampled_from([*names, "x"]), value), max_size=4)
        headers = st.dictionaries(
            st.sampled_from(["Accept", "Cookie", "Authorization", "Range", "If-None-Match"]),
            st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
            max_size=2,
        )

        @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.sampled_from(plain), query, headers)
        def each(path: str, pairs: list[tuple[str, str]], given_headers: dict[str, str]) -> None:
            text = "&".join(
                f"{quote(name, errors='replace')}={quote(item, errors='replace')}"
                for name, item in pairs
            )
            status, body, answered = fetch(bench.port, f"{path}?{text}", headers=given_headers)
            described = paths[path]["get"]["responses"]
            assert str(status) in described
            assert status < 500
            if answered["content-type"] == "application/json":
                json.loads(body, parse_constant=no_constant)

        each()
        for path in plain:
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
                assert fetch(bench.port, path, method=method)[0] == 405


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process, which plays all the clients, hold more sockets than the usual 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_a_thousand_slow_clients_do_not_keep_others_out(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench:
        process = psutil.Process(bench.gateway.processes["health"].pid)
        fetch(bench.port, "/api/status")
        before = process.memory_info().rss
        with contextlib.ExitStack() as held:
            for _ in range(1000):
                client = held.enter_context(socket.create_connection((LOOPBACK, bench.port), 5))
                client.sendall(b"GET /api/status HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            for _ in range(20):
                assert fetch(bench.port, "/api/status")[0] == 200
            assert len(process.net_connections()) <= CONNECTIONS_AT_MOST + 5
            assert process.memory_info().rss - before < 30_000_000


def test_a_head_of_ten_megabytes_is_refused_and_costs_no_memory(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench:
        process = psutil.Process(bench.gateway.processes["health"].pid)
        fetch(bench.port, "/api/status")
        before = process.memory_info().rss
        with socket.create_connection((LOOPBACK, bench.port), 5) as client:
            with contextlib.suppress(ConnectionError):
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 10_000_000)
            with contextlib.suppress(ConnectionError):
                assert b" 400 " in client.recv(100)
        assert process.memory_info().rss - before < 5_000_000
        assert fetch(bench.port, "/api/status")[0] == 200


def test_clients_that_never_read_the_stream_cost_little_and_are_limited(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench, contextlib.ExitStack() as held:
        process = psutil.Process(bench.gateway.processes["health"].pid)
        bench.publish_until_shown({"soc_pct": 50.0})
        before = process.memory_info().rss
        for _ in range(STREAMS_AT_MOST):
            client = held.enter_context(socket.create_connection((LOOPBACK, bench.port), 5))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(b"GET /api/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: fetch(bench.port, "/api/stream")[0] == 503, 5, "the limit")
        for number in range(60):
            bench.publish({"soc_pct": 50.0 + number / 10})
            bench.acquisition.wait_for(lambda: False, 0.05)
        begun = time.monotonic()
        assert fetch(bench.port, "/api/status")[0] == 200
        assert time.monotonic() - begun < 1
        assert process.memory_info().rss - before < 40_000_000


@pytest.mark.long
def test_who_asks_slowly_or_never_reads_is_cut_off(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench, contextlib.ExitStack() as held:
        process = psutil.Process(bench.gateway.processes["health"].pid)

        def client(text: bytes) -> int:
            """Connect, say this and be mute; the port by which the connection is known."""
            mute = held.enter_context(socket.socket())
            mute.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            mute.connect((LOOPBACK, bench.port))
            mute.sendall(text)
            return int(mute.getsockname()[1])

        silent = client(b"")
        slow = client(b"GET /api/status HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        # As a stream that is never read, but its buffers are full at once.
        deaf = client(b"GET /page/vendor/uPlot.iife.min.js HTTP/1.1\r\nHost: x\r\n\r\n" * 300)

        def connected() -> set[int]:
            there = {
                one.raddr.port
                for one in process.net_connections()
                if one.status != psutil.CONN_LISTEN
            }
            return there & {silent, slow, deaf}

        wait_until(lambda: connected() == {silent, slow, deaf}, 5, "all three")
        wait_until(lambda: not connected(), 5 * READ_WITHIN_S, "the end of all three")
        assert fetch(bench.port, "/api/status")[0] == 200


def test_many_at_once_are_all_served(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench:
        codes: list[int] = []
        threads = [
            threading.Thread(target=lambda: codes.append(fetch(bench.port, "/api/status")[0]))
            for _ in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [200] * 30


def test_a_missing_token_file_is_said_and_read_when_it_comes(run_dir: Path) -> None:
    token = run_dir / "token"
    token.write_text("0123456789abcdef\n")
    with HealthBench(run_dir, {"health": {"token_file": str(token)}}) as bench:
        assert fetch(bench.port, "/api/status")[0] == 200
        bench.gateway.stop("health")
        token.write_text("short")
        bench.gateway.start("health")
        log = bench.gateway.log("health")
        wait_until(lambda: "health.token_file" in log.read_text(), 10, "word of the token")
        token.write_text("fedcba9876543210")
        wait_until(lambda: reachable(bench.port), 10, "an answer")
