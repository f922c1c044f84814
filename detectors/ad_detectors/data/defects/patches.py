"""Kinds "cutpaste" and "scar": a piece of the image where it does not belong (arXiv 2104.04015)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ad_detectors.data.defects.draft import MARGIN, Draft, between
from ad_detectors.data.defects.foreground import point

AREA = (0.02, 0.15)  # of the object that a patch covers
ASPECT = (0.3, 3.3)
SCAR_SIDES = ((2.0, 16.0), (10.0, 25.0))  # pixels of an image of 256
JITTER = 0.1  # of brightness, contrast and colour, as published
SOURCE_TRIES = 4
SCAR_JITTER = 0.35  # a scar is small: with less it would often not be seen


def cutpaste(image: NDArray[np.uint8], ground: NDArray[np.bool_], random: np.random.Generator) -> Draft:
    """Return an upright patch of the image in another place."""
    # Of the object, not of the image as published: a patch must not hide all of a small object.
    area = between(AREA, random) * float(ground.sum())
    aspect = between(ASPECT, random)
    return _pasted(image, ground, random, (math.sqrt(area * aspect), math.sqrt(area / aspect)), 0.0, JITTER)


def scar(image: NDArray[np.uint8], ground: NDArray[np.bool_], random: np.random.Generator) -> Draft:
    """Return a thin turned piece of the image in another place."""
    scale = max(image.shape[1:]) / 256
    wide, tall = (max(1.5, random.uniform(*side) * scale) for side in SCAR_SIDES)
    # The paper turns by 45 degrees at most, which leaves out the scars that lie.
    angle = math.radians(random.uniform(-90.0, 90.0))
    return _pasted(image, ground, random, (tall, wide), angle, SCAR_JITTER)


def _pasted(
    image: NDArray[np.uint8],
    ground: NDArray[np.bool_],
    random: np.random.Generator,
    sides: tuple[float, float],
    angle: float,
    jitter: float,
) -> Draft:
    height, width = ground.shape
    reach = math.hypot(*sides) / 2 + MARGIN
    row, column = point(ground, random)
    box = _clipped(row, reach, height), _clipped(column, reach, width)
    y = np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None] - row
    x = np.arange(box[1].start, box[1].stop, dtype=np.float32)[None, :] - column
    along = math.cos(angle) * y + math.sin(angle) * x  # in the frame of the patch
    across = math.cos(angle) * x - math.sin(angle) * y
    # Coverage of edge pixels, so that a turned edge is no staircase.
    cover = np.clip(sides[0] / 2 + 0.5 - np.abs(along), 0, 1)
    cover = cover * np.clip(sides[1] / 2 + 0.5 - np.abs(across), 0, 1)
    from_row, from_column = _source(ground, random, sides)
    rows = _reflected(np.rint(along + from_row).astype(np.int32), height)
    columns = _reflected(np.rint(across + from_column).astype(np.int32), width)
    piece = np.take(image.reshape(len(image), -1), rows * width + columns, axis=1)
    own = image[:, *box].astype(np.float32)
    return Draft(box, own + cover * (_jittered(piece, random, jitter) - own), cover > 0)


def _source(
    ground: NDArray[np.bool_], random: np.random.Generator, sides: tuple[float, float]
) -> tuple[int, int]:
    """Return where a piece is cut: where its corners, too, are of the object, if a few tries find that."""
    (height, width), (tall, wide) = ground.shape, sides
    for _ in range(SOURCE_TRIES):
        row, column = point(ground, random)
        rows = [int(row - tall / 2), int(row + tall / 2)]
        columns = [int(column - wide / 2), int(column + wide / 2)]
        inside = min(*rows, *columns) >= 0 and rows[1] < height and columns[1] < width
        if inside and ground[np.ix_(rows, columns)].all():
            break
    return row, column


def _clipped(middle: int, reach: float, length: int) -> slice:
    return slice(max(0, int(middle - reach)), min(length, int(middle + reach) + 2))


def _jittered(
    source: NDArray[np.uint8], random: np.random.Generator, jitter: float
) -> NDArray[np.float32]:  # (C, h, w)
    """Change brightness, contrast and, where there are colours, saturation by up to the share `jitter`."""
    brightness, contrast, saturation = 1.0 + random.uniform(-jitter, jitter, 3)
    values = source.astype(np.float32) * np.float32(brightness)
    mean = values.mean()
    values = mean + (values - mean) * np.float32(contrast)
    grey = values.mean(axis=0, keepdims=True)
    changed: NDArray[np.float32] = np.clip(grey + (values - grey) * np.float32(saturation), 0, 255)
    return changed


def _reflected(index: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    """Return indices within the image: what lies beyond an edge is mirrored."""
    folded = np.abs(index) % (2 * length)
    within: NDArray[np.int32] = np.minimum(folded, 2 * length - 1 - folded)
    return within
