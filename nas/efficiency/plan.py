"""What is compared and by which rule: fixed in the run's configuration before its first trial."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is compared and by which rule, written down before the first trial.

    Attributes:
        single: the space of the single design.
        searched: the discrete spaces that are searched; the first is the primary contrast.
        defaults: single-design spaces of what a practitioner does without search.
        controls: spaces that isolate the claim.
        margin_points, margin_share: the margin is max(`margin_points` / 100, `margin_share` x f).
        budget: designs whose expected best is compared, capped at a fifth of the population (a census is
            not capped). "no search needed" is concluded at the whole budget only.
        development: tasks on which rules were tuned; shown, not judged.
        evaluation: tasks that judge.
        references: (task, reference error) beside the committed table.
        population, repeats, seeds, long, transfer, search_trials, search_seeds, finalist_seeds, epochs: n and
            budgets as in `nas.SearchConfig`, epochs those of the recipe; 0: not planned, or not known.
        seed: of bootstraps and draws.
    """

    single: str
    searched: tuple[str, ...]
    defaults: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    margin_points: float = 1.0
    margin_share: float = 0.1
    budget: int = 40
    development: tuple[str, ...] = ()
    evaluation: tuple[str, ...] = ()
    references: tuple[tuple[str, float], ...] = ()
    population: int = 0
    repeats: int = 0
    seeds: int = 0
    long: int = 0
    transfer: int = 0
    search_trials: int = 0
    search_seeds: int = 0
    finalist_seeds: int = 0
    epochs: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        names = (self.single, *self.searched, *self.defaults, *self.controls)
        if len(set(names)) < len(names):
            raise ValueError(f"a space has one role in a plan, got {', '.join(names)}; name each once")
        if self.budget < 1 or self.margin_points < 0 or self.margin_share < 0:
            raise ValueError(
                "budget must be at least 1 and the margins not negative, got "
                f"{self.budget}, {self.margin_points}, {self.margin_share}"
            )
