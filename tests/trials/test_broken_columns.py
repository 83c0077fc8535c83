"""Every wrong value in a column is refused by its place, with the value and the way out."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.trials.test_decoding import SERIES, decode, encoded, files, picture, sound, tone

GOOD = encoded(picture())
WAV = sound(tone(440, 8000))
FLAC = sound(tone(440, 8000), kind="FLAC")
HUGE = encoded(np.zeros((300, 500), dtype=np.uint8))


def images(bad: Any, **size: Any) -> tuple[str, pa.Array, dict[str, Any]]:
    return "image", files(GOOD, GOOD, bad, GOOD), size


def audios(bad: Any, **size: Any) -> tuple[str, pa.Array, dict[str, Any]]:
    return "audio", files(WAV, WAV, bad, WAV), {"rate": 8000.0, **size}


def series(bad: Any, kind: pa.DataType = SERIES, **size: Any) -> tuple[str, pa.Array, dict[str, Any]]:
    good = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    return "series", pa.array([good, good, bad, good], kind), size


def volumes(bad: Any, **size: Any) -> tuple[str, pa.Array, dict[str, Any]]:
    good = [[[1, 2], [3, 4], [5, 6]]] * 4
    return "volume", pa.array([good, good, bad, good], pa.list_(pa.list_(pa.list_(pa.uint8())))), size


def png(width: int, height: int, bits: int, channels: int, lines: bytes) -> bytes:
    """Pillow writes neither colours of 16 bits nor headers that lie."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, bits, 2 if channels == 3 else 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def deep(channels: int) -> bytes:
    return png(6, 4, 16, channels, (b"\0" + bytes(6 * 2 * channels)) * 4)


def damaged(flac: bytes) -> bytes:
    middle = len(flac) // 2
    return flac[:middle] + bytes(200) + flac[middle + 200 :]


BROKEN: dict[str, tuple[tuple[str, pa.Array, dict[str, Any]], str]] = {
    "PNG cut off": (images(GOOD[:50]), "cannot be decoded .*truncated.*repair or drop it"),
    "JPEG cut off": (images(encoded(picture(90, 90), "JPEG")[:2000]), "cannot be decoded .*truncated"),
    "PNG without header": (images(GOOD[:8]), "cannot be decoded"),
    "text for an image": (
        images(b"some text"),
        "PNG or JPEG, these bytes start with b'some tex'.*repair or drop",
    ),
    "GIF": (images(encoded(picture(), "GIF")), "PNG or JPEG, these bytes start with b'GIF8"),
    "no bytes at all": (images(b""), "PNG or JPEG, these bytes start with b''"),
    "image of another size": (
        images(encoded(picture(4, 5))),
        "1x4x6 .channels x height x width. in the rows before, got 1x4x5; resize them or give a resolution",
    ),
    "mixed channels": (images(encoded(picture(channels=3))), "one size and mode.*got 3x4x6; convert them"),
    "mixed channels, resized": (
        images(encoded(picture(9, 9, channels=3)), resolution=5),
        "1x5x5 .*got 3x5x5; convert them",
    ),
    "16-bit grey": (images(deep(1)), "8-bit greyscale or RGB, got mode I;16; convert them"),
    "16-bit colour": (images(deep(3)), "8-bit greyscale or RGB, got 16 bits a channel; convert them"),
    "RGBA": (images(encoded(picture(channels=4))), "greyscale or RGB, got mode RGBA; convert them"),
    "grey with alpha": (images(encoded(picture(channels=2))), "greyscale or RGB, got mode LA; convert them"),
    "a transparent grey": (
        images(encoded(picture(), transparency=3)),
        "opaque, .*transparent colours; flatten",
    ),
    "null image": (("image", pa.array([{"bytes": GOOD}] * 2 + [None]), {}), r"missing \(null\); fill it in"),
    "null among plain bytes": (("image", pa.array([GOOD, GOOD, None]), {}), r"missing \(null\); fill it in"),
    "null bytes": (images({"bytes": None, "path": None}), r"the bytes are missing \(null\); fill them in"),
    "a path only": (
        images({"bytes": None, "path": "cats/1.png"}),
        "bytes are missing .*only the path 'cats/1.png'.*put the file's bytes in here",
    ),
    "too many pixels": (
        images(HUGE, max_pixels=149_999),
        "at most 149999 pixels, got 500x300; shrink it or raise max_pixels",
    ),
    "WAV cut off": (
        audios(WAV[:2000]),
        "cannot be decoded .cut off: 2000 of 4044 bytes are there.; repair or drop",
    ),
    "WAV cut off in its header": (audios(WAV[:20]), "cannot be decoded .cut off: 20 of 4044"),
    "FLAC cut off": (audios(FLAC[: len(FLAC) // 2]), "cannot be decoded .*flac.*repair or drop it"),
    "damaged FLAC": (audios(damaged(FLAC)), "cannot be decoded .*repair or drop it"),
    "text for audio": (
        audios(b"some text " * 20),
        "cannot be decoded .Format not recognised.*; repair or drop it",
    ),
    "no bytes of audio": (audios(b""), "cannot be decoded"),
    "audio of another format": (
        audios(sound(tone(440, 8000), kind="OGG", subtype="VORBIS")),
        "audio must be WAV or FLAC, got OGG; convert it",
    ),
    "audio without samples": (audios(sound(np.zeros(0))), "at least 1 sample, got 0; drop the row"),
    "FLAC without samples": (
        audios(sound(np.zeros(0), kind="FLAC")),
        "cannot be decoded",
    ),
    "stereo among mono": (
        audios(sound(np.zeros((9, 2)))),
        "1 channels as in the rows before, got 2; mix or split",
    ),
    "NaN in audio": (
        audios(sound(np.array([0.1, np.nan]), subtype="FLOAT")),
        "samples must be finite, got nan; replace it or drop the row",
    ),
    "null audio": (("audio", pa.array([{"bytes": WAV}] * 2 + [None]), {"rate": 8.0}), r"missing \(null\)"),
    "audio elsewhere": (
        audios({"bytes": None, "path": "a.wav"}),
        "bytes are missing .*only the path 'a.wav'",
    ),
    "long audio": (
        audios(sound(np.zeros(3000)), max_pixels=2999),
        "at most 2999 samples a channel, got 3000; cut it or raise max_pixels",
    ),
    "audio that becomes long": (
        audios(sound(np.zeros(1500), 4000), max_pixels=2999),
        "at most 2999 samples, got 3000; make it smaller or raise max_pixels",
    ),
    "rate far away": (
        audios(sound(np.zeros(9), 7)),
        "between 1/1000 and 1000 times that of the data, 7, got 8000",
    ),
    "NaN": (
        series([[1.0, 2.0], [3.0, float("nan")]]),
        "values must be finite, got nan; replace it or drop the row",
    ),
    "infinity": (series([[1.0, 2.0], [float("-inf"), 3.0]]), "values must be finite, got -inf"),
    "beyond float32": (
        series([[1.0], [1e300]], pa.list_(pa.list_(pa.float64()))),
        r"must be finite, got 1e\+300, which 32 bits cannot hold",
    ),
    "null value": (
        series([[1.0, 2.0], [3.0, None]]),
        r"the value is missing \(null\); fill it in or drop the row",
    ),
    "null channel": (series([[1.0, 2.0], None]), "missing"),
    "null row": (series(None), "missing"),
    "empty list": (series([]), "channels must be at least 1, got 0; drop the row"),
    "no steps": (series([[], []]), "steps must be at least 1, got 0; drop the row"),
    "ragged channels": (
        series([[1.0, 2.0], [3.0]]),
        "steps must be 2 as at the start of the row, got 1; cut or fill",
    ),
    "another channel": (
        series([[1.0, 2.0]]),
        "channels must be 2 as in the rows before, got 1; give every row",
    ),
    "long series": (series([[0.0] * 8] * 2, max_pixels=7), "at most 7 steps, got 8; .*raise max_pixels"),
    "series that become long": (series([[0.0] * 8] * 2, max_pixels=15, rate=2), "at most 15 steps, got 16"),
    "volume of another shape": (
        volumes([[[1, 2], [3, 4]]] * 4),
        "4x3x2 .depth x height x width. in the rows before, got 4x2x2; crop them or give a resolution",
    ),
    "volume that is no box": (volumes([[[1, 2], [3, 4]], [[5, 6]]]), "height must be 2 as .*got 1"),
    "ragged lines": (volumes([[[1, 2], [3]]], resolution=3), "width must be 2 as .*got 1"),
    "null voxel": (volumes([[[1, 2], [3, 4], [5, None]]] * 4), "missing"),
    "null volume": (volumes(None), "missing"),
    "empty volume": (volumes([]), "depth must be at least 1, got 0; drop the row"),
    "volume without lines": (volumes([[], []]), "height must be at least 1, got 0"),
    "large volume": (
        volumes([[[0] * 5] * 5] * 4, max_pixels=99),
        "at most 99 voxels, got 4x5x5; .*raise max_pixels",
    ),
}


@pytest.mark.parametrize("what", list(BROKEN))
def test_a_wrong_value_is_refused_by_its_place(what: str) -> None:
    (kind, column, size), message = BROKEN[what]
    with pytest.raises(ValueError, match=f"^a.parquet, row 2, column 'x': .*{message}") as error:
        decode(kind, column, **size)
    assert "\n" not in str(error.value) and "object at" not in str(error.value)


WHOLE: dict[str, tuple[tuple[str, pa.Array, dict[str, Any]], str]] = {
    "text in lists": (
        ("series", pa.array([[["a"]]]), {}),
        r"\[channels\]\[steps\] of numbers, got list<.*string",
    ),
    "text in a list": (("series", pa.array([["a"]]), {}), r"lists \[steps\] of numbers, got list<.*string"),
    "truth values": (("series", pa.array([[True]]), {}), "of numbers, got list<.*bool"),
    "plain numbers": (("series", pa.array([1.0]), {}), "of numbers, got double; convert it"),
    "nothing but nulls": (("series", pa.array([[None]]), {}), "of numbers, got list<.*null"),
    "zero channels": (("series", pa.array([[], []], SERIES), {}), "channels must be at least 1, got 0"),
    "fixed size of zero": (
        ("series", pa.array([[], []], pa.list_(pa.float32(), 0)), {}),
        "steps must be at least 1, got 0",
    ),
    "volumes of floats": (
        ("volume", pa.array([[[[0.5]]]]), {}),
        "lists of uint8, got .*double.*; scale them to 0..255",
    ),
    "flat volumes": (
        ("volume", pa.array([[[1]]], pa.list_(pa.list_(pa.uint8()))), {}),
        r"\[depth\]\[height\]\[width\]",
    ),
    "resolution too high": (
        images(GOOD, resolution=5000, max_pixels=10**6),
        "at most 1000000 pixels, got 5000x5000",
    ),
    "volume too high": (
        volumes([[[0]]], resolution=500, max_pixels=10**6),
        "at most 1000000 voxels, got 500x500x500",
    ),
}


@pytest.mark.parametrize("what", list(WHOLE))
def test_a_wrong_column_is_refused_by_its_first_row(what: str) -> None:
    (kind, column, size), message = WHOLE[what]
    with pytest.raises(ValueError, match=f"^a.parquet, row 0, column 'x': .*{message}"):
        decode(kind, column, **size)


def test_audio_needs_a_rate() -> None:
    with pytest.raises(ValueError, match="audio needs a rate in Hz"):
        decode("audio", files(WAV))


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = png(50_000, 50_000, 8, 1, b"")  # decoding it would fail otherwise
    with pytest.raises(ValueError, match=r"at most 16777216 pixels, got 50000x50000; .*raise max_pixels"):
        decode("image", files(bomb))


def test_a_limit_that_was_raised_holds() -> None:
    large = png(20_000, 10_000, 1, 1, (b"\0" + bytes(2500)) * 10_000)  # more than Pillow itself opens
    with pytest.raises(ValueError, match="at most 16777216 pixels"):
        decode("image", files(large))
    assert decode("image", files(large), max_pixels=2 * 10**8, resolution=4).tolist() == [[[[0] * 4] * 4]]


def test_rates_of_series_have_a_range() -> None:
    with pytest.raises(ValueError, match=r"between 1/1000 and 1000 times that of the data, 1, got 0; change"):
        decode("series", pa.array([[1.0]]), rate=0.0)
