"""The single-design space: one FlexConv network for every task; and what one would choose from to tune it."""

from __future__ import annotations

from search_spaces.architecture import Architecture, Setting
from search_spaces.families.flexible import FLEX
from search_spaces.families.flexnet import GENERATOR, design, kernel_choices
from search_spaces.space import Choice, Space, TaskShape, Values


def flexconv(shape: TaskShape) -> Space:
    """One design, the same on every task (equal ids): each of 5 convolutions learns its kernel size."""
    return Space(
        name="flexconv",
        choices=kernel_choices(FLEX),
        assemble=design,
        summary="one design: 5 FlexConvs of 16 channels, kernel sizes learned up to the whole input",
    )


def flexconv_tuned(shape: TaskShape) -> Space:
    """What one would tune of FlexConv on a task; the design of `flexconv` is one of them.

    None is `flexconv`'s own: the published ``sigma`` (`grid.initial_sigma`) and the recipe's ``mask_factor``
    (0.1, as in FLEX; the masks of CCNN's released code learn at the full rate, 1.0).
    """
    return Space(
        name="flexconv_tuned",
        choices=(
            Choice(name="width", options=(8, 16, 32)),
            Choice(name="blocks", options=(1, 2, 3)),
            Choice(name="sigma", options=(None, 0.15, 0.3, 0.6)),
            Choice(name="frequency", options=(0.25, 0.5, 1.0)),
            Choice(name="mask_factor", options=(None, 0.03, 0.3, 1.0)),
        ),
        assemble=_tuned,
        default={
            "width": 16,
            "blocks": 2,
            "sigma": None,
            "frequency": 0.5,  # of GENERATOR
            "mask_factor": None,
        },
        summary="FlexConv with width, depth, first kernel size, frequency and mask learning rate as choices",
    )


def _tuned(values: Values) -> Architecture:
    settings: dict[str, Setting] = {**GENERATOR, **values}
    blocks = settings.pop("blocks")
    assert isinstance(blocks, int)
    if settings["mask_factor"] is None:
        del settings["mask_factor"]  # so that the default is the same design as in `flexconv`
    return Architecture.of("flexnet", factors=(1.0,) * blocks, kernels=(FLEX,) * (2 * blocks + 1), **settings)
