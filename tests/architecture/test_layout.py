"""The tree has the layout that users, tools and other checks rely on."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOP_LEVEL = [
    "pyproject.toml",
    "supervisord.conf",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    ".ci/run",
    "services",
    "shared",
    "deploy",
    "tests",
]
SHIPPED_FOLDERS = {".ci", "deploy", "services", "shared", "tests"}
FOREIGN_TEXT = {
    "a home folder": r"/(?:home/[a-z]+|root)/",
    "a path of one machine": r"(?<![\w.~}-])/(?:work|workspace|workspaces|builds|Users)/\w",
    "a package registry": r"(?:pypi|pythonhosted)\.org|(?:registry|deb)\.\w+\.(?:org|com)",
    "an unfinished place": r"\b(?:TO" r"DO|FIX" r"ME)\b",
    "a merge conflict": r"^(?:<{7}|>{7}) ",
}


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _shelved_packages() -> list[str]:
    folders = [*(ROOT / "shared").iterdir(), *(ROOT / "services").iterdir()]
    return sorted(str(folder.relative_to(ROOT)) for folder in folders if any(folder.glob("*.py")))


def _texts() -> dict[str, str]:
    files: list[Path] = []
    for entry in ROOT.iterdir():
        if entry.name in SHIPPED_FOLDERS:
            files += [file for file in entry.rglob("*") if "__pycache__" not in file.parts]
        elif entry.suffix != ".lock" and not entry.name.startswith(".coverage"):
            files.append(entry)
    return {
        str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
        for file in files
        if file.is_file()
    }


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_the_top_level_holds(name: str) -> None:
    assert (ROOT / name).exists()


def test_shelves_hold_prefixed_packages_and_nothing_else() -> None:
    for package in _shelved_packages():
        assert Path(package).name.startswith("tinybms_"), package
        assert (ROOT / package / "__init__.py").is_file(), package
        assert (ROOT / package / "py.typed").is_file(), package
    for shelf in ("shared", "services"):
        assert not (ROOT / shelf / "__init__.py").exists()


def test_every_package_is_in_the_wheel_and_the_contracts() -> None:
    tools = _pyproject()["tool"]
    folders = _shelved_packages()
    names = sorted(Path(folder).name for folder in folders)
    assert sorted(tools["hatch"]["build"]["targets"]["wheel"]["packages"]) == folders
    assert sorted(tools["importlinter"]["root_packages"]) == names


def test_every_package_is_in_exactly_one_layer() -> None:
    contracts = _pyproject()["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "layers")
    names = [name for layer in layers for name in re.split(r"[ |:]+", layer)]
    assert sorted(names) == sorted(Path(folder).name for folder in _shelved_packages())


def test_the_packaged_supervisord_conf_is_the_one_at_the_top() -> None:
    packaged = ROOT / "shared/tinybms_runtime/supervisord.conf"
    assert packaged.read_bytes() == (ROOT / "supervisord.conf").read_bytes()
    assert packaged.resolve() == ROOT / "supervisord.conf"


def test_test_folders_are_not_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_lock_files_pin_every_package_with_hashes_and_name_no_source() -> None:
    for file in ROOT.glob("requirements*.lock"):
        text = file.read_text(encoding="utf-8").replace("\\\n", "")
        for line in filter(None, map(str.strip, text.splitlines())):
            assert line.startswith("#") or re.match(r"[\w.-]+==\S+ .*--hash=sha256:", line), line
        assert "://" not in text, file.name


@pytest.mark.parametrize("what", FOREIGN_TEXT)
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(FOREIGN_TEXT[what], re.MULTILINE)
    own_name = str(Path(__file__).relative_to(ROOT))
    found = [
        f"{name}: {match.group()}"
        for name, text in _texts().items()
        if name != own_name and (match := pattern.search(text))
    ]
    assert found == []
