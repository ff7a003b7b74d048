"""Reads from a PEM certificate until when it is good.

The ssl module tells that of a peer's certificate and of authorities, not of one's own.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import Final

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_FORMATS: Final = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
"""UTCTime and GeneralizedTime, as RFC 5280 section 4.1.2.5 restricts them."""


def certificate_end(pem: str) -> datetime:
    """The notAfter of the first certificate in `pem`. Raises ValueError.

    Source: RFC 5280, section 4.1.
    """
    start = pem.find(ssl.PEM_HEADER)
    end = pem.find(ssl.PEM_FOOTER, start)
    if start < 0 or end < 0:
        raise ValueError("holds no PEM certificate")
    certificate = ssl.PEM_cert_to_DER_cert(pem[start : end + len(ssl.PEM_FOOTER)])
    signed = _inside(_inside(certificate))
    if signed[:1] == bytes([_VERSION]):
        signed = _parts(signed)[2]
    for _serial_algorithm_issuer in range(3):
        signed = _parts(signed)[2]
    _first, _not_before, rest = _parts(_inside(signed))
    tag, text, _rest = _parts(rest)
    if tag not in _FORMATS:
        raise ValueError("holds no date")
    return datetime.strptime(text.decode("ascii"), _FORMATS[tag]).replace(tzinfo=UTC)


def _inside(data: bytes) -> bytes:
    tag, content, _rest = _parts(data)
    if tag != _SEQUENCE:
        raise ValueError("is no certificate")
    return content


def _parts(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag and content of the first DER element, and what follows it."""
    if len(data) < 2:
        raise ValueError("is cut off")
    length, begin = data[1], 2
    if length >= 0x80:
        begin += length & 0x7F
        length = int.from_bytes(data[2:begin], "big")
    if len(data) < begin + length:
        raise ValueError("is cut off")
    return data[0], data[begin : begin + length], data[begin + length :]
