"""What all tests share: leak checks, a real MQTT broker, short run folders."""

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

from harness_leaks import Leaks, mark_children
from harness_mosquitto import Mosquitto
from harness_net import free_port as find_free_port


def pytest_configure() -> None:
    """Mark the children of this run, and let Hypothesis judge results only, never speed.

    The short run takes the same examples each time, so that what was green stays green; the long
    run (TINYBMS_EXAMPLES) looks for new ones.
    """
    mark_children()
    settings.register_profile(
        "gateway",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize="TINYBMS_EXAMPLES" not in os.environ,
    )
    settings.load_profile("gateway")


MANY_STEPS = (
    *("property/test_charge_", "unit/sim_loop/", "safety/", "replay/"),
    "process/test_logs_of_an_hour.py",
)
"""Tests that take millions of steps through code which others cover: measuring their branches
would make them four times as slow."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Leave the tests of many steps out of the measured coverage."""
    measured = Coverage.current()
    name = item.path.relative_to(item.config.rootpath / "tests").as_posix()
    if measured is None or not name.startswith(MANY_STEPS):
        return (yield)
    measured.stop()
    try:
        return (yield)
    finally:
        measured.start()


@pytest.fixture(autouse=True)
def leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or a listening socket."""
    folder = request.node.path.parent.relative_to(request.config.rootpath / "tests").parts[:1]
    leaks = Leaks(include_orphans=folder not in {("unit",), ("property",), ("golden",)})
    yield
    left = leaks.wait_until_gone(timeout_s=2.0)
    if left:
        leaks.end_processes()
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """Give an empty folder with a path short enough for unix sockets (107 characters)."""
    folder = Path(tempfile.mkdtemp(prefix="tb-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Give a function that finds a free TCP port on the loopback interface."""
    return find_free_port


@pytest.fixture
def mosquitto(run_dir: Path) -> Iterator[Mosquitto]:
    """Run a real MQTT broker of this test alone, without users or stored messages."""
    folder = run_dir / f"mosquitto-{os.getpid()}"
    folder.mkdir()
    with Mosquitto(folder) as broker:
        yield broker
