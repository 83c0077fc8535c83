"""Frozen dataclasses <-> plain JSON values, strictly: nothing missing, nothing unknown, no NaN."""

from __future__ import annotations

import dataclasses
import json
import types
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from search_spaces.architecture import Architecture

T = TypeVar("T")


def to_plain(value: object) -> Any:
    """A dataclass (or tuples, mappings and scalars of them) as JSON values."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Architecture):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(getattr(value, name)) for name in _shape(type(value))[1]}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): to_plain(item) for name, item in value.items()}
    return value


def from_plain(cls: type[T], value: object, where: str = "") -> T:
    """The inverse of `to_plain` for a dataclass type.

    Args:
        cls: a dataclass; its fields' annotations say what is expected.
        value: what `json.loads` gave.
        where: name of the value in messages.

    Raises:
        ValueError: a field is missing, unknown or of another type; the message names it.
    """
    return cast(T, _read(cls, value, where or cls.__name__))


def dumps(value: object) -> str:
    """JSON text of a dataclass, indented, ending in a newline; refuses NaN and infinity."""
    return json.dumps(to_plain(value), indent=1, allow_nan=False) + "\n"


def _read(expected: Any, value: object, where: str) -> object:
    if type(value) is expected:  # a scalar as it should be: nearly all of a record
        return value
    origin, arguments = get_origin(expected), get_args(expected)
    if expected is Architecture:
        return Architecture.from_dict(value)
    if dataclasses.is_dataclass(expected):
        return _read_dataclass(cast(type, expected), value, where)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        scalars = [each for each in arguments if each in (bool, int, float, str)]
        rest = [each for each in arguments if each not in (bool, int, float, str, type(None))]
        if type(value) in scalars:
            return value
        if len(rest) == 1:
            return _read(rest[0], value, where)
    elif origin is Literal:
        if value in arguments:
            return value
        raise ValueError(f"{where} must be one of {', '.join(map(str, arguments))}, got {value!r}")
    elif origin is tuple and isinstance(value, list | tuple):
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_read(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        if len(arguments) == len(value):
            return tuple(_read(a, item, f"{where}[{i}]") for i, (a, item) in enumerate(zip(arguments, value)))
    elif origin is dict and isinstance(value, dict):
        return {str(name): _read(arguments[1], item, f"{where}.{name}") for name, item in value.items()}
    elif expected is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif expected in (bool, int, str) and type(value) is expected:
        return value
    name = getattr(expected, "__name__", str(expected)) if origin is None else str(expected)
    raise ValueError(f"{where} must be {name}, got {str(value)[:100]!r}")


def _read_dataclass(cls: type, value: object, where: str) -> object:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object, got {str(value)[:100]!r}")
    hints, fields, required = _shape(cls)
    if unknown := sorted(set(value) - set(fields)):
        raise ValueError(f"{where} has no field {unknown[0]!r}; it has {', '.join(fields)}")
    for name in required:
        if name not in value:
            raise ValueError(f"{where} lacks the field {name!r}")
    return cls(**{name: _read(hints[name], item, f"{where}.{name}") for name, item in value.items()})


@cache  # a run has tens of thousands of values of few types
def _shape(cls: type) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """Annotations, names of the fields, and of those without a default."""
    fields = dataclasses.fields(cls)
    missing = dataclasses.MISSING
    required = tuple(f.name for f in fields if f.default is missing and f.default_factory is missing)
    return get_type_hints(cls), tuple(field.name for field in fields), required
