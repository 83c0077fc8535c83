"""What a report was made from: a hash of it, and the command that makes the report again."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence

from nas.efficiency import Plan
from trials.plain import to_plain
from trials.record import TrialRecord


def inputs_hash(records: Iterable[TrialRecord], plan: Plan, sizes: Mapping[tuple[str, str], int]) -> str:
    """SHA-256, in hexadecimal, of everything that a comparison is computed from, in whatever order it comes.

    One line of JSON each (keys sorted, no blanks, ASCII): the plan, then ``[task, space, designs]`` of every
    space of known size, sorted, then the records, sorted; joined by line feeds.
    """
    known = sorted(_line([*name, size]) for name, size in sizes.items())
    lines = [_line(to_plain(plan)), *known, *sorted(_line(to_plain(record)) for record in records)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _line(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def compare_command(names: Sequence[str]) -> str:
    """``nas compare RUN_DIR ...`` for a shell, with the names of the directories and not where they are."""
    return shlex.join(["nas", "compare", *names])
