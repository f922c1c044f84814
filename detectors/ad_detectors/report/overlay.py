"""Anomaly maps as colours on a fixed scale: nothing is orange or red unless it exceeds the threshold.

The colour of a place follows from its value and the threshold (the anchor) alone, never from the other
values of its map: two pictures with the same colours are equally anomalous, and a good part stays calm.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ad_detectors.errors import ConfigError, DataError, NoRoom

TOP = 2.0  # of the scale, in multiples of the anchor; what is higher has the colour of the top

# Position on the scale -> red, green, blue, and how opaque it lies on a picture. Up to 1, the anchor, blue
# and green lead; the step there is from blue-green to orange, which people with any colour blindness tell
# apart, and above it colours darken through red.
_STOPS = (
    (0.0, (20, 24, 60), 0.0),
    (0.5, (28, 70, 130), 0.0),
    (0.75, (33, 108, 148), 0.0),
    (1.0, (40, 150, 165), 0.3),
    (1.0, (255, 176, 50), 0.6),
    (1.1, (246, 110, 34), 0.65),
    (1.3, (214, 28, 36), 0.75),
    (TOP, (120, 0, 30), 0.8),
)
FULL = (errno.ENOSPC, errno.EDQUOT)
_STEPS = 1000  # colours for one anchor's worth of values
_LUMA = np.array([0.299, 0.587, 0.114])


def scale_position(anomaly_map: ArrayLike, anchor: float) -> NDArray[np.float64]:
    """Return where values lie on the scale: 1 at the anchor, 0 and 2 one anchor below and above it."""
    if not math.isfinite(anchor):
        raise ConfigError(f"the colour scale needs a threshold that is a number, not {anchor}")
    values = np.asarray(anomaly_map, np.float64)
    # For distances this is the value in multiples of the anchor; other values may have one below 0.
    return 1 + (values - anchor) / (abs(anchor) or 1.0)


def heat(anomaly_map: ArrayLike, anchor: float) -> NDArray[np.uint8]:  # (H, W, 3)
    """Return a map as colours: dark blue to blue-green up to the anchor, orange to dark red above it."""
    return _colours()[_entries(anomaly_map, anchor)]


def overlay(
    image: NDArray[np.uint8], anomaly_map: ArrayLike, anchor: float
) -> NDArray[np.uint8]:  # (H, W, 3)
    """Return a picture in grey under the colours of its map; far below the anchor nothing covers it.

    Grey, since a red screw is not an anomaly: whatever is orange or red exceeds the anchor.
    """
    entries = _entries(anomaly_map, anchor)
    if image.shape != (*entries.shape, 3) or image.dtype != np.uint8:
        raise DataError(
            f"an overlay needs a uint8 picture of its map's size {entries.shape}, "
            f"not {image.dtype} {image.shape}"
        )
    grey = np.rint(image @ _LUMA)[..., None]
    opaque = _opacities()[entries][..., None]
    blended: NDArray[np.float64] = grey * (1 - opaque) + _colours()[entries] * opaque
    return np.rint(blended).astype(np.uint8)


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:  # (H, W, 3) or (H, W)
    """Write a picture as PNG, the same bytes each time; raise DataError, or NoRoom on a full disk."""
    save_png(path, Image.fromarray(picture))


def save_png(path: Path, picture: Image.Image) -> None:
    """Write a picture as PNG, making its folder; raise DataError naming the file, or NoRoom."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path, format="PNG", compress_level=4)
    except OSError as error:
        kind = NoRoom if error.errno in FULL else DataError
        raise kind(
            f"cannot write {path}: {error.strerror or error}; make room or choose another folder"
        ) from error


def _entries(anomaly_map: ArrayLike, anchor: float) -> NDArray[np.intp]:
    """Return each place's entry in the tables: the first half up to the anchor, the second above it."""
    position = np.clip(scale_position(anomaly_map, anchor), 0, TOP)
    if not np.isfinite(position).all():
        raise DataError("an anomaly map holds what is infinite or not a number, which has no colour")
    # By the values themselves: a rounded position could carry one from the anchor's one side to the other.
    above = np.asarray(anomaly_map, np.float64) > anchor
    lower = np.minimum(position, 1) * _STEPS
    upper = np.maximum(position, 1) * _STEPS + 1
    entries: NDArray[np.intp] = np.where(above, upper, lower).round().astype(np.intp)
    return entries


@cache
def _colours() -> NDArray[np.uint8]:  # (entries, 3)
    channels = [_ramp([stop[1][channel] for stop in _STOPS]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


@cache
def _opacities() -> NDArray[np.float64]:  # (entries,)
    return _ramp([stop[2] for stop in _STOPS])


def _ramp(values: Sequence[float]) -> NDArray[np.float64]:
    """Return values between stops, for each entry below the step and then for each above it."""
    places = [stop[0] for stop in _STOPS]
    step = places.index(1.0) + 1
    below, above = np.linspace(0, 1, _STEPS + 1), np.linspace(1, TOP, round((TOP - 1) * _STEPS) + 1)
    return np.concatenate(
        [np.interp(below, places[:step], values[:step]), np.interp(above, places[step:], values[step:])]
    )
