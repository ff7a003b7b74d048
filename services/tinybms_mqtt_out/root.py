"""The root of all topics, made safe for brokers and for Home Assistant."""

from __future__ import annotations

import re


def root_topic(template: str, device: str) -> str:
    """`template` with {device} filled in; spaces and dots become _, other unsafe signs vanish.

    Levels hold letters, digits, _ and -. The configuration refuses roots of which nothing is left.
    """
    root = template.replace("{device}", device)
    levels = (
        re.sub(r"[^A-Za-z0-9_-]", "", re.sub(r"[ .]", "_", level)) for level in root.split("/")
    )
    return "/".join(level for level in levels if level)
