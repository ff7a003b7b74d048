"""Commands by MQTT: a message below `cmd/` becomes a request to another process, or a refusal.

Pure. Nothing here decides what a command may do: the process that is asked does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from tinybms_messages.owner import (
    LONGEST_MODE_S,
    LONGEST_SERVICE_S,
    CanCommand,
    CanNow,
    ClearModes,
    ControlCan,
    ModesNow,
    OwnerMode,
    OwnerRequest,
    SetMode,
)
from tinybms_messages.requests import ReplyBody
from tinybms_mqtt_out.events import Received
from tinybms_mqtt_out.publication import Kind, Publication

LONGEST_PAYLOAD_BYTES: Final = 1024
TOP_BALANCE_S: Final = 6 * 3600.0
OLD_AFTER_MS: Final = 30_000
"""A command that says when it was sent is refused when that is so long ago, or to come."""
ANSWERS_KEPT: Final = 100
"""By id: QoS 1 may bring a command twice."""

CommandId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Payload of a command."""

    id: CommandId
    value: bool | float | None = None
    expires_in_s: float | None = None
    timestamp_ms: int | None = None
    """When it was sent; optional."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A command that `process` has to answer."""

    name: str
    id: str
    process: str
    body: OwnerRequest


class Refused(ValueError):
    """The command is none, or not allowed; the text says why."""


class Commands:
    """Reads commands below `root` and makes their answers."""

    def __init__(self, root: str) -> None:
        self.filter = f"{root}/cmd/+"
        self._prefix = f"{root}/cmd/"
        self._answers: OrderedDict[str, Publication | None] = OrderedDict()

    def received(self, message: Received, wall_ms: int | None) -> Asked | Publication | None:
        """What to ask, or the answer when there is nothing to ask; None: no command, or under way.

        `wall_ms`: now since 1970, None while the clock can't be trusted.
        """
        name = message.topic.removeprefix(self._prefix)
        if name == message.topic or "/" in name or not message.payload:
            return None
        known_id: str | None = None
        try:
            order = _order(message.payload)
            known_id = order.id
            if known_id in self._answers:
                return self._answers[known_id]
            _check_new(message, order, wall_ms)
            asked = _asked(name, order)
        except Refused as error:
            return self._publication(name, known_id, "refused", str(error))
        self._keep(asked.id, None)
        return asked

    def answer(
        self, asked: Asked, result: str, text: str, body: ReplyBody | None, boottime_ns: int
    ) -> Publication:
        """The answer to a command; `result`: ok, refused or no_answer."""
        publication = self._publication(asked.name, asked.id, result, text, body, boottime_ns)
        self._keep(asked.id, publication)
        return publication

    def _publication(
        self,
        name: str,
        order_id: str | None,
        result: str,
        text: str,
        body: ReplyBody | None = None,
        boottime_ns: int = 0,
    ) -> Publication:
        answer: dict[str, object] = {"id": order_id, "result": result, "text": text}
        if isinstance(body, ModesNow):
            answer["modes"] = [
                {
                    "mode": mode.mode.value,
                    "left_s": round(mode.left_s(boottime_ns), 1),
                    "limit_a": mode.limit_a,
                }
                for mode in body.modes
            ]
        elif isinstance(body, CanNow):
            answer["stopped"] = body.stopped
            answer["service_left_s"] = round(body.service_left_s, 1)
        return Publication(
            topic=f"{self._prefix}{name}/result",
            payload=msgspec.json.encode(answer),
            qos=1,
            kind=Kind.STATUS,
        )

    def _keep(self, order_id: str, publication: Publication | None) -> None:
        self._answers[order_id] = publication
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)


def _order(payload: bytes) -> Order:
    if len(payload) > LONGEST_PAYLOAD_BYTES:
        raise Refused(f"{len(payload)} bytes: at most {LONGEST_PAYLOAD_BYTES} are read")
    try:
        return msgspec.json.decode(payload, type=Order)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(
            f'{error}; allowed is an object such as {{"id": "1", "value": true, '
            '"expires_in_s": 3600}'
        ) from error


def _check_new(message: Received, order: Order, wall_ms: int | None) -> None:
    if message.retained:
        raise Refused("a retained message is no command: send it without retain")
    if order.timestamp_ms is None or wall_ms is None:
        return
    if abs(wall_ms - order.timestamp_ms) > OLD_AFTER_MS:
        raise Refused(f"timestamp_ms is more than {OLD_AFTER_MS // 1000} s away from now")


def _asked(name: str, order: Order) -> Asked:
    make = COMMANDS.get(name)
    if make is None:
        raise Refused(f"there is no command {name!r}; known: {', '.join(COMMANDS)}")
    body = make(order)
    process = "can_out" if isinstance(body, ControlCan) else "acquisition"
    return Asked(name=name, id=order.id, process=process, body=body)


def _mode(mode: OwnerMode, default_s: float | None = None) -> Callable[[Order], OwnerRequest]:
    """True (or no value): set; false: clear."""

    def make(order: Order) -> OwnerRequest:
        if order.value is False:
            return ClearModes(modes=(mode,))
        _only_yes(order, "true or false is allowed")
        return SetMode(mode=mode, duration_s=_duration_s(order, LONGEST_MODE_S, default_s))

    return make


def _current(order: Order) -> OwnerRequest:
    """A number: set; false or null: clear."""
    if order.value is None or order.value is False:
        return ClearModes(modes=(OwnerMode.CHARGE_CURRENT,))
    if order.value is True or not 0 <= order.value <= 1000:
        raise Refused(f"value {order.value!r}: 0 to 1000 (A), or false to end it, is allowed")
    return SetMode(
        mode=OwnerMode.CHARGE_CURRENT,
        duration_s=_duration_s(order, LONGEST_MODE_S, None),
        limit_a=float(order.value),
    )


def _clear(order: Order) -> OwnerRequest:
    _only_yes(order, "this command takes none")
    return ClearModes()


def _can(command: CanCommand) -> Callable[[Order], OwnerRequest]:
    def make(order: Order) -> OwnerRequest:
        _only_yes(order, "this command takes none")
        return ControlCan(command=command)

    return make


def _service(order: Order) -> OwnerRequest:
    """True (or no value): begin; false: end."""
    if order.value is False:
        return ControlCan(command=CanCommand.SERVICE_END)
    _only_yes(order, "true or false is allowed")
    duration_s = _duration_s(order, LONGEST_SERVICE_S, LONGEST_SERVICE_S)
    return ControlCan(command=CanCommand.SERVICE, duration_s=duration_s)


def _only_yes(order: Order, allowed: str) -> None:
    if order.value is not None and order.value is not True:
        raise Refused(f"value {order.value!r}: {allowed}")


def _duration_s(order: Order, longest_s: float, default_s: float | None) -> float:
    seconds = order.expires_in_s if order.expires_in_s is not None else default_s
    if seconds is None or not 0 < seconds <= longest_s:
        raise Refused(f"expires_in_s {seconds!r}: more than 0 and at most {longest_s:.0f} (s)")
    return seconds


COMMANDS: Final[Mapping[str, Callable[[Order], OwnerRequest]]] = {
    "charge_off": _mode(OwnerMode.CHARGE_OFF),
    "discharge_off": _mode(OwnerMode.DISCHARGE_OFF),
    "charge_current": _current,
    "top_balance": _mode(OwnerMode.TOP_BALANCE, TOP_BALANCE_S),
    "clear_modes": _clear,
    "can_stop": _can(CanCommand.STOP),
    "can_start": _can(CanCommand.START),
    "can_service": _service,
}
"""The request that each `cmd/<name>` leads to."""
