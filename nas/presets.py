"""Runs with a name. A preset is a function without arguments that returns a `SearchConfig`."""

from __future__ import annotations

from collections.abc import Callable

from nas.config import SearchConfig
from search_spaces.lookup import lookup
from trials.finding import CONTROLS


def smoke() -> SearchConfig:
    """Minutes on two processor cores: real digits as images and as series, small populations."""
    return SearchConfig(
        name="smoke",
        tasks=("digits", "digits_sequence"),
        controls=("twin_learned",),
        epochs=10,
        population=100,
        repeats=8,
        seeds=5,
        transfer=3,
        search_trials=20,
        search_seeds=1,
        reduction_factor=2,
        finalist_seeds=3,
    )


def mnist5k() -> SearchConfig:
    """Hours on two processor cores: 5,000 MNIST digits as images and as 784-step series, at two budgets.

    With every control that isolates the claim: of all trials about two in five are theirs.
    """
    return SearchConfig(
        name="mnist5k",
        tasks=("mnist5k", "mnist5k_sequence"),
        controls=("twin_matched", "flexconv_fixed", "twin_learned"),
        long=20,
        transfer=3,
    )


def controls() -> SearchConfig:
    """About twenty minutes on two processor cores: tasks built so that the answer is known (docs/tasks.md).

    Whole, since fewer rows would part the partners; small populations, so the report describes and does not
    judge.
    """
    return SearchConfig(
        name="controls",
        tasks=tuple(CONTROLS),
        epochs=5,
        population=20,
        repeats=4,
        seeds=5,
        search_trials=10,
        search_seeds=1,
        reduction_factor=2,
        finalist_seeds=2,
    )


PRESETS: dict[str, Callable[[], SearchConfig]] = {"smoke": smoke, "mnist5k": mnist5k, "controls": controls}


def load(name: str) -> SearchConfig:
    """The configuration that a preset's name, ``module:function`` or ``file.py:function`` stands for.

    Raises:
        ValueError: there is no such name, or its function fails or does not return a `SearchConfig`.
    """
    preset = lookup("preset", name, PRESETS)
    try:
        config = preset() if callable(preset) else preset
    except Exception as error:  # the user's own code
        raise ValueError(
            f"preset {name!r} fails when it is called: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(config, SearchConfig):
        raise ValueError(f"{name} must return a nas.SearchConfig, got a {type(config).__name__}")
    return config
