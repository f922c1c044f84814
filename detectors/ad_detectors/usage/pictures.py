"""Whatever a person gives as a picture, as the pixels that a model takes: the one way in."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ad_detectors.data import decoding
from ad_detectors.errors import BadPicture

# A path, the content of a file, a picture that Pillow opened, or an array: see `pixels`.
Picture: TypeAlias = (
    "str | Path | bytes | bytearray | memoryview | io.BufferedIOBase | Image.Image | NDArray[Any]"
)
SHAPES = (
    "give height x width x 3 (RGB) or x 4 (RGBA), or height x width (grey), of whole numbers from 0 to 255"
)


def is_one(given: object) -> bool:
    """Say whether this is one picture, and not several."""
    if isinstance(given, np.ndarray):
        return given.ndim <= 3
    return isinstance(given, str | Path | bytes | bytearray | memoryview | io.IOBase | Image.Image)


def pixels(given: Picture, size: int | None, name: str | None = None) -> NDArray[np.uint8]:  # (3, size, size)
    """Return a picture as RGB at size x size, as decoding its file for a training gives them.

    Files are JPEG, PNG, BMP or TIFF of any depth and mode, upright as their metadata say. An array has
    (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey values of 8 bits, or (H, W) of 16 bits as uint16. Raises
    BadPicture that names the file, or calls the picture by `name`, and says why.
    """
    if isinstance(given, str | Path):
        return decoding.picture(Path(given).expanduser(), size, name)
    if isinstance(given, bytes | bytearray | memoryview):
        return decoding.picture(bytes(given), size, name)
    if isinstance(given, io.IOBase):
        return decoding.picture(given.read(), size, name)
    if isinstance(given, Image.Image):
        return decoding.picture(given, size, name)
    if hasattr(given, "__array__"):
        return decoding.picture(_from_array(np.asarray(given), name or "array"), size, name)
    reason = f"an object of type {type(given).__name__} is no picture"
    raise BadPicture(name or "given", reason, "give a path, bytes or an array")


def _from_array(array: NDArray[Any], name: str) -> Image.Image:
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not shaped or not array.size:
        raise BadPicture(name, f"an array of shape {array.shape} is no picture", SHAPES)
    if array.dtype.kind not in "ui":
        raise BadPicture(name, f"an array of {array.dtype} has no known range", SHAPES)
    if array.dtype == np.uint16 and array.ndim == 2:
        return Image.fromarray(np.ascontiguousarray(array))
    if array.dtype != np.uint8:
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 255:
            raise BadPicture(name, f"its values go from {low} to {high}", SHAPES)
    return Image.fromarray(np.ascontiguousarray(array, dtype=np.uint8))
