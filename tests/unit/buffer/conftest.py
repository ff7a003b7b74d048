"""What the tests of the offline buffer share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_keeper import KeeperRig


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[KeeperRig]:
    bench = KeeperRig(tmp_path)
    yield bench
    bench.off = None
    bench.keeper.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pack1-buffer.db"
