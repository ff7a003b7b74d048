"""Where a device's files lie; every name carries the device, so that packs never share one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinybms_config.model import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Folders and files of one device."""

    run_dir: Path
    state_dir: Path
    log_dir: Path
    device: str

    @classmethod
    def of(cls, config: Config) -> Paths:
        """The paths that `config` names."""
        gateway = config.gateway
        return cls(
            run_dir=Path(gateway.run_dir),
            state_dir=Path(gateway.state_dir),
            log_dir=Path(gateway.log_dir),
            device=gateway.device,
        )

    @property
    def bus_in(self) -> str:
        """Where publishers connect."""
        return f"ipc://{self.run_dir}/bus-in"

    @property
    def bus_out(self) -> str:
        """Where subscribers connect."""
        return f"ipc://{self.run_dir}/bus-out"

    def requests(self, process: str) -> str:
        """Where a process answers requests."""
        return f"ipc://{self.run_dir}/ask-{process}"

    @property
    def supervisor_socket(self) -> Path:
        """Control socket of supervisord."""
        return self.run_dir / "supervisor.sock"

    @property
    def supervisor_pid_file(self) -> Path:
        """Where supervisord writes its pid."""
        return self.run_dir / "supervisord.pid"

    def lock(self, process: str) -> Path:
        """Lock file of a process, holding its pid."""
        return self.run_dir / f"{process}-{self.device}.lock"

    def run_file(self, name: str) -> Path:
        """A file that need not survive the machine's restart."""
        return self.run_dir / f"{self.device}-{name}"

    def state_file(self, name: str) -> Path:
        """A file that must survive the machine's restart."""
        return self.state_dir / f"{self.device}-{name}"
