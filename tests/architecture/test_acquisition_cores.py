"""The cores of acquisition stay pure: no port, no file, no bus, no clock of their own."""

import ast
from pathlib import Path

import pytest

import tinybms_acquisition

FOLDER = Path(tinybms_acquisition.__file__).parent
SHELLS = {
    "__init__",
    "__main__",
    "chargefile",
    "connection",
    "counterfile",
    "ownerdesk",
    "ports",
    "publisher",
    "recorder",
    "ringfile",
    "service",
    "socfile",
}
FORBIDDEN = {"logging", "os", "pathlib", "serial", "socket", "threading", "time", "zmq"}
FORBIDDEN |= {"tinybms_runtime", *(f"tinybms_acquisition.{shell}" for shell in SHELLS)}


def imports_of(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize(
    "file", sorted(f for f in FOLDER.glob("*.py") if f.stem not in SHELLS), ids=lambda f: f.stem
)
def test_a_core_imports_no_shell_and_no_input_or_output(file: Path) -> None:
    wrong = {
        name for name in imports_of(file) if name in FORBIDDEN or name.split(".", 1)[0] in FORBIDDEN
    }
    assert not wrong


def test_the_shells_are_all_there() -> None:
    assert {file.stem for file in FOLDER.glob("*.py")} >= SHELLS
