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
        described: spaces of few designs each, compared like those searched, for no verdict.
        margin_points, margin_share: the margin is max(`margin_points` / 100, `margin_share` x f).
        budget: designs whose expected best is compared, capped at a fifth of the population (a census is
            not capped). "no search needed" is concluded at the whole budget only.
        development: tasks on which rules were tuned; shown, not judged.
        evaluation: tasks that judge.
        references: (task, reference error) beside the committed table.
        population, described_designs, repeats, seeds, long, transfer, search_trials, search_seeds: n as in
            `nas.SearchConfig`; 0: not planned, or not known.
        finalist_seeds, epochs: the same; epochs are the recipe's.
        seed: of bootstraps and draws.
    """

    single: str
    searched: tuple[str, ...]
    defaults: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    described: tuple[str, ...] = ()
    margin_points: float = 1.0
    margin_share: float = 0.1
    budget: int = 40
    development: tuple[str, ...] = ()
    evaluation: tuple[str, ...] = ()
    references: tuple[tuple[str, float], ...] = ()
    population: int = 0
    described_designs: int = 0
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
        if len(set(self.all_spaces)) < len(self.all_spaces):
            raise ValueError(
                f"a space has one role in a plan, got {', '.join(self.all_spaces)}; name each once"
            )
        if self.budget < 1 or self.margin_points < 0 or self.margin_share < 0:
            raise ValueError(
                "budget must be at least 1 and the margins not negative, got "
                f"{self.budget}, {self.margin_points}, {self.margin_share}"
            )

    @property
    def all_spaces(self) -> tuple[str, ...]:
        """By their roles."""
        return (self.single, *self.searched, *self.defaults, *self.controls, *self.described)
