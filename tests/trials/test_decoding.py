"""Columns become arrays of the wanted size, and every wrong value is refused by its place."""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from trials import decoding
from trials.decoding import Size

DATA = Path(__file__).parents[3] / "shared" / "data"
FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SERIES = pa.list_(pa.list_(pa.float32()))


def where(i: int) -> str:
    return f"a.parquet, row {i}, column 'x'"


def decode(kind: str, column: pa.Array, **size: Any) -> NDArray[Any]:
    return decoding.KINDS[kind](column, Size(**size), where)


def files(*values: bytes | dict[str, Any] | None) -> pa.Array:
    rows = [value if isinstance(value, dict) else {"bytes": value, "path": "x"} for value in values]
    return pa.array(rows, FILE)


def encoded(pixels: NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def picture(height: int = 4, width: int = 6, channels: int = 1, seed: int = 0) -> NDArray[np.uint8]:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def sound(signal: NDArray[Any], rate: int = 8000, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, rate, subtype, format=kind)
    return buffer.getvalue()


def tone(frequency: float, rate: int, seconds: float = 0.25) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_as_stored(channels: int) -> None:
    pictures = [picture(channels=channels, seed=seed) for seed in range(3)]
    column = files(*map(encoded, pictures))
    found = decode("image", column)
    expected = np.stack([each.reshape(4, 6, channels).transpose(2, 0, 1) for each in pictures])
    assert found.dtype == np.uint8 and (found == expected).all()
    plain = pa.array([encoded(each) for each in pictures])
    assert (decode("image", plain) == expected).all()
    assert (decode("image", column[1:]) == expected[1:]).all()


def test_bits_palettes_and_orientations() -> None:
    bits = Image.fromarray(picture()).convert("1")
    buffer = io.BytesIO()
    bits.save(buffer, "PNG")
    assert (decode("image", files(buffer.getvalue()))[0, 0] == np.asarray(bits) * 255).all()
    palette = Image.fromarray(picture(channels=3)).quantize(16)
    buffer = io.BytesIO()
    palette.save(buffer, "PNG")
    assert (
        decode("image", files(buffer.getvalue()))[0, 1] == np.asarray(palette.convert("RGB"))[..., 1]
    ).all()
    turned = Image.Exif()
    turned[0x0112] = 6  # shown turned by 90 degrees
    assert decode("image", files(encoded(picture(), "JPEG", exif=turned))).shape == (1, 1, 4, 6)


def test_images_of_any_size_get_the_resolution() -> None:
    column = files(*[encoded(np.full((20 + i, 30 - i, 3), (9, 90, 200), np.uint8)) for i in range(4)])
    found = decode("image", column, resolution=8)
    assert found.shape == (4, 3, 8, 8)
    assert (found == np.array([9, 90, 200]).reshape(3, 1, 1)).all()


def test_an_image_loses_what_the_resolution_cannot_hold() -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (32, 16))
    found = decode("image", files(encoded(stripes)), resolution=16)
    assert np.abs(found[..., 2:-2].astype(float) - 127.5).max() < 3


def test_audio_of_any_rate_gets_one() -> None:
    column = files(
        *(
            sound(tone(440, rate), rate, kind)
            for rate, kind in ((8000, "WAV"), (22050, "FLAC"), (4000, "WAV"))
        )
    )
    found = decode("audio", column, rate=8000.0)
    assert found.shape == (3, 1, 2000) and found.dtype == np.float32
    assert np.sqrt(np.mean((found[:, 0, 200:-200] - tone(440, 8000)[200:-200]) ** 2)) < 0.005
    assert decoding.sampling_rate(column, where) == 8000
    assert decoding.sampling_rate(column[1:], where) == 22050


def test_audio_above_the_new_limit_vanishes() -> None:
    found = decode("audio", files(sound(tone(3000, 8000))), rate=4000.0)
    assert np.abs(found[..., 100:-100]).max() < 0.005


def test_channels_and_ends_of_audio() -> None:
    short, long = (np.stack([tone(200, 8000, s), -tone(200, 8000, s)], axis=1) for s in (0.01, 0.02))
    found = decode("audio", files(sound(short), sound(long)), rate=8000.0)
    assert found.shape == (2, 2, 160)
    assert np.isnan(found[0, :, 80:]).all() and np.isfinite(found[0, :, :80]).all()
    assert np.isfinite(found[1]).all()
    assert np.abs(found[1].T - long).max() < 1e-4


def test_a_wav_from_a_pipe_has_no_length_in_its_header() -> None:
    data = bytearray(sound(tone(440, 8000)))
    data[4:8] = data[40:44] = b"\xff" * 4
    assert decode("audio", files(bytes(data)), rate=8000.0).shape == (1, 1, 2000)


ROWS = [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[7.0], [8.0]], [[9.0, 10.0], [11.0, 12.0]]]
PADDED = [
    [[1, 2, 3], [4, 5, 6]],
    [[7, math.nan, math.nan], [8, math.nan, math.nan]],
    [[9, 10, math.nan], [11, 12, math.nan]],
]


@pytest.mark.parametrize(
    "kind",
    [
        SERIES,
        pa.large_list(pa.list_(pa.int64())),
        pa.list_(pa.list_(pa.float16()), 2),
        pa.list_(pa.list_(pa.uint8())),
    ],
    ids=str,
)
def test_series_end_in_nan(kind: pa.DataType) -> None:
    column = pa.array(np.array(ROWS, dtype=object).tolist(), pa.list_(pa.list_(pa.float64()))).cast(kind)
    found = decode("series", column)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array(PADDED, dtype=np.float32))
    np.testing.assert_array_equal(decode("series", column[1:]), np.array(PADDED, dtype=np.float32)[1:, :, :2])


def test_series_of_one_channel_and_one_length() -> None:
    numbers = np.arange(12, dtype=np.float32)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(numbers), 4)
    assert (decode("series", fixed) == numbers.reshape(3, 1, 4)).all()
    assert (decode("series", fixed[1:]) == numbers.reshape(3, 1, 4)[1:]).all()
    assert decode("series", pa.array([[1, 2], [3]])).tolist()[0] == [[1, 2]]


def test_series_at_half_the_rate_keep_their_own_ends() -> None:
    rows = [[[5.0] * n, [-3.0] * n] for n in (9, 4, 1, 9)]
    found = decode("series", pa.array(rows, SERIES), rate=0.5)
    assert found.shape == (4, 2, 5)
    for row, length in zip(found, (5, 2, 1, 5)):
        assert (row[:, :length] == [[5], [-3]]).all() and np.isnan(row[:, length:]).all()


def test_volumes_are_as_stored_or_resized() -> None:
    voxels = np.random.default_rng(0).integers(0, 256, (3, 4, 3, 2)).astype(np.uint8)
    kind = pa.list_(pa.list_(pa.list_(pa.uint8())))
    found = decode("volume", pa.array(voxels.tolist(), kind))
    assert found.dtype == np.uint8 and (found == voxels[:, None]).all()
    mixed = pa.array([np.full((2, 3, 4), 7).tolist(), np.full((6, 5, 4), 99).tolist()], kind)
    resized = decode("volume", mixed, resolution=4)
    assert resized.shape == (2, 1, 4, 4, 4)
    assert (resized[0] == 7).all() and (resized[1] == 99).all()


def test_a_size_travels_to_another_process() -> None:
    size = Size(resolution=14, rate=0.5, max_pixels=9)
    assert pickle.loads(pickle.dumps(size)) == size


@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository")
@pytest.mark.parametrize(
    ("name", "kind", "size", "shape"),
    [
        ("fashion_mnist", "image", Size(resolution=14), (1, 14, 14)),
        ("cifar10_jpeg", "image", Size(), (3, 32, 32)),
        ("omniglot_small", "image", Size(resolution=28), (1, 28, 28)),
        ("free_spoken_digit", "audio", Size(rate=4000.0), None),
        ("japanese_vowels", "series", Size(rate=0.5), None),
        ("adrenalmnist3d_32", "volume", Size(resolution=16), (1, 16, 16, 16)),
    ],
)
def test_real_columns(name: str, kind: str, size: Size, shape: tuple[int, ...] | None) -> None:
    table = pq.ParquetFile(DATA / name / "train-00000-of-00001.parquet").read_row_group(0, columns=[kind])
    column = table.column(0).combine_chunks()[:64]
    whole = decoding.KINDS[kind](column, size, where)
    assert shape is None or whole.shape == (64, *shape)
    part = decoding.KINDS[kind](column[10:20], size, where)
    np.testing.assert_array_equal(whole[10:20, ..., : part.shape[-1]], part)
    ends = np.isfinite(whole).sum(axis=-1)  # finite, then NaN
    assert (np.isfinite(whole) == (np.arange(whole.shape[-1]) < ends[..., None])).all() and ends.min() > 0
