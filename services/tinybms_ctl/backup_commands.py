"""`tinybms-ctl backup` and `restore`: one file to keep, or to move to another computer."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Final

import typer

from tinybms_charge.parameters import charge_parameters
from tinybms_config.model import Config
from tinybms_config.parse import parse
from tinybms_config.problems import ConfigError
from tinybms_ctl.backup_archive import (
    CONFIG,
    MAX_TOTAL_BYTES,
    SECRETS,
    STATE,
    BrokenArchiveError,
    Manifest,
    pack,
    unpack,
)
from tinybms_ctl.backup_files import (
    UnreadableError,
    content,
    put_back,
    secret_files,
    state_files,
)
from tinybms_ctl.options import ConfigOption, JsonOption, load_or_exit, print_json, say
from tinybms_ctl.system import supervisord
from tinybms_runtime.configfile import config_path, load
from tinybms_runtime.lock import AlreadyRunningError, ProcessLock
from tinybms_runtime.paths import Paths
from tinybms_runtime.processes import NAMES

EXIT_FAILED: Final = 1
EXIT_REFUSED: Final = 75


class RunningError(Exception):
    """A process of the gateway runs; the text says which, and what to do."""


def backup(
    file: Annotated[Path, typer.Argument(help="File to write, such as pack1.tar.gz.")],
    config: ConfigOption = None,
    *,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Put passwords, tokens and keys in as well.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Pack configuration, counters, charge state and history; the gateway may go on running."""
    path, parsed = load_or_exit(config)
    keys = secret_files(parsed.config)
    try:
        files = _collect(path, parsed.config, with_secrets=secrets)
        now = datetime.now(UTC)
        data = pack(
            files,
            version=metadata.version("tinybms-gateway"),
            time=now.isoformat(timespec="seconds"),
            device=parsed.config.gateway.device,
            wall_s=int(now.timestamp()),
        )
        _write_private(file, data)
    except (UnreadableError, BrokenArchiveError) as error:
        say(f"no backup was made: {error}")
        raise typer.Exit(EXIT_FAILED) from error
    except OSError as error:
        say(f"{error.filename or file}: {error.strerror}: choose another file")
        raise typer.Exit(EXIT_FAILED) from error
    left_out = [] if secrets else [f"{key} ({name})" for key, name in keys.items()]
    if as_json:
        print_json({"file": str(file), "files": sorted(files), "left_out": left_out})
        return
    print(f"{file}: {len(files)} files, {len(data)} bytes")
    if left_out:
        print(f"not in it: {', '.join(left_out)}; --secrets puts them in")


def restore(
    file: Annotated[Path, typer.Argument(help="File that `tinybms-ctl backup` wrote.")],
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in place; what it replaces stays as *.before-restore."""
    target = config_path(config, os.environ).resolve()
    try:
        manifest, files = unpack(_read(file))
        restored = _configuration(manifest, files, target)
    except (BrokenArchiveError, ConfigError) as error:
        say(f"{file} was not restored, nothing is changed: {error}")
        raise typer.Exit(EXIT_FAILED) from error
    except OSError as error:
        say(f"{file}: {error.strerror}: give a file that `tinybms-ctl backup` wrote")
        raise typer.Exit(EXIT_FAILED) from error
    try:
        with ExitStack() as locks:
            for paths in {Paths.of(restored), *_paths_until_now(target)}:
                _keep_still(paths, locks)
            changed = _replace(files, restored, target)
    except RunningError as error:
        say(f"{file} was not restored, nothing is changed: {error}")
        raise typer.Exit(EXIT_REFUSED) from error
    except OSError as error:
        where = error.filename or target.parent
        say(
            f"{where}: {error.strerror}: nothing is changed; it takes room on the disk, and a user "
            "who may write the configuration and the state folder, such as root"
        )
        raise typer.Exit(EXIT_FAILED) from error
    if as_json:
        print_json({"device": manifest.device, "time": manifest.time, "files": sorted(changed)})
        return
    print(f"restored {len(changed)} files of {manifest.device}, backup of {manifest.time}:")
    for name in sorted(changed):
        print(f"  {name}")
    for key, secret in secret_files(restored).items():
        if not secret.exists():
            print(f"missing: {key} ({secret}): it was not in the backup, put it there by hand")


def _collect(path: Path, config: Config, *, with_secrets: bool) -> dict[str, bytes]:
    keys = secret_files(config)
    files = {CONFIG: content(path)}
    for state in state_files(Paths.of(config), keys.values()):
        files[f"{STATE}{state.name}"] = content(state)
    if with_secrets:
        files.update({f"{SECRETS}{key}": content(name) for key, name in keys.items()})
    return files


def _write_private(file: Path, data: bytes) -> None:
    """In one step and for its owner alone, for it can hold secrets."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(MAX_TOTAL_BYTES + 1)
    if len(data) > MAX_TOTAL_BYTES:
        raise BrokenArchiveError(f"it is larger than {MAX_TOTAL_BYTES} bytes")
    return data


def _configuration(manifest: Manifest, files: dict[str, bytes], target: Path) -> Config:
    """The restored configuration; a refused one must not replace one that works."""
    try:
        text = files[CONFIG].decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenArchiveError(f"{CONFIG} is not UTF-8") from error
    config = parse(text, os.environ, file=f"{CONFIG} of the backup").config
    charge_parameters(config, file=str(target))
    if config.gateway.device != manifest.device:
        raise BrokenArchiveError(
            f"its {CONFIG} is of {config.gateway.device!r}, its manifest of {manifest.device!r}"
        )
    return config


def _paths_until_now(target: Path) -> list[Paths]:
    """The folders of the configuration that is replaced, when there is a good one."""
    try:
        return [Paths.of(load(target, os.environ).config)]
    except ConfigError:
        return []


def _keep_still(paths: Paths, locks: ExitStack) -> None:
    """Hold the lock of every process until `locks` ends; RunningError when one runs.

    A lock file that is missing is not made: no process ran here since the computer started.
    """
    facts = supervisord(paths).facts
    if facts.state != "down":
        raise RunningError(f"supervisord of {paths.run_dir} runs: stop the gateway first")
    for name in NAMES:
        if not paths.lock(name).exists():
            continue
        lock = ProcessLock(paths.lock(name))
        try:
            lock.acquire(patience_s=0)
        except AlreadyRunningError as error:
            raise RunningError(
                f"{name} runs (pid {error.pid or 'unknown'}): stop the gateway first, "
                "with `tinybms-ctl down` or `systemctl stop tinybms-gateway`"
            ) from error
        locks.callback(lock.release)


def _replace(files: dict[str, bytes], config: Config, target: Path) -> list[str]:
    """Put everything in its place; the names of the files that were written."""
    paths = Paths.of(config)
    keys = secret_files(config)
    placed: dict[Path, bytes] = {}
    private: set[Path] = set()
    for name, data in files.items():
        if name.startswith(STATE):
            placed[paths.state_dir / name.removeprefix(STATE)] = data
        elif name.startswith(SECRETS):
            key = name.removeprefix(SECRETS)
            if key in keys:
                placed[keys[key].resolve()] = data
                private.add(keys[key].resolve())
        else:
            placed[target] = data
    obsolete = [each for each in state_files(paths, keys.values()) if each not in placed]
    put_back(placed, private=private, obsolete=obsolete)
    return [str(each) for each in placed]
