"""Files that are kept as bytes in a column: PNG and JPEG to pixels, WAV and FLAC to samples.

Errors here do not know where the bytes are from: the caller says it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trials.dataset import Floats

if TYPE_CHECKING:
    import soundfile
    from PIL import Image

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_CONVERTED = {"1": "L", "P": "RGB"}
"""Modes of Pillow that are read as another one: bits and palettes."""
_AUDIO_FORMATS = ("WAV", "WAVEX", "RF64", "FLAC")
_UNKNOWN_LENGTHS = (0, 2**32 - 1)
"""In the header of a WAV that was written to a pipe."""


def pixels(data: bytes, resolution: int | None, max_pixels: int) -> NDArray[np.uint8]:
    """PNG or JPEG bytes -> (1 or 3, height, width), as stored: an orientation in the EXIF data is ignored.

    Args:
        data: the file: at most 8 bits a channel; greyscale, RGB, palette (as RGB) or bits (as greyscale).
        resolution: resized to that height and width by Lanczos, anti-aliased; None leaves the size.
        max_pixels: an image of more pixels is refused from its header, before it is decoded.

    Raises:
        ValueError: undecodable, too large, of another mode, of 16 bits, or transparent.
    """
    from PIL import Image

    try:
        image = _open_image(data)
    except Exception as error:  # Pillow's plugins raise whatever they meet in broken bytes
        raise ValueError(f"the image cannot be decoded ({error}); repair or drop it") from error
    if image.width * image.height > max_pixels:
        raise ValueError(
            f"images must have at most {max_pixels} pixels, got {image.width}x{image.height}; "
            "shrink it or raise max_pixels"
        )
    mode = image.mode
    if mode not in ("L", "RGB", *_CONVERTED):
        raise ValueError(f"images must be 8-bit greyscale or RGB, got mode {mode}; convert them")
    if data.startswith(_PNG) and data[24] == 16:  # bits a channel; Pillow would cut colours to 8 silently
        raise ValueError("images must be 8-bit greyscale or RGB, got 16 bits a channel; convert them")
    if "transparency" in image.info:
        raise ValueError("images must be opaque, got one with transparent colours; flatten it")
    try:
        shown = image.convert(_CONVERTED[mode]) if mode in _CONVERTED else image
        if resolution is not None:
            shown = shown.resize((resolution, resolution), Image.Resampling.LANCZOS)
        found = np.frombuffer(shown.tobytes(), dtype=np.uint8)
    except Exception as error:  # as above
        raise ValueError(f"the image cannot be decoded ({error}); repair or drop it") from error
    channels = 3 if shown.mode == "RGB" else 1
    return found.reshape(shown.height, shown.width, channels).transpose(2, 0, 1)


def _open_image(data: bytes) -> Image.Image:
    """Not `Image.open`: it has limits of its own on pixels, for the whole process."""
    from PIL import JpegImagePlugin, PngImagePlugin

    if data.startswith(_PNG):
        return PngImagePlugin.PngImageFile(io.BytesIO(data))
    if data.startswith(_JPEG):
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    raise ValueError(f"images must be PNG or JPEG, these bytes start with {data[:8]!r}")


def samples(data: bytes, max_frames: int) -> tuple[Floats, int]:
    """WAV or FLAC bytes -> (channels, frames), integers scaled to [-1, 1], and their rate in Hz.

    Raises:
        ValueError: undecodable, cut off, of another format, without samples, of more than `max_frames`, or
            of samples that are not finite.
    """
    with _open_audio(data) as file:
        if file.frames > max_frames:
            raise ValueError(
                f"audio must have at most {max_frames} samples a channel, got {file.frames}; "
                "cut it or raise max_pixels"
            )
        try:
            found = np.ascontiguousarray(file.read(dtype="float32", always_2d=True).T)
        except Exception as error:
            raise _undecodable(error) from error
        if found.shape[1] != file.frames:
            raise _undecodable(ValueError(f"{found.shape[1]} of {file.frames} samples are there"))
        rate = int(file.samplerate)
    if found.size == 0:
        raise ValueError("audio must have at least 1 sample, got 0; drop the row")
    if not np.isfinite(found).all():
        value = found[~np.isfinite(found)][0]
        raise ValueError(f"samples must be finite, got {value}; replace it or drop the row")
    return found, rate


def audio_rate(data: bytes) -> int:
    """Samples a second of WAV or FLAC bytes, from the header.

    Raises:
        ValueError: undecodable, cut off, or of another format.
    """
    with _open_audio(data) as file:
        return int(file.samplerate)


def _open_audio(data: bytes) -> soundfile.SoundFile:
    import soundfile

    announced = int.from_bytes(data[4:8], "little")
    # libsndfile reads what there is of a WAV that was cut off
    if data.startswith(b"RIFF") and announced not in _UNKNOWN_LENGTHS and announced + 8 > len(data):
        raise _undecodable(ValueError(f"cut off: {len(data)} of {announced + 8} bytes are there"))
    try:
        file = soundfile.SoundFile(io.BytesIO(data))
    except Exception as error:
        raise _undecodable(error) from error
    if file.format not in _AUDIO_FORMATS:
        raise ValueError(f"audio must be WAV or FLAC, got {file.format}; convert it")
    return file


def _undecodable(error: Exception) -> ValueError:
    reason = getattr(error, "error_string", str(error)) or "neither WAV nor FLAC"
    return ValueError(f"the audio cannot be decoded ({reason.rstrip('.')}); repair or drop it")
