"""Many ways in which a dataset can be wrong: each one line that names the place, nothing half written."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from nas.cli import main
from tests.trials.tables import (
    FILE,
    NAMES,
    ROWS,
    SERIES,
    audio_table,
    encoded,
    image_table,
    picture,
    series_table,
    sound,
    volume_table,
    write,
)
from trials.cache import root
from trials.task import open_task

Break = Callable[[Path], None]


def train(columns: dict[str, Any], features: object = NAMES) -> Break:
    """One training file with these columns."""
    return lambda folder: write(folder / "train.parquet", columns, features) and None


def beside(columns: dict[str, Any], features: object = NAMES, sound_one: Any = None) -> Break:
    """A sound training file, and a test file with these columns."""

    def make(folder: Path) -> None:
        write(folder / "train.parquet", sound_one or series_table())
        write(folder / "test.parquet", columns, features)

    return make


def cut(keep: int) -> Break:
    """A training file cut off: so many bytes are left, or lack at the end if negative."""

    def make(folder: Path) -> None:
        path = write(folder / "train.parquet", series_table()) / "train.parquet"
        path.write_bytes(path.read_bytes()[:keep])

    return make


def zeroed(folder: Path) -> None:
    path = write(folder / "train.parquet", image_table(200)) / "train.parquet"
    content = bytearray(path.read_bytes())
    content[100:3000] = bytes(2900)
    path.write_bytes(content)


def files(**named: str | dict[str, Any]) -> Break:
    """Files of a folder: columns for Parquet, or a text."""

    def make(folder: Path) -> None:
        for name, content in named.items():
            path = folder / name.replace("__", "/").replace("_parquet", ".parquet")
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content)
            else:
                write(path, content)

    return make


def without(columns: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: column for each, column in columns.items() if each != name}


def labels(*values: Any) -> list[Any]:
    """The first labels as given, the others 0, 1, 2, 0, ..."""
    return [*values, *(i % 3 for i in range(len(values), ROWS))]


def deep(size: tuple[int, int] = (6, 4)) -> bytes:
    import io

    buffer = io.BytesIO()
    Image.fromarray(np.full(size, 40_000, dtype=np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def dangling(folder: Path) -> None:
    (folder / "train.parquet").symlink_to(folder / "gone.parquet")


def directory_of_that_name(folder: Path) -> None:
    (folder / "train.parquet").mkdir()


LARGE = picture((60, 40), kind="JPEG")
nan, inf = float("nan"), float("inf")

BROKEN: dict[str, tuple[Break, str]] = {
    # files and folders
    "a directory of nothing": (lambda folder: None, "must hold Parquet files.*there are none"),
    "other files alone": (files(readme_md="hello"), "there are none"),
    "an empty file": (cut(0), r"train\.parquet cannot be read as Parquet"),
    "cut off after 3 bytes": (cut(3), r"train\.parquet cannot be read as Parquet"),
    "cut off in the middle": (cut(200), r"train\.parquet cannot be read as Parquet"),
    "the last byte missing": (cut(-1), r"train\.parquet cannot be read as Parquet"),
    "the footer missing": (cut(-400), r"train\.parquet cannot be read as Parquet"),
    "a text called Parquet": (files(train_parquet="series,label\n1,2\n"), r"train\.parquet cannot be read"),
    "damaged pages": (zeroed, r"train\.parquet"),
    "a link to nothing": (dangling, r"train\.parquet"),
    "a folder called Parquet": (directory_of_that_name, "there are none|cannot be read"),
    "no training file": (
        files(test_parquet=series_table(), validation_parquet=series_table()),
        "train must be there",
    ),
    "a file of no split": (
        files(train_parquet=series_table(), extra_parquet=series_table()),
        r"must say train, validation or test.*extra\.parquet",
    ),
    "two configurations": (
        files(small__train_parquet=series_table(), large__train_parquet=series_table()),
        "must hold one configuration, got large, small",
    ),
    "a shard missing": (
        lambda folder: write(folder / "train-00000-of-00002.parquet", series_table()) and None,
        "is missing|train-00000-of-00002",
    ),
    # splits
    "no rows": (train(series_table(0)), r"train\.parquet: the train split must have rows, got 0"),
    "no test rows": (beside(series_table(0)), r"test\.parquet: the test split must have rows, got 0"),
    "one validation row": (
        files(train_parquet=series_table(), validation_parquet=series_table(1)),
        "at least 2 validation rows, one a half, got 1",
    ),
    "other columns in test": (beside(image_table()), r"test\.parquet.*column"),
    "other class names in test": (
        beside(series_table(), {"label": {"names": ["dog", "cat", "eel"], "_type": "ClassLabel"}}),
        r"test\.parquet must declare the class names of the first training file",
    ),
    "longer series in test alone": (
        beside({**series_table(), "series": pa.array([[[1.0] * 5] * 2] * ROWS, SERIES)}),
        "one shape, 2x4 .* in training, got 2x5",
    ),
    "larger images in test": (
        beside(image_table(size=(8, 4)), sound_one=image_table()),
        "one shape, 1x4x6 .* in training, got 1x4x8",
    ),
    "colour in test alone": (
        beside(image_table(mode="RGB"), sound_one=image_table()),
        "one shape, 1x4x6 .* in training, got 3x4x6",
    ),
    # columns
    "no input": (
        train(without(series_table(), "series")),
        r"one input column.*columns: label \(int64\)",
    ),
    "no label": (train(without(series_table(), "label"), None), "column 'label'.*columns: series"),
    "two inputs": (
        train({**series_table(), **image_table()}),
        "it has series, image; name one, as in input=series",
    ),
    "labels that are fractions": (
        train({**series_table(), "label": [0.5] * ROWS}, None),
        "'label': labels must be integers, strings or booleans, got double",
    ),
    "texts where the features declare classes": (
        train({**series_table(), "label": ["cat"] * ROWS}),
        "'label': labels with declared class names must be integers, got string",
    ),
    "two candidates for a label": (
        train({"series": series_table()["series"], "a": [1] * ROWS, "b": [2] * ROWS}, None),
        "it has a, b; name one, as in label=a",
    ),
    "unknown features": (train(series_table(), "{not JSON"), "'huggingface' must be JSON"),
    "features without a list": (
        train(series_table(), '{"info": {}}'),
        "must be JSON with info.features",
    ),
    "features that are a list": (train(series_table(), "[1]"), "must be JSON with info.features"),
    "a group in one lump": (
        train({**series_table(), "speaker": ["one"] * ROWS}),
        "rows of data must belong to at least two groups to be divided by them, all are in one",
    ),
    "a group that is missing": (
        train({**series_table(), "speaker": [None, *map(str, range(ROWS - 1))]}),
        "row 0, column 'speaker'.*missing",
    ),
    # labels
    "a null label": (train(series_table(labels=labels(0, None))), "row 1, column 'label'.*missing"),
    "an unknown class": (
        train(series_table(labels=labels(0, 3))),
        "row 1, column 'label': unknown class 3",
    ),
    "a negative class": (
        train(series_table(labels=labels(-1))),
        "row 0, column 'label': unknown class -1",
    ),
    "one class": (train(series_table(labels=[1] * ROWS)), "at least two classes, got 'dog'"),
    "a class without rows": (
        train(series_table(labels=[i % 2 for i in range(ROWS)])),
        "class 'eel' has 0 rows, too few to divide",
    ),
    "too few of a class": (
        train(series_table(labels=[2, *(i % 2 for i in range(ROWS - 1))])),
        "class 'eel' has 1 rows, too few to divide",
    ),
    "a class that only test has": (
        lambda folder: (
            write(folder / "train.parquet", series_table(), None)
            and write(folder / "test.parquet", series_table(labels=labels(0, 0, 0, 8)), None)
            and None
        ),
        r"test\.parquet, row 3, column 'label': unknown class 8",
    ),
    "half of the test labels kept back": (
        beside(series_table(labels=labels(-1))),
        r"test\.parquet, row 0, column 'label': unknown class -1",
    ),
    # images
    "another size": (train(image_table(changed={9: encoded(picture((5, 4)))})), "row 9.*1x4x6.*got 1x4x5"),
    "mixed channels": (
        train(image_table(changed={9: encoded(picture(mode="RGB"))})),
        "row 9.*one size and mode",
    ),
    "transparency": (train(image_table(mode="RGBA")), "row 0.*"),
    "16 bits a pixel": (train(image_table(changed={9: encoded(deep())})), "row 9.*8"),
    "a text for an image": (train(image_table(changed={9: encoded(b"cat.png")})), "row 9.*decoded"),
    "a header alone": (train(image_table(changed={9: encoded(b"\x89PNG\r\n\x1a\n")})), "row 9.*decoded"),
    "a truncated PNG": (train(image_table(changed={9: encoded(picture()[:50])})), "row 9.*decoded"),
    "a truncated JPEG": (
        train(image_table(kind="JPEG", size=(60, 40), changed={9: encoded(LARGE[:300])})),
        "row 9.*decoded",
    ),
    "no bytes": (train(image_table(changed={9: encoded(b"")})), "row 9.*"),
    "an image elsewhere": (train(image_table(changed={9: encoded(None, "a.png")})), "row 9.*"),
    "a null image": (train(image_table(changed={9: None})), "row 9.*missing"),
    "an image beyond the limit": (train(image_table(size=(5000, 4000))), "row 0.*max_pixels"),
    "audio called image": (train({**image_table(), "image": audio_table()["audio"]}), "row 0.*decoded"),
    # audio
    "a text for audio": (
        train(audio_table(changed={9: encoded(b"a.wav")})),
        "row 9, column 'audio'.*",
    ),
    "truncated audio": (train(audio_table(changed={9: encoded(sound()[:60])})), "row 9.*"),
    "audio of no length": (train(audio_table(changed={9: encoded(sound(0))})), "row 9.*"),
    "stereo among mono": (
        train(audio_table(changed={9: encoded(sound(channels=2))})),
        "row 9.*channels",
    ),
    "a null recording": (train(audio_table(changed={9: None})), "row 9.*missing"),
    "a first null recording": (train(audio_table(changed={0: None})), "row 0.*missing"),
    "audio elsewhere": (train(audio_table(changed={9: encoded(None, "a.wav")})), "row 9.*"),
    # series
    "ragged channels": (train(series_table(changed={9: [[1.0] * 4, [1.0] * 3]})), "row 9.*"),
    "another channel": (train(series_table(changed={9: [[1.0] * 4]})), "row 9.*channels"),
    "no channels": (train(series_table(changed={9: []})), "row 9.*channels"),
    "a series of no length": (train(series_table(changed={9: [[], []]})), "row 9.*steps must be at least 1"),
    "a null series": (train(series_table(changed={9: None})), "row 9.*missing"),
    "a null channel": (train(series_table(changed={9: [[1.0] * 4, None]})), "row 9.*missing"),
    "a null value": (train(series_table(changed={9: [[1.0] * 4, [1.0, None, 3.0, 4.0]]})), "row 9.*missing"),
    "NaN": (train(series_table(changed={9: [[1.0] * 4, [1.0, nan, 3.0, 4.0]]})), "row 9.*finite, got nan"),
    "infinity": (train(series_table(changed={9: [[-inf, 1.0, 1.0, 1.0]] * 2})), "row 9.*finite, got -inf"),
    "texts for numbers": (
        train({"series": pa.array([[["1"]]] * ROWS), "label": series_table()["label"]}),
        "one input column.*it has none",
    ),
    # volumes
    "another volume": (
        train(volume_table(changed={9: np.ones((2, 3, 5), int).tolist()})),
        "row 9.*2x3x4",
    ),
    "a null volume": (train(volume_table(changed={9: None})), "row 9.*missing"),
    "an empty volume": (train(volume_table(changed={9: [[[]]]})), "row 9.*"),
    "a ragged volume": (train(volume_table(changed={9: [[[1, 2], [3]]]})), "row 9.*"),
}


@pytest.mark.parametrize("what", list(BROKEN))
def test_it_is_named_in_one_line(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    make, message = BROKEN[what]
    make(folder)
    monkeypatch.setattr("sys.argv", ["nas", "tasks", str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 2, said
    assert re.search(message, said.err), said.err
    assert "data" in said.err  # the folder's name
    assert said.err.startswith("nas: ") and said.err.count("\n") == 1 and "Traceback" not in said.err
    assert "Error(" not in said.err and len(said.err) < 1000
    assert not list(root().rglob("*.partial"))


WRONG_SIZES = {
    "rows=10": "rows must be at least",
    "rows=0": "rows must be at least 1, got 0",
    "fraction=0.05": "fraction must leave a training row of each of 3 classes",
    "fraction=2": "fraction must be above 0 and at most 1, got 2",
    "resolution=8": "resolution is of images and volumes, got 8 for the series of data; give rate",
    "rate=0": "rate must be positive",
    "rate=1e-9": "rate",
    "input=picture": "no column 'picture'",
    "label=series": "must have one input column",
    "group=speaker": r"no column 'speaker' \(group\); its columns: series",
    "max_rows=20": "at most max_rows=20 rows, got 30",
    "max_pixels=3": "row 0.*max_pixels",
    "rows=many": "rows must be int, got 'many'",
    "size=3": "a task has no 'size'; it has rows, resolution",
    "augment=turn": "augment must name some of crop, flip",
}


@pytest.mark.parametrize("size", list(WRONG_SIZES))
def test_a_size_that_does_not_fit_is_refused(size: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "data" / "train.parquet", series_table())
    with pytest.raises(ValueError, match=WRONG_SIZES[size]) as error:
        open_task(f"{folder}@{size}")
    assert "\n" not in str(error.value)


def test_duplicate_rows_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "train.parquet", series_table(changed={5: [[7.0] * 4] * 2, 6: [[7.0] * 4] * 2}))
    columns = series_table(changed={row: [[90.0 + row] * 4] * 2 for row in range(ROWS)})
    columns["series"] = pa.array([*columns["series"].to_pylist()[:-1], [[7.0] * 4] * 2], SERIES)
    write(tmp_path / "test.parquet", columns)
    assert open_task(str(tmp_path)).seen_in_test == 2


@contextmanager
def as_nobody() -> Iterator[None]:
    """Whoever runs the tests may be allowed everything; nobody is not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        path = write(folder / "train.parquet", series_table()) / "train.parquet"
        (folder / "cache").mkdir()
        (folder / "cache").chmod(0o777)
        monkeypatch.setenv("NAS_CACHE", str(folder / "cache"))
        open_task(str(folder))  # imports what it needs, as root
        path.chmod(0)
        with as_nobody(), pytest.raises(ValueError, match=r"train\.parquet may not be read.*permissions"):
            open_task(str(folder))
    finally:
        shutil.rmtree(folder)


def test_an_encoded_column_without_names_is_read(tmp_path: Path) -> None:
    columns = {
        "image": pa.array([picture(level=i) for i in range(ROWS)]),
        "label": image_table()["label"],
    }
    assert pa.types.is_binary(columns["image"].type) and not pa.types.is_struct(FILE.field(0).type)
    assert open_task(str(write(tmp_path / "train.parquet", columns))).shape.extent == (4, 6)
