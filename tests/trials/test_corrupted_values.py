"""Many ways in which values can be wrong: each one line that names file, row and column."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tests.trials.breaking import Break, at, is_named_in_one_line, train
from tests.trials.tables import (
    ROWS,
    audio_table,
    encoded,
    image_table,
    picture,
    series_table,
    sound,
    volume_table,
)


def deep(size: tuple[int, int] = (6, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full(size, 40_000, dtype=np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def fixed_channels(bad: int) -> pa.Array:
    """Two channels of a fixed number of steps, one missing in a row."""
    rows = [[[1.0] * 4, None if i == bad else [float(i)] * 4] for i in range(ROWS)]
    return pa.array(rows, pa.list_(pa.list_(pa.float32(), 4)))


LARGE = picture((60, 40), kind="JPEG")
nan, inf = float("nan"), float("inf")

BROKEN: dict[str, tuple[Break, str]] = {
    # images
    "another size": (
        train(image_table(changed={9: encoded(picture((5, 4)))})),
        at(9, "image", "1x4x6.*got 1x4x5"),
    ),
    "mixed channels": (
        train(image_table(changed={9: encoded(picture(mode="RGB"))})),
        at(9, "image", "one size and mode"),
    ),
    "transparency": (
        train(image_table(mode="RGBA")),
        at(0, "image", "8-bit greyscale or RGB, got mode RGBA; convert"),
    ),
    "16 bits a pixel": (
        train(image_table(changed={9: encoded(deep())})),
        at(9, "image", "8-bit greyscale or RGB, got mode I;16; convert"),
    ),
    "a text for an image": (train(image_table(changed={9: encoded(b"cat.png")})), at(9, "image", "decoded")),
    "a header alone": (
        train(image_table(changed={9: encoded(b"\x89PNG\r\n\x1a\n")})),
        at(9, "image", "decoded"),
    ),
    "a truncated PNG": (train(image_table(changed={9: encoded(picture()[:50])})), at(9, "image", "decoded")),
    "a truncated JPEG": (
        train(image_table(kind="JPEG", size=(60, 40), changed={9: encoded(LARGE[:300])})),
        at(9, "image", "decoded"),
    ),
    "no bytes": (
        train(image_table(changed={9: encoded(b"")})),
        at(9, "image", "PNG or JPEG, these bytes start with b''.*repair or drop it"),
    ),
    "an image elsewhere": (
        train(image_table(changed={9: encoded(None, "a.png")})),
        at(9, "image", "only the path 'a.png', which is not followed"),
    ),
    "a null image": (train(image_table(changed={9: None})), at(9, "image", "missing")),
    "an image beyond the limit": (train(image_table(size=(5000, 4000))), at(0, "image", "max_pixels")),
    "audio called image": (
        train({**image_table(), "image": audio_table()["audio"]}),
        at(0, "image", "decoded"),
    ),
    # audio
    "a text for audio": (
        train(audio_table(changed={9: encoded(b"a.wav")})),
        at(9, "audio", "cannot be decoded"),
    ),
    "truncated audio": (
        train(audio_table(changed={9: encoded(sound()[:60])})),
        at(9, "audio", "cut off: 60 of 124 bytes"),
    ),
    "audio of no length": (
        train(audio_table(changed={9: encoded(sound(0))})),
        at(9, "audio", "at least 1 sample, got 0; drop the row"),
    ),
    "stereo among mono": (
        train(audio_table(changed={9: encoded(sound(channels=2))})),
        at(9, "audio", "channels"),
    ),
    "a null recording": (train(audio_table(changed={9: None})), at(9, "audio", "missing")),
    "a first null recording": (train(audio_table(changed={0: None})), at(0, "audio", "missing")),
    "audio elsewhere": (
        train(audio_table(changed={9: encoded(None, "a.wav")})),
        at(9, "audio", "only the path 'a.wav', which is not followed"),
    ),
    # series
    "ragged channels": (
        train(series_table(changed={9: [[1.0] * 4, [1.0] * 3]})),
        at(9, "series", "steps must be 4 .*got 3"),
    ),
    "another channel": (train(series_table(changed={9: [[1.0] * 4]})), at(9, "series", "channels")),
    "no channels": (train(series_table(changed={9: []})), at(9, "series", "channels")),
    "a series of no length": (
        train(series_table(changed={9: [[], []]})),
        at(9, "series", "steps must be at least 1"),
    ),
    "a null series": (train(series_table(changed={9: None})), at(9, "series", "missing")),
    "a null channel": (train(series_table(changed={9: [[1.0] * 4, None]})), at(9, "series", "missing")),
    "a null value": (
        train(series_table(changed={9: [[1.0] * 4, [1.0, None, 3.0, 4.0]]})),
        at(9, "series", "missing"),
    ),
    "NaN": (
        train(series_table(changed={9: [[1.0] * 4, [1.0, nan, 3.0, 4.0]]})),
        at(9, "series", "finite, got nan"),
    ),
    "infinity": (
        train(series_table(changed={9: [[-inf, 1.0, 1.0, 1.0]] * 2})),
        at(9, "series", "finite, got -inf"),
    ),
    "texts for numbers": (
        train({"series": pa.array([[["1"]]] * ROWS), "label": series_table()["label"]}),
        "one input column.*it has none",
    ),
    "a null among lists of a fixed size": (
        train(
            {
                "series": pa.array(
                    [None if i == 9 else [i, 1.0] for i in range(ROWS)], pa.list_(pa.float32(), 2)
                ),
                "label": series_table()["label"],
            }
        ),
        at(9, "series", "a list of fixed size is missing"),
    ),
    "a null channel of a fixed size": (
        train({**series_table(), "series": fixed_channels(9)}),
        at(9, "series", "a list of fixed size is missing"),
    ),
    # volumes
    "another volume": (
        train(volume_table(changed={9: np.ones((2, 3, 5), int).tolist()})),
        at(9, "volume", "2x3x4"),
    ),
    "a null volume": (train(volume_table(changed={9: None})), at(9, "volume", "missing")),
    "an empty volume": (
        train(volume_table(changed={9: [[[]]]})),
        at(9, "volume", "width must be at least 1, got 0"),
    ),
    "a ragged volume": (
        train(volume_table(changed={9: [[[1, 2], [3]]]})),
        at(9, "volume", "width must be 2 .*got 1"),
    ),
}


@pytest.mark.parametrize("what", list(BROKEN))
def test_it_is_named_in_one_line(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_named_in_one_line(*BROKEN[what], tmp_path, capsys, monkeypatch)
