"""The page in headless Chromium; run by make test-page."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from fake_live import fake_alarms, fake_limits
from harness_browser import Browser
from harness_health import HealthBench, fetch
from harness_sim import wait_until
from tinybms_charge.sentences import with_sentences
from tinybms_messages.live import Reason
from tinybms_messages.status import GatewayEvent
from tinybms_messages.topics import GATEWAY_EVENT

pytestmark = [pytest.mark.page, pytest.mark.timeout(120)]

UNKNOWN = "\u2013"
ARTEFACTS = Path(os.environ.get("TINYBMS_PAGE_ARTEFACTS", "build/page/screenshots"))


class Speaker:
    """Publishes a snapshot each 100 ms, as acquisition does, until it is told to be silent."""

    def __init__(self, bench: HealthBench) -> None:
        self._bench = bench
        self._stopping = threading.Event()
        self.silent = False
        self.sample: dict[str, object] = {"soc_pct": 63.3, "pack_current_a": -12.3}
        self.changes: dict[str, object] = {}
        self.thread = threading.Thread(target=self._run)

    def stop(self) -> None:
        self._stopping.set()
        self.thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(0.1):
            if not self.silent:
                self._bench.publish(dict(self.sample), **self.changes)


@contextmanager
def page_of(
    folder: Path, *, silent: bool = False
) -> Iterator[tuple[HealthBench, Speaker, Browser, str]]:
    quick = {
        "frozen_after_s": 1.0,
        "stale_after_s": 2.0,
        "alarm_after_s": 3.0,
        "lost_after_s": 15.0,
    }
    with HealthBench(folder, {"ageing": quick}) as bench:
        speaker = Speaker(bench)
        speaker.silent = silent
        speaker.thread.start()
        try:
            with Browser(folder / "browser.log") as browser:
                yield bench, speaker, browser, f"http://127.0.0.1:{bench.port}/"
        finally:
            speaker.stop()


def soc(browser: Browser) -> str:
    return browser.text("[data-figure=soc] dd")


def test_the_page_shows_the_values_within_a_second_and_follows_them(run_dir: Path) -> None:
    with page_of(run_dir) as (_bench, speaker, browser, url):
        browser.open(url)
        browser.wait("document.body.dataset.state === 'fresh'")
        paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        browser.wait(f"{paint} > 0")
        assert browser.run(paint) < 1000
        browser.wait_text("[data-figure=soc] dd", "63.3", 1.0)
        speaker.sample["soc_pct"] = 0.0
        speaker.sample["battery_temperature_c"] = None
        browser.wait_text("[data-figure=soc] dd", "0.0\u00a0%", 1.0)
        assert browser.text("[data-figure=temperature] dd") == UNKNOWN
        speaker.sample["cells_balancing"] = (True,) + (False,) * 15
        browser.wait("document.querySelectorAll('#cell-list li.balancing').length === 1", 1.0)
        assert browser.run("document.querySelectorAll('#cell-list li').length") == 16
        assert "lowest" in browser.text("#cell-list li:nth-child(1)")
        assert "highest" in browser.text("#cell-list li:nth-child(16)")
        assert browser.problems() == []
        assert {address.split("/")[2] for address in browser.requests()} == {url.split("/")[2]}


def test_an_alarm_a_limit_and_an_event_are_told_in_words(run_dir: Path) -> None:
    with page_of(run_dir) as (bench, speaker, browser, url):
        browser.open(url)
        browser.wait("document.body.dataset.state === 'fresh'")
        assert browser.text("#alarm-list") == "No alarm."
        alarms = tuple(
            replace(alarm, text="charge stopped, 4 °C") if alarm.level else alarm
            for alarm in fake_alarms(low_charge_temperature=2)
        )
        cold = Reason(code="low_temperature", text="cold: 4 °C <b>x</b>", value=0.0)
        limits = fake_limits(charge_current_a=0.0, charge_reasons=(cold,))
        speaker.changes = {"alarms": alarms, "limits": limits}
        browser.wait_text("#alarm-list", "Alarm: too cold to charge", 2.0)
        browser.wait(
            "/since .*\\d\\d?:\\d\\d/.test(document.querySelector('#alarm-list').innerText)"
        )
        assert "Warm the battery" in browser.text("#alarm-list")
        assert "0.0\u00a0A" in browser.text("[data-limit=ccl]")
        assert "stopped: cold: 4 °C <b>x</b>" in browser.text("[data-limit=ccl]")
        event = GatewayEvent(code="bus_off", text="the CAN bus is off", wall_ns=time.time_ns())
        bench.acquisition.publish(GATEWAY_EVENT, event)
        browser.wait_text("#event-list", "the CAN bus is off", 2.0)
        browser.select("language", "fr")
        browser.wait_text("#alarm-list", "trop froid pour charger")
        assert "froid" in browser.text("[data-limit=ccl]")
        browser.select("language", "de")
        browser.wait_text("#alarm-list", "zu kalt zum Laden")
        assert browser.run("document.documentElement.lang") == "de"
        assert browser.problems() == []


def test_a_limit_is_told_with_its_reason_and_its_next_step(run_dir: Path) -> None:
    with page_of(run_dir) as (_bench, speaker, browser, url):
        cold = Reason(
            code="low_temperature",
            text="low temperature (probe 1, 3.4 °C)",
            value=37.0,
            next_step="5 °C",
        )
        mine = Reason(code="user", text="charge.max_charge_current_a (60 A)", value=60.0)
        limits = fake_limits(charge_current_a=37.0, charge_reasons=(cold, mine))
        speaker.changes = {"limits": with_sentences(limits)}
        browser.open(url)
        whole = "Charge limited to 37.0 A by low temperature (probe 1, 3.4 °C); next step at 5 °C"
        browser.wait_text("[data-limit=ccl]", whole)
        browser.wait_text("[data-limit=ccl]", "max_charge_current_a (60 A) (60.0\u00a0A)")
        browser.select("language", "de")
        browser.wait_text("[data-limit=ccl]", "begrenzt auf 37,0\u00a0A: Kälte (low temperature")
        assert "; nächste Stufe bei 5 °C" in browser.text("[data-limit=ccl]")
        assert "BMS-Leitung" in browser.text("#check-list")
        browser.select("language", "fr")
        browser.wait_text("[data-limit=ccl]", "; prochain palier à 5 °C")
        assert browser.run("document.querySelector('[data-limit=ccl] [lang=en]').innerText") == (
            "low temperature (probe 1, 3.4 °C)"
        )
        assert browser.problems() == []


def test_before_the_first_sample_nothing_is_called_well(run_dir: Path) -> None:
    with page_of(run_dir, silent=True) as (_bench, speaker, browser, url):
        browser.open(url)
        browser.wait("document.body.dataset.state === 'unknown'")
        assert browser.text("#alarm-list") == "Not known now."
        assert soc(browser) == UNKNOWN
        browser.wait_text("#verdict", "No data", 5.0)
        speaker.silent = False
        browser.wait_text("#alarm-list", "No alarm.", 5.0)


def test_old_values_are_never_shown_as_present(run_dir: Path) -> None:
    with page_of(run_dir) as (_bench, speaker, browser, url):
        browser.open(url)
        browser.wait_text("[data-figure=soc] dd", "63.3")
        speaker.silent = True
        browser.wait_text("#banner", "STALE", 5.0)
        assert browser.run("document.body.classList.contains('old')")
        browser.screenshot(artefact("stale.png"))
        browser.wait_text("#banner", "LOST", 20.0)
        assert soc(browser) == UNKNOWN
        assert browser.run("document.querySelectorAll('#cell-list li').length") == 0
        assert UNKNOWN in browser.text("[data-limit=ccl]")
        speaker.silent = False
        browser.wait("document.querySelector('#banner').hidden", 5.0)
        browser.wait_text("[data-figure=soc] dd", "63.3")


@pytest.mark.parametrize("number", ["SIGKILL", "SIGSTOP"])
def test_without_health_nothing_is_shown_and_it_comes_back_by_itself(
    run_dir: Path, number: str
) -> None:
    with page_of(run_dir) as (bench, _speaker, browser, url):
        browser.open(url)
        browser.wait_text("[data-figure=soc] dd", "63.3")
        if number == "SIGKILL":
            bench.gateway.kill("health")
        else:
            os.kill(bench.gateway.processes["health"].pid, signal.SIGSTOP)
        browser.wait_text("#banner", "No connection", 6.0)
        assert soc(browser) == UNKNOWN
        assert browser.text("#verdict") == "Gateway not heard"
        if number == "SIGKILL":
            bench.gateway.start("health")
        else:
            os.kill(bench.gateway.processes["health"].pid, signal.SIGCONT)
        browser.wait("document.body.dataset.state === 'fresh'", 20.0)
        browser.wait_text("[data-figure=soc] dd", "63.3")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"width": 1280}),
        ("dark", {"width": 1280, "dark": True}),
        ("phone", {"width": 390, "height": 844}),
        ("phone-dark-fr", {"width": 390, "height": 844, "dark": True, "language": "fr"}),
    ],
)
def test_it_is_readable_everywhere(run_dir: Path, name: str, options: dict[str, object]) -> None:
    with page_of(run_dir) as (bench, speaker, browser, url):
        reason = Reason(code="high_cell", text="the highest cell is at 3.45 V", value=12.0)
        speaker.changes = {
            "alarms": fake_alarms(low_soc=1, high_voltage=2),
            "limits": fake_limits(charge_reasons=(reason,)),
        }
        wait_until(lambda: len(bench.json("/api/history")["rows"]) > 2, 20, "points of history")
        browser.open(url, **options)
        browser.wait("document.body.dataset.state === 'fresh'")
        browser.wait("document.querySelectorAll('#chart-list canvas').length === 5", 10.0)
        browser.wait("document.querySelectorAll('#process-list tr').length === 6", 10.0)
        browser.screenshot(artefact(f"{name}.png"))
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        assert browser.serious_faults() == []
        assert browser.problems() == []


def test_the_page_may_load_nothing_from_elsewhere(run_dir: Path) -> None:
    with HealthBench(run_dir) as bench:
        _, _, headers = fetch(bench.port, "/")
        assert headers["content-security-policy"].startswith("default-src 'self'; ")


def artefact(name: str) -> Path:
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return (ARTEFACTS / name).absolute()
