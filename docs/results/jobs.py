"""Writes docs/results/jobs: trials for a machine with a GPU, a file each.

    python docs/results/jobs.py                                     # the files again, the same bytes
    NAS_DATA=path/to/parquet sh docs/results/jobs/run.sh cifar10    # train a set of them
    nas compare runs/cifar10

A file is a whole trial: design, task, recipe, seed; run.sh gives single designs other seeds. plan.json says
what is compared, run.sh puts it beside the records. To train them a machine needs this checkout, torch,
numpy, pyarrow, scikit-learn, Pillow and safetensors, no Ray and no MLflow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nas import SearchConfig
from nas.seeds import derived_seed
from search_spaces import SPACES, Architecture, TaskShape
from search_spaces.published import PUBLISHED
from search_spaces.space import Values
from trials.plain import dumps
from trials.recipe import AUGMENTED
from trials.record import Study, Trial
from trials.reference import Task

JOBS = Path(__file__).parent / "jobs"
PLAN = "plan.json"
SEEDS = 3
"""Of every single design, in run.sh."""
TWINS = 8
"""Random designs of the twin in a set: they describe."""
RATES = {"flexnet_7": "flexconv", "flexnet_7_3x3": "twin_3x3", "flexnet_7_33x33": "twin"}
"""At which space's learning rate a published network trains: of the one that it is like."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Set:
    """Trials on one task.

    Attributes:
        task: a folder of ``$NAS_DATA``, with sizes.
        shape: of its inputs.
        epochs: of the recipe `AUGMENTED`.
        single: the single design that is compared with the others.
        defaults, controls: single-design spaces.
        published: names of published networks by what they are called in records; the first may be `single`.
    """

    task: str
    shape: TaskShape
    epochs: int
    defaults: tuple[str, ...]
    single: str = "flexconv"
    controls: tuple[str, ...] = ("ccnn",)
    published: tuple[tuple[str, str], ...] = ()

    def plan(self, name: str) -> SearchConfig:
        """As the comparison reads it."""
        published = tuple(called for called, _ in self.published if called != self.single)
        return SearchConfig(
            name=name,
            tasks=(self.task,),
            spaces=(self.single,),
            single=self.single,
            defaults=(*published, *self.defaults),
            controls=self.controls,
            described=("twin",),
            described_designs=TWINS,
            recipe=AUGMENTED.name,
            epochs=self.epochs,
            seeds=SEEDS,
            population=TWINS,
            repeats=0,
            search_trials=0,
            search_seeds=0,
            finalist_seeds=0,
        )


SETS = {
    "cifar10": Set(  # the published order: 92.2 with FlexConv, 89.5 with 33x33, 78.0 with 3x3
        task="cifar10_jpeg@augment=crop+flip",
        shape=TaskShape(extent=(32, 32), channels=3, classes=10),
        epochs=60,
        single="flexnet_7",
        defaults=("twin_3x3", "twin_7x7", "resnet_20", "convnext_standard"),
        controls=("flexconv", "ccnn"),
        published=(
            ("flexnet_7", "FlexNet-7"),
            ("flexnet_7_3x3", "FlexNet-7 3x3"),
            ("flexnet_7_33x33", "FlexNet-7 33x33"),
        ),
    ),
    "spoken": Set(
        task="free_spoken_digit",
        shape=TaskShape(extent=(18262,), channels=1, classes=10),
        epochs=60,
        defaults=("twin_3x3", "twin_7x7", "tcn_standard"),
    ),
    "omniglot": Set(
        task="omniglot_small",
        shape=TaskShape(extent=(105, 105), channels=1, classes=242),
        epochs=60,
        defaults=("twin_3x3", "twin_7x7", "resnet_20"),
    ),
    "adrenal": Set(
        task="adrenalmnist3d_32",
        shape=TaskShape(extent=(32, 32, 32), channels=1, classes=2),
        epochs=60,
        defaults=("twin_3x3", "twin_7x7"),
    ),
}


def trials(one: Set) -> Iterator[Trial]:
    """All of a set: every single design, which run.sh trains with three seeds, then the twins."""
    for name in {one.single, *one.defaults, *one.controls} - {called for called, _ in one.published}:
        (values,) = SPACES[name](one.shape).enumerate()
        yield trial(one, name, 0, SPACES[name](one.shape).decode(values), values)
    for name, title in one.published:
        yield trial(one, name, 0, PUBLISHED[title], {})
    twin = SPACES["twin"](one.shape)
    rng = np.random.default_rng(derived_seed(one.task, twin.name))
    for number in range(TWINS):
        values = twin.sample(rng)
        yield trial(one, twin.name, number, twin.decode(values), values)


def trial(one: Set, space: str, number: int, architecture: Architecture, values: Values) -> Trial:
    """One of a set."""
    task = Task.parse(one.task)
    return Trial(
        study=Study(task=task.name, space=space, kind="population"),
        number=number,
        task=task,
        architecture=architecture,
        values=values,
        recipe=replace(AUGMENTED, epochs=one.epochs).for_space(RATES.get(space, space)),
        seed=number,
    )


def write(to: Path) -> None:
    """All sets anew."""
    for name, one in SETS.items():
        folder = to / name
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob("*.json"):
            stale.unlink()
        (folder / PLAN).write_text(dumps(one.plan(name)), encoding="utf-8")
        for each in trials(one):
            number = f".{each.number}" if each.study.space == "twin" else ""
            (folder / f"{each.study.space}{number}.json").write_text(dumps(each), encoding="utf-8")


if __name__ == "__main__":
    write(JOBS)
