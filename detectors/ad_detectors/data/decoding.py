"""One file into pixels: whatever its mode, depth or orientation, always the same RGB; masks always binary."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ad_detectors.errors import DataError

VERSION = 1  # grows whenever the same file would give other pixels
DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")

# What Pillow and its plug-ins raise for files that are cut short, garbled, or too large to be a picture.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def picture(path: Path, size: int | None) -> NDArray[np.uint8]:  # (3, size, size)
    """Decode a picture as RGB, squeezed bilinearly to size x size; None keeps its own size.

    Raises DataError that names the file.
    """
    image = _rgb(_open(path), path)
    if size is not None:
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def mask(path: Path, size: int) -> NDArray[np.bool_]:  # (size, size)
    """Decode a mask: every pixel that is not black is defective; resized by nearest neighbour.

    Raises DataError that names the file.
    """
    image = _open(path)
    # A palette's indices are not its colours; an alpha channel says nothing about defects.
    grey = image if image.mode in DEEP else image.convert("RGB").convert("L")
    marked = Image.fromarray((np.asarray(grey) > 0).astype(np.uint8) * 255)
    return np.asarray(marked.resize((size, size), Image.Resampling.NEAREST)) > 0


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return ImageOps.exif_transpose(image)
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"cannot read picture {path}: {reason}; replace or remove it") from error


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode in DEEP:
        return _eight_bits(image, path)
    if image.mode == "F":
        raise DataError(
            f"cannot read picture {path}: 32-bit float pixels have no fixed range; save it as 8 or 16 bit"
        )
    if image.has_transparency_data:
        # Colours below full transparency are arbitrary, so they must not reach a detector.
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image, path: Path) -> Image.Image:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion would clip it."""
    deep = np.asarray(image).astype(np.int64)
    if deep.min() < 0 or deep.max() > 65535:
        raise DataError(f"cannot read picture {path}: its pixels exceed 16 bits; save it as 8 or 16 bit")
    return Image.fromarray(((deep + 128) // 257).astype(np.uint8)).convert("RGB")
