"""Which column of a Parquet file is what: input, label and group, from types, names and declared features."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from trials.reference import Task

GROUPS = ("speaker", "drawer")
"""Columns whose rows are never separated by a split."""
NO_GROUP = "none"
"""As `Task.group`: none of `GROUPS` either."""
INPUTS = (
    "image or audio (struct of bytes and path, or bytes by these names), series (lists [channels][steps] or "
    "[steps] of numbers) or volume (lists [depth][height][width] of uint8)"
)
LABELS = "integers, strings or booleans"
_NUMBERS = ("series", "volume")
_IMAGES = ("Image", "Array2D", "Array3D")
"""Features in whose lists of numbers axes may mean anything."""
_INDEX = "__index_level_0__"  # of pandas


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that are read.

    Attributes:
        input, label, group: their names; no group is None.
        kind: of the input: "image", "audio", "series" or "volume".
        names: of the classes, where the features declare them: label 0 is the first.
        rate: of audio in Hz, where the features declare it.
    """

    input: str
    kind: str
    label: str
    group: str | None
    names: tuple[str, ...]
    rate: float | None


def find_columns(url: str, schema: pa.Schema, task: Task) -> Columns:
    """The columns of a file's schema that a task names, or else those that their types give away.

    The label is the column `label`, else the only one that is declared as ClassLabel, else the only one of
    integers, strings or booleans. The group is one of `GROUPS` that is not said to be something else.

    Raises:
        ValueError: a column is missing, of a type that does not fit, or not the only candidate.
    """
    features = _features(url, schema)
    listed = ", ".join(f"{field.name} ({_type(field)})" for field in schema)
    for role in ("input", "label", "group"):
        name = getattr(task, role)
        if name is not None and (role, name) != ("group", NO_GROUP) and schema.names.count(name) != 1:
            raise ValueError(f"{url} has no column {name!r} ({role}); its columns: {listed}")
    source, kind = _input(url, schema, features, task, listed)
    if task.group is None:
        free = (name for name in GROUPS if name in schema.names and name not in (source, task.label))
        group = next(free, None)
    else:
        group = None if task.group == NO_GROUP else task.group
    others = [field for field in schema if field.name not in (source, group, _INDEX)]
    label = task.label or _label(url, others, features, listed)
    if group in (source, label):
        raise ValueError(
            f"{url}: group must be another column than the input, {source}, and the label, {label}, got "
            f"{group}; name another one, or group={NO_GROUP}"
        )
    if not is_classes(schema.field(label).type):
        raise ValueError(
            f"{url}, column {label!r}: labels must be {LABELS}, got {_type(schema.field(label))}; "
            f"name another column as label, its columns: {listed}"
        )
    declared = features.get(label, {})
    names = declared.get("names") if declared.get("_type") == "ClassLabel" else None
    if names and not pa.types.is_integer(schema.field(label).type):
        raise ValueError(
            f"{url}, column {label!r}: labels with declared class names must be integers, "
            f"got {_type(schema.field(label))}; correct the features"
        )
    rate = features.get(source, {}).get("sampling_rate")
    return Columns(
        input=source,
        kind=kind,
        label=label,
        group=group,
        names=tuple(str(name) for name in names) if isinstance(names, list) else (),
        rate=float(rate) if isinstance(rate, int | float) and rate > 0 else None,
    )


def described(schema: pa.Schema, columns: Columns, classes: int) -> tuple[str, ...]:
    """One line a column: its name, type and role."""
    roles = {columns.input: f"input ({columns.kind})", columns.label: f"label ({classes} classes)"}
    if columns.group is not None:
        roles[columns.group] = "group (never divided by a split)"
    return tuple(f"{field.name} ({_type(field)}): {roles.get(field.name, 'not used')}" for field in schema)


def is_classes(kind: pa.DataType) -> bool:
    """Whether values of a type can be labels."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind) or _is_text(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether values of a type are lists of any sort."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _input(
    url: str, schema: pa.Schema, features: dict[str, dict[str, Any]], task: Task, listed: str
) -> tuple[str, str]:
    """Name and kind of the input column."""
    roles = (task.label, task.group, "label")
    given = task.input is not None
    fields = [schema.field(task.input)] if given else [field for field in schema if field.name not in roles]
    kinds = {field.name: _kind(field, features.get(field.name, {}), given) for field in fields}
    inputs = [name for name, kind in kinds.items() if kind]
    if len(inputs) == 1:
        name, kind = inputs[0], kinds[inputs[0]]
        declared = str(features.get(name, {}).get("_type", ""))
        if name not in _NUMBERS and kind in _NUMBERS and (name == "image" or declared in _IMAGES):
            raise ValueError(
                f"{url}, column {name!r}: images must be PNG or JPEG in a struct of bytes and path, got "
                f"{_type(schema.field(name))}; encode them, or if they are no images, call the column {kind}"
            )
        return name, kind
    if given:
        raise ValueError(f"{url}, column {task.input!r} must be an input, {INPUTS}; its columns: {listed}")
    what = f"has {', '.join(inputs)}; name one, as in input={inputs[0]}" if inputs else "has none"
    raise ValueError(f"{url} must have one input column: {INPUTS}; it {what}. Its columns: {listed}")


def _kind(field: pa.Field, feature: dict[str, Any], given: bool) -> str:
    """image, audio, series, volume, or nothing for a column that is no input."""
    declared = str(feature.get("_type", "")).lower()
    binary = pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
    if binary or (pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0):
        if "audio" in (declared, field.name):
            return "audio"
        return "image" if given or not binary or "image" in (declared, field.name) else ""
    depth, inner = 0, field.type
    while is_list(inner):
        depth, inner = depth + 1, inner.value_type
    if depth in (1, 2) and (pa.types.is_floating(inner) or pa.types.is_integer(inner)):
        return "series"
    return "volume" if depth == 3 and pa.types.is_uint8(inner) else ""


def _label(url: str, fields: list[pa.Field], features: dict[str, dict[str, Any]], listed: str) -> str:
    if any(field.name == "label" for field in fields):
        return "label"
    candidates = [
        field.name for field in fields if features.get(field.name, {}).get("_type") == "ClassLabel"
    ] or [field.name for field in fields if is_classes(field.type)]
    if len(candidates) == 1:
        return str(candidates[0])
    what = (
        f"it has {', '.join(candidates)}; name one, as in label={candidates[0]}"
        if candidates
        else "it has none"
    )
    raise ValueError(
        f"{url} must have a column 'label', or only one of {LABELS}: {what}. Its columns: {listed}"
    )


def _features(url: str, schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """The features of the Hugging Face metadata, by column; empty without them."""
    text = (schema.metadata or {}).get(b"huggingface")
    if text is None:
        return {}
    try:
        features = dict(json.loads(text)["info"]["features"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{url}: the metadata key 'huggingface' must be JSON with info.features ({error}); "
            "write it anew or drop it"
        ) from error
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)}


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _type(field: pa.Field) -> str:
    return str(field.type).replace("element: ", "").replace("item: ", "")
