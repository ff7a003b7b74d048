"""One page in headless Chromium, driven by playwright in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SCRIPT = Path(__file__).with_name("harness_browser.mjs")
STOP_TIMEOUT_S = 10.0


class Browser:
    """Started on entry. Needs node, chromium and TINYBMS_PAGE_MODULES; see make test-page."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def __enter__(self) -> Self:
        chromium = shutil.which("chromium") or "chromium"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                ["node", str(SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env={**os.environ, "TINYBMS_CHROMIUM": chromium},
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def open(self, url: str, **options: object) -> None:
        """Open a page in a fresh profile; options: width, height, dark, language."""
        self._do("open", url=url, **options)

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever the script gives
        """The value of an expression in the page."""
        return self._do("run", script=script)

    def wait(self, script: str, timeout_s: float = 5.0) -> None:
        """Wait until an expression is true; AssertionError when it does not become so."""
        self._do("wait", script=script, timeout_s=timeout_s)

    def text(self, selector: str) -> str:
        """What an element shows."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def wait_text(self, selector: str, part: str, timeout_s: float = 5.0) -> None:
        """Wait until an element shows `part`."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"({element}?.innerText ?? '').includes({json.dumps(part)})", timeout_s)

    def select(self, element_id: str, value: str) -> None:
        """Choose an option of a select element."""
        self._do("select", id=element_id, value=value)

    def screenshot(self, path: Path) -> None:
        """Keep a picture of the whole page."""
        self._do("screenshot", path=str(path))

    def problems(self) -> list[str]:
        """Errors on the console and of scripts since `open`."""
        return list(self._do("problems"))

    def requests(self) -> list[str]:
        """Every address that was asked for since `open`."""
        return list(self._do("requests"))

    def serious_faults(self) -> list[str]:
        """What axe finds of serious or critical impact."""
        return list(self._do("axe"))

    def _do(self, command: str, **values: object) -> Any:  # noqa: ANN401 - JSON
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, **values}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._log.read_text(errors="replace")
        answer = json.loads(line)
        assert "error" not in answer, answer.get("error")
        return answer["value"]
