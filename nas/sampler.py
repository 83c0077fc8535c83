"""Optuna proposes designs and decides which trials a search stops: the only file that knows it.

The study lives in memory and is rebuilt from designs and records; nothing of Optuna is stored.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field

import numpy as np
import optuna
from optuna.trial import Trial as OptunaTrial
from optuna.trial import TrialState

from nas.limits import Admits
from nas.seeds import derived_seed
from search_spaces.space import Choice, Space, Values
from trials.record import Status

optuna.logging.set_verbosity(optuna.logging.WARNING)

PROPOSALS = 100
GENERATION = 10
"""Completed trials of a generation of NSGA-II: few, since a search is short and stopped trials are none."""


@dataclass(slots=True)
class _Running:
    """A trial that was proposed and has not ended.

    Attributes:
        proposed, ruled: in the study that proposes and in the one that stops, which may be the same.
        errors: by epoch.
        stopped: the epoch at which it was told to stop, 0 if it was not.
    """

    proposed: OptunaTrial
    ruled: OptunaTrial
    errors: dict[int, float] = field(default_factory=dict)
    stopped: int = 0


class Sampler:
    """One search: a space, what proposes designs of it, and what stops their trials.

    Args:
        space: where designs come from; conditional choices are modelled in groups.
        admits: what a design must fulfil; others are proposed again, at most `PROPOSALS` times, then drawn by
            the population's law. They are no trials: nothing is learned from them and nothing counts them.
        method: ``"tpe"`` (multivariate tree-structured Parzen estimator), ``"random"`` or ``"nsga2"`` (Deb et
            al. 2002; of the error and a second measure).
        stopping: ``"asha"`` (asynchronous successive halving, Li et al. 2020), ``"median"`` or ``"none"``; by
            the error alone.
        seed: proposals follow from it and from the history alone, so a rebuilt search goes on alike.
        grace_epochs: epochs before the first decision to stop.
        reduction_factor: of halving: one trial in so many goes on at each rung.
    """

    def __init__(
        self,
        space: Space,
        *,
        method: str,
        seed: int,
        grace_epochs: int,
        reduction_factor: int,
        stopping: str = "asha",
        admits: Admits = lambda values: True,
    ) -> None:
        self._space, self._method, self._seed, self._admits = space, method, seed, admits
        pruner = _pruner(stopping, grace_epochs, reduction_factor)
        if method == "nsga2":  # Optuna stops no trials of several objectives: another study does
            self._study = optuna.create_study(directions=["minimize", "minimize"])
            self._rule = optuna.create_study(pruner=pruner)
        else:
            self._study = self._rule = optuna.create_study(pruner=pruner)
        self._asked = 0
        self._running: dict[int, _Running] = {}

    def ask(self) -> Values:
        """The next design's values; their number is the count of earlier calls.

        Raises:
            ValueError: no admitted design was found.
        """
        number = self._asked
        if number == 0 and (default := self._space.default) is not None and self._admits(default):
            self._enqueue(default)
        self._study.sampler = self._sampler(derived_seed(self._seed, number))
        for _ in range(PROPOSALS):
            trial = self._study.ask()
            values = self._values(trial)
            if self._admits(values):
                return self._taken(trial, values)
            self._study.tell(trial, state=TrialState.FAIL)  # no sampler looks at these
        rng = np.random.default_rng(derived_seed(self._seed, number, "drawn"))
        drawn = (self._space.sample(rng) for _ in range(100 * PROPOSALS))
        found = next((values for values in drawn if self._admits(values)), None)
        if found is None:
            raise ValueError(f"no design of {self._space.name} was found that keeps within the limits")
        return self.restore(found)

    def restore(self, values: Values) -> Values:
        """Put a design back that was proposed before, under the next number."""
        self._study.sampler = self._sampler(derived_seed(self._seed, self._asked))
        self._enqueue(values)
        trial = self._study.ask()
        restored = self._values(trial)
        assert restored == values
        return self._taken(trial, values)

    def report(self, number: int, epoch: int, error: float) -> bool:
        """Take a `select` error; True if the trial should stop now.

        An epoch that was reported before gets the answer of then: its trial was resumed.
        """
        running = self._running[number]
        if epoch not in running.errors:
            running.errors[epoch] = error
            running.ruled.report(error, epoch)
            if running.ruled.should_prune():
                running.stopped = epoch
        return running.stopped == epoch

    def reported(self, number: int) -> dict[int, float]:
        """Errors of a trial that runs, by epoch."""
        return self._running[number].errors

    def tell(self, number: int, status: Status, error: float, second: float | None = None) -> None:
        """How the trial ended; a stopped one is told as pruned, a failed one never as a result.

        Args:
            number: of the trial.
            status: as in its record.
            error: on `select`.
            second: what NSGA-II keeps low beside it; None if it was not measured.
        """
        running = self._running.pop(number)
        state = TrialState.PRUNED if status == "stopped" else TrialState.COMPLETE
        if status == "failed" or not math.isfinite(error):
            state = TrialState.FAIL
        values = [error] if state == TrialState.COMPLETE else None
        if self._rule is not self._study:
            self._rule.tell(running.ruled, values, state=state)
            if values and (second is None or not math.isfinite(second)):
                state = TrialState.FAIL
            values = [error, float(second or 0)] if state == TrialState.COMPLETE else None
        self._study.tell(running.proposed, values, state=state)

    def _taken(self, trial: OptunaTrial, values: Values) -> Values:
        ruled = trial if self._rule is self._study else self._rule.ask()
        self._running[self._asked] = _Running(trial, ruled)
        self._asked += 1
        if isinstance(sampler := self._study.sampler, optuna.samplers.NSGAIISampler):
            # noted in the study, which Optuna leaves out for designs that are put back
            frozen = self._study.get_trials(deepcopy=False)[trial.number]
            generation = sampler.get_trial_generation(self._study, frozen)
            sampler.get_parent_population(self._study, generation)
        return values

    def _enqueue(self, values: Values) -> None:
        encoded = {c.name: _encode(c, values[c.name]) for c in self._space.choices if c.name in values}
        self._study.enqueue_trial(encoded)

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        if self._method == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if self._method == "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=GENERATION)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # group
            return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)

    def _values(self, trial: OptunaTrial) -> Values:
        values: Values = {}
        for choice in self._space.choices:
            if choice.active(values):
                if _ordered(choice):
                    index = trial.suggest_int(choice.name, 0, len(choice.options) - 1)
                    values[choice.name] = choice.options[index]
                else:
                    values[choice.name] = trial.suggest_categorical(choice.name, choice.options)
        return values


def _pruner(stopping: str, grace_epochs: int, reduction_factor: int) -> optuna.pruners.BasePruner:
    if stopping == "none":
        return optuna.pruners.NopPruner()
    if stopping == "median":
        return optuna.pruners.MedianPruner(n_warmup_steps=grace_epochs)
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=grace_epochs, reduction_factor=reduction_factor
    )


def _ordered(choice: Choice) -> bool:
    """Whether options are ascending numbers, so that near ones are alike to the sampler."""
    numbers = [o for o in choice.options if isinstance(o, int | float) and not isinstance(o, bool)]
    return len(numbers) == len(choice.options) > 1 and numbers == sorted(numbers)


def _encode(choice: Choice, option: object) -> object:
    return choice.options.index(option) if _ordered(choice) else option
