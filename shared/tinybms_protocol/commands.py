"""Requests to a TinyBMS, one frozen type per kind, each with the answer it leads to.

A constructor raises BadRequest for what the protocol does not allow, so that a request that exists
can be sent.
"""

from __future__ import annotations

from tinybms_protocol.commands_read import (
    Query,
    ReadBlock,
    ReadPackets,
    ReadScattered,
    ReadSettings,
    SettingsOption,
)
from tinybms_protocol.commands_write import (
    Option,
    OptionCode,
    WriteBlock,
    WritePackets,
    WriteScattered,
)
from tinybms_protocol.request import ReplyShape, Request
from tinybms_protocol.wire import Command

__all__ = [
    "Command",
    "Option",
    "OptionCode",
    "Query",
    "ReadBlock",
    "ReadPackets",
    "ReadScattered",
    "ReadSettings",
    "ReplyShape",
    "Request",
    "SettingsOption",
    "WriteBlock",
    "WritePackets",
    "WriteScattered",
]
