"""What a key may hold and means, in words, from its type: for errors and documentation."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import inspect

_NAMES: Final[dict[type[inspect.Type], str]] = {
    inspect.BoolType: "true or false",
    inspect.StrType: "text",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
}


def allowed_text(hint: object, error: msgspec.ValidationError | None = None) -> str:
    """What the annotated type `hint` allows; the path of `error` names the culprit in a table."""
    words = _words(inspect.type_info(hint))
    if error is not None and "at `$" in str(error):
        where = str(error).rsplit("at `$", 1)[1].rstrip("`")
        return f"{words} (at {where.strip('.') or 'this key'})"
    return words


def meaning_text(hint: object) -> str:
    """What the key of this annotated type is for; empty when its description is missing."""
    kind = inspect.type_info(hint)
    schema = kind.extra_json_schema if isinstance(kind, inspect.Metadata) else None
    return str((schema or {}).get("description", ""))


def _words(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata):
        return _words(kind.type)
    if isinstance(kind, inspect.UnionType):
        parts = [_words(part) for part in kind.types if not isinstance(part, inspect.NoneType)]
        return " or ".join(parts)
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(repr(value) for value in kind.values)
    if isinstance(kind, inspect.DictType):
        return f"a table whose values are {_words(kind.value_type)}"
    name = _NAMES.get(type(kind), type(kind).__name__)
    return " ".join([name, *_bounds(kind)])


def _bounds(kind: inspect.Type) -> list[str]:
    bounds = []
    for attribute, words in (("ge", "from {}"), ("gt", "above {}"), ("le", "to {}")):
        value = getattr(kind, attribute, None)
        if value is not None:
            bounds.append(words.format(value))
    below = getattr(kind, "lt", None)
    if below is not None:
        bounds.append(f"below {below}")
    pattern = getattr(kind, "pattern", None)
    if pattern is not None:
        bounds.append(f"like {pattern}")
    longest = getattr(kind, "max_length", None)
    if longest is not None:
        bounds.append(f"of at most {longest} characters")
    if getattr(kind, "min_length", None):
        bounds.append("not empty")
    return bounds
