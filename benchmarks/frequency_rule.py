"""Choose the generators' initial frequency, then judge it as one rule for every task.

    python benchmarks/frequency_rule.py all --data DIRECTORY --results FILE [--processes 2]

`tune` and `scaling` use development tasks only; `judge` compares the rule with the best of a sweep on four
others; `aliasing` applies trained networks at twice the sampling rate; `cost` times a training of each task;
`all` prints tune, scaling, judge and aliasing as one document, docs/frequency.md. Every finished training is
a line of FILE, and one that is there is not repeated: take another file when the product's code has changed.
"""

from __future__ import annotations

import argparse
import math
import statistics
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from frequency_tasks import SOURCES
from frequency_training import WEIGHT, Bench, Job, Result
from scipy import stats

from trials.recipe import STANDARD
from trials.surroundings import commit

DEVELOPMENT = ("digits", "digits_sequence", "mnist5k", "mnist5k_sequence", "tones", "gratings")
JUDGED = ("spoken_digit", "fashion_series", "pneumonia", "cifar")
"""None of them a development task; two in 1 axis, two in 2."""
DOUBLED = ("fashion_series", "pneumonia", "tones", "mnist5k_small")
"""Of `aliasing`: a judged task in 1 and in 2 axes, and a development task in each."""
SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
TUNED = SHARES[1:-1]
OUTPUTS = {
    "gain": "the product's, measured so that noise keeps its variance",
    "chang": "no gain, output weights times sqrt(1 / (in_channels taps))",
    "none": "no gain",
}
FIRST, FRESH = (1, 2, 3), (4, 5, 6, 7, 8)
LEVEL = 0.9
POINT = 1.0
Results = dict[Job, Result]


def tune(bench: Bench) -> None:
    """Which share serves the development tasks best."""
    shares, seeds = bench.some(TUNED), bench.some(FIRST)
    jobs = {(t, s): [bench.job(t, s, seed) for seed in seeds] for t in DEVELOPMENT for s in shares}
    results = bench.run(_flat(jobs.values()))
    print("## Tuned on development tasks\n")
    _say(
        f"Mean validation error in % of seeds {_listed(seeds)}; in brackets the sd over seeds. The last "
        "line: geometric mean over tasks, so that each counts alike."
    )
    best = _means_table(results, jobs, shares)
    _say(f"The smallest is at {best} of Nyquist; the rule of the code is {bench.rule:g}.")
    _about(results)


def scaling(bench: Bench) -> None:
    """What scales the outputs at initialisation, at the rule's share."""
    seeds = bench.some(FIRST)
    jobs = {
        (task, output): [bench.job(task, bench.rule, seed, output=output) for seed in seeds]
        for task in DEVELOPMENT
        for output in OUTPUTS
    }
    results = bench.run(_flat(jobs.values()))
    print("## Scale of the outputs at initialisation\n")
    _say(
        "; ".join(f"`{name}`: {text}" for name, text in OUTPUTS.items())
        + f". The same initial parameters otherwise, at {bench.rule:g} of Nyquist. Mean validation error in "
        f"% of seeds {_listed(seeds)}; in brackets the sd over seeds. Last line: geometric mean over tasks."
    )
    _means_table(results, jobs, tuple(OUTPUTS))
    columns = {output: _flat(jobs[task, output] for task in DEVELOPMENT) for output in OUTPUTS}
    against = [f"`{o}` {_difference(results, columns[o], columns['gain'])}" for o in ("chang", "none")]
    _say(
        f"Against `gain`, in points: {'; '.join(against)} (mean over tasks and seeds, paired, and Student's "
        f"{100 * LEVEL:.0f} % interval, n = {len(columns['gain'])})."
    )
    _about(results)


def judge(bench: Bench) -> None:
    """The rule against the best of a sweep, on tasks that it was not tuned on."""
    rule, shares, seeds, fresh = bench.rule, bench.some(SHARES), bench.some(FIRST), bench.some(FRESH)
    swept = {(t, s): [bench.job(t, s, seed) for seed in seeds] for t in JUDGED for s in shares}
    results = bench.run(_flat(swept.values()))
    means = {key: statistics.mean(_errors(results, jobs)) for key, jobs in swept.items()}
    best = {task: min(shares, key=lambda share: means[task, share]) for task in JUDGED}
    again = {
        (task, share): [bench.job(task, share, seed) for seed in fresh]
        for task in JUDGED
        for share in (rule, best[task])
    }
    results |= bench.run(_flat(again.values()))
    print("## Judged on other tasks\n")
    _say(
        f"The rule, {rule:g} of Nyquist, against the best of {len(shares)} shares. The sweep: mean "
        f"validation error in % of seeds {_listed(seeds)}; in brackets the sd over seeds; the best in bold."
    )
    sweep = [
        [task, *(_bold(_mean_sd(_errors(results, swept[task, s])), s == best[task]) for s in shares)]
        for task in JUDGED
    ]
    _table(["task", *(f"{share:g}" for share in shares)], sweep)
    _say(
        f"Rule and best share again, seeds {_listed(fresh)}: rule minus best in points, paired by seed, with "
        f"Student's {100 * LEVEL:.0f} % interval. The claim is that it lies within {POINT:g} point of 0. The "
        "validation rows are those by which the best share was chosen, which favours the best share."
    )
    verdicts = [
        [task, f"{best[task]:g}", *_verdict(results, again[task, rule], again[task, best[task]])]
        for task in JUDGED
    ]
    _table(["task", "best share", "rule", "best", "rule minus best", f"within {POINT:g} point"], verdicts)
    _about(results)


def aliasing(bench: Bench) -> None:
    """What lower frequencies and the regulariser do to the error, here and at twice the rate."""
    rule, seeds = bench.rule, bench.some(FIRST + FRESH[:2])
    settings = [(rule, ""), (0.25, ""), (0.125, ""), (rule, "gabor"), (rule, "gabor+mask")]
    settings.append((0.125, "gabor+mask"))
    variants = {f"{share:g}" + (f", regularised: {to}" if to else ""): (share, to) for share, to in settings}
    jobs = {
        (task, name): [bench.job(task, share, seed, penalty=target, doubled=True) for seed in seeds]
        for task in DOUBLED
        for name, (share, target) in variants.items()
    }
    results = bench.run(_flat(jobs.values()))
    print("## Aliasing\n")
    _say(
        "Products add frequencies: with MAGNet's 4 filters the mean frequencies of a kernel sum to 2.08 "
        "times that of its first filter. It is this sum that must stay below Nyquist, and in the mean it "
        "does up to a share of 0.48, for the fastest channels up to a lower one. The regulariser asks for "
        "more: no channel of a filter, its envelope included, above a quarter of Nyquist."
    )
    _say(
        f"Means of seeds {_listed(seeds)}: validation error in % (sd) at the trained rate and of the same "
        "network applied at twice it, to the same rows; both minus the rule's, in points, paired by seed, "
        f"with Student's {100 * LEVEL:.0f} % interval; after training, the sum over filters of the mean "
        f"frequency as a share of Nyquist, and the penalty by each target, before its weight of {WEIGHT:g}."
    )
    header = [
        "share",
        "error",
        "at twice the rate",
        "minus the rule's",
        "at twice the rate, minus the rule's",
    ]
    for task in DOUBLED:
        print(f"### {task}\n")
        ruled, rows = jobs[task, f"{rule:g}"], []
        for name in variants:
            own = jobs[task, name]
            after = [f"{statistics.mean(results[job][what] for job in own):.3g}" for what in AFTER]
            errors = [_mean_sd(_errors(results, own, rate)) for rate in RATES]
            rows.append([name, *errors, *(_difference(results, own, ruled, rate) for rate in RATES), *after])
        _table([*header, "sum of frequencies", "gabor", "gabor+mask"], rows)
        _say(_conflict(results, {name: jobs[task, name] for name in variants}, ruled))
    _about(results)


RATES = ("error", "doubled_error")
AFTER = ("bandwidth", "gabor", "gabor+mask")


def cost(bench: Bench) -> None:
    """Core-seconds of one training of each task, at the rule."""
    _about(bench.run([bench.job(task, bench.rule, FIRST[0]) for task in (*DEVELOPMENT, *JUDGED)]))


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "cost": cost,
    "tune": tune,
    "scaling": scaling,
    "judge": judge,
    "aliasing": aliasing,
}


def _means_table(
    results: Results, jobs: dict[tuple[str, float | str], list[Job]], columns: Sequence[float | str]
) -> str:
    """Development tasks by what is compared, then geometric means; what has the smallest of these."""
    geometric = {
        column: statistics.geometric_mean(
            max(0.05, statistics.mean(_errors(results, jobs[task, column])))  # a mean of 0 has no logarithm
            for task in DEVELOPMENT
        )
        for column in columns
    }
    best = min(geometric, key=geometric.__getitem__)
    rows = [
        [task, *(_mean_sd(_errors(results, jobs[task, column])) for column in columns)]
        for task in DEVELOPMENT
    ]
    rows.append(["geometric mean", *(_bold(f"{geometric[c]:.2f}", c == best) for c in columns)])
    _table(["task", *(str(column) for column in columns)], rows)
    return str(best)


def _verdict(results: Results, rule: list[Job], best: list[Job]) -> list[str]:
    columns = [_mean_sd(_errors(results, rule)), _mean_sd(_errors(results, best))]
    if rule == best:
        return [*columns, "0: the rule is the best share", "yes, by construction"]
    low, high = _interval(_paired(results, rule, best))
    answer = "yes" if low > -POINT and high < POINT else "no" if low >= POINT else "cannot say"
    if high <= -POINT:
        answer = "no, the rule is better"
    return [*columns, _difference(results, rule, best), answer]


def _conflict(results: Results, variants: dict[str, list[Job]], rule: list[Job]) -> str:
    """Which variants are shown to be better than the rule at twice the rate, and at what price."""
    dear, free = [], []
    for name, jobs in variants.items():
        if jobs != rule and _interval(_paired(results, jobs, rule, "doubled_error"))[1] < 0:
            worse = _interval(_paired(results, jobs, rule))[0] > 0
            (dear if worse else free).append(f"`{name}`")
    if not dear and not free:
        return "No variant is shown to be better than the rule at twice the rate."
    parts = []
    if dear:
        parts.append(f"Conflict: {', '.join(dear)} better than the rule at twice the rate, worse at one.")
    if free:
        parts.append(
            f"Better than the rule at twice the rate, not shown to be worse at one: {', '.join(free)}."
        )
    return " ".join(parts)


def _errors(results: Results, jobs: Iterable[Job], what: str = "error") -> list[float]:
    """In %."""
    return [100 * results[job][what] for job in jobs]


def _paired(results: Results, jobs: list[Job], others: list[Job], what: str = "error") -> list[float]:
    """Differences in points, of trainings that share task and seed."""
    return [a - b for a, b in zip(_errors(results, jobs, what), _errors(results, others, what), strict=True)]


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's interval of the mean."""
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values) - half, statistics.mean(values) + half


def _difference(results: Results, jobs: list[Job], others: list[Job], what: str = "error") -> str:
    if jobs == others:
        return "0"
    values = _paired(results, jobs, others, what)
    low, high = _interval(values)
    return f"{statistics.mean(values):+.2f} [{low:+.2f}, {high:+.2f}]"


def _mean_sd(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.2f} ({statistics.stdev(values):.2f})"


def _flat(jobs: Iterable[list[Job]]) -> list[Job]:
    return [job for each in jobs for job in each]


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(str(seed) for seed in seeds)


def _bold(text: str, yes: bool) -> str:
    return f"**{text}**" if yes else text


def _say(text: str) -> None:
    print(f"{textwrap.fill(text, 110)}\n")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    print(f"| {' | '.join(header)} |\n|{' --- |' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print()


def _about(results: Results) -> None:
    """What the figures of a section come from: tasks, their rows and epochs, seconds, code and machine."""
    by_task: dict[str, list[Job]] = {}
    for job in results:
        by_task.setdefault(job.task, []).append(job)
    rows = []
    for task, jobs in by_task.items():
        one, job = results[jobs[0]], jobs[0]
        numbers = [one["train_rows"], one["validation_rows"], f"{100 * one['majority']:.1f} %", job.epochs]
        seconds = statistics.mean(results[job]["seconds"] for job in jobs)
        rows.append([task, SOURCES[task].text, one["shape"], *map(str, numbers), str(len(jobs))])
        rows[-1].append(f"{seconds:.1f}")
    header = "task|what|channels x extent|training rows|validation rows|majority error|epochs|trainings"
    _table([*header.split("|"), "core-seconds each"], rows)
    found = [sorted({one[what] for one in results.values()}) for what in ("commit", "processor", "software")]
    _say(
        f"Commit {', '.join(found[0])}; {', '.join(found[1])}; {', '.join(found[2])}; one thread a training."
    )


def main() -> None:
    """Train what is missing and print the section, or the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=(*SECTIONS, "all"))
    parser.add_argument("--results", type=Path, required=True, help="file that keeps finished trainings")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=beside, help="directory of the Parquet data sets")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="only try it: one epoch, few rows and seeds")
    options = vars(parser.parse_args())
    command = options.pop("command")
    bench = Bench(**options)
    if bench.quick:
        print("A try of the script: these figures mean nothing.\n")
    if command != "all":
        SECTIONS[command](bench)
        return
    recipe = STANDARD.for_space("flexconv")
    print("# The frequency rule\n")
    _say(
        f"`python benchmarks/frequency_rule.py all`, printed at commit {commit()}. The single design with "
        "its generators' initial frequency as a share of the grid's Nyquist frequency. AdamW, learning rate "
        f"{recipe.learning_rate:g}, decay {recipe.weight_decay:g}, batches of {recipe.batch_size}, warm-up "
        f"{recipe.warmup:g} and cosine to zero: the standard recipe of space `flexconv`, fewer epochs. "
        "Errors are those of the last epoch on all validation rows; test rows are never read."
    )
    for name in ("tune", "scaling", "judge", "aliasing"):
        SECTIONS[name](bench)


if __name__ == "__main__":
    main()
