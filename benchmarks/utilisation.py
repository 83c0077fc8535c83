"""What share of its slots' time a run spent in trials, from the records of its directory.

    python benchmarks/utilisation.py RUN_DIR...

Between the start of the first trial and that of the last, each slot (a processor or device share that held
one trial at a time) could have been in a trial all the time. Counted as such: from `started` to `finished` of
a record, less what it waited for answers. A finalist's test comes after that and is not counted; nor are
attempts that ended without a record, so a run that was interrupted looks worse than it was.
"""

from __future__ import annotations

import argparse
from itertools import accumulate
from pathlib import Path

from nas.run_directory import open_run
from trials.record import TrialRecord


def most_at_once(records: list[TrialRecord]) -> int:
    """Slots: the largest number of trials that ran at the same time."""
    moments = sorted([(r.started, 1) for r in records] + [(r.finished, -1) for r in records])
    return max(accumulate(step for _, step in moments))


def utilisation(records: list[TrialRecord], slots: int) -> float:
    """Share of the slots' time from the first start to the last that was spent in trials."""
    first, last = (pick(record.started for record in records) for pick in (min, max))
    spent = 0.0
    for record in records:
        span = record.finished - record.started
        inside = max(0.0, min(record.finished, last) - record.started)
        spent += inside * (1 - record.seconds_waiting / span if span > 0 else 1.0)
    return spent / slots / (last - first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dirs", nargs="+")
    parser.add_argument("--slots", type=int, help="default: the most trials at once")
    arguments = parser.parse_args()
    for path in arguments.run_dirs:
        records = open_run(path).read_records()[0]
        slots = arguments.slots or most_at_once(records)
        share = utilisation(records, slots)
        tasks, spaces = ({getattr(r.trial.study, of) for r in records} for of in ("task", "space"))
        print(
            f"{Path(path).name}: {100 * share:.1f} % of {slots} slots' time in trials; {len(records)} "
            f"trials, {len(tasks)} tasks, {len(spaces)} spaces, commit {records[0].commit}"
        )


if __name__ == "__main__":
    main()
