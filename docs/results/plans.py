"""The plans behind docs/results: what is trained, fixed before the first trial.

    ln -s path/to/parquet data
    nas run docs/results/plans.py:primary --run-dir runs/primary --resume

Evaluation tasks only: no rule and no learning rate was chosen on them. Of the images a quarter of the
training rows is used, and all validation rows: the time goes into more designs, and errors stay as precise.
Not free_spoken_digit: what can be trained here hears 500 to 1,000 samples a second, where MiniRocket errs on
82 and 74 %. Not CIFAR-10: it is left to a GPU (`jobs`), and small it would cost as much as all the series.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Literal

from nas import SearchConfig
from search_spaces import SPACES, Space, TaskShape

DATA = os.environ.get("NAS_DATA", "data")
"""Folder of the datasets, a directory of Parquet files each."""
IMAGES = f"{DATA}/fashion_mnist@rows=4000,resolution=14"
FASHION = f"{IMAGES},fraction=0.25"
VOWELS = f"{DATA}/japanese_vowels"
LEAVES = f"{DATA}/osuleaf"
EXTRA_TREES = 0.2075
"""Validation error on FASHION, by benchmarks/reference_errors.py; those of the series are committed there."""
SPLITS = 3
"""Of the series, which have 200 and 270 rows to train and validate with."""


def ccnn_small(shape: TaskShape) -> Space:
    """`ccnn_tuned` with 16 or 32 channels: with 140 a trial takes minutes on a processor core."""
    whole = SPACES["ccnn_tuned"](shape)
    choices = tuple(
        replace(choice, options=(16, 32)) if choice.name == "width" else choice for choice in whole.choices
    )
    return replace(
        whole, name="ccnn_small", choices=choices, default=None, summary="CCNN of 16 or 32 channels, tuned"
    )


def primary() -> SearchConfig:
    """Is one FlexConv design enough? Against its twin, with every control; other families beside."""
    return SearchConfig(
        name="primary",
        tasks=(FASHION, LEAVES, VOWELS),
        splits=SPLITS,
        controls=("twin_matched", "flexconv_fixed", "twin_learned", "twin_shared"),
        described=("docs/results/plans.py:ccnn_small", "resnet", "convnext", "tcn"),
        transfer=3,
        long=5,
        references=((FASHION.rpartition("/")[2], EXTRA_TREES),),
    )


def data_efficiency() -> SearchConfig:
    """Errors at a twentieth, a tenth, a quarter and half of the training rows."""
    return SearchConfig(
        name="data_efficiency",
        tasks=tuple(f"{IMAGES},fraction={share}" for share in ("0.05", "0.1", "0.25", "0.5")),
        defaults=(),
        population=12,
        repeats=0,
        search_seeds=0,
        finalist_seeds=0,
    )


def random_search() -> SearchConfig:
    """Five searches of 20 designs, by chance and to the end."""
    return _searches("random_search", "random", "none")


def tpe_search() -> SearchConfig:
    """The same by TPE."""
    return _searches("tpe_search", "tpe", "none")


def asha_search() -> SearchConfig:
    """The same by chance, halved successively."""
    return _searches("asha_search", "random", "asha")


def _searches(
    name: str, sampler: Literal["tpe", "random"], stopping: Literal["asha", "none"]
) -> SearchConfig:
    return SearchConfig(
        name=name,
        tasks=(f"{IMAGES},fraction=0.1",),
        defaults=(),
        population=1,
        repeats=0,
        search_trials=20,
        search_seeds=5,
        sampler=sampler,
        stopping=stopping,
    )
