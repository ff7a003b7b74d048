"""What a service says on stderr when it cannot even start, without filling the log."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from tinybms_config.problems import ConfigError
from tinybms_runtime.statefile import read_bytes, write_atomic


def say(name: str, text: str) -> None:
    """One message for whoever started the process."""
    sys.stderr.write(f"tinybms {name}: {text}\n")
    sys.stderr.flush()


def say_configuration_refused(name: str, error: ConfigError) -> None:
    """Print the problems, once for each change of them: supervisord tries again and again."""
    text = str(error)
    run_dir = os.environ.get("TINYBMS_RUN_DIR")
    if run_dir and _already_said(Path(run_dir) / f"{name}-config.seen", text):
        return
    say(name, f"configuration refused\n{text}")


def _already_said(note: Path, text: str) -> bool:
    """Whether `note` says that this text was printed; notes it when not."""
    digest = hashlib.sha256(text.encode()).hexdigest().encode("ascii")
    try:
        if read_bytes(note) == digest:
            return True
        write_atomic(note, digest, durable=False)
    except OSError:
        return False
    return False
