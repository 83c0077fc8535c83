"""What a user says of a task: where its data are, and how much of them is used."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields, replace
from typing import Any, get_args, get_type_hints

from trials.embedded import MADE_FROM

_SIZES = re.compile(r"(.+?)@([a-z_]+=[^,@/=]+(?:,[a-z_]+=[^,@/=]+)*)")
AUGMENTATIONS = ("crop", "flip", "cutout", "shift", "noise")
"""Names of what `Task.augment` and a recipe may ask for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A dataset, how it is read and how much of it is used. As text: ``SOURCE@rows=2000,resolution=14``.

    Attributes:
        source: a registered name, a directory or a glob of Parquet files (local or a URL that fsspec knows,
            such as ``s3://`` or ``hf://datasets/``), ``module:attribute`` or ``file.py:name``.
        rows: at most so many training and validation rows, classes in proportion; None for all.
        resolution: samples along every axis of images and volumes, resampled without aliasing.
        rate: of audio in Hz (default: that of the data); of series in samples per sample of the data.
        fraction: share of the training rows that is used, in (0, 1]; smaller shares lie within larger ones.
        split: seed of whatever is split here: carved test and validation rows, halves, subsets.
        input, label, group: columns of Parquet files; None to find them by their types.
        augment: augmentations that do not change the label here, of `AUGMENTATIONS`; a recipe uses none
            but these. None for those that are safe for the kind of data.
        max_rows, max_pixels: refuse splits of more rows; images of more pixels, longer series.

    Raises:
        ValueError: a number is out of its range.
    """

    source: str
    rows: int | None = None
    resolution: int | None = None
    rate: float | None = None
    fraction: float = 1.0
    split: int = 0
    input: str | None = None
    label: str | None = None
    group: str | None = None
    augment: tuple[str, ...] | None = None
    max_rows: int = 1_000_000
    max_pixels: int = 2**24

    def __post_init__(self) -> None:
        for name in ("rows", "resolution", "max_rows", "max_pixels"):
            value = getattr(self, name)
            _require(value is None or value >= 1, f"{name} must be at least 1", value)
        _require(0 < self.fraction <= 1, "fraction must be above 0 and at most 1", self.fraction)
        _require(self.split >= 0, "split must not be negative", self.split)
        if self.rate is not None:
            _require(0 < self.rate < math.inf, "rate must be positive", self.rate)
        for name in self.augment or ():
            _require(name in AUGMENTATIONS, f"augment must name some of {', '.join(AUGMENTATIONS)}", name)

    @staticmethod
    def parse(text: str) -> Task:
        """The task that a text stands for, as typed on a command line; several augmentations joined by +.

        Raises:
            ValueError: a word before = is no attribute of a task, or its value does not fit.
        """
        match = _SIZES.fullmatch(text)
        if match is None:
            return Task(source=text)
        hints = get_type_hints(Task)
        known = [field.name for field in fields(Task) if field.name != "source"]
        values: dict[str, Any] = {}
        for assignment in match[2].split(","):
            name, _, value = assignment.partition("=")
            if name not in known:
                raise ValueError(f"{text}: a task has no {name!r}; it has {', '.join(known)}")
            if name in values:
                raise ValueError(f"{text}: {name} must be given once, got it twice")
            values[name] = _read(name, hints[name], value, text)
        return Task(source=match[1], **values)

    @property
    def name(self) -> str:
        """Its name in records: the last part of the source, and whatever is not left to its default."""
        return _joined(self.short, self._said(exclude=("max_rows", "max_pixels")))

    @property
    def dataset(self) -> str:
        """What its rows are: tasks of one dataset are not independent of each other.

        The name without sizes; of a task that ships and is made from another one's rows, the other's.
        """
        return MADE_FROM.get(self.source, self.short)

    def __str__(self) -> str:
        return _joined(self.source, self._said())

    def at(self, source: str) -> Task:
        """The same of another source."""
        return replace(self, source=source)

    @property
    def short(self) -> str:
        """Its name without sizes, of the text alone: the same on a machine that lacks the data."""
        source, colon, attribute = self.source.rpartition(":")
        if colon and attribute.isidentifier() and (source.endswith(".py") or "/" not in source):
            return attribute
        parts = [part for part in self.source.split("/") if part not in ("", ".", "data")]
        while len(parts) > 1 and ("*" in parts[-1] or parts[-1].endswith(".parquet")):
            parts.pop()
        return parts[-1] if parts else self.source

    def _said(self, exclude: tuple[str, ...] = ()) -> dict[str, object]:
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("source", *exclude) and getattr(self, field.name) != field.default
        }


def as_task(task: Task | str) -> Task:
    """A task as it is, a text parsed."""
    return task if isinstance(task, Task) else Task.parse(task)


def _joined(source: str, said: dict[str, object]) -> str:
    texts = (f"{name}={_text(value)}" for name, value in said.items())
    return f"{source}@{','.join(texts)}" if said else source


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(value) or "none"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _read(name: str, hint: Any, text: str, where: str) -> object:
    if name == "augment":
        return () if text == "none" else tuple(text.split("+"))
    kind = next(each for each in (get_args(hint) or (hint,)) if each in (int, float, str))
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{where}: {name} must be {kind.__name__}, got {text!r}") from None


def _require(condition: bool, rule: str, value: object) -> None:
    if not condition:
        raise ValueError(f"{rule}, got {value}")
