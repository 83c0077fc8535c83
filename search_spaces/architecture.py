"""A design: one architecture as a frozen, hashable value that survives JSON unchanged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

Option = str | int | float | bool | None
"""A JSON scalar: what one choice of a space can take."""
Setting = Option | tuple["Setting", ...]
"""What one setting of an architecture can hold: a scalar, or tuples of settings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """One design: the family that builds it and every setting the family reads.

    Attributes:
        family: which builder reads the settings, e.g. ``"flexnet"`` (see `network.FAMILIES`).
        settings: name-value pairs sorted by name; equal designs are equal values.
    """

    family: str
    settings: tuple[tuple[str, Setting], ...]

    @classmethod
    def of(cls, family: str, **settings: Setting) -> Architecture:
        """An architecture from keyword settings, in any order."""
        return cls(family=family, settings=tuple(sorted(settings.items())))

    def __getitem__(self, name: str) -> Setting:
        for known, value in self.settings:
            if known == name:
                return value
        raise KeyError(f"{self.family} has no setting {name!r}; it has {[k for k, _ in self.settings]}")

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits that name the design; equal for equal designs on any machine."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def to_json(self) -> str:
        """Canonical JSON text: sorted keys, no spaces."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    def to_dict(self) -> dict[str, object]:
        """A plain dictionary of JSON values."""
        return {"family": self.family, "settings": dict(self.settings)}

    @classmethod
    def from_dict(cls, data: object) -> Architecture:
        """The inverse of `to_dict`; also takes what `json.loads` made of it.

        Raises:
            ValueError: the value is not ``{"family": str, "settings": {...}}``.
        """
        match data:
            case {"family": str(family), "settings": Mapping() as settings}:
                frozen = ((str(name), _frozen(value)) for name, value in settings.items())
                return cls(family=family, settings=tuple(sorted(frozen)))
        raise ValueError(
            'an architecture must be {"family": "...", "settings": {...}}, '
            f"got {str(data)[:200]}; write it with Architecture.to_json()"
        )

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """The inverse of `to_json`."""
        return cls.from_dict(json.loads(text))


def _frozen(value: object) -> Setting:
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ValueError(f"a setting must be a JSON scalar or a list of them, got {type(value).__name__}")
