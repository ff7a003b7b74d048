"""Start supervisord with every process, taking over what a former one left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from tinybms_config.parse import Parsed
from tinybms_ctl.orphans import find_orphans
from tinybms_ctl.system import supervisord
from tinybms_ctl.takeover import Say
from tinybms_runtime.paths import Paths

CURRENT: Final = "current"


class RefusedError(Exception):
    """It may not be started now; the text says why and what to do."""


def environment_for(config_file: Path, paths: Paths, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that supervisord.conf needs; the gateway's python comes first."""
    root = installation(Path(sys.prefix))
    folder = str(root / "bin" if root else Path(sys.executable).parent)
    path = os.pathsep.join(part for part in (folder, environ.get("PATH", os.defpath)) if part)
    return {
        **environ,
        "PATH": path,
        "TINYBMS_CONFIG": str(config_file.absolute()),
        "TINYBMS_RUN_DIR": str(paths.run_dir),
        "TINYBMS_LOG_DIR": str(paths.log_dir),
    }


def supervisord_command() -> list[str]:
    """Run supervisord in the foreground with the gateway's own supervisord.conf."""
    conf = Path(str(resources.files("tinybms_runtime") / "supervisord.conf"))
    prefix = Path(sys.prefix)
    if (root := installation(prefix)) is not None:
        conf = root / CURRENT / conf.relative_to(prefix)
    return [sys.executable, "-P", "-m", "supervisor.supervisord", "-n", "-c", str(conf)]


def installation(prefix: Path) -> Path | None:
    """The folder above the versions, when `prefix` is the one that its link `current` names.

    supervisord outlives an upgrade. What it starts and reads later must then be of the new version,
    so it gets paths that go through `current`: bin/python there starts the version of the moment.
    """
    root = prefix.parent
    link, python = root / CURRENT, root / "bin" / "python"
    there = link.is_symlink() and python.exists() and link.resolve() == prefix.resolve()
    return root if there else None


def make_folders(paths: Paths) -> None:
    """Make the three folders; RefusedError when that fails or they cannot be written to."""
    for folder in (paths.run_dir, paths.state_dir, paths.log_dir):
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise RefusedError(
                f"{error.filename}: {error.strerror}: make it, or choose other folders in [gateway]"
            ) from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise RefusedError(f"{folder}: not writable by this user: change its owner")


def refuse_if_running(paths: Paths) -> None:
    """RefusedError when a supervisord of this run folder lives, be it hung or stopped."""
    facts = supervisord(paths).facts
    if facts.state == "running":
        raise RefusedError(
            f"supervisord already runs (pid {facts.pid}, {paths.supervisor_socket}): "
            "nothing to do; end it first with: tinybms-ctl down"
        )
    if facts.state != "down":
        raise RefusedError(
            f"a supervisord of {paths.run_dir} lives but does not answer ({facts.detail}): "
            f"end it first, with SIGKILL if it is stopped: kill -KILL {facts.pid or '<pid>'}"
        )


def up(parsed: Parsed, config_file: Path, say: Say) -> None:
    """Become supervisord; RefusedError when it may not be started. Returns never."""
    paths = Paths.of(parsed.config)
    make_folders(paths)
    refuse_if_running(paths)
    environment = environment_for(config_file, paths, os.environ)
    orphans, strangers = find_orphans(paths)
    for sentence in strangers:
        say(sentence)
    if orphans:
        names = ", ".join(f"{orphan.name} (pid {orphan.pid})" for orphan in orphans)
        say(f"taking over from a supervisord that has ended: {names}")
        # A process of its own, for this one becomes supervisord, which also collects it.
        pids = {orphan.name: orphan.pid for orphan in orphans}
        subprocess.Popen(takeover_command(pids), env=environment, stdin=subprocess.DEVNULL)
    _become(supervisord_command(), environment)


def takeover_command(orphans: Mapping[str, int]) -> list[str]:
    """Run the takeover of these processes beside supervisord."""
    return [sys.executable, "-P", "-m", "tinybms_ctl", "takeover", json.dumps(dict(orphans))]


def _become(command: Sequence[str], environment: Mapping[str, str]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], list(command), dict(environment))  # noqa: S606 - there is no shell
