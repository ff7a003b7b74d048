"""Ask the HTTP interface of the running health process."""

from __future__ import annotations

import http.client
from typing import Final, TypeVar

import msgspec

ANSWER_S: Final = 12.0
_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound to

Body = TypeVar("Body")


class HealthSilent(Exception):
    """No answer, or a refusal; the text says why and what to do."""


def connection_to(listen: str, timeout_s: float) -> http.client.HTTPConnection:
    """A connection, not opened yet, to where health listens."""
    host, port = listen.rsplit(":", 1)
    host = host.strip("[]")
    return http.client.HTTPConnection(_ANYWHERE.get(host, host), int(port), timeout=timeout_s)


def fetch(listen: str, target: str, kind: type[Body], *, timeout_s: float = ANSWER_S) -> Body:
    """The answer to GET `target`; raises HealthSilent."""
    connection = connection_to(listen, timeout_s)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        data = answer.read()
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise HealthSilent(
            f"health does not answer on {listen}: {reason}; see: tinybms-ctl status"
        ) from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise HealthSilent(f"health refuses {target}: {_refusal(data)}")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise HealthSilent(f"odd answer to {target} on {listen}: {error}") from error


def _refusal(data: bytes) -> str:
    try:
        return str(msgspec.json.decode(data, type=dict[str, str])["error"])
    except (msgspec.MsgspecError, KeyError):
        return data[:200].decode("utf-8", "replace")
