"""What follows from a record: names, errors, costs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.trials.test_plain import EPOCH, RECORD, TRIAL
from trials import recipe, record


def test_names_are_safe_as_file_names() -> None:
    study = record.Study(task="my data/set:x@30", space="own file.py:space", kind="population")
    assert study.name == "my-data-set-x@30.own-file-py-space.population.0"
    assert replace(TRIAL, study=study).id == f"{study.name}.0012"


def test_the_error_is_of_the_last_epoch_over_both_halves() -> None:
    found = replace(RECORD, curve=(replace(EPOCH, select_error=0.0), EPOCH))
    assert found.error == pytest.approx((0.1 * 10 + 0.4 * 30) / 40)
    assert (found.select_error, found.report_error) == (0.1, 0.4)
    assert found.kernel_sizes == ((3, 3), (5, 5))


def test_a_failed_trial_is_infinitely_bad_at_its_cost() -> None:
    failed = replace(RECORD, status="failed", seconds_training=3.0, device_share=0.5)
    assert math.isinf(failed.error) and math.isinf(failed.select_error) and math.isinf(failed.report_error)
    assert failed.seconds == 1.5
    assert math.isinf(replace(RECORD, curve=()).error) and replace(RECORD, curve=()).kernel_sizes == ()


def test_a_space_gets_its_own_two_numbers_and_nothing_else() -> None:
    shared = recipe.Recipe(per_space=(("twin", 0.5, 0.25),))
    assert shared.for_space("twin") == recipe.Recipe(learning_rate=0.5, weight_decay=0.25)
    assert shared.for_space("flexconv") == recipe.Recipe()


@pytest.mark.parametrize(
    "fields",
    [{"epochs": 0}, {"batch_size": 1}, {"learning_rate": 0.0}, {"weight_decay": -1.0}, {"warmup": 1.0}],
)
def test_a_recipe_out_of_range_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        recipe.Recipe(**fields)
