"""The OpenAPI description, made from the table of paths and from the types themselves: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec


class ErrorReport(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One query parameter, with its JSON schema."""

    name: str
    text: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A path that answers GET. `type` is the type of a JSON answer, None for other media."""

    path: str
    summary: str
    type: Any = None
    media: str = "application/json"
    parameters: tuple[Parameter, ...] = ()


_REFERENCE: Final = "#/components/schemas/{name}"


def openapi(version: str, operations: Sequence[Operation]) -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    types = [operation.type for operation in operations if operation.type is not None]
    schemas, components = msgspec.json.schema_components(
        [*types, ErrorReport], ref_template=_REFERENCE
    )
    error = schemas[-1]
    by_path = {
        operation.path: schema
        for operation, schema in zip(
            (operation for operation in operations if operation.type is not None),
            schemas,
            strict=False,
        )
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "TinyBMS gateway",
            "version": version,
            "description": "Read-only. From another machine with the token of health.token_file.",
        },
        "paths": {
            operation.path: {"get": _get(operation, by_path.get(operation.path, {}), error)}
            for operation in operations
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _get(operation: Operation, schema: dict[str, Any], error: dict[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {
        "200": {"description": "OK", "content": {operation.media: {"schema": schema}}},
        "401": _refusal("The token is missing or wrong.", error),
        "503": _refusal("health hangs, or has no room.", error),
    }
    if operation.parameters:
        responses["400"] = _refusal("A parameter is not right.", error)
    return {
        "summary": operation.summary,
        "parameters": [
            {
                "name": parameter.name,
                "in": "query",
                "required": False,
                "description": parameter.text,
                "schema": parameter.schema,
            }
            for parameter in operation.parameters
        ],
        "responses": responses,
    }


def _refusal(text: str, error: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": error}}}
