"""Frozen dataclasses <-> plain JSON values, strictly: nothing missing, nothing unknown, no NaN."""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from search_spaces.architecture import Architecture

T = TypeVar("T")
Reader = Callable[[object], object]


class _Wrong(Exception):
    """What is wrong with a value; `where` grows on the way out of the values that hold it."""

    def __init__(self, what: str, where: str = "") -> None:
        self.what, self.where = what, where

    def within(self, step: str) -> _Wrong:
        return _Wrong(self.what, step + self.where)


def to_plain(value: object) -> Any:
    """A dataclass (or tuples, mappings and scalars of them) as JSON values."""
    if isinstance(value, Architecture):
        return value.to_dict()
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
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
        ValueError: a field is missing, unknown, of another type, not finite, or breaks a rule of its
            dataclass; the message names it.
    """
    try:
        return cast(T, _reader(cast(Any, cls))(value))
    except _Wrong as wrong:
        raise ValueError(f"{where or cls.__name__}{wrong.where}{wrong.what}") from None


def dumps(value: object) -> str:
    """JSON text of a dataclass, indented, ending in a newline; refuses NaN and infinity."""
    return json.dumps(to_plain(value), indent=1, allow_nan=False) + "\n"


@cache
def _reader(expected: Any) -> Reader:
    """What checks and converts a value of an annotation; made once for each, since records are many."""
    origin, arguments = get_origin(expected), get_args(expected)
    if expected is Architecture:
        return _architecture
    if dataclasses.is_dataclass(expected):
        return _dataclass(cast(type, expected))
    name = getattr(expected, "__name__", str(expected)) if origin is None else str(expected)

    def refuse(value: object) -> _Wrong:
        return _Wrong(f" must be {name}, got {str(value)[:100]!r}")

    if origin in (Union, types.UnionType):
        return _union(arguments, refuse)
    if origin is Literal:
        return _literal(arguments)
    if origin is tuple:
        return _tuple(arguments, refuse)
    if origin is dict:
        return _dict(arguments, refuse)

    def plain(value: object) -> object:
        if type(value) is expected:
            return value
        raise refuse(value)

    def number(value: object) -> object:
        if type(value) is float and math.isfinite(value):
            return value
        if type(value) is int and abs(value) < 1e300:
            return float(value)
        raise refuse(value)

    return number if expected is float else plain


def _at(step: str, reader: Reader, value: object) -> None:
    """Say where a value is wrong, if it is."""
    try:
        reader(value)
    except _Wrong as wrong:
        raise wrong.within(step) from None


def _architecture(value: object) -> Architecture:
    try:
        return Architecture.from_dict(value)
    except ValueError as error:
        raise _Wrong(f": {error}") from None


def _union(arguments: tuple[Any, ...], refuse: Callable[[object], _Wrong]) -> Reader:
    scalars = tuple(each for each in arguments if each in (bool, int, float, str, type(None)))
    rest = [_reader(each) for each in arguments if each not in scalars]

    def read(value: object) -> object:
        if type(value) in scalars and (type(value) is not float or math.isfinite(value)):
            return value
        if len(rest) == 1:
            return rest[0](value)
        raise refuse(value)

    return read


def _literal(arguments: tuple[Any, ...]) -> Reader:
    def read(value: object) -> object:
        if value in arguments:
            return value
        raise _Wrong(f" must be one of {', '.join(map(str, arguments))}, got {value!r}")

    return read


def _tuple(arguments: tuple[Any, ...], refuse: Callable[[object], _Wrong]) -> Reader:
    many = len(arguments) == 2 and arguments[1] is Ellipsis
    each, some = _reader(arguments[0]), () if many else tuple(map(_reader, arguments))

    def read(value: object) -> object:
        if not isinstance(value, list | tuple) or not (many or len(value) == len(some)):
            raise refuse(value)
        try:
            if many:
                return tuple([each(item) for item in value])
            return tuple([reader(item) for reader, item in zip(some, value, strict=True)])
        except _Wrong:  # again, to say where
            for position, item in enumerate(value):
                _at(f"[{position}]", each if many else some[position], item)
            raise

    return read


def _dict(arguments: tuple[Any, ...], refuse: Callable[[object], _Wrong]) -> Reader:
    each = _reader(arguments[1])

    def read(value: object) -> object:
        if not isinstance(value, dict):
            raise refuse(value)
        try:
            return {str(name): each(item) for name, item in value.items()}
        except _Wrong:
            for name, item in value.items():
                _at(f".{name}", each, item)
            raise

    return read


def _dataclass(cls: type) -> Reader:
    hints, fields = get_type_hints(cls), dataclasses.fields(cls)
    readers = {field.name: _reader(hints[field.name]) for field in fields}
    required = {
        field.name: None
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }

    def read(value: object) -> object:
        if not isinstance(value, dict):
            raise _Wrong(f" must be an object, got {str(value)[:100]!r}")
        if not value.keys() <= readers.keys():
            unknown = min(value.keys() - readers.keys())
            raise _Wrong(f" has no field {unknown!r}; it has {', '.join(readers)}")
        if not required.keys() <= value.keys():
            raise _Wrong(f" lacks the field {next(name for name in required if name not in value)!r}")
        try:
            found = {name: readers[name](item) for name, item in value.items()}
        except _Wrong:
            for name, item in value.items():
                _at(f".{name}", readers[name], item)
            raise
        try:
            return cls(**found)
        except ValueError as error:
            raise _Wrong(f": {error}") from None

    return read
