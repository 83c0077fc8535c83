"""How a design is trained. One recipe serves every space; only two numbers may differ between spaces."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from trials.reference import AUGMENTATIONS

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
        gradient_clip: largest norm of the gradient, over all parameters; positive.
        augmentation: of training rows, some of `trials.reference.AUGMENTATIONS`; a trial applies those that
            its task allows.
        moving_average: decay a step of an exponential moving average of the weights, in [0, 1), 0 for none.
            The average, not the weights, is then validated, gives the kernel sizes and is kept. It begins
            with the first step's weights, so 1 / (1 - decay) should be a small share of all steps.
        precision: of forward and backward passes: ``"bfloat16"`` by autocast (convolutions and linear maps;
            kernels are generated, and transforms done, in float32). Weights, their steps and validation
            are float32 always. On accelerators float32 is not TF32.
        norm_batches: unaugmented training batches over which batch norms' statistics are averaged anew before
            each validation, since running averages lag behind the weights (docs/decisions/0005); at least 1.
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
    augmentation: tuple[str, ...] = ()
    moving_average: float = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"
    norm_batches: int = 8
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
        if not 0 <= self.label_smoothing < 1 or self.gradient_clip <= 0:
            raise ValueError(
                "label_smoothing must be in [0, 1) and gradient_clip positive, "
                f"got {self.label_smoothing} and {self.gradient_clip}"
            )
        if not 0 <= self.moving_average < 1 or self.norm_batches < 1:
            raise ValueError(
                "moving_average must be in [0, 1) and norm_batches at least 1, "
                f"got {self.moving_average} and {self.norm_batches}"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision must be float32 or bfloat16, got {self.precision}")
        if unknown := sorted(set(self.augmentation) - set(AUGMENTATIONS)):
            raise ValueError(f"augmentation must name some of {', '.join(AUGMENTATIONS)}, got {unknown[0]}")

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

AUGMENTED = replace(STANDARD, name="augmented", augmentation=AUGMENTATIONS)

RECIPES = {recipe.name: recipe for recipe in (STANDARD, AUGMENTED)}


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of one step, a function of its position alone: linear warm-up, cosine to zero.

    Over the first `warmup` share of the steps the rate rises in equal parts to `learning_rate`, which it
    reaches with the last of them; then it is learning_rate (1 + cos(pi t)) / 2, t the share of the others
    that is done. Masks train at `mask_factor` of it.

    Args:
        step: from 0.
        steps: of the whole training.
    """
    warming = round(recipe.warmup * steps)
    if step < warming:
        return recipe.learning_rate * (step + 1) / warming
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warming) / (steps - warming)))
