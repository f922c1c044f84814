"""One file into pixels: whatever its mode, depth or orientation, always the same RGB; masks always binary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ad_detectors.data.opening import decoded, opened
from ad_detectors.errors import BadPicture

VERSION = 2  # grows whenever the same file would give other pixels
DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")
ROWS = 256  # scaled at a time, so that no wide copy of a whole picture is made


def picture(
    source: Path | bytes | Image.Image, size: int | None, name: str | None = None
) -> NDArray[np.uint8]:  # (3, size, size)
    """Decode a picture as RGB, squeezed bilinearly to size x size; None keeps its own size.

    It is a file, the content of one, or a picture that Pillow opened: the same one gives the same pixels
    either way. Raises BadPicture (a DataError) that names the file, or calls it by `name`.
    """
    if isinstance(source, Image.Image):
        opening = opened(source, name or "in memory")
    else:
        opening = decoded(source, name)
    with opening as image:
        image = as_rgb(image, name or (source if isinstance(source, Path) else "in memory"))
        if size is not None:
            image = image.resize((size, size), Image.Resampling.BILINEAR)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def mask(path: Path, size: int) -> NDArray[np.bool_]:  # (size, size)
    """Decode a mask: every pixel that is not black is defective; resized by nearest neighbour.

    Raises BadPicture (a DataError) that names the file.
    """
    with decoded(path) as image:
        marked = Image.fromarray(not_black(image).astype(np.uint8) * 255)
        return np.asarray(marked.resize((size, size), Image.Resampling.NEAREST)) > 0


def as_rgb(image: Image.Image, path: object) -> Image.Image:
    """Return a picture as 8-bit RGB; raise BadPicture where the range of its values is not known."""
    if image.mode in DEEP:
        return _eight_bits(image, path)
    if image.mode == "F":
        raise BadPicture(path, "32-bit float pixels have no fixed range", "save it as 8 or 16 bit")
    if image.has_transparency_data:
        # Colours below full transparency are arbitrary, so they must not reach a detector.
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def not_black(image: Image.Image) -> NDArray[np.bool_]:  # (H, W)
    """Return which pixels of a mask are marked, by colour: an alpha channel says nothing about defects."""
    if image.mode in (*DEEP, "1", "L", "F"):
        return np.asarray(image) > 0
    if image.mode == "P":  # its indices are not its colours
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    red, green, blue, *_ = (image if image.mode in ("RGB", "RGBA") else image.convert("RGB")).split()
    return (np.asarray(red) > 0) | (np.asarray(green) > 0) | (np.asarray(blue) > 0)


def _eight_bits(image: Image.Image, path: object) -> Image.Image:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion would clip it."""
    deep = np.asarray(image)
    if deep.min() < 0 or deep.max() > 65535:
        raise BadPicture(path, "its pixels exceed 16 bits", "save it as 8 or 16 bit")
    shallow = np.empty(deep.shape, np.uint8)
    for row in range(0, len(deep), ROWS):
        shallow[row : row + ROWS] = (deep[row : row + ROWS].astype(np.uint32) + 128) // 257
    return Image.fromarray(shallow).convert("RGB")
