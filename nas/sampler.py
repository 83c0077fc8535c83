"""Optuna proposes designs and decides which trials a search stops: the only file that knows it.

The study lives in memory and is rebuilt from designs and records; nothing of Optuna is stored.
"""

from __future__ import annotations

import math
import warnings

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


class Sampler:
    """One search: a space, a sampler, asynchronous successive halving (Li et al. 2020, ASHA).

    Args:
        space: where designs come from; conditional choices are modelled in groups.
        admits: what a design must fulfil; others are proposed again, at most `PROPOSALS` times, then drawn by
            the population's law. They are no trials: nothing is learned from them and nothing counts them.
        method: ``"tpe"`` (multivariate tree-structured Parzen estimator) or ``"random"``.
        seed: proposals follow from it and from the history alone, so a rebuilt search goes on alike.
        grace_epochs: epochs before the first decision to stop.
        reduction_factor: one trial in so many goes on at each rung.
    """

    def __init__(
        self,
        space: Space,
        *,
        method: str,
        seed: int,
        grace_epochs: int,
        reduction_factor: int,
        admits: Admits = lambda values: True,
    ) -> None:
        self._space, self._method, self._seed, self._admits = space, method, seed, admits
        pruner = optuna.pruners.SuccessiveHalvingPruner(
            min_resource=grace_epochs, reduction_factor=reduction_factor
        )
        self._study = optuna.create_study(pruner=pruner)
        self._trials: dict[int, OptunaTrial] = {}

    def ask(self) -> Values:
        """The next design's values; their number is the count of earlier calls.

        Raises:
            ValueError: no admitted design was found.
        """
        number = len(self._trials)
        self._study.sampler = self._sampler(derived_seed(self._seed, number))
        for _ in range(PROPOSALS):
            trial = self._study.ask()
            values = self._values(trial)
            if self._admits(values):
                self._trials[number] = trial
                return values
            self._study.tell(trial, state=TrialState.FAIL)  # no sampler looks at these
        rng = np.random.default_rng(derived_seed(self._seed, number, "drawn"))
        drawn = (self._space.sample(rng) for _ in range(100 * PROPOSALS))
        found = next((values for values in drawn if self._admits(values)), None)
        if found is None:
            raise ValueError(f"no design of {self._space.name} was found that keeps within the limits")
        self._enqueue(found)
        return self.ask()

    def restore(self, values: Values) -> None:
        """Put a design back that was proposed before, under the next number."""
        self._enqueue(values)
        assert self.ask() == values

    def report(self, number: int, epoch: int, error: float) -> bool:
        """Take a `select` error; True if the trial should stop now."""
        trial = self._trials[number]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a resumed trial may repeat an epoch
            trial.report(error, epoch)
        return trial.should_prune()

    def tell(self, number: int, status: Status, error: float) -> None:
        """How the trial ended; a stopped one is told as pruned, a failed one never as a result."""
        trial = self._trials[number]
        if status == "failed" or not math.isfinite(error):
            self._study.tell(trial, state=TrialState.FAIL)
        elif status == "stopped":
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, error)

    def _enqueue(self, values: Values) -> None:
        encoded = {c.name: _encode(c, values[c.name]) for c in self._space.choices if c.name in values}
        self._study.enqueue_trial(encoded)

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        if self._method == "random":
            return optuna.samplers.RandomSampler(seed=seed)
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


def _ordered(choice: Choice) -> bool:
    """Whether options are ascending numbers, so that near ones are alike to the sampler."""
    numbers = [o for o in choice.options if isinstance(o, int | float) and not isinstance(o, bool)]
    return len(numbers) == len(choice.options) > 1 and numbers == sorted(numbers)


def _encode(choice: Choice, option: object) -> object:
    return choice.options.index(option) if _ordered(choice) else option
