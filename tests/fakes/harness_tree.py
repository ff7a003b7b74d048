"""A Debian 12 tree of its own, in which install.sh is run as on a machine without systemd.

Mounts and processes live in namespaces: they are gone with the tree, and its files are memory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from harness_sim import wait_until

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "install"
DEBIAN = BUILD / "debian-12"
WHEELHOUSE = ROOT / "build" / "wheelhouse"
PACKAGES = "python3"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_MOUNTS = """
set -eu
mount --make-rprivate /
ip link set lo up
mount -t tmpfs -o size=2g none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" none "$1/root"
cd "$1/root"
mount --rbind /dev dev
mount -t proc none proc
mount -t tmpfs -o mode=755 none run
mkdir -p run/lock media/wheels media/shared
shift 2
while [ $# -gt 0 ]; do
  mkdir -p "./$2"
  mount --bind "$1" "./$2"
  shift 2
done
echo ready
exec sleep infinity
"""


class Tree:
    """A machine in `folder`: what the tree of Debian has, and the folders of `shared` as they are.

    `shared`: folder here to folder there. `offline`: with a loopback interface at the most.
    """

    def __init__(
        self, folder: Path, *, shared: Mapping[Path, str] | None = None, offline: bool = False
    ) -> None:
        self.folder = folder
        self._shared = shared or {}
        self._offline = offline
        self._process: subprocess.Popen[str] | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        binds = [str(word) for pair in self._shared.items() for word in pair]
        spaces = ["-m", "-p", *(["-n"] if self._offline else [])]
        self._process = subprocess.Popen(
            [
                *("unshare", *spaces, "-f", "--kill-child=KILL"),
                *("bash", "-c", _MOUNTS, "mounts", str(self.folder), str(debian()), *binds),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if said != "ready\n":
            rest = self._process.stdout.read()
            self._end()
            raise AssertionError(f"no tree: {said}{rest}")
        self._pid = psutil.Process(self._process.pid).children()[0].pid
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def command(self, words: Sequence[str]) -> list[str]:
        """What runs `words` in the tree as root, with an environment of next to nothing."""
        spaces = ["-m", "-p", *(["-n"] if self._offline else [])]
        return [
            *("nsenter", "-t", str(self._pid), *spaces),
            *("chroot", str(self.folder / "root")),
            *("env", "-i", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8", *words),
        ]

    def run(
        self, *words: str, timeout_s: float = 180.0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the tree and wait for its end; both outputs are in `stdout`."""
        return subprocess.run(
            self.command(words),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def good(self, *words: str, timeout_s: float = 180.0) -> str:
        """As `run`, for what has to work; its output."""
        done = self.run(*words, timeout_s=timeout_s)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def shell(self, text: str) -> str:
        """Run lines of sh that have to work; their output."""
        return self.good("sh", "-euc", text)

    def files(self) -> dict[str, str]:
        """Kind, mode, owner and link of each path; /tmp and what apt keeps are left out."""
        text = self.good(
            *("find", "/", "-xdev", "-not", "-path", "/tmp/*", "-not", "-name", "*.pyc"),
            *("-not", "-path", "/var/*/apt*"),
            *("-printf", "%p\t%y %m %u:%g %l\n"),
        )
        return dict(line.split("\t", 1) for line in text.splitlines())

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        wait_until(lambda: not psutil.pid_exists(self._pid), 10.0, "the end of the tree")
        shutil.rmtree(self.folder, ignore_errors=True)


def debian() -> Path:
    """A fresh Debian 12, made once."""
    if not (DEBIAN / "etc" / "os-release").exists():
        new = BUILD / "debian-12.new"
        shutil.rmtree(new, ignore_errors=True)
        BUILD.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(new)],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PATH": PATH},
        )
        shutil.rmtree(new / "var" / "cache" / "apt", ignore_errors=True)
        new.rename(DEBIAN)
    return DEBIAN


def other_version(version: str, folder: Path, *, broken: str = "") -> Path:
    """The wheelhouse once more, with the same gateway under another version number.

    `broken`: a program that ends at once; it can tell its options, though.
    """
    source, wheels = folder / "source", folder / f"wheels-{version}"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(".*", "build", "dist", "tests", "deploy", "__pycache__"),
        symlinks=True,
    )
    project = source / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    own = next(line for line in text.splitlines() if line.startswith("version = "))
    project.write_text(text.replace(own, f'version = "{version}"', 1), encoding="utf-8")
    if broken:
        start = source / "services" / f"tinybms_{broken}" / "__main__.py"
        start.write_text(
            'import sys\nsys.exit(0 if "--help" in sys.argv else 70)\n', encoding="utf-8"
        )
    shutil.copytree(WHEELHOUSE, wheels, copy_function=os.link)
    for old in wheels.glob("tinybms_gateway-*.whl"):
        old.unlink()
    subprocess.run(
        [
            *(str(ROOT / ".venv/bin/python"), "-m", "pip", "wheel", "-q", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", str(wheels), str(source)),
        ],
        check=True,
    )
    shutil.rmtree(source)
    return wheels
