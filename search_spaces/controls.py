"""Controls: each differs from FlexConv, or from the twin, in one thing only. All on the FlexNet skeleton."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from search_spaces.architecture import Architecture, Option, Setting
from search_spaces.complexity import KernelSizes, complexity, initial_taps, parts
from search_spaces.constraints import Measure
from search_spaces.discrete import kernel_options
from search_spaces.families.flexible import FLEX
from search_spaces.families.flexnet import CONVOLUTIONS, FlexNet, design, kernel_choices
from search_spaces.layers.grid import ROOT, odd_cover, step
from search_spaces.parts import Convolution
from search_spaces.space import Choice, Space, TaskShape, Values


def twin_matched(shape: TaskShape, target: float | None = None, measure: Measure = "multiply_adds") -> Space:
    """The twin, each design at the width that makes it as expensive as FlexConv.

    See `matched`: within 5 % unless wide kernels leave so few channels that one more is a large step. On
    3x32x32 widths are 1 to 24, and 93 of 100 random designs are within 5 %, the worst 12 % off. It is matched
    to FlexConv before training, whose kernels are small: against larger, learned ones give `target`, as a run
    does that has it among its controls.

    Args:
        shape: of the task.
        target: what every design should cost; None: the untrained `flexconv` design. For a trained one:
            ``complexity(design, shape, kernel_sizes).multiply_adds``.
        measure: of what, ``"multiply_adds"`` or ``"parameters"``.
    """
    aim = _cost(_flexible(), shape, measure) if target is None else target
    what = measure.replace("_", "-")
    return Space(
        name="twin_matched",
        choices=kernel_choices(*kernel_options(shape.extent)),
        assemble=lambda values: matched(design(values, reference=max(shape.extent)), shape, aim, measure),
        summary=f"the twin at the width at which its {what} are FlexConv's",
    )


@functools.lru_cache(maxsize=10_000)  # dozens of networks are weighed for one design
def matched(architecture: Architecture, shape: TaskShape, target: float, measure: Measure) -> Architecture:
    """A design with its setting `width` solved so that a measure comes near `target`.

    One integer width is a coarse screw: at 16 channels one more costs 13 %. Where it does not reach 5 %, stem
    and blocks (the setting `factors`) may differ from it by a channel each, if that comes nearer.

    Args:
        architecture: of a family whose cost grows with an integer setting `width`.
        shape: of the task on which it is weighed.
        target: positive.
        measure: ``"multiply_adds"`` or ``"parameters"``, both of the network before training.

    Raises:
        ValueError: another measure, or a target that is not positive.
    """

    if target <= 0 or measure not in get_args(Measure):
        raise ValueError(
            f"a design is matched to a positive value of {' or '.join(get_args(Measure))}, "
            f"got {target} of {measure!r}"
        )

    def at(width: int) -> Architecture:
        return Architecture.of(architecture.family, **{**dict(architecture.settings), "width": width})

    start = architecture["width"]
    assert isinstance(start, int)
    # costs grow with the width's square, or nearly: a guess, then steps
    width = max(1, round(start * math.sqrt(target / _cost(architecture, shape, measure))))
    while _cost(at(width), shape, measure) < target:
        width += 1
    while width > 1 and _cost(at(width - 1), shape, measure) >= target:
        width -= 1
    designs = [at(max(1, width - 1)), at(width)]
    off = [abs(_cost(each, shape, measure) / target - 1) for each in designs]
    factors = dict(architecture.settings).get("factors")
    if min(off) > CLOSE and isinstance(factors, tuple):
        near = range(max(1, width - 2), width + 2)
        for stem, *blocks in itertools.product(near, *(near for _ in factors)):
            designs.append(_widths(architecture, stem, tuple(blocks)))
            off.append(abs(_cost(designs[-1], shape, measure) / target - 1))
            if off[-1] <= CLOSE:
                break
    return designs[off.index(min(off))]


CLOSE = 0.05
"""How far off a matched design may be without its blocks being looked at one by one."""


def _widths(architecture: Architecture, stem: int, blocks: tuple[int, ...]) -> Architecture:
    """The design with so many channels in each place."""
    changed: dict[str, Setting] = {"width": stem, "factors": tuple(n / stem for n in blocks)}
    return Architecture.of(architecture.family, **{**dict(architecture.settings), **changed})


def flexconv_fixed(shape: TaskShape) -> Space:
    """FlexConv with the width of each mask a choice instead of learned, and nothing else changed.

    The choices and options are the twin's: the taps that a kernel starts with on the longest axis; a mask
    has one sigma, so on shorter axes it starts with the same share of them. Its centre is learned, as
    FlexConv's is, and a shifted centre enlarges a kernel. As shares of the extent, its sigmas need no
    `reference`.
    """
    options = kernel_options(shape.extent)
    sigmas: dict[Option, float] = {taps: sigma_for(taps, odd_cover(max(shape.extent))) for taps in options}

    def assemble(values: Values) -> Architecture:
        sigma = tuple(sigmas[taps] for taps in values.values())
        return design(dict.fromkeys(values, FLEX), sigma=sigma, learn_size=False)

    return Space(
        name="flexconv_fixed",
        choices=kernel_choices(*options),
        assemble=assemble,
        summary=f"FlexConv with kernels that stay at one of {', '.join(map(str, options))} taps per axis",
    )


def sigma_for(taps: int, points: int) -> float:
    """The sigma at which a centred mask keeps so many of `points` taps: the middle of those that do."""
    return taps / 2 * step(points) / ROOT


def twin_learned(
    shape: TaskShape,
    kernel_sizes: KernelSizes,
    width: int = 16,
    factors: tuple[float, ...] = (1.0, 1.0),
) -> Space:
    """One design: discrete kernels of the sizes that a FlexConv network learned.

    It is in no list of spaces, since it needs the sizes; a run that has it among its controls gives it those
    of each training of the single design. A function of your own that gives it is a space:
    ``def learned(shape): return twin_learned(shape, ((5, 7), (9, 9), (3, 3), (5, 5), (13, 9)))``.

    Args:
        shape: of the task on which they were learned.
        kernel_sizes: odd taps per convolution and axis, as in a trial's record.
        width, factors: of the network that learned them.

    Raises:
        ValueError: not one size per convolution, or not one number of taps per axis.
    """
    settings: dict[str, Setting] = {
        "width": width,
        "factors": factors,
        "kernels": kernel_sizes,
        "reference": max(shape.extent),
    }
    architecture = Architecture.of("flexnet", **settings)
    FlexNet.read(architecture).parts(shape)
    sizes = ["x".join(map(str, size)) for size in kernel_sizes]
    return Space(
        name="twin_learned",
        choices=tuple(Choice(name=f"kernel_{i}", options=(size,)) for i, size in enumerate(sizes, start=1)),
        assemble=lambda values: architecture,
        summary=f"one design: the FlexConv skeleton with the learned kernels {', '.join(sizes)}",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Learned:
    """What a training of the single design ended with.

    Attributes:
        architecture: the single design.
        kernel_sizes: taps per axis of each convolution.
        multiply_adds: of one forward pass on one row at these sizes.
    """

    architecture: Architecture
    kernel_sizes: KernelSizes
    multiply_adds: int


def unlearned(architecture: Architecture, shape: TaskShape) -> Learned:
    """What a network of the single design holds before it is trained: to try a control out on."""
    return Learned(
        architecture=architecture,
        kernel_sizes=tuple(
            initial_taps(part) for part in parts(architecture, shape) if isinstance(part, Convolution)
        ),
        multiply_adds=complexity(architecture, shape).multiply_adds,
    )


def _matched_to(shape: TaskShape, learned: Sequence[Learned]) -> Space:
    return twin_matched(shape, target=sum(each.multiply_adds for each in learned) / len(learned))


def _at_sizes(shape: TaskShape, learned: Learned) -> Space:
    family = learned.architecture.family
    if family != "flexnet":
        raise ValueError(f"twin_learned takes its sizes from a flexnet design, got one of {family}")
    net = FlexNet.read(learned.architecture)
    return twin_learned(shape, learned.kernel_sizes, net.width, net.factors)


AFTER_ALL: dict[str, Callable[[TaskShape, Sequence[Learned]], Space]] = {"twin_matched": _matched_to}
"""Controls of a run that are made from what all trainings of the single design on a task learned."""
AFTER_EACH: dict[str, Callable[[TaskShape, Learned], Space]] = {"twin_learned": _at_sizes}
"""Controls of a run that are one design for each training of the single design."""


def _flexible() -> Architecture:
    return design({f"kernel_{i}": FLEX for i in range(1, CONVOLUTIONS + 1)})


def _cost(architecture: Architecture, shape: TaskShape, measure: Measure) -> int:
    value: int = getattr(complexity(architecture, shape), measure)
    return value
