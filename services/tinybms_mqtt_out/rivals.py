"""Notices a second gateway below our root: it publishes a manifest that is none of ours."""

from __future__ import annotations

from tinybms_mqtt_out.events import Received


class RivalWatch:
    """Compares the manifests on `topic` with those that we sent ourselves."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._ours: set[int] = set()
        self._told = False

    def said(self, payload: bytes) -> None:
        """We publish this one; its echo is no rival."""
        self._ours.add(hash(payload))

    def is_news(self, message: Received) -> bool:
        """Whether `message` is the first sign of a rival.

        A retained one may be our own from before an upgrade, and an empty one clears the topic.
        """
        foreign = (
            message.topic == self.topic
            and not message.retained
            and message.payload != b""
            and hash(message.payload) not in self._ours
        )
        if not foreign or self._told:
            return False
        self._told = True
        return True
