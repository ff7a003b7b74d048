"""What one step of the way to the MQTT broker showed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttFinding:
    """`step`: resolve, connect, TLS, login or publish; `advice`: what to do when it is not ok."""

    step: str
    ok: bool
    text: str
    advice: str = ""
    soon: bool = False
    """It works, but something about it needs care."""
