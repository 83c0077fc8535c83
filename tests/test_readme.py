"""The README's examples work as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from search_spaces import SPACES, TaskShape, build
from search_spaces.lookup import lookup
from trials.task import open_task

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language ("" for none)."""
    fences = re.split(r"^```(.*)\n", README, flags=re.MULTILINE)
    return [body for opening, body in zip(fences[1::4], fences[2::4]) if opening == language]


def test_the_first_command_is_on_the_first_screen() -> None:
    lines = README.splitlines()
    assert lines.index(next(line for line in lines if line.startswith("make compare"))) < 12
    assert lines.index(next(line for line in lines if line.startswith("make test"))) < 12


def test_a_task_and_a_space_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("\n\n".join(blocks("python")))
    task = open_task(f"{tmp_path}/mine.py:stripes")
    assert task.name == "stripes"
    assert task.shape == TaskShape(extent=(12, 12), channels=1, classes=2)
    space = lookup("space", f"{tmp_path}/mine.py:shared", SPACES)(task.shape)
    assert space.size == 6
    network = build(space.decode(space.sample(np.random.default_rng(0))), task.shape)
    assert sum(parameter.numel() for parameter in network.parameters()) > 1000


def test_the_file_tree_names_files_that_exist() -> None:
    root = Path(__file__).parent.parent
    (tree,) = [block for block in blocks("") if block.startswith("search_spaces/ ")]
    package = root
    for line in tree.splitlines():
        for word in line[:31].split():
            if word == "...":
                continue
            if not line.startswith(" ") and word.endswith("/"):
                package = root / word
                assert package.is_dir(), word
            elif line.startswith(" "):
                assert (package / word).exists(), word
