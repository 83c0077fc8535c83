"""Errors of the halves of validation as types of their own: a type checker refuses one given for another.

`select` picks designs and stops trials, `report` is what is shown of a selected design. All are (N,) arrays
of shares in [0, 1], a failed trial +infinity.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NewType, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from trials.record import TrialRecord

SelectErrors = NewType("SelectErrors", NDArray[np.float64])
ReportErrors = NewType("ReportErrors", NDArray[np.float64])
ValidationErrors = NewType("ValidationErrors", NDArray[np.float64])
"""On both halves together."""
StabilisedErrors = NewType("StabilisedErrors", NDArray[np.float64])
"""`ValidationErrors` on the scale of `chance.stabilised`."""
OneHalf = TypeVar("OneHalf", SelectErrors, ReportErrors, ValidationErrors, StabilisedErrors)
"""Errors of one kind, whichever."""


def select_errors(records: Iterable[TrialRecord]) -> SelectErrors:
    """Of the last epochs, on the half that picks designs."""
    return SelectErrors(np.array([record.select_error for record in records], float))


def report_errors(records: Iterable[TrialRecord]) -> ReportErrors:
    """Of the last epochs, on the half that is shown."""
    return ReportErrors(np.array([record.report_error for record in records], float))


def validation_errors(records: Iterable[TrialRecord]) -> ValidationErrors:
    """Of the last epochs, on both halves together."""
    return ValidationErrors(np.array([record.error for record in records], float))
