"""Until when a certificate is good, against what openssl itself says."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness_certificates import Authority
from tinybms_mqtt_out.certificate_end import certificate_end


def openssl_end(file: Path) -> datetime:
    said = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate", "-in", file],
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
    ).stdout
    text = said.strip().removeprefix("notAfter=")
    return datetime.strptime(text, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)


# Beyond 2049 the date has another form in the certificate.
@pytest.mark.parametrize("last_day", [-2, 9, 400, 12_000])
def test_the_last_day_is_openssls(tmp_path: Path, last_day: int) -> None:
    file = Authority(tmp_path).issue("gateway", last_day=last_day, first_day=-20).certificate
    assert certificate_end(file.read_text("ascii")) == openssl_end(file)


def test_words_before_the_certificate_and_a_chain_after_it_do_no_harm(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    file = authority.issue("gateway", last_day=30).certificate
    pem = file.read_text("ascii")
    text = f"subject=CN = gateway\n{pem}{authority.file.read_text('ascii')}"
    assert certificate_end(text) == openssl_end(file)


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
    ],
)
def test_what_is_no_certificate_is_said(pem: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        certificate_end(pem)
