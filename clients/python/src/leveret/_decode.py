"""Reads answers into dataclasses.

Members that are new are kept in `raw` and disturb nobody; so are values that are new, because
states and the like are plain text.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Undecodable(ValueError):
    """An answer lacks what it must have, or has something else there."""


@dataclass(frozen=True)
class Model:
    """An object of an answer."""

    raw: Mapping[str, Any] = field(repr=False, compare=False, kw_only=True, default_factory=dict)
    """All of it as it came, with members that this version does not know."""


def member(name: str) -> str:
    """Returns what an attribute is called in JSON: `class_` is `class`."""
    return name.rstrip("_")


def instant(text: str) -> datetime:
    """Reads an instant."""
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def decode(kind: type[T], value: Any, where: str = "the answer") -> T:
    """Reads `value` as a `kind`."""
    return cast(T, _read(kind, value, where))


_KNOWN: dict[type, list[tuple[Field[Any], str, Any]]] = {}


def members(kind: type[Model]) -> list[tuple[Field[Any], str, Any]]:
    """Returns each attribute of a model with its name in JSON and its type."""
    if kind not in _KNOWN:
        hints = get_type_hints(kind)
        own = [one for one in fields(kind) if one.name != "raw"]
        _KNOWN[kind] = [(one, member(one.name), hints[one.name]) for one in own]
    return _KNOWN[kind]


def _read(kind: Any, value: Any, where: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        kinds = [one for one in get_args(kind) if one is not type(None)]
        return None if value is None else _read(kinds[0], value, where)
    if isinstance(kind, type) and issubclass(kind, Model):
        return _object(kind, value, where)
    if origin is list:
        if not isinstance(value, list):
            raise Undecodable(f"{where} is no list")
        (each,) = get_args(kind)
        return [_read(each, one, f"{where}[{place}]") for place, one in enumerate(value)]
    if kind is datetime:
        try:
            return instant(value)
        except (TypeError, ValueError, AttributeError):
            raise Undecodable(f"{where} is no instant: {value!r}") from None
    if kind is str and not isinstance(value, str):
        raise Undecodable(f"{where} is no text: {value!r}")
    return value


def _object(kind: type[Model], value: Any, where: str) -> Model:
    if not isinstance(value, dict):
        raise Undecodable(f"{where} is no object")
    read: dict[str, Any] = {}
    for one, name, hint in members(kind):
        if value.get(name) is not None:
            read[one.name] = _read(hint, value[name], f"{where}.{name}")
        elif one.default is MISSING and one.default_factory is MISSING:
            raise Undecodable(f"{where} has no {name}")
    return kind(raw=value, **read)
