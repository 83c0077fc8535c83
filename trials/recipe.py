"""How a design is trained. One recipe serves every space; only two numbers may differ between spaces."""

from __future__ import annotations

from dataclasses import dataclass, replace

LONG = 4
"""Epochs of a long trial, over those of the others: budgets B and 4B."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """AdamW with linear warm-up and cosine decay to zero, stepped every batch.

    Attributes:
        name: the word used for it in configurations and records.
        epochs: passes over the training rows.
        batch_size: rows a step; the last, smaller batch of an epoch is dropped unless it is the only one.
        learning_rate: peak learning rate of the weights.
        weight_decay: decoupled decay of the weights; never of norms, biases, masks and kernel generators.
        mask_factor: learning rate of mask parameters as a share of `learning_rate`.
        warmup: share of all steps spent warming up, in [0, 1).
        label_smoothing: in [0, 1).
        gradient_clip: largest norm of the gradient, over all parameters.
        per_space: (space, learning rate, weight decay): chosen on development tasks with equal effort for
            every space, then frozen (docs/rates.md); others train at the two numbers above.
    """

    name: str = "standard"
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    mask_factor: float = 0.1
    warmup: float = 0.1
    label_smoothing: float = 0.0
    gradient_clip: float = 1.0
    per_space: tuple[tuple[str, float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(
                "epochs must be at least 1 and batch_size at least 2, "
                f"got {self.epochs} and {self.batch_size}"
            )
        if self.learning_rate <= 0 or self.weight_decay < 0 or not 0 <= self.warmup < 1:
            raise ValueError(
                "learning_rate must be positive, weight_decay not negative, warmup in [0, 1), got "
                f"{self.learning_rate}, {self.weight_decay}, {self.warmup}"
            )

    def for_space(self, space: str) -> Recipe:
        """The recipe with the learning rate and weight decay of one space put in."""
        for name, learning_rate, weight_decay in self.per_space:
            if name == space:
                return replace(self, learning_rate=learning_rate, weight_decay=weight_decay, per_space=())
        return replace(self, per_space=())

    def lengthened(self, factor: int) -> Recipe:
        """The same with so many times the epochs; warm-up and decay keep their shares of the steps."""
        return replace(self, epochs=self.epochs * factor)


STANDARD = Recipe(
    per_space=(  # docs/rates.md
        ("flexconv", 0.01, 0.0),
        ("twin", 0.01, 0.05),
        ("twin_3x3", 0.03, 0.05),
        ("twin_7x7", 0.03, 0.05),
        # controls differ from these in one thing, which is not the recipe
        ("flexconv_fixed", 0.01, 0.0),
        ("flexconv_tuned", 0.01, 0.0),
        ("twin_shared", 0.01, 0.05),
        ("twin_wide", 0.01, 0.05),
        ("twin_matched", 0.01, 0.05),
        ("twin_learned", 0.01, 0.05),
    )
)

RECIPES = {recipe.name: recipe for recipe in (STANDARD,)}
