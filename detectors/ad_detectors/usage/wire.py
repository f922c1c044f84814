"""Pictures and answers as servers exchange them: JSON in, JSON out; the schema is told in docs/serving.md."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ad_detectors.errors import BadPicture, ConfigError, DataError
from ad_detectors.usage import pictures
from ad_detectors.usage.result import Result

MAPS = ("none", "array", "png", "overlay")
FIELD = "image"
MOST = 256  # pictures in one request
ADVICE = "give base64 of a JPEG, PNG, BMP or TIFF file, or rows of [red, green, blue] from 0 to 255"


def read(inputs: Any, size: int) -> NDArray[np.uint8]:  # (N, 3, size, size)
    """Return the pictures of a request as pixels; raise DataError that says which is wrong and why.

    `inputs` is one picture or a list of them, or `{"image": ...}`, or a list of such. A picture is base64 of
    a file (with or without "data:...;base64," before it), or an array: nested lists as JSON has them. From
    Python also bytes, a Path, a picture by Pillow, an array, or a pandas frame of one column.
    """
    every = _several(inputs)
    if not every:
        raise DataError(f"there are no pictures in this request; {ADVICE}")
    if len(every) > MOST:
        raise DataError(f"there are {len(every)} pictures in this request; send at most {MOST} at a time")
    return np.stack([_pixels(each, size, f"{number}") for number, each in enumerate(every)])


def wanted_maps(params: Mapping[str, Any] | None) -> str:
    """Return how maps are wanted by the parameters of a request; raise ConfigError naming the choices."""
    value = (params or {}).get("maps", MAPS[0])
    if value not in MAPS:
        raise ConfigError(f"maps is {str(value)[:40]!r}; it can be {', '.join(MAPS)}")
    return str(value)


def answer(result: Result, maps: str) -> dict[str, Any]:
    """Return what is answered for one picture, in plain JSON values.

    `score`, `threshold` and `anomalous` (null without a calibrated threshold), and where maps are wanted
    `map`: rows of values (array), or base64 of a PNG with the map's colours (png) or the picture under them
    (overlay); null of a detector that makes none.
    """
    plain: dict[str, Any] = {
        "score": result.score,
        "anomalous": result.anomalous,
        "threshold": result.threshold,
    }
    if maps == "none":
        return plain
    if result.map is None:
        return {**plain, "map": None, "map_threshold": None}
    if maps == "array":
        drawn: Any = result.map.tolist()
    else:
        drawn = png(result.heat() if maps == "png" else result.overlay())
    return {**plain, "map": drawn, "map_threshold": result.map_threshold}


def png(picture: NDArray[np.uint8]) -> str:  # (H, W, 3)
    """Return base64 of a picture as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=4)
    return base64.b64encode(buffer.getvalue()).decode()


def _several(inputs: Any) -> list[Any]:
    """Return the single pictures of what was sent, whatever it is wrapped in."""
    if hasattr(inputs, "columns"):  # a pandas frame
        if len(inputs.columns) != 1:
            raise DataError(f"there are {len(inputs.columns)} columns in this request; send one of images")
        return list(inputs.iloc[:, 0])
    if isinstance(inputs, Mapping):
        inputs = _unwrapped(inputs, "")
    if isinstance(inputs, np.ndarray):
        return list(inputs) if inputs.ndim == 4 or inputs.dtype == object else [inputs]
    if isinstance(inputs, Sequence) and not isinstance(inputs, str | bytes | bytearray):
        return [list(inputs)] if _is_rows(inputs) else list(inputs)
    return [inputs]


def _is_rows(inputs: Sequence[Any]) -> bool:
    """Say whether nested lists are one picture: rows of grey values, or of triples or quadruples."""
    depth, length = 0, 0
    inner: Any = inputs
    while isinstance(inner, list | tuple):
        depth, length, inner = depth + 1, len(inner), inner[0] if inner else None
    return isinstance(inner, int | float) and (depth == 2 or (depth == 3 and length in (3, 4)))


def _pixels(item: Any, size: int, name: str) -> NDArray[np.uint8]:
    if isinstance(item, Mapping):
        item = _unwrapped(item, name)
    if isinstance(item, str):
        return pictures.pixels(_from_base64(item, name), size, name)
    if isinstance(item, list | tuple):
        return pictures.pixels(_from_rows(item, name), size, name)
    if item is None or isinstance(item, bool | int | float):
        raise BadPicture(name, f"it is {str(item)[:40]}", ADVICE)
    if isinstance(item, Path):
        return pictures.pixels(item, size)
    return pictures.pixels(item, size, name)


def _unwrapped(item: Mapping[str, Any], name: str) -> Any:
    if set(item) != {FIELD}:
        have = ", ".join(sorted(str(key)[:20] for key in item)[:4]) or "nothing"
        where = f"picture {name}: " if name else ""
        raise DataError(f"{where}an object holds '{FIELD}' alone, not {have}; {ADVICE}")
    return item[FIELD]


def _from_base64(text: str, name: str) -> bytes:
    try:
        return base64.b64decode("".join(text.rpartition("base64,")[2].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        shown = text[:40] + ("..." if len(text) > 40 else "")
        raise BadPicture(name, f"'{shown}' is no base64", ADVICE) from error


def _from_rows(rows: Any, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(rows)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadPicture(name, "its rows are not all alike", ADVICE) from error
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.rint(array)).all():
        array = (
            array.astype(np.int64) if np.abs(array).max(initial=0) < 2**31 else array
        )  # 7.0 is a whole number
    return array
