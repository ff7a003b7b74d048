"""What another program has already, looked at before the gateway is started for the first time.

Run by install.sh as `python -P -m tinybms_ctl.taken FILE`; exit code 1 when something is taken.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing

from tinybms_config.model import Config
from tinybms_ctl.doctor.host import users_of
from tinybms_ctl.options import load_or_exit


def taken(config: Config) -> Iterator[str]:
    """A sentence for each port that is not free: what, where, what to do."""
    listen = config.health.listen
    if reason := _not_free(listen):
        yield f"health.listen = {listen}: {reason}: end what listens there, or choose another port"
    ports = {"acquisition.port": config.acquisition.port}
    if config.can.enabled and config.can.interface == "slcan":
        ports["can.channel"] = config.can.channel.partition("@")[0]
    for key, path in ports.items():
        if users := users_of(path, ()):
            yield f"{key} = {path}: in use by {', '.join(users)}: end that first"


def _not_free(listen: str) -> str | None:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, int(port)))
        except OSError as error:
            return os.strerror(error.errno) if error.errno else str(error)
    return None


def main() -> None:
    """Print what is taken; ends the process."""
    _, parsed = load_or_exit(sys.argv[1])
    sentences = list(taken(parsed.config))
    print("\n".join(sentences))
    sys.exit(1 if sentences else 0)


if __name__ == "__main__":
    main()
