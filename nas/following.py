"""Studies that rest on what others ended with, beside finalists: controls, and transfer between tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

from nas.studies import (
    Ended,
    Key,
    Maker,
    Outcome,
    Planned,
    Wait,
    Wanted,
    best_of,
    described,
    searched,
    single_design,
)
from search_spaces.architecture import Architecture
from search_spaces.carrying import alike, carried
from search_spaces.complexity import complexity
from search_spaces.controls import AFTER_ALL, AFTER_EACH, Learned
from search_spaces.space import TaskShape
from trials.record import Study, Trial


def all_plans(makers: Mapping[tuple[str, str], Maker], ended: Ended) -> Iterator[Planned]:
    """Every study of a run, given a maker for each (task name, name of a space)."""
    for (task, name), maker in makers.items():
        if name in maker.config.described:
            yield described(maker)
        elif name in maker.config.controls:
            yield control(name, maker, makers[task, maker.config.single].study("population"), ended)
        else:
            yield from single_design(maker) if maker.space.single else searched(maker, ended)
    yield from transfers(makers, ended)


def control(name: str, maker: Maker, single: Study, ended: Ended) -> Planned:
    """A space that isolates the claim: a population with repeats, or seeds of its one design; not searched.

    Args:
        name: of the space in the configuration.
        maker: of its trials; where the space rests on what was learned, of one that could be made before.
        single: the trainings of the single design on this task.
        ended: see `nas.studies.Ended`.
    """
    if name in AFTER_EACH:
        return _after_each(name, maker, single, ended)
    if name in AFTER_ALL:
        return _after_all(name, maker, single, ended)
    if maker.space.single:
        return replace(single_design(maker)[0], phase="controls")
    designs = maker.designs(maker.config.constraints)
    return maker.drawn(maker.study("population"), designs + designs[: maker.config.repeats], "controls")


def _after_each(name: str, maker: Maker, single: Study, ended: Ended) -> Planned:
    """Trial i has the design made from completed training i of the single design, modulo their number."""
    study = maker.study("population")

    def made(training: Outcome) -> Wanted:
        follower = replace(maker, space=AFTER_EACH[name](maker.shape, _learned(training)))
        (values,) = follower.space.enumerate()

        def make(number: int) -> Trial:
            return replace(follower.trial(study, number, values), selected_from=training.trial.id)

        return Wanted((training.trial.id, follower.space.decode(values).id), make)

    def wanted(there: Counter[Key]) -> list[Wanted] | Wait:
        if (outcomes := ended(single)) is None:
            return "wait"
        if not (completed := _completed(outcomes)):
            return []
        return [made(completed[i % len(completed)]) for i in range(maker.config.seeds)]

    return Planned(study, maker.config.seeds, wanted, phase="controls")


def _after_all(name: str, maker: Maker, single: Study, ended: Ended) -> Planned:
    """A population with repeats of the space that is made from all completed trainings of the single design.

    Trainings that a growing run added later are left out if designs were drawn before them, so that all
    designs are of one space. The run's limits do not hold here: its designs cost what the single design does.
    """
    config, study = maker.config, maker.study("population")
    most = min(config.population, maker.space.size)

    def drawn(trainings: list[Outcome]) -> list[Wanted]:
        learned = tuple(map(_learned, trainings))
        follower = replace(maker, space=AFTER_ALL[name](maker.shape, learned))
        designs = follower.designs(())
        return follower.wanted(study, designs + designs[: config.repeats])

    def wanted(there: Counter[Key]) -> list[Wanted] | Wait:
        if (outcomes := ended(single)) is None:
            return "wait"
        if not (completed := _completed(outcomes)):
            return []
        for trainings in range(len(completed), 0, -1):
            found = drawn(completed[:trainings])
            if there.keys() <= {each.key for each in found}:
                return found
        return drawn(completed)

    return Planned(study, most + min(config.repeats, most), wanted, phase="controls")


def _completed(outcomes: list[Outcome]) -> list[Outcome]:
    return [each for each in outcomes if each.status == "completed"]


def _learned(record: Outcome) -> Learned:
    return Learned(
        architecture=record.trial.architecture,
        kernel_sizes=record.kernel_sizes,
        multiply_adds=record.multiply_adds,
    )


def transfers(makers: Mapping[tuple[str, str], Maker], ended: Ended) -> list[Planned]:
    """The best design of every searched space on every task, with fresh seeds on every task.

    Tasks of one dataset that are split by different seeds do not exchange designs: the `select` rows of one
    may be test rows of the other.
    """
    cells = []
    for (_, name), target in makers.items():
        if not target.config.transfer or name not in target.config.spaces or target.space.single:
            continue
        others = [source for (_, theirs), source in makers.items() if theirs == name]
        apart = [each for each in others if _exchange(each, target) and not each.space.single]
        for source in (target, *apart) if apart else ():
            cells.append(_cell(source, target, "taps", ended))
            if source is not target:
                cells.append(_cell(source, target, "fraction", ended))
    return cells


def _exchange(source: Maker, target: Maker) -> bool:
    ours, theirs = source.task, target.task
    return ours != theirs and (ours.dataset != theirs.dataset or ours.split == theirs.split)


def _cell(source: Maker, target: Maker, by: Literal["taps", "fraction"], ended: Ended) -> Planned:
    study = replace(target.study("transfer"), source=source.task.name, by=by)
    chosen_from = [source.study("population")]
    chosen_from += [source.study("search", seed) for seed in range(source.config.searches)]

    def wanted(there: Counter[Key]) -> list[Wanted] | Wait:
        outcomes: list[Outcome] = []
        for each in chosen_from:
            if (found := ended(each)) is None:
                return "wait"
            outcomes += found
        if (best := best_of(outcomes)) is None:
            return []
        design = best.architecture
        if source is not target:
            carried_by = _carried(best.architecture, source.shape, target.shape, by)
            taps = _carried(best.architecture, source.shape, target.shape, "taps")
            if carried_by is None or (by == "fraction" and taps is not None and alike(taps, carried_by)):
                return []  # impossible, or one network, which the cell by taps trains
            design = carried_by

        def make(number: int) -> Trial:
            return replace(
                best,
                study=study,
                number=number,
                task=target.task,
                architecture=design,
                recipe=target.recipe,
                seed=target.seed(study, number),
                selected_from=best.id,
                weight=1.0,
            )

        return [Wanted((best.id, design.id), make)] * target.config.transfer

    return Planned(study, target.config.transfer, wanted, phase="transfer")


def _carried(
    design: Architecture, source: TaskShape, target: TaskShape, by: Literal["taps", "fraction"]
) -> Architecture | None:
    """The design on the other task, None if it cannot be carried this way."""
    try:
        found = carried(design, target, by, source)
        complexity(found, target)
    except ValueError:
        return None
    return found
