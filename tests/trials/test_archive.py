"""Sets of the archives as aeon carries them: an extra for users, always there for tests."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from trials import task
from trials.finding import TASKS

DATA = Path(__file__).parents[3] / "shared" / "data"
SETS = {"osuleaf": ((1, 427), 6, 200, 242), "acsf1": ((1, 1460), 10, 100, 100)}
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository")


@pytest.mark.parametrize("name", ["osuleaf", "acsf1", "japanese_vowels"])
def test_without_the_extra_the_error_says_how_to_get_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    TASKS[name].cache_clear()  # what was read before needs aeon no more
    for module in [each for each in sys.modules if each.partition(".")[0] == "aeon"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "aeon", None)  # as Python marks what is not there
    with pytest.raises(ValueError, match=r"needs aeon: pip install 'nas-flexconv\[tasks\]'") as error:
        task.open_task(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", SETS)
def test_official_splits(name: str) -> None:
    (channels, length), classes, train, test = SETS[name]
    opened = task.open_task(name)
    assert (opened.shape.channels, opened.shape.extent) == (channels, (length,))
    assert (opened.shape.classes, opened.shape.variable) == (classes, False)
    assert (opened.learning_rows, opened.test_rows, len(task.open_test(name))) == (train, test, test)


def test_japanese_vowels_vary_in_length() -> None:
    opened = task.open_task("japanese_vowels")
    assert opened.shape.variable and opened.shape.channels == 12 and opened.shape.classes == 9
    assert (opened.learning_rows, opened.test_rows) == (270, 370)
    missing = np.isnan(opened.train.inputs)
    assert (missing == missing[:, :1]).all()  # of all channels
    lengths = (~missing[:, 0]).sum(1)
    assert lengths.min() >= 7 and lengths.max() <= 26 == opened.shape.extent[0]
    assert (missing[:, 0] == (np.arange(26) >= lengths[:, None])).all()


@needs_data
@pytest.mark.parametrize("name", [*SETS, "japanese_vowels"])
def test_row_by_row_what_the_parquet_files_hold(name: str) -> None:
    import pyarrow.parquet as pq

    dataset = TASKS[name]()
    entry = json.loads((DATA / "MANIFEST.json").read_text())["datasets"][name]
    assert list(dataset.class_names) == entry["class_names"]
    for part, split in ((dataset.train, "train"), (dataset.test, "test")):
        assert part is not None
        table = pq.read_table(DATA / name / f"{split}-00000-of-00001.parquet")
        assert part.labels().tolist() == table["label"].to_pylist()
        inputs = part.decoded(np.arange(part.size)).inputs
        for ours, theirs in zip(inputs, table["series"].to_pylist(), strict=True):
            expected = np.array(theirs, dtype=np.float32)
            np.testing.assert_array_equal(ours[:, : expected.shape[1]], expected)
            assert np.isnan(ours[:, expected.shape[1] :]).all()
