"""A certificate authority for tests, made with openssl: servers, clients, also expired ones."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate with its key, both PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates below `folder`; `file` is what its peers must trust."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder / name
        self._folder.mkdir(parents=True)
        self._name = name
        self.file = self._folder / "ca.pem"
        self._key = self._folder / "ca.key"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "3650", "-subj", f"/CN={name}"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            *("-keyout", str(self._key), "-out", str(self.file)),
        )
        (self._folder / "index.txt").touch()
        (self._folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=ours\n[ours]\n"
            f"database={self._folder}/index.txt\nnew_certs_dir={self._folder}\n"
            f"certificate={self.file}\nprivate_key={self._key}\n"
            "default_md=sha256\npolicy=any\nunique_subject=no\ncopy_extensions=copy\nrand_serial=yes\n"
            "[any]\ncommonName=supplied\n",
            encoding="utf-8",
        )

    def issue(self, name: str, *, first_day: int = -1, last_day: int = 400) -> Pair:
        """A certificate for the host or client `name`, valid between two days from now."""
        request = self._folder / f"{name}.csr"
        pair = Pair(certificate=self._folder / f"{name}.pem", key=self._folder / f"{name}.key")
        _openssl(
            *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"),
            *("-keyout", str(pair.key), "-out", str(request)),
        )
        _openssl(
            *("ca", "-batch", "-notext", "-config", f"{self._folder}/ca.cnf"),
            *("-startdate", _date(first_day), "-enddate", _date(last_day)),
            *("-in", str(request), "-out", str(pair.certificate)),
        )
        pair.key.chmod(0o644)
        return pair


def _date(days_from_now: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days_from_now)).strftime("%Y%m%d%H%M%SZ")


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
