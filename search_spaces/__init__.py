"""What may be built: designs, the spaces they come from, and the networks they become.

Importing the package costs no torch: only `build` and `freeze` need it, and bring it when first named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from search_spaces import controls as _controls
from search_spaces import discrete as _discrete
from search_spaces.architecture import Architecture
from search_spaces.complexity import Complexity, complexity
from search_spaces.families import ccnn as _ccnn
from search_spaces.families import convnext as _convnext
from search_spaces.families import resnet as _resnet
from search_spaces.families.cell import cell as _cell
from search_spaces.families.tcn import tcn as _tcn
from search_spaces.families.tcn import tcn_standard as _tcn_standard
from search_spaces.flexconv import flexconv as _flexconv
from search_spaces.flexconv import flexconv_tuned as _flexconv_tuned
from search_spaces.published import PUBLISHED
from search_spaces.space import Choice, Space, TaskShape

if TYPE_CHECKING:
    from search_spaces.network import build, freeze

__all__ = [
    "DEFAULTS",
    "PUBLISHED",
    "SPACES",
    "Architecture",
    "Choice",
    "Complexity",
    "Space",
    "TaskShape",
    "build",
    "complexity",
    "freeze",
]

SPACES: dict[str, Callable[[TaskShape], Space]] = {
    "flexconv": _flexconv,
    "flexconv_tuned": _flexconv_tuned,
    "flexconv_fixed": _controls.flexconv_fixed,
    "twin": _discrete.twin,
    "twin_shared": _discrete.twin_shared,
    "twin_wide": _discrete.twin_wide,
    "twin_matched": _controls.twin_matched,
    "twin_3x3": _discrete.twin_3x3,
    "twin_7x7": _discrete.twin_7x7,
    "ccnn": _ccnn.ccnn,
    "ccnn_twin": _ccnn.ccnn_twin,
    "ccnn_tuned": _ccnn.ccnn_tuned,
    "resnet": _resnet.resnet,
    "resnet_20": _resnet.resnet_20,
    "convnext": _convnext.convnext,
    "convnext_standard": _convnext.convnext_standard,
    "tcn": _tcn,
    "tcn_standard": _tcn_standard,
    "cell": _cell,
}
"""The spaces that ship with the product; each is made for the shape of a task."""

DEFAULTS = ("twin_3x3", "twin_7x7", "resnet_20", "convnext_standard")
"""Single discrete designs that one would use today without a search; on series also `tcn_standard`."""


def __getattr__(name: str) -> object:
    if name in ("build", "freeze"):
        from search_spaces import network

        return getattr(network, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
